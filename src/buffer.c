#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first allocation: most request bodies fit, and small responses need no second one. */
#define SMALLEST_CAPACITY ((size_t)256)

/* Grows by doubling, so that n appended bytes cost O(n) in all. Near the top of the address space, where
   doubling would overflow, it asks for exactly what is needed. The old block stays the buffer's own if
   realloc fails. */
bool buffer_reserve(buffer *buf, size_t extra) {
  if (extra <= buf->capacity - buf->length)
    return true;
  if (extra > SIZE_MAX - buf->length)
    return false;
  size_t needed = buf->length + extra;
  size_t capacity = buf->capacity > SIZE_MAX / 2 ? needed : buf->capacity * 2;
  if (capacity < needed)
    capacity = needed;
  if (capacity < SMALLEST_CAPACITY)
    capacity = SMALLEST_CAPACITY;
  char *data = realloc(buf->data, capacity);
  if (!data)
    return false;
  buf->data = data;
  buf->capacity = capacity;
  return true;
}

/* Empty input is let through before memcpy, to which even zero bytes from or to NULL are undefined. */
bool buffer_append(buffer *buf, const void *bytes, size_t length) {
  if (length == 0)
    return true;
  if (!buffer_reserve(buf, length))
    return false;
  memcpy(buf->data + buf->length, bytes, length);
  buf->length += length;
  return true;
}

void buffer_clear(buffer *buf) { buf->length = 0; }

void buffer_free(buffer *buf) {
  free(buf->data);
  *buf = (buffer){0};
}
