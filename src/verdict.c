#include "verdict.h"

#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libcurl builds a request's head in a buffer of at most 1 MB. */
#define LONG_HEAD ((size_t)512 * 1024)

/* CURLINFO_USED_PROXY, which the headers name since 8.7. */
#define USED_PROXY ((CURLINFO)(CURLINFO_LONG + 66))

/* ---- proxies ---- */

/* The proxy that libcurl would choose for the request, unless no_proxy names its host: the caller's, or that
   of the environment (CURLOPT_PROXY(3)), whose variable is then in *variable. NULL: none. */
static const char *chosen_proxy(const exchange *x, const char **variable) {
  static const char *const for_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
  static const char *const for_http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
  *variable = NULL;
  if (x->proxy != NULL)
    return x->proxy[0] != '\0' ? x->proxy : NULL;
  for (const char *const *name = exchange_is_secure(x) ? for_https : for_http; *name != NULL; name++) {
    const char *value = getenv(*name);
    if (value != NULL && value[0] != '\0') {
      *variable = *name;
      return value;
    }
  }
  return NULL;
}

typedef struct proxy_parts {
  char *scheme, *host, *port; /* libcurl's */
} proxy_parts;

static void free_parts(proxy_parts *p) {
  curl_free(p->scheme);
  curl_free(p->host);
  curl_free(p->port);
}

/* Takes a proxy apart as libcurl does. False: it is none that libcurl knows; the parts are to be freed all
   the same. */
static bool parse_proxy(const char *text, proxy_parts *p) {
  static const char *const schemes[] = {"http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h"};
  const unsigned flags = CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME;
  CURLU *handle = curl_url();
  CURLUcode code = CURLUE_OUT_OF_MEMORY;
  bool known = false;
  *p = (proxy_parts){0};
  if (handle != NULL)
    code = curl_url_set(handle, CURLUPART_URL, text, flags);
  if (code == CURLUE_OK)
    code = curl_url_get(handle, CURLUPART_SCHEME, &p->scheme, 0);
  if (code == CURLUE_OK)
    code = curl_url_get(handle, CURLUPART_HOST, &p->host, 0);
  if (code == CURLUE_OK)
    (void)curl_url_get(handle, CURLUPART_PORT, &p->port, 0); /* port_of has the defaults */
  curl_url_cleanup(handle);
  for (size_t i = 0; code == CURLUE_OK && i < sizeof schemes / sizeof schemes[0]; i++)
    known = known || curl_strequal(p->scheme, schemes[i]);
  return known || code == CURLUE_OUT_OF_MEMORY; /* without memory it may be one */
}

/* libcurl's own default for a proxy, but for one that is spoken to by TLS. */
static const char *port_of(const proxy_parts *p) {
  if (p->port != NULL)
    return p->port;
  return curl_strequal(p->scheme, "https") ? "443" : "1080";
}

bool verdict_is_proxied(const exchange *x, CURL *easy) {
  const char *variable, *proxy = chosen_proxy(x, &variable);
  long used = 0, port = 0;
  proxy_parts parts;
  bool result;
  if (proxy == NULL)
    return false;
  if (curl_easy_getinfo(easy, USED_PROXY, &used) == CURLE_OK)
    return used != 0;
  /* libcurl before 8.7: by whom it was connected to */
  curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port);
  result = parse_proxy(proxy, &parts) && parts.host != NULL && strtol(port_of(&parts), NULL, 10) == port;
  free_parts(&parts);
  return result;
}

/* Whether libcurl's message names the proxy as what could not be connected to: "to HOST port PORT".
   Before 8.7 libcurl does not tell otherwise whether an attempt that got nowhere went to the proxy. */
static bool message_names_proxy(const exchange *x) {
  const char *variable, *proxy = chosen_proxy(x, &variable);
  char place[300];
  proxy_parts parts;
  bool result = false;
  if (proxy == NULL)
    return false;
  if (parse_proxy(proxy, &parts) && parts.host != NULL) {
    snprintf(place, sizeof place, "to %s port %s", parts.host, port_of(&parts));
    result = strstr(x->message, place) != NULL;
  }
  free_parts(&parts);
  return result;
}

/* Whether the proxy that libcurl would choose is none; libcurl finds out before it opens a connection. */
static bool has_bad_proxy(const exchange *x) {
  const char *variable, *proxy = chosen_proxy(x, &variable);
  proxy_parts parts;
  bool bad;
  if (proxy == NULL || x->opened || x->requested)
    return false;
  bad = !parse_proxy(proxy, &parts);
  free_parts(&parts);
  return bad;
}

/* The failure has to do with the proxy: names it at the end of the message, without its password. */
static void blame_proxy(exchange *x) {
  const char *proxy = chosen_proxy(x, &x->variable);
  size_t length = strlen(x->message);
  proxy_parts parts;
  x->about = "proxy";
  if (proxy == NULL)
    return;
  if (parse_proxy(proxy, &parts) && parts.host != NULL)
    snprintf(x->message + length, sizeof x->message - length, " (proxy %s://%.100s:%s)", parts.scheme,
             parts.host, port_of(&parts));
  free_parts(&parts);
}

/* ---- hosts ---- */

/* Whether a host's name has a part that is empty or longer than 63 bytes, or is longer than 253: then DNS has
   no place for it (RFC 1035 section 2.3.4). */
static bool is_no_name(const char *host) {
  size_t length = strlen(host), part = 0;
  if (length > 0 && host[length - 1] == '.')
    length--;
  if (length == 0 || length > 253)
    return true;
  for (size_t i = 0; i <= length; i++, part++)
    if (i == length || host[i] == '.') {
      if (part == 0 || part > 63)
        return true;
      part = (size_t)-1;
    }
  return false;
}

/* Whether libcurl can make any name ASCII. It needs libidn2 and, in some versions, a locale that knows the
   letters; if it has the first and lacks the second, it does not get as far as looking for the host. */
static bool encodes_names(void) {
  return (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_IDN) != 0;
}

/* What is wrong with a URL that libcurl does not take, or whose host it does not find (`sought`): "url",
   "host" or, as far as can be told without asking anybody, nothing. */
static const char *bad_part(exchange *x, bool sought) {
  url u;
  const char *part = NULL;
  if (url_parse(&u, x->url, NULL) != NULL)
    return "url";
  for (const char *c = u.host; c != NULL && *c != '\0'; c++)
    if ((unsigned char)*c >= 128 && !(sought && encodes_names()))
      part = "host";
  if (part == NULL && u.host != NULL && is_no_name(u.host)) {
    size_t length = strlen(x->message);
    part = "host";
    snprintf(x->message + length, sizeof x->message - length,
             " (a part of the name is empty or longer than 63 bytes, or all of it than 253)");
  }
  url_free(&u);
  return part;
}

/* ---- the outcome ---- */

/* Whether memory is there for what libcurl may have asked for. Volatile, or the compiler would know that it
   is. */
static bool memory_is_left(void) {
  void *volatile probe = malloc(4 * LONG_HEAD);
  bool left = probe != NULL;
  free(probe);
  return left;
}

/* libcurl has bounds of its own, such as 100 KB for a header line and, since 8.14, 5,000 lines. It reports an
   excess as CURLE_TOO_LARGE, but before 8.6 as lack of memory, which it is not if there is plenty. */
static outcome excess(exchange *x, CURLcode code) {
  if (code == CURLE_OUT_OF_MEMORY && !memory_is_left())
    return OUTCOME_NO_MEMORY;
  if (x->sent && (code != CURLE_OUT_OF_MEMORY || !x->head_complete)) {
    x->fault.reason = "the response's headers or trailers are too long or too many";
    return OUTCOME_TOO_LARGE;
  }
  if (header_set_longest(x->headers) > MAX_REQUEST_HEADER) {
    x->fault.reason = "a header of the request is longer than 256 KiB";
    return OUTCOME_REFUSED;
  }
  if (strlen(x->url) + header_set_length(x->headers) > LONG_HEAD) {
    x->fault.reason = "the request's URL and headers are too long";
    return OUTCOME_REFUSED;
  }
  return OUTCOME_NO_MEMORY;
}

/* Notes what a failure is about that waiting cannot mend. */
static outcome refused(exchange *x, const char *about) {
  x->about = about;
  return OUTCOME_REFUSED;
}

/* A failure before the request went out, or of a response that makes no sense. */
static outcome failure(exchange *x, CURLcode code) {
  const char *part;
  if (x->requested)
    return OUTCOME_CONNECTION;
  if (exchange_is_secure(x) && x->ca_file != NULL && access(x->ca_file, R_OK) != 0) {
    /* libcurl looks at it only once it is connected */
    snprintf(x->message, sizeof x->message, "the file of certificates cannot be read: %s", strerror(errno));
    return refused(x, "ca_file");
  }
  switch (code) {
  case CURLE_SSL_CACERT_BADFILE:
    return refused(x, "ca_file");
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
    return refused(x, "certificate");
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
    part = bad_part(x, false);
    if (part != NULL || !has_bad_proxy(x))
      return refused(x, part != NULL ? part : "url");
    return refused(x, "proxy");
  case CURLE_COULDNT_RESOLVE_HOST:
    part = bad_part(x, true);
    if (part != NULL)
      return refused(x, part);
    x->about = x->proxied ? NULL : "name";
    return OUTCOME_CONNECTION;
  case CURLE_COULDNT_CONNECT:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_BAD_FUNCTION_ARGUMENT:
  case CURLE_UNKNOWN_OPTION:
  case CURLE_NOT_BUILT_IN:
    if (has_bad_proxy(x))
      return refused(x, "proxy");
    if (code == CURLE_COULDNT_RESOLVE_PROXY || message_names_proxy(x))
      x->proxied = true;
    if (code != CURLE_COULDNT_CONNECT && !x->proxied)
      return OUTCOME_REFUSED;
    x->about = x->proxied ? NULL : "address";
    return OUTCOME_CONNECTION;
  case CURLE_SSL_CONNECT_ERROR:
    x->about = x->proxied ? NULL : "tls";
    return OUTCOME_CONNECTION;
  default:
    return OUTCOME_CONNECTION;
  }
}

/* What to look at after a time limit has passed before the request went out, in libcurl's words; NULL:
   nothing special, or there may have been a proxy. */
static const char *waited_for(const exchange *x) {
  const char *variable;
  if (x->requested || x->proxied || chosen_proxy(x, &variable) != NULL)
    return NULL;
  if (strstr(x->message, "esolving") != NULL)
    return "name";
  return strstr(x->message, "SSL") != NULL ? "tls" : "address";
}

static outcome outcome_of(exchange *x, CURLcode code) {
  if (x->fault.kind != OUTCOME_RESPONSE)
    return x->fault.kind;
  switch ((int)code) {
  case CURLE_OK: /* also for a connection that was closed within the headers */
    if (!x->head_complete)
      fault_note(&x->fault, OUTCOME_CONNECTION, "the connection was closed within the response's headers");
    else if (receiving_is_whole(&x->receiving, &x->fault))
      return OUTCOME_RESPONSE;
    return x->fault.kind;
  case CURLE_OUT_OF_MEMORY:
  case TOO_LARGE_CODE:
    return excess(x, code);
  case CURLE_BAD_CONTENT_ENCODING: /* too many of them, or a Transfer-Encoding that libcurl does not know */
    return OUTCOME_ENCODING;
  case CURLE_OPERATION_TIMEDOUT:
    x->about = waited_for(x);
    return OUTCOME_TIMEOUT;
  case CURLE_FILESIZE_EXCEEDED: /* by its Content-Length */
    x->fault.reason = BODY_TOO_LARGE;
    return OUTCOME_TOO_LARGE;
  default:
    return failure(x, code);
  }
}

/* libcurl 7 ends an attempt by this code, without a word, when a GOAWAY has said that its stream was not
   processed (RFC 9113 section 6.8); later versions send it again: see may_send_again. */
static bool went_away(const exchange *x, CURLcode code) {
  return code == CURLE_HTTP2 && !x->reused && x->header_bytes == 0 && x->message[0] == '\0' &&
         curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

outcome verdict(exchange *x, CURLcode code) {
  outcome result;
  if (went_away(x, code))
    x->sent = false;
  result = outcome_of(x, code);
  if (x->connect_status / 100 != 2 && x->connect_status != 0 && result == OUTCOME_CONNECTION)
    snprintf(x->message, sizeof x->message, "the proxy answered CONNECT with status %ld", x->connect_status);
  else if (x->fault.reason != NULL || x->message[0] == '\0')
    snprintf(x->message, sizeof x->message, "%s",
             x->fault.reason != NULL ? x->fault.reason : curl_easy_strerror(code));
  if (result == OUTCOME_RESPONSE)
    x->message[0] = '\0';
  else if (!x->requested && x->about == NULL && x->proxied)
    blame_proxy(x);
  else if (x->about != NULL && strcmp(x->about, "proxy") == 0)
    blame_proxy(x);
  return result;
}
