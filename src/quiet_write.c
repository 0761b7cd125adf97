#include "quiet_write.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

ssize_t quiet_write(int descriptor, const char *data, size_t length, off_t offset) {
  const struct timespec now = {0};
  sigset_t excess, before, pending;
  ssize_t written;
  int error;
  sigemptyset(&excess);
  sigaddset(&excess, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &excess, &before);
  sigpending(&pending);
  written = pwrite(descriptor, data, length, offset);
  error = errno;
  if (written < 0 && error == EFBIG && !sigismember(&pending, SIGXFSZ))
    while (sigtimedwait(&excess, NULL, &now) < 0 && errno == EINTR)
      ;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return written;
}
