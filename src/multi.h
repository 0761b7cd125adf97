/* A curl multi handle, driven by its socket interface (curl_multi_socket_action(3)) behind a poller. */
#ifndef LLAMA_CLOUD_MULTI_H
#define LLAMA_CLOUD_MULTI_H

#include "poller.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stays where it is, for libcurl's callbacks have its address. */
typedef struct multi {
  CURLM *curl;    /* NULL: there is none yet */
  poller *poller; /* watches its sockets; its maker's */
  int64_t due;    /* when libcurl wants to be called */
  size_t running; /* easy handles inside */
  bool failed;    /* libcurl or the poller could not get memory: some transfer may never end */
  bool ended;     /* libcurl is done with some transfer */
  bool added;     /* libcurl has not begun with the transfer that was added last */
} multi;

/* Makes an empty curl handle in place of the old one, if there is one, for `limit` connections. False: no
   memory, and the old one stays. */
bool multi_renew(multi *m, size_t limit);

/* How many connections are kept. */
void multi_set_limit(multi *m, size_t limit);

/* Puts an easy handle in. False: no memory. */
bool multi_add(multi *m, CURL *easy);

/* Takes it out. */
void multi_remove(multi *m, CURL *easy);

/* Lets libcurl begin with the handle that was added last. */
void multi_begin(multi *m);

/* Lets libcurl act on the sockets that are ready, and do what is due, until the multi fails. Returns the
   time at which it looked what is due. */
int64_t multi_step(multi *m);

/* The next easy handle that libcurl is done with, and what came of it; NULL: there is none. It is to be taken
   out at once. */
CURL *multi_next(multi *m, CURLcode *code);

/* Frees the curl handle, if there is one. */
void multi_free(multi *m);

#endif
