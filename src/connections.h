/* What the transport knows of the connections that libcurl keeps, by descriptor.

   It looks whether a connection of HTTP/1 holds bytes that nobody asked for. What a server sends behind an
   answer would pass for the answer to the next request: libcurl 7.88 does not look for that, and from 8.15 on
   not for what OpenSSL has taken from the socket already.

   And it gives up connections of TLS. When an attempt times out, its connection may be dead without a sign of
   it, and of HTTP/2 libcurl (all versions) goes on to use it, because it takes the oldest connection that
   fits. So later attempts are of the next generation, which the connections of the one before do not fit:
   those that are idle are ended, and those that are in use when nobody uses them any more. */
#ifndef LLAMA_CLOUD_CONNECTIONS_H
#define LLAMA_CLOUD_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection that was kept when an attempt ended; it may be closed, and its descriptor something else, by
 * now. */
typedef struct connection {
  uint16_t port; /* the local one; 0: not known */
  bool serial;   /* HTTP/1: nothing comes unless it is asked for */
  bool secure;   /* TLS */
} connection;

/* After so many the first one comes again. Its connections are gone by then, unless something has been under
   way on one of them since. */
enum { CONNECTIONS_GENERATIONS = 4 };

/* Zero-initialised: none. */
typedef struct connections {
  connection *kept; /* by descriptor */
  size_t length;
  unsigned generation; /* of new attempts */
} connections;

void connections_free(connections *k);

/* Notes a connection; port 0 forgets it, as does lack of memory. */
void connections_note(connections *k, int fd, connection what);

/* Whether there is something to be read from the connection of HTTP/1 with this local port; `held`: TLS has
   taken something from its socket already. False for one that was not noted. */
bool connections_have_input(const connections *k, int port, bool held);

/* Begins the next generation. Ends the connections of TLS that were noted, but for those whose local port is
 * in use. */
void connections_renew(connections *k, bool (*in_use)(const void *user, int port), const void *user);

#endif
