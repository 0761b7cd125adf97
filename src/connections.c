#include "connections.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void connections_free(connections *k) {
  free(k->ports);
  k->ports = NULL;
  k->length = 0;
}

/* Makes room for a descriptor. False: no memory. */
static bool make_room(connections *k, size_t fd) {
  size_t length = fd < 16 ? 32 : fd * 2;
  uint16_t *ports = realloc(k->ports, length * sizeof *ports);
  if (ports == NULL)
    return false;
  memset(ports + k->length, 0, (length - k->length) * sizeof *ports);
  k->ports = ports;
  k->length = length;
  return true;
}

void connections_note(connections *k, int fd, long port) {
  if (fd < 0)
    return;
  if ((size_t)fd >= k->length && (port == 0 || !make_room(k, (size_t)fd)))
    return;
  k->ports[fd] = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* The local port of a socket; 0 for anything else. What was noted may be something else by now. */
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
    if (k->ports[fd] == port && port_of((int)fd) == port && (held || is_readable((int)fd)))
      return true;
  return false;
}
