/* Parsing and resolving URLs, by libcurl's URL API (curl_url(3)). Knows no Lua. */
#ifndef LLAMA_CLOUD_URL_H
#define LLAMA_CLOUD_URL_H

/* Zero-initialised is empty. Each part is a string of libcurl's, or NULL when the URL does not have it. */
typedef struct url {
  char *text; /* the whole URL, normalised */
  char *scheme, *user, *password, *host, *port, *path, *query, *fragment;
} url;

/* Parses text; with a base (a whole URL, or NULL), resolves it against the base as RFC 3986 section 5 says.
   Returns NULL and fills u, or returns why not (a static string) and leaves u empty. The port is always
   there for schemes that libcurl knows. Release with url_free. */
const char *url_parse(url *u, const char *text, const char *base);

/* What url_parse returns when there is no memory. */
extern const char *const url_no_memory;

/* Frees the parts; idempotent. */
void url_free(url *u);

#endif
