#include "random.h"

#include <unistd.h>

bool random_bytes(void *bytes, size_t length) {
  enum { MOST = 256 }; /* at a time: getentropy(3) */
  unsigned char *next = bytes;
  while (length > 0) {
    size_t some = length < MOST ? length : MOST;
    if (getentropy(next, some) != 0)
      return false;
    next += some;
    length -= some;
  }
  return true;
}
