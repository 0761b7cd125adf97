/* A minimal server for uploads: reads requests of HTTP/1.1 with a Content-Length, drops their bodies, and answers each with
   201 and a small JSON object. Prints its port; ends when its standard input does, having printed how many requests and bytes
   of bodies came. One thread, poll(2). */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 256, MOST_HEAD = 16384, PIECE = 262144 };

static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
                             "{\"id\":\"dfl-1\"}";

typedef struct connection {
  char head[MOST_HEAD + 1];
  size_t length; /* of the head, as far as it is there */
  size_t left;   /* of the body */
  bool in_body;
} connection;

static struct pollfd watched[MOST_CONNECTIONS + 2];
static connection *connections[MOST_CONNECTIONS + 2];
static size_t count;
static unsigned long long requests, bytes;

static void drop(size_t i) {
  close(watched[i].fd);
  free(connections[i]);
  count--;
  watched[i] = watched[count];
  connections[i] = connections[count];
}

/* Answers a request whose body is all there. False: the client is gone. */
static bool finish(connection *c, int fd) {
  requests++;
  c->in_body = false;
  c->length = 0;
  return write(fd, answer, sizeof answer - 1) == (ssize_t)(sizeof answer - 1);
}

/* Takes what has arrived. False: the connection is of no more use. */
static bool take(connection *c, int fd, const char *data, size_t size) {
  while (size > 0) {
    if (c->in_body) {
      size_t used = size < c->left ? size : c->left;
      c->left -= used;
      bytes += used;
      data += used;
      size -= used;
      if (c->left == 0 && !finish(c, fd))
        return false;
      continue;
    }
    if (c->length == MOST_HEAD)
      return false;
    c->head[c->length++] = *data++;
    size--;
    if (c->length >= 4 && memcmp(c->head + c->length - 4, "\r\n\r\n", 4) == 0) {
      char *field;
      c->head[c->length] = '\0';
      field = strcasestr(c->head, "\r\ncontent-length:");
      c->left = field != NULL ? strtoul(field + 17, NULL, 10) : 0;
      c->in_body = true;
      if (c->left == 0 && !finish(c, fd))
        return false;
    }
  }
  return true;
}

static bool serve(size_t i) {
  static char piece[PIECE];
  ssize_t size = read(watched[i].fd, piece, sizeof piece);
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return true;
  return size > 0 && take(connections[i], watched[i].fd, piece, (size_t)size);
}

static void add(int fd) {
  connection *c = count < MOST_CONNECTIONS + 2 ? malloc(sizeof *c) : NULL;
  if (c == NULL) {
    close(fd);
    return;
  }
  c->length = c->left = 0;
  c->in_body = false;
  connections[count] = c;
  watched[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 128) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return 1;
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  watched[0] = (struct pollfd){.fd = 0, .events = POLLIN};
  watched[1] = (struct pollfd){.fd = listener, .events = POLLIN};
  count = 2;
  while (poll(watched, count, 60000) > 0 && watched[0].revents == 0) {
    for (size_t i = count; i-- > 2;)
      if (watched[i].revents != 0 && !serve(i))
        drop(i);
    if (watched[1].revents != 0) {
      int fd = accept(listener, NULL, NULL);
      if (fd >= 0)
        add(fd);
    }
  }
  printf("%llu %llu\n", requests, bytes);
  return 0;
}
