/* A name server that hangs, to be preloaded: getaddrinfo takes 20 seconds for every name but numeric
   addresses and localhost, and then finds nothing; quick.example is this machine, which it finds at once. */

#define _GNU_SOURCE /* RTLD_NEXT */

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <time.h>

#include <dlfcn.h>

#define SECONDS 20

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Exported in place of the C library's, which answers what needs no name server. */
__attribute__((visibility("default"))) int getaddrinfo(const char *restrict name,
                                                       const char *restrict service,
                                                       const struct addrinfo *restrict hints,
                                                       struct addrinfo **restrict result) {
  if (name && strcmp(name, "quick.example") == 0)
    name = "127.0.0.1";
  if (name && strspn(name, "0123456789.:") != strlen(name) && strcmp(name, "localhost") != 0) {
    struct timespec left = {.tv_sec = SECONDS};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
      ;
    return EAI_AGAIN;
  }
  void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
  lookup *next;
  memcpy(&next, &symbol, sizeof next);
  return next(name, service, hints, result);
}
