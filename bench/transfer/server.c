/* The cheapest possible service: takes bodies and throws them away, and sends zeros.

     server [SECONDS]

   Prints the port it listens on, on 127.0.0.1, and serves one connection after another, for so many seconds
   (600). POST is answered with {"received":N}, GET /N with N bytes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char bytes[256 * 1024];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static bool send_all(int fd, const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    data += sent;
    length -= (size_t)sent;
  }
  return true;
}

/* Reads a request's head. Returns how many bytes of its body came with it; negative: there is no request. */
static long long read_head(int fd, char *head, size_t size) {
  size_t length = 0;
  while (length + 1 < size) {
    ssize_t got = recv(fd, head + length, size - 1 - length, 0);
    const char *end;
    if (got <= 0)
      return -1;
    length += (size_t)got;
    head[length] = '\0';
    end = strstr(head, "\r\n\r\n");
    if (end != NULL)
      return (long long)(length - (size_t)(end + 4 - head));
  }
  return -1;
}

/* Takes a body. False: it did not come. */
static bool take(int fd, long long left) {
  while (left > 0) {
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0)
      return false;
    left -= got;
  }
  return true;
}

/* Answers one request. False: the connection is over. */
static bool answer(int fd) {
  char head[8192], text[200];
  long long came = read_head(fd, head, sizeof head), length = 0;
  if (came < 0)
    return false;
  if (strncmp(head, "POST ", 5) == 0) {
    const char *field = strcasestr(head, "\r\nContent-Length:");
    length = field != NULL ? atoll(field + 17) : 0;
    if (strcasestr(head, "\r\nExpect:") != NULL && !send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
      return false;
    if (!take(fd, length - came))
      return false;
    int n = snprintf(text, sizeof text, "{\"received\":%lld}", length);
    int m = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n,
                     text);
    return send_all(fd, head, (size_t)m);
  }
  length = atoll(head + strlen("GET /"));
  int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", length);
  bool well = send_all(fd, text, (size_t)n);
  memset(bytes, 0, sizeof bytes);
  for (; well && length > 0; length -= (long long)sizeof bytes)
    well = send_all(fd, bytes, length < (long long)sizeof bytes ? (size_t)length : sizeof bytes);
  return well;
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  alarm(argc > 1 ? (unsigned)atoi(argv[1]) : 600);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 16) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    die("server");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
      die("accept");
    while (answer(fd))
      ;
    close(fd);
  }
}
