/* One request after another by libcurl's easy interface, with a handle that is used again: easy URL REQUESTS
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct body {
  char bytes[1 << 16];
  size_t length;
} body;

/* Keeps what arrived; fails on more than there is room for. */
static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  body *b = context;
  size_t more = size * count;
  if (more > sizeof b->bytes - b->length)
    return 0;
  memcpy(b->bytes + b->length, bytes, more);
  b->length += more;
  return more;
}

int main(int argc, char **argv) {
  static body b;
  if (argc < 3) {
    fputs("usage: easy URL REQUESTS\n", stderr);
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *easy = curl_easy_init();
  struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer key");
  if (easy == NULL || headers == NULL)
    return 1;
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &b);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  long requests = atol(argv[2]);
  for (long i = 0; i < requests; i++) {
    long status = 0;
    b.length = 0;
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 200 || b.length == 0) {
      fprintf(stderr, "easy: %s, status %ld\n", curl_easy_strerror(code), status);
      return 1;
    }
  }
  printf("%ld\n", requests);
  curl_easy_cleanup(easy);
  curl_slist_free_all(headers);
  curl_global_cleanup();
  return 0;
}
