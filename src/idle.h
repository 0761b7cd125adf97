/* Which connections are kept, by descriptor and local port, to see whether one holds bytes that nobody asked
   for. What a server sends behind an answer would pass for the answer to the next request, which a libcurl
   like 7.88 does not look for. */
#ifndef LLAMA_CLOUD_IDLE_H
#define LLAMA_CLOUD_IDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised: none. */
typedef struct idle {
  uint16_t *ports; /* by descriptor; 0: not known */
  size_t length;
} idle;

void idle_free(idle *k);

/* Notes the local port of a connection; 0 forgets it, as does lack of memory. */
void idle_note(idle *k, int fd, long port);

/* Whether there is something to be read from the connection with this local port. False for one that was not
   noted. */
bool idle_has_input(const idle *k, int port);

#endif
