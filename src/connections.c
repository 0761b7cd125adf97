#include "connections.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void connections_free(connections *k) {
  free(k->kept);
  k->kept = NULL;
  k->length = 0;
}

/* Makes room for a descriptor. False: no memory. */
static bool make_room(connections *k, size_t fd) {
  size_t length = fd < 16 ? 32 : fd * 2;
  connection *kept = realloc(k->kept, length * sizeof *kept);
  if (kept == NULL)
    return false;
  memset(kept + k->length, 0, (length - k->length) * sizeof *kept);
  k->kept = kept;
  k->length = length;
  return true;
}

void connections_note(connections *k, int fd, connection what) {
  if (fd < 0)
    return;
  if ((size_t)fd >= k->length && (what.port == 0 || !make_room(k, (size_t)fd)))
    return;
  k->kept[fd] = what;
}

/* The local port of a socket; 0 for anything else. */
static int port_of(int fd) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
    return 0;
  if (address.ss_family == AF_INET)
    return ntohs(((const struct sockaddr_in *)&address)->sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
  return 0;
}

static bool is_readable(int fd) {
  struct pollfd entry = {.fd = fd, .events = POLLIN};
  return poll(&entry, 1, 0) > 0;
}

bool connections_have_input(const connections *k, int port, bool held) {
  for (size_t fd = 0; fd < k->length; fd++)
    if (k->kept[fd].port == port && k->kept[fd].serial && port_of((int)fd) == port &&
        (held || is_readable((int)fd)))
      return true;
  return false;
}

void connections_renew(connections *k, bool (*in_use)(const void *user, int port), const void *user) {
  k->generation = (k->generation + 1) % CONNECTIONS_GENERATIONS;
  for (size_t fd = 0; fd < k->length; fd++) {
    int port = k->kept[fd].port;
    if (port == 0 || !k->kept[fd].secure || port_of((int)fd) != port || in_use(user, port))
      continue;
    shutdown((int)fd, SHUT_RDWR); /* closing it is libcurl's, which sees that it has ended */
    k->kept[fd] = (connection){0};
  }
}
