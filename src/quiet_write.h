/* Writing where the process has a limit for the size of files. */
#ifndef LLAMA_CLOUD_QUIET_WRITE_H
#define LLAMA_CLOUD_QUIET_WRITE_H

#include <stddef.h>
#include <sys/types.h>

/* pwrite(2), but a write beyond the limit fails with EFBIG and without SIGXFSZ, which would end the process.
   A SIGXFSZ that was pending before stays pending. */
ssize_t quiet_write(int descriptor, const char *data, size_t length, off_t offset);

#endif
