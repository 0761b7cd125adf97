#include "exchange.h"

#include "verdict.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_HEADER_BYTES ((size_t)256 * 1024)

/* How often a stream may be refused before the attempt ends. libcurl itself ends it after five times, with a
   code that does not tell why. */
#define MAX_REFUSALS 3

/* How long the peer's system may leave what we have sent without a sign, in milliseconds, and how soon and
   how often it is asked for one while nothing is sent, in seconds. */
#define PATIENCE_MS 30000
#define KEEP_IDLE 30L
#define KEEP_INTERVAL 10L

/* More than this does not fit for certain into what a server of HTTP/2 takes at first. */
#define HTTP2_WINDOW 60000

/* How much libcurl reads at a time of a body that goes into a file. */
#define OUTPUT_BUFFER 131072L

/* ---- libcurl's callbacks ---- */

/* The length of the response's body as it is sent, or RECEIVING_UNKNOWN. */
static int64_t content_length(const exchange *x) {
  curl_off_t length = RECEIVING_UNKNOWN;
  curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  return length;
}

/* CURLOPT_WRITEFUNCTION: the body, as it was sent. */
static size_t on_body(char *data, size_t size, size_t count, void *user) {
  exchange *x = user;
  size_t length = size * count; /* size is 1 */
  if (!receiving_write(&x->receiving, data, length, x->receiving.begun ? 0 : content_length(x), &x->fault))
    return CURL_WRITEFUNC_ERROR;
  return length;
}

/* Forgets what a response before this one has left, such as an interim one's headers. */
static void begin_head(exchange *x) {
  x->in_head = true;
  buffer_clear(&x->header_lines);
  receiving_forget(&x->receiving);
  /* an answer: the connection lives, and is kept (configure_connection), unless it has been given up
   * meanwhile
   */
  if (!x->fresh && x->generation == x->connections->generation)
    curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 0L);
}

/* Notes what a line tells about where in the response it stands. A header or trailer may be called HTTP/,
   too. */
static void follow_head(exchange *x, const char *line, size_t length) {
  if (!x->in_head && !x->head_complete && length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    const char *space = memchr(line, ' ', length);
    x->interim = space != NULL && space + 1 < line + length && space[1] == '1';
    begin_head(x);
  } else if (length > 0 && (line[0] == '\r' || line[0] == '\n')) {
    x->in_head = false;
    x->head_complete = !x->interim;
  }
}

/* A response's head is complete. False: its body cannot be had. */
static bool end_head(exchange *x) {
  long status = 0;
  curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
  return x->verb == VERB_HEAD || receiving_begin(&x->receiving, status, &x->fault);
}

/* CURLOPT_HEADERFUNCTION: one line at a time, of every response there is. The last one's are kept, without
   trailers, which must not pass for headers (RFC 9110 section 6.5.1). */
static size_t on_header(char *data, size_t size, size_t count, void *user) {
  exchange *x = user;
  size_t length = size * count; /* size is 1 */
  bool before = x->head_complete;
  if (length > MAX_HEADER_BYTES - x->header_bytes) {
    fault_note(&x->fault, OUTCOME_TOO_LARGE, "the response's headers exceed 256 KiB");
    return CURL_WRITEFUNC_ERROR;
  }
  x->header_bytes += length;
  follow_head(x, data, length);
  if (before)
    return length;
  if (x->head_complete)
    return end_head(x) ? length : CURL_WRITEFUNC_ERROR;
  if (buffer_append(&x->header_lines, data, length) && receiving_note(&x->receiving, data, length))
    return length;
  fault_note(&x->fault, OUTCOME_NO_MEMORY, "");
  return CURL_WRITEFUNC_ERROR;
}

/* CURLOPT_READFUNCTION: the request's body, or the file's part of it. Being asked for the end of it is what
   tells that the server may see the request; of what is in memory, being asked at all. */
static size_t on_read(char *data, size_t size, size_t count, void *user) {
  exchange *x = user;
  size_t length = sending_read(&x->sending, data, size * count, &x->fault);
  if (length == SENDING_FAILED)
    return CURL_READFUNC_ABORT;
  x->sent = x->sent || sending_is_out(&x->sending);
  return length;
}

/* libssl's, where libcurl uses that: the core is not linked with it. */
extern int SSL_has_pending(const void *ssl) __attribute__((weak));
extern void SSL_get0_alpn_selected(const void *ssl, const unsigned char **name, unsigned *length)
    __attribute__((weak));

/* OpenSSL's part of the connection that a transfer is about to use; NULL: it has none. */
static const void *openssl_of(CURL *easy) {
  struct curl_tlssessioninfo *tls = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == NULL ||
      tls->backend != CURLSSLBACKEND_OPENSSL)
    return NULL;
  return tls->internals;
}

/* Whether TLS holds bytes of the connection that it has taken off the socket: from 8.15 on libcurl lets
   OpenSSL read ahead. */
static bool tls_holds_input(CURL *easy) {
  const void *ssl = SSL_has_pending != NULL ? openssl_of(easy) : NULL;
  return ssl != NULL && SSL_has_pending(ssl) == 1;
}

/* Whether the connection is known to be one of HTTP/2. */
static bool speaks_http2(CURL *easy) {
  const void *ssl = SSL_get0_alpn_selected != NULL ? openssl_of(easy) : NULL;
  const unsigned char *name = NULL;
  unsigned length = 0;
  if (ssl != NULL)
    SSL_get0_alpn_selected(ssl, &name, &length);
  return length == 2 && memcmp(name, "h2", 2) == 0;
}

/* Whether libcurl may send once more a request that may have been sent whole, and is not repeatable.

   It does so because a kept connection died without an answer, or because HTTP/2 has refused the stream, or
   because it wants HTTP/1.1 instead. Only in the second case the server has not acted for certain (RFC 9113
   section 8.7). libcurl does not tell which it is; but a connection that was opened for the request, and that
   no other has joined, is no kept one (Curl_retry_request in all versions), and another one of HTTP/2 does
   not come of the third. */
static bool may_send_again(exchange *x) {
  if (!x->fresh || x->reused || !speaks_http2(x->easy)) {
    fault_note(&x->fault, OUTCOME_CONNECTION, "the connection was closed before the answer");
    return false;
  }
  x->sent = false;
  if (++x->refusals <= MAX_REFUSALS)
    return true;
  fault_note(&x->fault, OUTCOME_CONNECTION,
             "the server has refused the request's HTTP/2 stream, and each that was tried after it");
  return false;
}

/* CURLOPT_SEEKFUNCTION: libcurl wants to read the body again. On a new connection: on_request decides about
 * that. */
static int on_seek(void *user, curl_off_t offset, int origin) {
  exchange *x = user;
  return origin == SEEK_SET && sending_seek(&x->sending, offset) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* CURLOPT_PREREQFUNCTION: libcurl is about to send the request, for the first time or again. */
static int on_request(void *user, char *address, char *local_address, int port, int local_port) {
  exchange *x = user;
  (void)address;
  (void)local_address;
  (void)port;
  if (x->sent && !x->repeatable && !may_send_again(x))
    return CURL_PREREQFUNC_ABORT;
  if (!x->opened && connections_have_input(x->connections, local_port, tls_holds_input(x->easy))) {
    x->stale = true;
    return CURL_PREREQFUNC_ABORT;
  }
  x->reused = !x->opened;
  x->opened = false;
  x->requested = true;
  x->port = local_port;
  /* one with a body is whole only when the body went, too; for an empty file nobody asks */
  x->sent = x->sent || sending_size(&x->sending) == 0;
  curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &x->bytes_before);
  sending_seek(&x->sending, 0);
  x->in_head = x->head_complete = false;
  return CURL_PREREQFUNC_OK;
}

/* CURLOPT_SOCKOPTFUNCTION: programs that the user's script starts get none of our connections, and one whose
   peer is gone without a sign ends. */
static int on_new_socket(void *user, curl_socket_t fd, curlsocktype purpose) {
  exchange *x = user;
  (void)purpose;
  x->opened = true;
  connections_note(x->connections, fd, (connection){0});
  fcntl(fd, F_SETFD, FD_CLOEXEC);
#ifdef TCP_USER_TIMEOUT
  unsigned patience = PATIENCE_MS;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
#endif
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

/* What matters of a method. */
static verb verb_of(const char *method) {
  static const struct {
    const char *method;
    verb verb;
  } known[] = {{"GET", VERB_GET}, {"HEAD", VERB_HEAD}, {"DELETE", VERB_DELETE}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strcmp(method, known[i].method) == 0)
      return known[i].verb;
  return VERB_OTHER;
}

bool exchange_init(exchange *x, const transfer_options *options) {
  bool ok = true;
  x->method = copy(options->method, &ok);
  x->verb = verb_of(options->method);
  x->url = copy(options->url, &ok);
  x->proxy = copy(options->proxy, &ok);
  x->ca_file = copy(options->ca_file, &ok);
  x->headers = header_set_share(options->headers);
  ok = sending_init(&x->sending, options->body, options->body_length, options->form) && ok;
  x->has_body = sending_has_body(&x->sending);
  x->verify = options->verify;
  /* what is sent without a body does not tell when it is: either it has a connection of its own, or libcurl
     sends it again as it likes, which HTTP allows for these methods */
  x->fresh = options->fresh || (!options->repeatable && !x->has_body && x->verb == VERB_OTHER);
  x->repeatable = options->repeatable || (!x->has_body && !x->fresh);
  x->timeout = options->timeout;
  x->connect_timeout = options->connect_timeout;
  receiving_init(&x->receiving, options->output, options->max_response_bytes);
  return ok;
}

void exchange_free(exchange *x) {
  header_set_release(x->headers);
  free(x->method);
  free(x->url);
  free(x->proxy);
  free(x->ca_file);
  sending_free(&x->sending);
  receiving_free(&x->receiving);
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

bool exchange_is_secure(const exchange *x) { return curl_strnequal(x->url, "https:", 6); }

/* Options of TLS that mean nothing but on Windows. What they are good for is that libcurl takes no connection
   for a request that has been made with other options: so each generation has its own connections. And nobody
   joins one that may not be repeated on its connection over HTTP/2, which libcurl would take for a kept one
   then, and send the request again when it dies. */
static long tls_mark(const exchange *x) {
  static const long generations[CONNECTIONS_GENERATIONS] = {
      0, CURLSSLOPT_REVOKE_BEST_EFFORT, CURLSSLOPT_AUTO_CLIENT_CERT,
      CURLSSLOPT_REVOKE_BEST_EFFORT | CURLSSLOPT_AUTO_CLIENT_CERT};
  return x->fresh ? (long)CURLSSLOPT_NO_REVOKE : generations[x->generation];
}

#define SET(option, value)                                                                                   \
  if (code == CURLE_OK)                                                                                      \
  code = curl_easy_setopt(easy, option, value)

/* What libcurl calls, and where it says what is wrong. */
static CURLcode configure_callbacks(exchange *x, CURL *easy) {
  CURLcode code = CURLE_OK;
  SET(CURLOPT_ERRORBUFFER, x->message);
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
  return code;
}

/* Which connection the attempt takes, how it is made, and whether it is kept. */
static CURLcode configure_connection(exchange *x, CURL *easy) {
  CURLcode code = CURLE_OK;
  bool secure = exchange_is_secure(x);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_QUICK_EXIT, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_TCP_KEEPIDLE, KEEP_IDLE);
  SET(CURLOPT_TCP_KEEPINTVL, KEEP_INTERVAL);
  SET(CURLOPT_TCP_NODELAY, 1L);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(x->connect_timeout));
  /* a shared one until an answer comes (begin_head): what has never answered is not kept */
  if (secure || x->fresh)
    SET(CURLOPT_FORBID_REUSE, 1L);
  /* without TLS there is no HTTP/2 to wait for, and libcurl would not know so before an answer */
  if (secure)
    SET(CURLOPT_PIPEWAIT, 1L);
  if (x->fresh || x->renewed)
    SET(CURLOPT_FRESH_CONNECT, 1L);
  if (secure && tls_mark(x) != 0)
    SET(CURLOPT_SSL_OPTIONS, tls_mark(x));
  if (!x->repeatable)
    SET(CURLOPT_MAXAGE_CONN, 1L); /* seconds; the server may close one that is idle for longer just now */
  if (x->proxy != NULL)
    SET(CURLOPT_PROXY, x->proxy);
  if (x->ca_file != NULL)
    SET(CURLOPT_CAINFO, x->ca_file);
  if (!x->verify) {
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return code;
}

/* How the request is called: its method, where and with which headers. */
static CURLcode configure_verb(exchange *x, CURL *easy) {
  CURLcode code = CURLE_OK;
  SET(CURLOPT_URL, x->url);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_HTTPHEADER, header_set_lines(x->headers));
  if (x->verb == VERB_HEAD && !x->has_body) {
    SET(CURLOPT_NOBODY, 1L); /* and the method is HEAD */
  } else if (x->verb != VERB_GET || x->has_body) {
    SET(CURLOPT_CUSTOMREQUEST, x->method);
  }
  return code;
}

/* Whether the body is none for libcurl's HTTP/2: before 8.1, as long as a server takes no more of one (its
   first window is of 64 KiB), libcurl does nothing and says all the time that it has something to do. */
static bool wants_http1(const exchange *x) {
  return sending_length(&x->sending) > HTTP2_WINDOW &&
         curl_version_info(CURLVERSION_NOW)->version_num < 0x080100;
}

/* What is sent with it, and how much may come back. */
static CURLcode configure_body(exchange *x, CURL *easy) {
  CURLcode code = CURLE_OK;
  if (x->has_body) {
    code = sending_open(&x->sending, easy, on_read, on_seek, x, &x->fault);
  } else if (x->verb == VERB_OTHER) {
    SET(CURLOPT_POST, 1L); /* Content-Length: 0 (RFC 9110 section 8.6) */
    SET(CURLOPT_POSTFIELDS, "");
    SET(CURLOPT_POSTFIELDSIZE, 0L);
  }
  if (wants_http1(x))
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_HTTP_CONTENT_DECODING, 0L); /* see decoding.h */
  if (x->receiving.output != NULL) {
    SET(CURLOPT_BUFFERSIZE, OUTPUT_BUFFER);
  } else if (x->verb != VERB_HEAD) { /* whose length is of what a GET would get, and no matter how large */
    SET(CURLOPT_MAXFILESIZE_LARGE, bound(x->receiving.most));
  }
  return code;
}

CURLcode exchange_configure(exchange *x, CURL *easy, double timeout) {
  CURLcode code;
  if (header_set_longest(x->headers) > MAX_REQUEST_HEADER)
    return (CURLcode)TOO_LARGE_CODE;
  x->easy = easy;
  x->generation = x->connections->generation;
  code = configure_callbacks(x, easy);
  if (code == CURLE_OK)
    code = configure_connection(x, easy);
  if (code == CURLE_OK)
    code = configure_verb(x, easy);
  if (code == CURLE_OK)
    code = configure_body(x, easy);
  if (timeout < HUGE_VAL)
    SET(CURLOPT_TIMEOUT_MS, milliseconds(timeout));
  return code;
}
#undef SET

/* ---- the result ---- */

/* Notes the connection if it is kept. */
static void note_connection(exchange *x, CURL *easy) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  long version = CURL_HTTP_VERSION_NONE;
  connection what = {.port = (uint16_t)x->port, .secure = exchange_is_secure(x)};
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
  curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
  what.serial = version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1;
  if (fd != CURL_SOCKET_BAD)
    connections_note(x->connections, fd, what);
}

void exchange_collect(exchange *x, CURL *easy) {
  long bytes = 0;
  if (x->header_bytes > 0) /* or it would be a proxy's */
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &x->status);
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
  if (!x->has_body && bytes == x->bytes_before)
    x->sent = false; /* it was about to be */
  if (!x->requested) {
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &x->connect_status);
    x->proxied = x->connect_status != 0 || verdict_is_proxied(x, easy);
  }
  note_connection(x, easy);
}

void exchange_release(exchange *x, bool mine) { sending_close(&x->sending, mine); }

uint64_t exchange_moved(const exchange *x) {
  curl_off_t up = 0, down = 0;
  curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(x->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  return (uint64_t)up + (uint64_t)down + x->header_bytes;
}

bool exchange_suspects(const exchange *x, CURLcode code) {
  return code == CURLE_OPERATION_TIMEDOUT && x->requested && !x->fresh && exchange_is_secure(x) &&
         x->generation == x->connections->generation;
}

void exchange_abandon_connection(exchange *x) { curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L); }

bool exchange_renew(exchange *x) {
  if (!x->stale)
    return false;
  x->stale = false;
  x->renewed = true;
  x->message[0] = '\0';
  return true;
}

void exchange_conclude(exchange *x, CURLcode code) {
  x->result = verdict(x, code);
  receiving_end(&x->receiving, x->result == OUTCOME_RESPONSE);
}

void exchange_end(exchange *x, outcome result, const char *message) {
  x->result = result;
  receiving_end(&x->receiving, false);
  if (message != NULL)
    snprintf(x->message, sizeof x->message, "%s", message);
}
