/* The engine: a curl multi handle with a queue before it, a pool of easy handles, and timers, behind one
   descriptor. Knows no Lua. Everything here runs on one thread and never blocks, except transport_wait.

   A token is something that ends once: a transfer or a timer. Once it is started it is the transport's, which
   frees it when it is itself freed; a handle refers to it, and is told. When a token ends, whoever waits for
   it is made ready by the same call. */
#ifndef LLAMA_CLOUD_TRANSPORT_H
#define LLAMA_CLOUD_TRANSPORT_H

#include "buffer.h"
#include "exchange.h"
#include "waiting.h"

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
  TOKEN_TAKEN     /* ended; its waiter was made ready, or it was handed out, or its transport was freed */
} token_state;

/* A reference to a token. */
typedef struct token_handle {
  token *token;    /* NULL: closed, freed with its transport, or not made yet */
  unsigned pinned; /* how many calls read its result right now: it is not to be freed meanwhile */
  bool closing;    /* to be freed when none does */
} token_handle;

/* Makes a transport; NULL when there is no memory or no descriptor left. */
transport *transport_new(void);

/* How many forks lie between this process and the first one that has made a transport: what remembers another
   number was begun by an ancestor. */
unsigned transport_process(void);

/* Frees the transport and its tokens, and takes them from their handles; what a call reads right now is left
   to its handle. Who waits for a token is made ready. In a process forked after transport_new nothing of the
   parent's is touched: only memory and descriptors of this process are given back. NULL is allowed. */
void transport_free(transport *t);

/* Makes the transport of a parent process one of this process's, with the same descriptor; no effect if it is
   that already. What was started in the parent goes on there, and ends here, as cancelled. Due before any
   other function but transport_free. False: no memory or no descriptor left. */
bool transport_own(transport *t);

/* The descriptor that is readable exactly when transport_step or transport_next has something to do. */
int transport_fd(transport *t);

/* Does whatever can be done without waiting. */
void transport_step(transport *t);

/* Names two queues that make the descriptor readable too, while something is ready in them: `attended`,
   always; `root`, while it has no driver and *quiet is false, except for transport_block. To be followed by
   transport_refresh whenever something else than a token's end has changed them. NULL: no more. */
void transport_serve(transport *t, const run_queue *attended, const run_queue *root, const bool *quiet);

/* Looks whether the descriptor has to be readable. */
void transport_refresh(transport *t);

/* Takes one ended token out of the transport, in the order in which they ended, of those for which nobody
   waited; NULL when there is none. */
token *transport_next(transport *t);

/* Whether transport_next would return a token. */
bool transport_has_finished(const transport *t);

/* The monotonic time, in nanoseconds, that lies seconds ahead: now for 0 or less, and for NaN; POLLER_NEVER
   for one that is out of reach. */
int64_t transport_due(double seconds);

/* Blocks until there is something to do: 1; until seconds have passed: 0; until a signal arrives: -1. */
int transport_wait(const transport *t, double seconds);

/* The same for one who would not run the root: blocks for as long as it takes, unless a signal arrives. */
int transport_block(transport *t);

/* How many transfers may be inside the multi at once; at least 1. The connection cache has the same size. */
void transport_set_concurrency(transport *t, size_t limit);
size_t transport_concurrency(const transport *t);

/* How many tokens were started and have neither been handed out nor made somebody ready, and how many
 * transfers are inside the multi. */
size_t transport_pending(const transport *t);
size_t transport_active(const transport *t);

/* Copies the options. NULL: no memory. */
token *transfer_new(const transfer_options *options);

/* Makes a timer that goes off after seconds (0 or less: at the next step; HUGE_VAL: never). NULL: no
   memory. */
token *timer_new(double seconds);

/* Starts an idle token, which `handle`, unless it is NULL, refers to from then on; a timer's seconds count
   from here. False: no memory, and the token is still idle and its maker's. */
bool transport_start(transport *t, token *k, token_handle *handle);

/* Makes a timer that was started end with a transfer of the same transport, too, that was started: now, if
   that has ended, or is NULL. */
void timer_follow(token *timer, token *transfer);

/* Ends a token now, as cancelled; who waits for it is made ready. No effect on one that ended. */
void token_cancel(token *k);

/* Ends it, if needed, and frees it. NULL is allowed. */
void token_free(token *k);

token_state token_get_state(const token *k);

/* What is waited for. */
event *token_end(token *k);

/* What a transfer came to; to be read once it has ended. The exchange stays the transfer's. */
exchange *transfer_result(token *transfer);

/* "7.88.1": the libcurl in use. */
const char *transport_version(void);

#endif
