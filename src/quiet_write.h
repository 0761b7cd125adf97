/* Writing where the process has a limit for the size of files. */
#ifndef LLAMA_CLOUD_QUIET_WRITE_H
#define LLAMA_CLOUD_QUIET_WRITE_H

#include <stddef.h>
#include <sys/types.h>

/* pwrite(2). Where the process has a limit for the size of files, the signal that says so, and which would
   end the process, is kept from coming, unless somebody else's is pending: -1 with EFBIG. */
ssize_t quiet_write(int descriptor, const char *data, size_t length, off_t offset);

#endif
