/* A file that grows by whole pieces of text, and that one at a time may have open. A forked process changes
   nothing of its parent's, and does not unlock it. Knows neither Lua nor libcurl. */
#ifndef LLAMA_CLOUD_APPEND_H
#define LLAMA_CLOUD_APPEND_H

#include "fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct append append;

/* What was found wrong, and a word for it where somebody may want to act on it: "locked" (another has it
   open), "denied" (its mode, or that of the file system), "missing" (its directory), "directory" (it is one),
   "full" (the disk, a quota, or the limit of the process), else NULL. */
typedef struct append_fault {
  fault what;
  const char *why;
} append_fault;

/* Opens the file at `path`, where a symbolic link leads too, and locks it (flock(2)) until it is closed.
   Where there is none it makes one, which others cannot read; where it is empty it waits until the disk has
   its name. NULL: OUTCOME_NO_MEMORY or OUTCOME_FILE is noted, and nothing was changed. The caller owns it. */
append *append_new(const char *path, append_fault *wrong);

/* Closes it and frees it. NULL is allowed. */
void append_free(append *a);

/* How many bytes it has. */
uint64_t append_size(const append *a);

/* Adds a text at its end: all of it, and the system has it; or nothing. False: a fault is noted. Where what
   was written of it cannot be taken away again at once, that is done before the next one is written. */
bool append_write(append *a, const char *text, size_t length, append_fault *wrong);

/* Waits until the disk has all of it. False: a fault is noted: the disk does not take it, and then nobody can
   tell any more what the disk has, so that nothing is written from then on; or the file was removed, or
   changed by somebody else, and what was written may be lost. */
bool append_sync(append *a, append_fault *wrong);

/* Takes away all but its first `size` bytes, of which it has as many at least. False: a fault is noted. */
bool append_truncate(append *a, uint64_t size, append_fault *wrong);

/* Reads up to `length` bytes from `offset` on; fewer at the end only. -1: a fault is noted. */
ssize_t append_read(append *a, uint64_t offset, char *bytes, size_t length, append_fault *wrong);

#endif
