/* One HTTP request and what came back, by one libcurl easy handle: its settings, its callbacks, its
   outcome. Knows no queue, no descriptor and no Lua.

   All callbacks touch malloc'd memory only and report by their return codes, so no Lua error can cross
   libcurl. */
#ifndef LLAMA_CLOUD_EXCHANGE_H
#define LLAMA_CLOUD_EXCHANGE_H

#include "buffer.h"
#include "connections.h"
#include "decoding.h"
#include "header_set.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* How an exchange ended. */
typedef enum outcome {
  OUTCOME_RESPONSE,   /* a whole response, whatever its status */
  OUTCOME_CONNECTION, /* no response, or not a whole one */
  OUTCOME_REFUSED, /* like OUTCOME_CONNECTION, but trying again cannot help: the fault is in the arguments */
  OUTCOME_TIMEOUT, /* one attempt took longer than `timeout` or `connect_timeout`, or `deadline` has passed */
  OUTCOME_TOO_LARGE, /* the body exceeds max_response_bytes, or the headers exceed 256 KiB or libcurl's bounds
                      */
  OUTCOME_ENCODING,  /* the response has a Content-Encoding that is not known here */
  OUTCOME_CANCELLED,
  OUTCOME_NO_MEMORY
} outcome;

typedef struct transfer_options {
  const char *method; /* letters only */
  const char *url;    /* http or https */
  header_set *headers;
  const char *body; /* NULL for none */
  size_t body_length;
  const char *proxy;   /* NULL: the environment's, as curl does; "" : none */
  const char *ca_file; /* NULL: the system's */
  bool verify;         /* the server's certificate and name */
  bool repeatable;     /* whether libcurl may send the request a second time by itself */
  bool fresh;          /* goes out on a connection of its own, see exchange.fresh */
  double timeout;      /* seconds for the attempt, from entering the multi to the last byte; HUGE_VAL: none */
  double connect_timeout; /* seconds; HUGE_VAL: none */
  double deadline;        /* seconds from transport_start, the time in the queue included; HUGE_VAL: none */
  size_t max_response_bytes; /* of the body after decompression */
} transfer_options;

/* What matters of a method. All but the last do no harm twice, however they are meant (RFC 9110
   section 9.2.2); PUT is not among them, for the callers' is not always what HTTP takes it for. */
typedef enum verb { VERB_GET, VERB_HEAD, VERB_DELETE, VERB_OTHER } verb;

typedef struct exchange {
  /* the request */
  char *method, *url, *proxy, *ca_file;
  header_set *headers; /* shared */
  buffer request;      /* the body */
  double timeout, connect_timeout;
  size_t max_response_bytes;
  connections *connections; /* of the multi that the attempt is made in */
  unsigned generation;      /* takes a connection of this one only */
  verb verb;
  bool has_body, verify, repeatable;
  /* Takes a new connection. What may not be repeated does, unless its owner can find out what became of it:
     on a kept connection it may meet the server's closing of it, and then whether the server has acted is not
     known. On a connection of its own libcurl sends it again for one reason only, a stream that HTTP/2 has
     refused. */
  bool fresh;
  /* the attempt */
  CURL *easy;          /* whose callbacks refer to this; not to be touched but by them */
  size_t position;     /* how much of the body libcurl has read */
  size_t header_bytes; /* of all responses: interim ones, trailers */
  long bytes_before;   /* what was sent before the request: a proxy's CONNECT */
  long connect_status; /* what a proxy has answered to CONNECT; 0: nothing, or it was not asked */
  buffer encodings;    /* a list of what the response's Content-Encoding names */
  decoding *decoding;  /* what undoes them; NULL: nothing does */
  const char *reason;  /* what a callback found wrong, in words */
  outcome failure;     /* the same as an outcome: OUTCOME_RESPONSE while nothing is wrong */
  unsigned refusals;   /* how often HTTP/2 has refused the stream */
  int port;            /* the local one of the connection */
  bool renewed;        /* takes a new connection, for the kept one was stale */
  bool opened;         /* a connection for it, since a request was last about to be sent */
  bool reused;         /* the request goes out on a kept connection */
  bool requested;      /* there was a connection, tunnel and TLS included, to send the request on */
  bool stale;          /* ended before it began: the connection that it was given holds something already */
  bool in_head;        /* a status line has come, and the blank line after its headers has not */
  bool interim;        /* the response that arrives has a status 1xx: another one follows */
  bool head_complete;  /* the last response's headers are all there: what follows is its body and trailers */
  bool has_content;    /* some of the body has come */
  bool proxied;        /* it went through a proxy, as far as it went */
  /* the result */
  bool sent; /* whether the server may have seen the request whole */
  outcome result;
  long status;
  const char *about;    /* what has failed, if the caller has a say in it: see verdict.h */
  const char *variable; /* the environment variable that the proxy comes from; NULL: from none */
  buffer body, header_lines;
  char trouble[100];                 /* where `reason` is made, if it is not constant */
  char message[2 * CURL_ERROR_SIZE]; /* libcurl writes into the first half */
} exchange;

/* Copies the options, and shares the headers, into a zero-initialised exchange. False: no memory;
   exchange_free is due all the same. `deadline` is not looked at. */
bool exchange_init(exchange *x, const transfer_options *options);

/* Frees what the exchange holds, not the exchange. It must not be an easy handle's any more. */
void exchange_free(exchange *x);

/* Sets up a clean easy handle, which refers to the exchange from then on until it is reset. The attempt may
   take `timeout` seconds. On failure libcurl's code comes back, and the handle must not be used. */
CURLcode exchange_configure(exchange *x, CURL *easy, double timeout);

/* Whether the request is one of https. */
bool exchange_is_secure(const exchange *x);

/* Keeps what libcurl knows of an attempt that is over; to be called while the handle still has it. */
void exchange_collect(exchange *x, CURL *easy);

/* Whether an attempt that has ended with libcurl's code makes its connection suspect of being dead. */
bool exchange_suspects(const exchange *x, CURLcode code);

/* Makes the connection that an attempt uses close when nobody uses it any more. */
void exchange_abandon_connection(exchange *x);

/* Makes an attempt that ended because of a stale connection ready to be made once more, on a new one; nothing
   of it was sent. False: it ended for another reason. */
bool exchange_renew(exchange *x);

/* Notes how it ended: by libcurl's code, after exchange_collect if the attempt has begun, or by our own
   decision. */
void exchange_conclude(exchange *x, CURLcode code);
void exchange_end(exchange *x, outcome result, const char *message);

#endif
