/* The cheapest possible service: takes bodies and throws them away, and sends zeros, over as many connections
   as come.

     server SECONDS

   Prints the port it listens on, on 127.0.0.1, and ends after so many seconds. POST is answered with
   {"id":"dfl-1","received":N}, GET /N with N bytes. HTTP/1.1, bodies with a Content-Length. One thread,
   poll(2). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER, FIRST, MOST_CONNECTIONS = 256, MOST_HEAD = 16384, PIECE = 262144 };

typedef struct connection {
  char head[MOST_HEAD + 1];
  size_t length;               /* of the head, as far as it is there */
  unsigned long long received; /* the length of the body */
  unsigned long long left;     /* what is still to come of it */
  unsigned long long to_send;  /* zeros that are still to be sent */
  bool in_body;
} connection;

static struct pollfd watched[FIRST + MOST_CONNECTIONS];
static connection *connections[FIRST + MOST_CONNECTIONS];
static size_t count = FIRST;
static const char zeros[PIECE];

/* Closes a connection and forgets it; the last one takes its place. */
static void drop(size_t i) {
  close(watched[i].fd);
  free(connections[i]);
  count--;
  watched[i] = watched[count];
  connections[i] = connections[count];
}

/* Sends a few bytes, for which there is always room. False: the client is gone. */
static bool say(int fd, const char *text, int length) {
  return send(fd, text, (size_t)length, MSG_NOSIGNAL) == length;
}

/* Answers a request that is all there. False: the client is gone. */
static bool answer(connection *c, int fd) {
  char head[200], body[80];
  bool get = strncmp(c->head, "GET /", 5) == 0;
  int size = 0, length;
  c->in_body = false;
  c->length = 0;
  if (get)
    c->to_send = strtoull(c->head + 5, NULL, 10);
  else
    size = snprintf(body, sizeof body, "{\"id\":\"dfl-1\",\"received\":%llu}", c->received);
  length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n\r\n%.*s",
                    get ? "200 OK" : "201 Created", get ? "application/octet-stream" : "application/json",
                    get ? c->to_send : (unsigned long long)size, size, body);
  return say(fd, head, length);
}

/* Looks at a head that is all there, and answers if no body follows. False: the client is gone. */
static bool begin(connection *c, int fd) {
  c->head[c->length] = '\0';
  const char *field = strcasestr(c->head, "\r\nContent-Length:");
  c->left = c->received = field != NULL ? strtoull(field + 17, NULL, 10) : 0;
  c->in_body = true;
  if (c->left == 0)
    return answer(c, fd);
  return strcasestr(c->head, "\r\nExpect:") == NULL || say(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* Takes what has arrived. False: the connection is of no more use. */
static bool take(connection *c, int fd, const char *data, size_t size) {
  while (size > 0) {
    if (c->in_body) {
      size_t used = size < c->left ? size : (size_t)c->left;
      c->left -= used;
      data += used;
      size -= used;
      if (c->left == 0 && !answer(c, fd))
        return false;
      continue;
    }
    if (c->length == MOST_HEAD || c->to_send > 0)
      return false;
    c->head[c->length++] = *data++;
    size--;
    if (c->length >= 4 && memcmp(c->head + c->length - 4, "\r\n\r\n", 4) == 0 && !begin(c, fd))
      return false;
  }
  return true;
}

/* Sends zeros, as many as there is room for. False: the client is gone. */
static bool send_zeros(connection *c, int fd) {
  size_t size = c->to_send < PIECE ? (size_t)c->to_send : PIECE;
  ssize_t sent = send(fd, zeros, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0)
    return errno == EAGAIN || errno == EINTR;
  c->to_send -= (size_t)sent;
  return true;
}

/* Does what one connection is ready for. False: it is over. */
static bool serve(size_t i) {
  static char piece[PIECE];
  if (watched[i].revents & POLLOUT)
    return send_zeros(connections[i], watched[i].fd);
  ssize_t size = recv(watched[i].fd, piece, sizeof piece, MSG_DONTWAIT);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR;
  return size > 0 && take(connections[i], watched[i].fd, piece, (size_t)size);
}

/* Watches a new connection; closes it where there are too many. */
static void add(int fd) {
  connection *c = count < FIRST + MOST_CONNECTIONS ? calloc(1, sizeof *c) : NULL;
  if (c == NULL) {
    close(fd);
    return;
  }
  connections[count] = c;
  watched[count++] = (struct pollfd){.fd = fd};
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (argc != 2 || listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
      listen(listener, 128) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
    perror("server");
    return 1;
  }
  alarm((unsigned)atoi(argv[1]));
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  watched[LISTENER] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (;;) {
    for (size_t i = FIRST; i < count; i++)
      watched[i].events = connections[i]->to_send > 0 ? POLLOUT : POLLIN;
    if (poll(watched, count, -1) < 0 && errno != EINTR)
      return 1;
    for (size_t i = count; i-- > FIRST;)
      if (watched[i].revents != 0 && !serve(i))
        drop(i);
    if (watched[LISTENER].revents != 0) {
      int fd = accept(listener, NULL, NULL);
      if (fd >= 0)
        add(fd);
    }
  }
}
