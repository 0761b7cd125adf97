/* What the transport knows of libcurl's connections, which libcurl does not look for by itself.

   Which are kept, by descriptor and local port, to see whether one holds bytes that nobody asked for. What a
   server sends behind an answer would pass for the answer to the next request: libcurl 7.88 does not look for
   that, and from 8.15 on not for what OpenSSL has taken from the socket already.

   And their generation. When an attempt times out, its connection may be dead without a sign of it. Of HTTP/2
   libcurl (all versions) goes on to use it, for it takes the oldest connection that fits. So later attempts
   are of the next generation, which the connections of the one before do not fit. */
#ifndef LLAMA_CLOUD_CONNECTIONS_H
#define LLAMA_CLOUD_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised: none. */
typedef struct connections {
  uint16_t *ports; /* by descriptor; 0: not known */
  size_t length;
  unsigned generation; /* of new attempts; 0 or 1 */
} connections;

void connections_free(connections *k);

/* Notes the local port of a connection; 0 forgets it, as does lack of memory. */
void connections_note(connections *k, int fd, long port);

/* Whether there is something to be read from the connection with this local port; `held`: TLS has taken
   something from its socket already. False for one that was not noted. */
bool connections_have_input(const connections *k, int port, bool held);

#endif
