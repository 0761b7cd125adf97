/* The engine: a curl multi handle with a queue before it, a pool of easy handles, and timers, behind one
   descriptor. */
#include "transport.h"

#include "handle_pool.h"
#include "multi.h"
#include "poller.h"
#include "stall.h"
#include "timers.h"
#include "token.h"

#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NANOSECONDS 1e9
#define DEFAULT_CONCURRENCY 128

typedef struct transfer {
  token base;
  double deadline; /* seconds, as it was given */
  int64_t expires; /* when that has passed */
  stall stall;
  chain ticks; /* the timers that end with it */
  CURL *easy;  /* NULL unless active */
  exchange exchange;
} transfer;

typedef struct timer {
  token base;
  double seconds;
  chain_link tick; /* among the ticks of a transfer */
} timer;

struct transport {
  multi multi;
  poller *poller;
  unsigned generation; /* fork_generation when it was made */
  bool blocked;        /* somebody waits in transport_block */
  chain all;           /* the tokens that were started and not freed */
  chain queue, active, finished;
  size_t pending, limit;
  timers
      timers; /* the tokens that are timers, queued transfers with a deadline, active ones that may stall */
  connections connections;
  handle_pool pool;
  const run_queue *attended, *root; /* see transport_serve; NULL: none */
  const bool *quiet;
  transport *next_kept; /* in the list `kept` */
};

/* ---- once per process ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static volatile unsigned fork_generation; /* how many forks lie between the first process and this one */
static CURLcode global_result;
static transport *kept; /* what a forked process has freed but for libcurl's part, which is not its own */

static void count_fork(void) { fork_generation++; }

static void initialize_process(void) {
  global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (pthread_atfork(NULL, NULL, count_fork) != 0)
    global_result = CURLE_OUT_OF_MEMORY;
}

/* Not curl_version(3): it initializes libldap, which looks up this machine's name and may wait for that. */
const char *transport_version(void) { return curl_version_info(CURLVERSION_NOW)->version; }

unsigned transport_process(void) { return fork_generation; }

/* Whether this process was forked after the transport was made, and has not made it its own. */
static bool is_parents(const transport *t) { return t->generation != fork_generation; }

/* ---- times ---- */

int64_t transport_due(double seconds) {
  int64_t now = poller_now();
  if (!(seconds > 0))
    return now;
  if (seconds * NANOSECONDS >= (double)(POLLER_NEVER / 2))
    return POLLER_NEVER;
  return now + (int64_t)(seconds * NANOSECONDS);
}

/* Whether a queue holds what only somebody who looks at the descriptor will run. */
static bool is_wanted(const transport *t) {
  const run_queue *root = t->root;
  if (t->attended != NULL && run_queue_is_ready(t->attended))
    return true;
  return root != NULL && !t->blocked && !*t->quiet && run_queue_is_ready(root) && root->drivers.first == NULL;
}

/* The descriptor's one timer: libcurl's, ours, and "something has ended" or is ready to be run. */
static void rearm(transport *t) {
  int64_t due = t->multi.due;
  timed *first = timers_first(&t->timers);
  if (first != NULL && first->due < due)
    due = first->due;
  if (t->finished.first != NULL || t->multi.failed || t->multi.ended || is_wanted(t))
    due = 0;
  poller_arm(t->poller, due);
}

/* ---- the life of a token ---- */

/* Makes ready who waits for an ended token; where nobody does, puts it where transport_next finds it. */
static void hand_out(transport *t, token *k) {
  if (k->end.waiting.first != NULL) {
    k->state = TOKEN_TAKEN;
    t->pending--;
    event_happen(&k->end);
  } else {
    k->state = TOKEN_FINISHED;
    chain_append(&t->finished, &k->place);
  }
}

/* Ends the timers that end with a token that has ended, or is being freed. */
static void end_ticks(transport *t, token *k) {
  timer *tick;
  while (k->is_transfer && (tick = chain_take(&((transfer *)k)->ticks)) != NULL) {
    chain_remove(&tick->base.place);
    timers_remove(&t->timers, &tick->base.timed);
    hand_out(t, &tick->base);
  }
}

/* Does what is due when a token has ended. */
static void finish(transport *t, token *k) {
  if (!k->is_transfer)
    chain_remove(&((timer *)k)->tick);
  hand_out(t, k);
  end_ticks(t, k);
}

/* The same for a transfer that ends by our own decision. */
static void finish_transfer(transport *t, transfer *x, outcome result, const char *message) {
  exchange_end(&x->exchange, result, message);
  finish(t, &x->base);
}

/* Takes a transfer out of the multi and keeps what libcurl knows of it. In a forked process libcurl is left
   alone: what it holds, and would say goodbye to, is the parent's. */
static void leave_multi(transport *t, transfer *x) {
  bool mine = !is_parents(t);
  chain_remove(&x->base.place);
  timers_remove(&t->timers, &x->base.timed);
  if (mine) {
    exchange_collect(&x->exchange, x->easy);
    multi_remove(&t->multi, x->easy);
    handle_pool_give(&t->pool, x->easy);
  } else {
    t->multi.running--;
  }
  exchange_release(&x->exchange, mine);
  x->easy = NULL;
}

/* Takes a token that has not been taken yet out of wherever it is. */
static void detach(token *k) {
  if (k->state == TOKEN_ACTIVE && k->is_transfer)
    leave_multi(k->owner, (transfer *)k);
  chain_remove(&k->place);
  timers_remove(&k->owner->timers, &k->timed);
}

/* Ends a transfer that libcurl is done with, or could not begin with. */
static void conclude(transport *t, transfer *x, CURLcode code) {
  exchange_conclude(&x->exchange, code);
  finish(t, &x->base);
}

/* Puts a transfer that has left the multi before all others in the queue; without memory it ends. */
static void queue_again(transport *t, transfer *x) {
  x->base.timed.due = x->expires;
  if (x->expires != POLLER_NEVER && !timers_insert(&t->timers, &x->base.timed)) {
    conclude(t, x, CURLE_OUT_OF_MEMORY);
    return;
  }
  x->base.state = TOKEN_QUEUED;
  chain_prepend(&t->queue, &x->base.place);
}

/* The deadline of a transfer has passed before it was sent. */
static void expire(transport *t, transfer *x) {
  finish_transfer(t, x, OUTCOME_TIMEOUT, "total_timeout passed while the request was queued");
}

/* Sets when to look whether a transfer stalls. False: no memory. */
static bool look_later(transport *t, transfer *x, int64_t when) {
  x->base.timed.due = when;
  return when == POLLER_NEVER || timers_insert(&t->timers, &x->base.timed);
}

/* Puts a transfer that was taken out of the queue into the multi, for `timeout` seconds. */
static void begin(transport *t, transfer *x, double timeout) {
  CURLcode code = CURLE_OUT_OF_MEMORY;
  CURL *easy = handle_pool_take(&t->pool);
  x->exchange.connections = &t->connections;
  if (easy != NULL)
    code = exchange_configure(&x->exchange, easy, timeout);
  if (code == CURLE_OK)
    code = curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
  if (code == CURLE_OK && !(look_later(t, x, stall_begin(&x->stall)) && multi_add(&t->multi, easy)))
    code = CURLE_OUT_OF_MEMORY;
  if (code != CURLE_OK) {
    timers_remove(&t->timers, &x->base.timed);
    if (easy != NULL)
      handle_pool_give(&t->pool, easy);
    exchange_release(&x->exchange, true);
    conclude(t, x, code);
    return;
  }
  x->easy = easy;
  x->base.state = TOKEN_ACTIVE;
  chain_append(&t->active, &x->base.place);
}

/* Lets queued transfers into the multi while there is room; not into one that has failed. Each begins before
   the next one is added: when several begin in one call, libcurl 8.21 and later return the last one's lack of
   memory only, and never come back to the others. */
static void admit(transport *t) {
  while (!t->multi.failed && t->multi.running < t->limit && t->queue.first != NULL) {
    if (t->multi.added) {
      multi_begin(&t->multi);
      continue;
    }
    transfer *x = chain_first(&t->queue);
    double left = HUGE_VAL;
    chain_remove(&x->base.place);
    timers_remove(&t->timers, &x->base.timed);
    if (x->expires != POLLER_NEVER)
      left = (double)(x->expires - poller_now()) / NANOSECONDS;
    if (left <= 0)
      expire(t, x);
    else
      begin(t, x, left < x->exchange.timeout ? left : x->exchange.timeout);
  }
}

/* Ends every transfer inside the multi, for which of them would never end is not known, and the multi with
   them: once it has run out of memory, what it remembers of a socket can make it divide by zero (7.88).
   Without memory for another one, what is queued ends too. */
static void recover(transport *t) {
  while (t->active.first != NULL) {
    transfer *x = chain_first(&t->active);
    leave_multi(t, x);
    finish_transfer(t, x, OUTCOME_NO_MEMORY, NULL);
  }
  t->multi.failed = !multi_renew(&t->multi, t->limit);
  while (t->multi.failed && t->queue.first != NULL) {
    transfer *x = chain_first(&t->queue);
    detach(&x->base);
    finish_transfer(t, x, OUTCOME_NO_MEMORY, NULL);
  }
}

/* ---- the transport ---- */

transport *transport_new(void) {
  transport *t;
  pthread_once(&once, initialize_process);
  if (global_result != CURLE_OK)
    return NULL;
  t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->generation = fork_generation;
  t->poller = t->multi.poller = poller_new();
  if (t->poller == NULL || !multi_renew(&t->multi, t->limit)) {
    transport_free(t);
    return NULL;
  }
  transport_set_concurrency(t, DEFAULT_CONCURRENCY);
  return t;
}

/* Frees a token that was taken out of a transport, which is being freed, and takes it from its handle; one
   whose result is being read it leaves to the handle, as cancelled. */
static void abandon(transport *t, token *k) {
  token_handle *handle = k->handle;
  if (handle == NULL || handle->pinned == 0) {
    if (handle != NULL)
      handle->token = NULL;
    token_free(k);
    return;
  }
  if (k->state < TOKEN_TAKEN) {
    detach(k);
    t->pending--;
  }
  event_happen(&k->end);
  end_ticks(t, k);
  k->state = TOKEN_TAKEN;
  k->owner = NULL;
  k->handle = NULL;
  handle->closing = true;
}

void transport_free(transport *t) {
  if (t == NULL)
    return;
  t->attended = t->root = NULL;
  t->limit = 0; /* nothing that is queued begins any more */
  for (token *k; (k = chain_take(&t->all)) != NULL;)
    abandon(t, k);
  handle_pool_free(&t->pool);
  connections_free(&t->connections);
  timers_free(&t->timers);
  if (is_parents(t)) {
    poller_free(t->poller);
    t->next_kept = kept;
    kept = t;
    return;
  }
  multi_free(&t->multi);
  poller_free(t->poller);
  free(t);
}

/* Ends a token that is the parent process's. */
static void disown(transport *t, token *k) {
  detach(k);
  if (k->is_transfer)
    finish_transfer(t, (transfer *)k, OUTCOME_CANCELLED,
                    "the request is one of the process that this one was forked from");
  else
    finish(t, k);
}

bool transport_own(transport *t) {
  transport *parents;
  CURLM *curl = t->multi.curl;
  if (!is_parents(t))
    return true;
  parents = calloc(1, sizeof *parents);
  t->multi.curl = NULL;
  if (parents == NULL || !multi_renew(&t->multi, t->limit) || poller_renew(t->poller) != 0) {
    multi_free(&t->multi);
    t->multi.curl = curl;
    free(parents);
    return false;
  }
  parents->multi.curl = curl;
  parents->next_kept = kept;
  kept = parents;
  for (token *k; (k = chain_first(&t->active)) != NULL;)
    disown(t, k);
  for (token *k; (k = chain_first(&t->queue)) != NULL;)
    disown(t, k);
  for (timed *left; (left = timers_last(&t->timers)) != NULL;)
    disown(t, (token *)left);
  connections_free(&t->connections);
  t->multi.failed = t->multi.ended = t->multi.added = false;
  t->generation = fork_generation;
  rearm(t);
  return true;
}

int transport_fd(transport *t) { return poller_fd(t->poller); }

/* Whether a transfer of the transport goes on upon a connection with this local port. */
static bool is_port_used(const void *user, int port) {
  const transport *t = user;
  for (const chain_link *link = t->active.first; link != NULL; link = link->next)
    if (((const transfer *)link->of)->exchange.port == port)
      return true;
  return false;
}

/* Gives up the connections of TLS that there are: the next attempts take others, and what is under way goes
   on, but leaves none behind. */
static void abandon_connections(transport *t) {
  connections_renew(&t->connections, is_port_used, t);
  for (chain_link *link = t->active.first; link != NULL; link = link->next)
    exchange_abandon_connection(&((transfer *)link->of)->exchange);
}

/* Takes the transfers that libcurl is done with out of the multi. */
static void take_ended(transport *t) {
  CURLcode code;
  for (CURL *easy; (easy = multi_next(&t->multi, &code)) != NULL;) {
    transfer *x = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&x);
    leave_multi(t, x);
    if (exchange_suspects(&x->exchange, code))
      abandon_connections(t);
    if (exchange_renew(&x->exchange))
      queue_again(t, x);
    else
      conclude(t, x, code);
  }
}

/* Looks whether a transfer that is under way stalls, and ends it then. */
static void look_at_stall(transport *t, transfer *x) {
  char message[80];
  int64_t again = stall_look(&x->stall, exchange_moved(&x->exchange));
  if (again != POLLER_NEVER && look_later(t, x, again))
    return;
  snprintf(message, sizeof message, "no byte was sent or received for %g s", x->stall.seconds);
  leave_multi(t, x);
  if (exchange_suspects(&x->exchange, CURLE_OPERATION_TIMEDOUT))
    abandon_connections(t);
  finish_transfer(t, x, OUTCOME_TIMEOUT, message);
}

/* Does what is due for a token. */
static void act_on_time(transport *t, token *k) {
  timers_remove(&t->timers, &k->timed);
  if (k->state == TOKEN_ACTIVE && k->is_transfer) {
    look_at_stall(t, (transfer *)k);
  } else if (k->is_transfer) {
    chain_remove(&k->place);
    expire(t, (transfer *)k);
  } else {
    finish(t, k);
  }
}

void transport_step(transport *t) {
  int64_t now = multi_step(&t->multi);
  take_ended(t);
  for (timed *first; (first = timers_first(&t->timers)) != NULL && first->due <= now;)
    act_on_time(t, (token *)first);
  if (t->multi.failed)
    recover(t);
  admit(t);
  rearm(t);
}

void transport_serve(transport *t, const run_queue *attended, const run_queue *root, const bool *quiet) {
  t->attended = attended;
  t->root = root;
  t->quiet = quiet;
  rearm(t);
}

void transport_refresh(transport *t) {
  if (!is_parents(t))
    rearm(t);
}

token *transport_next(transport *t) {
  token *k = chain_first(&t->finished);
  if (k == NULL)
    return NULL;
  chain_remove(&k->place);
  k->state = TOKEN_TAKEN;
  t->pending--;
  if (t->finished.first == NULL)
    rearm(t);
  return k;
}

bool transport_has_finished(const transport *t) { return t->finished.first != NULL; }

int transport_wait(const transport *t, double seconds) {
  return poller_wait(t->poller, transport_due(seconds));
}

int transport_block(transport *t) {
  int result;
  t->blocked = true;
  rearm(t);
  result = transport_wait(t, HUGE_VAL);
  t->blocked = false;
  rearm(t);
  return result;
}

void transport_set_concurrency(transport *t, size_t limit) {
  t->limit = limit;
  handle_pool_resize(&t->pool, limit);
  multi_set_limit(&t->multi, limit);
  admit(t);
  rearm(t);
}

size_t transport_concurrency(const transport *t) { return t->limit; }

size_t transport_pending(const transport *t) { return t->pending; }

size_t transport_active(const transport *t) { return t->multi.running; }

/* ---- tokens ---- */

static void token_init(token *k, bool is_transfer) {
  k->is_transfer = is_transfer;
  k->timed.index = TIMED_NOWHERE;
  k->all.of = k->place.of = k;
}

token *transfer_new(const transfer_options *options) {
  transfer *x = calloc(1, sizeof *x);
  if (x == NULL)
    return NULL;
  token_init(&x->base, true);
  x->deadline = options->deadline;
  x->stall.seconds = options->stall;
  if (exchange_init(&x->exchange, options))
    return &x->base;
  token_free(&x->base);
  return NULL;
}

token *timer_new(double seconds) {
  timer *m = calloc(1, sizeof *m);
  if (m == NULL)
    return NULL;
  token_init(&m->base, false);
  m->tick.of = m;
  m->seconds = seconds;
  return &m->base;
}

bool transport_start(transport *t, token *k, token_handle *handle) {
  double seconds = k->is_transfer ? ((transfer *)k)->deadline : ((timer *)k)->seconds;
  k->timed.due = seconds < HUGE_VAL ? transport_due(seconds) : POLLER_NEVER;
  if (k->timed.due != POLLER_NEVER || !k->is_transfer) {
    if (!timers_insert(&t->timers, &k->timed))
      return false;
  }
  k->owner = t;
  k->handle = handle;
  chain_append(&t->all, &k->all);
  t->pending++;
  if (k->is_transfer) {
    ((transfer *)k)->expires = k->timed.due;
    k->state = TOKEN_QUEUED;
    chain_append(&t->queue, &k->place);
    admit(t);
  } else {
    k->state = TOKEN_ACTIVE;
  }
  rearm(t);
  return true;
}

void timer_follow(token *k, token *of) {
  if (of != NULL && of->state < TOKEN_FINISHED) {
    chain_append(&((transfer *)of)->ticks, &((timer *)k)->tick);
  } else {
    detach(k);
    finish(k->owner, k);
    rearm(k->owner);
  }
}

void token_cancel(token *k) {
  transport *t = k->owner;
  if (t == NULL || k->state >= TOKEN_FINISHED || !transport_own(t) || k->state >= TOKEN_FINISHED)
    return;
  detach(k);
  if (k->is_transfer)
    finish_transfer(t, (transfer *)k, OUTCOME_CANCELLED, "cancelled");
  else
    finish(t, k);
  admit(t);
  rearm(t);
}

void token_free(token *k) {
  transport *t;
  if (k == NULL)
    return;
  t = k->owner;
  if (t != NULL) {
    bool under_way = k->state < TOKEN_TAKEN;
    chain_remove(&k->all);
    if (under_way) {
      detach(k);
      t->pending--;
    }
    event_happen(&k->end);
    end_ticks(t, k);
    if (!k->is_transfer)
      chain_remove(&((timer *)k)->tick);
    if (under_way && !is_parents(t)) {
      admit(t);
      rearm(t);
    }
  }
  if (k->is_transfer)
    exchange_free(&((transfer *)k)->exchange);
  free(k);
}

token_state token_get_state(const token *k) { return k->state; }

event *token_end(token *k) { return &k->end; }

exchange *transfer_result(token *k) { return &((transfer *)k)->exchange; }
