/* The engine: a curl multi handle with a queue before it, a pool of easy handles, and timers, behind one
   descriptor. Knows no Lua. Everything here runs on one thread and never blocks, except transport_wait.

   A token is something that ends once: a transfer or a timer. Whoever made a token owns its memory
   (token_free); the transport only refers to it, from transport_start until it ends, is freed, or the
   transport is freed. */
#ifndef LLAMA_CLOUD_TRANSPORT_H
#define LLAMA_CLOUD_TRANSPORT_H

#include "buffer.h"
#include "exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct transport transport;
typedef struct token token;

typedef enum token_state {
  TOKEN_IDLE,     /* made, not started */
  TOKEN_QUEUED,   /* a transfer that waits for a place in the multi */
  TOKEN_ACTIVE,   /* a transfer inside the multi, or a timer that runs */
  TOKEN_FINISHED, /* ended, and not yet handed out by transport_next */
  TOKEN_TAKEN     /* ended, and handed out or detached from a transport that was freed */
} token_state;

/* Makes a transport; NULL when there is no memory or no descriptor left. */
transport *transport_new(void);

/* How many forks lie between this process and the first one that has made a transport: what remembers another
   number was begun by an ancestor. */
unsigned transport_process(void);

/* Frees the transport; its tokens stay with their owners, cancelled. In a process forked after
   transport_new nothing of the parent's is touched: only memory and descriptors of this process are given
   back. NULL is allowed. */
void transport_free(transport *t);

/* Makes the transport of a parent process one of this process's, with the same descriptor; no effect if it is
   that already. What was started in the parent goes on there, and ends here, as cancelled. Due before any
   other function but transport_free. False: no memory or no descriptor left. */
bool transport_own(transport *t);

/* The descriptor that is readable exactly when transport_step or transport_next has something to do. */
int transport_fd(transport *t);

/* Does whatever can be done without waiting. */
void transport_step(transport *t);

/* Takes one ended token out of the transport, in the order in which they ended; NULL when there is none. */
token *transport_next(transport *t);

/* Whether transport_next would return a token. */
bool transport_has_finished(const transport *t);

/* Blocks until there is something to do: 1; until seconds have passed: 0; until a signal arrives: -1. */
int transport_wait(const transport *t, double seconds);

/* How many transfers may be inside the multi at once; at least 1. The connection cache has the same size. */
void transport_set_concurrency(transport *t, size_t limit);
size_t transport_concurrency(const transport *t);

/* How many tokens were started and not handed out yet, and how many transfers are inside the multi. */
size_t transport_pending(const transport *t);
size_t transport_active(const transport *t);

/* Copies the options. NULL: no memory. */
token *transfer_new(const transfer_options *options);

/* Makes a timer that goes off after seconds (0 or less: at the next step; HUGE_VAL: never). NULL: no
   memory. */
token *timer_new(double seconds);

/* Starts an idle token; a timer's seconds count from here. False: no memory, and the token is still idle. */
bool transport_start(transport *t, token *k);

/* Ends a token now, as cancelled; it comes out of transport_next like any other. No effect on one that
   ended. */
void token_cancel(token *k);

/* Cancels without further notice, if needed, and frees. NULL is allowed. */
void token_free(token *k);

bool token_is_transfer(const token *k);
token_state token_get_state(const token *k);

/* What a transfer came to; meaningful once it has ended. */
outcome transfer_outcome(const token *transfer);
const char *transfer_message(const token *transfer); /* why there is no response; "" for OUTCOME_RESPONSE */
const char *
transfer_about(const token *transfer); /* what that is about, see verdict.h; NULL: nothing that one chooses */
const char *
transfer_variable(const token *transfer);    /* the environment variable that it comes from, or NULL */
long transfer_status(const token *transfer); /* HTTP status; 0 when none arrived */
bool transfer_sent(const token *transfer);   /* whether the server may have seen the request whole */
const buffer *transfer_body(const token *transfer);
buffer *transfer_take_body(token *transfer); /* the same, for one who may move the bytes away */
const buffer *
transfer_headers(const token *transfer); /* status line and header lines of the last response, raw */

/* "7.88.1": the libcurl in use. */
const char *transport_version(void);

#endif
