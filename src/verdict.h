/* What an attempt has come to that libcurl is done with: the outcome, in words, and what it is about.

   `about` names what the caller has chosen and may choose otherwise:
     "ca_file"      the file cannot be read or holds no certificate
     "certificate"  the server's was refused
     "proxy"        it is none, cannot be reached, or refused; `variable` names where it comes from if that is
                    the environment
     "url"          it is none
     "host"         its name cannot be a host's, or not be encoded */
#ifndef LLAMA_CLOUD_VERDICT_H
#define LLAMA_CLOUD_VERDICT_H

#include "exchange.h"

/* CURLE_TOO_LARGE, which the headers name since 8.6. */
#define TOO_LARGE_CODE 100

/* A longer line of a request's headers is refused. libcurl 8.13 to 8.21 leaves out one that is longer than
   300 KiB and sends the request without. */
#define MAX_REQUEST_HEADER ((size_t)256 * 1024)

/* The outcome for libcurl's code. Fills `message`, `about` and `variable`. */
outcome verdict(exchange *x, CURLcode code);

/* Whether the attempt went to a proxy, as far as it went; to be called while the easy handle has it. */
bool verdict_is_proxied(const exchange *x, CURL *easy);

#endif
