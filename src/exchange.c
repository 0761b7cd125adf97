#include "exchange.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_HEADER_BYTES ((size_t)256 * 1024)

/* libcurl builds a request's head in a buffer of at most 1 MB. */
#define LONG_HEAD ((size_t)512 * 1024)

/* CURLE_TOO_LARGE, which the headers name since 8.6. */
#define TOO_LARGE_CODE 100

/* ---- libcurl's callbacks ---- */

/* Notes why a callback makes the attempt fail, and returns what libcurl fails upon. */
static size_t refuse(exchange *x, outcome failure, const char *reason) {
  x->failure = failure;
  x->reason = reason;
  return CURL_WRITEFUNC_ERROR;
}

static const char body_too_large[] = "the response's body exceeds max_response_bytes";

/* Makes room for a body whose length the server tells. A lie, or compression, only costs time: no more than
   EXPECTED_MOST is believed before it arrives. */
static void expect_body(exchange *x) {
  enum { EXPECTED_MOST = 1024 * 1024 };
  curl_off_t length = -1;
  curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length > 0)
    (void)buffer_reserve(&x->body, length < EXPECTED_MOST ? (size_t)length : EXPECTED_MOST);
}

/* CURLOPT_WRITEFUNCTION: the body, decompressed. */
static size_t on_body(char *data, size_t size, size_t count, void *user) {
  exchange *x = user;
  size_t length = size * count; /* size is 1 */
  if (length > x->max_response_bytes - x->body.length)
    return refuse(x, OUTCOME_TOO_LARGE, body_too_large);
  if (x->body.data == NULL)
    expect_body(x);
  if (!buffer_append(&x->body, data, length))
    return refuse(x, OUTCOME_NO_MEMORY, "");
  return length;
}

/* Notes what a line tells about where in the response it stands. A header or trailer may be called HTTP/,
 * too. */
static void follow_head(exchange *x, const char *line, size_t length) {
  if (!x->in_head && !x->head_complete && length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    const char *space = memchr(line, ' ', length);
    x->interim = space != NULL && space + 1 < line + length && space[1] == '1';
    x->in_head = true;
    buffer_clear(&x->header_lines);
  } else if (length > 0 && (line[0] == '\r' || line[0] == '\n')) {
    x->in_head = false;
    x->head_complete = !x->interim;
  }
}

/* CURLOPT_HEADERFUNCTION: one line at a time, of every response there is. The last one's are kept, without
   trailers, which must not pass for headers (RFC 9110 section 6.5.1). */
static size_t on_header(char *data, size_t size, size_t count, void *user) {
  exchange *x = user;
  size_t length = size * count; /* size is 1 */
  if (length > MAX_HEADER_BYTES - x->header_bytes)
    return refuse(x, OUTCOME_TOO_LARGE, "the response's headers exceed 256 KiB");
  x->header_bytes += length;
  follow_head(x, data, length);
  if (!x->head_complete && !buffer_append(&x->header_lines, data, length))
    return refuse(x, OUTCOME_NO_MEMORY, "");
  return length;
}

/* CURLOPT_READFUNCTION: the request's body. Being asked is what tells that the server may see the request. */
static size_t on_read(char *data, size_t size, size_t count, void *user) {
  exchange *x = user;
  size_t left = x->request.length - x->position;
  size_t room = size * count;
  x->asked = true;
  if (left > room)
    left = room;
  if (left > 0)
    memcpy(data, x->request.data + x->position, left);
  x->position += left;
  return left;
}

/* Whether libcurl may send the request once more, on a new connection, because a reused one died without an
   answer. The server may have acted on the first copy, so only a repeatable one may, or one whose body was
   never asked for. */
static bool may_repeat(exchange *x) {
  if (x->repeatable || !x->asked)
    return true;
  refuse(x, OUTCOME_CONNECTION, "the connection was closed before the answer");
  return false;
}

/* CURLOPT_SEEKFUNCTION: libcurl wants to read the body again. */
static int on_seek(void *user, curl_off_t offset, int origin) {
  exchange *x = user;
  if (!may_repeat(x) || origin != SEEK_SET || offset < 0 || (size_t)offset > x->request.length)
    return CURL_SEEKFUNC_FAIL;
  x->position = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

/* CURLOPT_PREREQFUNCTION: libcurl is about to send the request, for the first time or again. It seeks only
   when it has sent a part of the body, which may be less than it has read. */
static int on_request(void *user, char *address, char *local_address, int port, int local_port) {
  exchange *x = user;
  (void)address;
  (void)local_address;
  (void)port;
  if (!may_repeat(x))
    return CURL_PREREQFUNC_ABORT;
  if (!x->opened && idle_has_input(x->idle, local_port)) {
    x->stale = true;
    return CURL_PREREQFUNC_ABORT;
  }
  x->position = 0;
  x->in_head = x->head_complete = false;
  return CURL_PREREQFUNC_OK;
}

/* CURLOPT_SOCKOPTFUNCTION: programs that the user's script starts get none of our connections. */
static int on_new_socket(void *user, curl_socket_t fd, curlsocktype purpose) {
  exchange *x = user;
  (void)purpose;
  x->opened = true;
  idle_note(x->idle, fd, 0);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return CURL_SOCKOPT_OK;
}

/* ---- the request ---- */

/* A copy of text, or NULL for NULL; clears *ok when there is no memory. */
static char *copy(const char *text, bool *ok) {
  char *result = text != NULL ? strdup(text) : NULL;
  if (text != NULL && result == NULL)
    *ok = false;
  return result;
}

bool exchange_init(exchange *x, const transfer_options *options) {
  bool ok = true;
  x->method = copy(options->method, &ok);
  x->url = copy(options->url, &ok);
  x->proxy = copy(options->proxy, &ok);
  x->ca_file = copy(options->ca_file, &ok);
  x->headers = header_set_share(options->headers);
  x->has_body = options->body != NULL && options->body_length > 0;
  if (x->has_body)
    ok = buffer_append(&x->request, options->body, options->body_length) && ok;
  x->verify = options->verify;
  x->repeatable = options->repeatable;
  x->timeout = options->timeout;
  x->connect_timeout = options->connect_timeout;
  x->max_response_bytes = options->max_response_bytes;
  return ok;
}

void exchange_free(exchange *x) {
  header_set_release(x->headers);
  free(x->method);
  free(x->url);
  free(x->proxy);
  free(x->ca_file);
  buffer_free(&x->request);
  buffer_free(&x->body);
  buffer_free(&x->header_lines);
}

/* Seconds as libcurl's milliseconds: rounded up, at least 1, as zero would mean something else to it. */
static long milliseconds(double seconds) {
  double ms = ceil(seconds * 1000);
  if (!(ms >= 1))
    return 1;
  return ms >= INT_MAX ? INT_MAX : (long)ms;
}

/* A size as libcurl's, where zero would mean that there is no bound. */
static curl_off_t bound(size_t size) {
  uint64_t wide = size; /* a size_t of 32 bits is never too large, which compilers warn of */
  if (wide == 0)
    return 1;
  return wide > INT64_MAX ? INT64_MAX : (curl_off_t)wide;
}

CURLcode exchange_configure(exchange *x, CURL *easy, double timeout) {
  CURLcode code = CURLE_OK;
  x->easy = easy;
#define SET(option, value)                                                                                   \
  if (code == CURLE_OK)                                                                                      \
  code = curl_easy_setopt(easy, option, value)
  bool get = strcmp(x->method, "GET") == 0;
  bool head = strcmp(x->method, "HEAD") == 0;
  SET(CURLOPT_ERRORBUFFER, x->message);
  SET(CURLOPT_URL, x->url);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_QUICK_EXIT, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_ACCEPT_ENCODING, "");
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_TCP_NODELAY, 1L);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_SOCKOPTFUNCTION, on_new_socket);
  SET(CURLOPT_SOCKOPTDATA, x);
  SET(CURLOPT_PREREQFUNCTION, on_request);
  SET(CURLOPT_PREREQDATA, x);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, x);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, x);
  SET(CURLOPT_READFUNCTION, on_read);
  SET(CURLOPT_READDATA, x);
  SET(CURLOPT_SEEKFUNCTION, on_seek);
  SET(CURLOPT_SEEKDATA, x);
  SET(CURLOPT_HTTPHEADER, header_set_lines(x->headers));
  SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(x->connect_timeout));
  /* without TLS there is no HTTP/2 to wait for, and libcurl would not know so before the first response */
  if (strncasecmp(x->url, "https:", 6) == 0)
    SET(CURLOPT_PIPEWAIT, 1L);
  if (x->fresh)
    SET(CURLOPT_FRESH_CONNECT, 1L);
  if (timeout < HUGE_VAL)
    SET(CURLOPT_TIMEOUT_MS, milliseconds(timeout));
  if (x->proxy != NULL)
    SET(CURLOPT_PROXY, x->proxy);
  if (x->ca_file != NULL)
    SET(CURLOPT_CAINFO, x->ca_file);
  if (!x->verify) {
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (x->has_body) {
    /* not POSTFIELDS: libcurl would send those again by itself */
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.length);
  } else if (head) {
    SET(CURLOPT_NOBODY, 1L); /* whose length is of what a GET would get, and no matter how large */
  } else if (!get && strcmp(x->method, "DELETE") != 0) {
    SET(CURLOPT_POST, 1L); /* Content-Length: 0 (RFC 9110 section 8.6) */
    SET(CURLOPT_POSTFIELDS, "");
    SET(CURLOPT_POSTFIELDSIZE, 0L);
    /* without a body there is nothing to refuse a rewind of: only a fresh connection is never tried again */
    if (!x->repeatable)
      SET(CURLOPT_FRESH_CONNECT, 1L);
  }
  if (!head)
    SET(CURLOPT_MAXFILESIZE_LARGE, bound(x->max_response_bytes));
  if ((!get && !head) || x->has_body)
    SET(CURLOPT_CUSTOMREQUEST, x->method);
#undef SET
  return code;
}

/* ---- the result ---- */

/* Notes the connection if it is kept and of HTTP/1. With HTTP/2 the server may send something at any time. */
static void note_connection(exchange *x, CURL *easy) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  long version = CURL_HTTP_VERSION_NONE, port = 0;
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
  curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
  curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
  if (fd != CURL_SOCKET_BAD)
    idle_note(x->idle, fd, version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1 ? port : 0);
}

void exchange_collect(exchange *x, CURL *easy) {
  long sent = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &x->status);
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
  /* a request with a body is whole only when the body went too; one without is whole with its headers */
  x->sent = x->has_body ? x->asked : sent > 0;
  note_connection(x, easy);
}

bool exchange_renew(exchange *x) {
  if (!x->stale)
    return false;
  x->stale = false;
  x->fresh = true;
  x->message[0] = '\0';
  return true;
}

/* Whether memory is there for what libcurl may have asked for. Volatile, or the compiler would know that it
   is. */
static bool memory_is_left(void) {
  void *volatile probe = malloc(4 * LONG_HEAD);
  bool left = probe != NULL;
  free(probe);
  return left;
}

/* libcurl has bounds of its own, such as 100 KB for a header line. It reports an excess as CURLE_TOO_LARGE,
   but before 8.6 as lack of memory, which it is not if there is plenty. */
static outcome excess(exchange *x, CURLcode code) {
  if (code == CURLE_OUT_OF_MEMORY && !memory_is_left())
    return OUTCOME_NO_MEMORY;
  if (x->sent && (code != CURLE_OUT_OF_MEMORY || !x->head_complete)) {
    x->reason = "a line of the response's headers or trailers is too long";
    return OUTCOME_TOO_LARGE;
  }
  if (strlen(x->url) + header_set_length(x->headers) > LONG_HEAD) {
    x->reason = "the request's URL and headers are too long";
    return OUTCOME_REFUSED;
  }
  return OUTCOME_NO_MEMORY;
}

static outcome outcome_of(exchange *x, CURLcode code) {
  if (x->failure != OUTCOME_RESPONSE)
    return x->failure;
  switch ((int)code) {
  case CURLE_OK: /* also for a connection that was closed within the headers */
    if (x->head_complete)
      return OUTCOME_RESPONSE;
    x->reason = "the connection was closed within the response's headers";
    return OUTCOME_CONNECTION;
  case CURLE_OUT_OF_MEMORY:
  case TOO_LARGE_CODE:
    return excess(x, code);
  case CURLE_OPERATION_TIMEDOUT:
    return OUTCOME_TIMEOUT;
  case CURLE_FILESIZE_EXCEEDED: /* by its Content-Length */
    x->reason = body_too_large;
    return OUTCOME_TOO_LARGE;
  /* the fault of an argument; or, once the request is out, of an answer that is not HTTP */
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_URL_MALFORMAT:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_BAD_FUNCTION_ARGUMENT:
  case CURLE_UNKNOWN_OPTION:
  case CURLE_NOT_BUILT_IN:
    return x->sent ? OUTCOME_CONNECTION : OUTCOME_REFUSED;
  default:
    return OUTCOME_CONNECTION;
  }
}

void exchange_conclude(exchange *x, CURLcode code) {
  outcome result = outcome_of(x, code);
  const char *message = NULL; /* libcurl's own is there already */
  if (result == OUTCOME_RESPONSE)
    message = "";
  else if (x->reason != NULL)
    message = x->reason;
  else if (x->message[0] == '\0')
    message = curl_easy_strerror(code);
  exchange_end(x, result, message);
}

void exchange_end(exchange *x, outcome result, const char *message) {
  x->result = result;
  if (message != NULL)
    snprintf(x->message, sizeof x->message, "%s", message);
}
