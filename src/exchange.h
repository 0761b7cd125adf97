/* One HTTP request and what came back, by one libcurl easy handle: its settings, its callbacks, its
   outcome. Knows no queue, no descriptor and no Lua.

   All callbacks touch malloc'd memory only and report by their return codes, so no Lua error can cross
   libcurl. */
#ifndef LLAMA_CLOUD_EXCHANGE_H
#define LLAMA_CLOUD_EXCHANGE_H

#include "buffer.h"
#include "connections.h"
#include "fault.h"
#include "header_set.h"
#include "receiving.h"
#include "sending.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct transfer_options {
  const char *method; /* letters only */
  const char *url;    /* http or https */
  header_set *headers;
  const char *body; /* NULL for none */
  size_t body_length;
  form *form;          /* the body instead of that; NULL: none */
  output *output;      /* where the body of a 2xx goes; NULL: to memory */
  const char *proxy;   /* NULL: the environment's, as curl does; "" : none */
  const char *ca_file; /* NULL: the system's */
  bool verify;         /* the server's certificate and name */
  bool repeatable;     /* whether libcurl may send the request a second time by itself */
  bool fresh;          /* goes out on a connection of its own, see exchange.fresh */
  double timeout;      /* seconds for the attempt, from entering the multi to the last byte; HUGE_VAL: none */
  double connect_timeout; /* seconds; HUGE_VAL: none */
  double stall;           /* seconds without a byte moved after which the attempt ends; HUGE_VAL: none */
  double deadline;        /* seconds from transport_start, the time in the queue included; HUGE_VAL: none */
  size_t max_response_bytes; /* of the body after decompression, as far as it goes to memory */
} transfer_options;

/* What matters of a method. All but the last may be sent twice without harm (RFC 9110 section 9.2.2). PUT is
   not among them, because some services do not treat it as HTTP says. */
typedef enum verb { VERB_GET, VERB_HEAD, VERB_DELETE, VERB_OTHER } verb;

typedef struct exchange {
  /* the request */
  char *method, *url, *proxy, *ca_file;
  header_set *headers; /* shared */
  sending sending;     /* the body */
  double timeout, connect_timeout;
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
  size_t header_bytes; /* of all responses: interim ones, trailers */
  long bytes_before;   /* what was sent before the request: a proxy's CONNECT */
  long connect_status; /* what a proxy has answered to CONNECT; 0: nothing, or it was not asked */
  fault fault;         /* what a callback found wrong */
  unsigned refusals;   /* how often HTTP/2 has refused the stream */
  int port;            /* the local one of the connection */
  bool renewed;        /* takes a new connection, because the kept one was stale */
  bool opened;         /* a connection for it, since a request was last about to be sent */
  bool reused;         /* the request goes out on a kept connection */
  bool requested;      /* there was a connection, tunnel and TLS included, to send the request on */
  bool stale;          /* ended before it began: the connection that it was given holds something already */
  bool in_head;        /* a status line has come, and the blank line after its headers has not */
  bool interim;        /* the response that arrives has a status 1xx: another one follows */
  bool head_complete;  /* the last response's headers are all there: what follows is its body and trailers */
  bool proxied;        /* it went through a proxy, as far as it went */
  /* the result */
  receiving receiving; /* the response's body */
  bool sent;           /* whether the server may have seen the request whole */
  outcome result;
  long status;
  const char *about;    /* what has failed, if the caller has a say in it: see verdict.h */
  const char *variable; /* the environment variable that the proxy comes from; NULL: from none */
  buffer header_lines;
  char message[2 * CURL_ERROR_SIZE]; /* libcurl writes into the first half */
} exchange;

/* Copies the options, and shares the headers, into a zero-initialised exchange. False: no memory;
   exchange_free is due all the same. `deadline` is not looked at. */
bool exchange_init(exchange *x, const transfer_options *options);

/* Frees what the exchange holds, not the exchange. It must not be an easy handle's any more. */
void exchange_free(exchange *x);

/* Sets up a clean easy handle, which refers to the exchange from then on until it is reset, and opens the
   file that is sent. The attempt may take `timeout` seconds. On failure libcurl's code comes back, and the
   handle must not be used. In any case exchange_release is due. */
CURLcode exchange_configure(exchange *x, CURL *easy, double timeout);

/* Whether the request is one of https. */
bool exchange_is_secure(const exchange *x);

/* Keeps what libcurl knows of an attempt that is over; to be called while the handle still has it. */
void exchange_collect(exchange *x, CURL *easy);

/* Gives up what an attempt has held: the descriptor of the file that was sent. Idempotent. With `mine` the
   easy handle is reset or freed already; otherwise it is another process's. */
void exchange_release(exchange *x, bool mine);

/* How many bytes the attempt that goes on, or the last one, has moved; it never goes back without a new
   request being sent. */
uint64_t exchange_moved(const exchange *x);

/* Whether an attempt that has ended with libcurl's code makes its connection suspect of being dead. */
bool exchange_suspects(const exchange *x, CURLcode code);

/* Makes the connection that an attempt uses close when nobody uses it any more. */
void exchange_abandon_connection(exchange *x);

/* Makes an attempt that ended because of a stale connection ready to be made once more, on a new one; nothing
   of it was sent. False: it ended for another reason. */
bool exchange_renew(exchange *x);

/* Notes how it ended: by libcurl's code, after exchange_collect if the attempt has begun, or by our own
   decision; `message` may be NULL. */
void exchange_conclude(exchange *x, CURLcode code);
void exchange_end(exchange *x, outcome result, const char *message);

#endif
