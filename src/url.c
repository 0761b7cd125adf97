/* Parsing and resolving URLs, by libcurl's URL API (curl_url(3)). */
#include "url.h"

#include <curl/curl.h>
#include <stddef.h>

/* Takes one part out; a part that the URL does not have becomes NULL. */
static CURLUcode take(CURLU *handle, CURLUPart what, char **part, unsigned flags) {
  CURLUcode code = curl_url_get(handle, what, part, flags);
  switch (code) {
  case CURLUE_NO_SCHEME:
  case CURLUE_NO_USER:
  case CURLUE_NO_PASSWORD:
  case CURLUE_NO_HOST:
  case CURLUE_NO_PORT:
  case CURLUE_NO_QUERY:
  case CURLUE_NO_FRAGMENT:
    *part = NULL;
    return CURLUE_OK;
  default:
    return code;
  }
}

/* Other schemes than libcurl's are parsed too, so that the caller can name them when it refuses them. */
#define PARSE_FLAGS CURLU_NON_SUPPORT_SCHEME

/* Sets the handle to text, resolved against base (RFC 3986 section 5.2). Dot segments are removed. What a
   server sends as Location may hold raw spaces and UTF-8, which are encoded.

   libcurl resolves all references well but two: up to 8.9 it drops the last segment of the path for an empty
   one and for a fragment alone, and a slash in the base's fragment passes for one of the path's. */
static CURLUcode resolve(CURLU *handle, const char *text, const char *base) {
  CURLUcode code = curl_url_set(handle, CURLUPART_URL, base, PARSE_FLAGS);
  if (code == CURLUE_OK)
    code = curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
  if (code != CURLUE_OK || text[0] == '\0')
    return code;
  if (text[0] == '#')
    return curl_url_set(handle, CURLUPART_FRAGMENT, text[1] != '\0' ? text + 1 : NULL, CURLU_URLENCODE);
  return curl_url_set(handle, CURLUPART_URL, text, PARSE_FLAGS | CURLU_URLENCODE);
}

const char *const url_no_memory = "not enough memory";

const char *url_parse(url *u, const char *text, const char *base) {
  CURLUcode code = CURLUE_OUT_OF_MEMORY;
  CURLU *handle = curl_url();
  *u = (url){0};
  if (handle != NULL) {
    code = base != NULL ? resolve(handle, text, base)
                        : curl_url_set(handle, CURLUPART_URL, text, PARSE_FLAGS | CURLU_PATH_AS_IS);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_URL, &u->text, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_SCHEME, &u->scheme, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_USER, &u->user, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_PASSWORD, &u->password, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_HOST, &u->host, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_PORT, &u->port, CURLU_DEFAULT_PORT);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_PATH, &u->path, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_QUERY, &u->query, 0);
    if (code == CURLUE_OK)
      code = take(handle, CURLUPART_FRAGMENT, &u->fragment, 0);
    curl_url_cleanup(handle);
  }
  if (code == CURLUE_OK)
    return NULL;
  url_free(u);
  return code == CURLUE_OUT_OF_MEMORY ? url_no_memory : curl_url_strerror(code);
}

void url_free(url *u) {
  curl_free(u->text);
  curl_free(u->scheme);
  curl_free(u->user);
  curl_free(u->password);
  curl_free(u->host);
  curl_free(u->port);
  curl_free(u->path);
  curl_free(u->query);
  curl_free(u->fragment);
  *u = (url){0};
}
