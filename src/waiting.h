/* Who waits for what, and who can go on. Knows neither Lua nor time, needs no memory, and cannot fail: each
   of these functions takes everything from one consistent state to the next.

   - An event is what is waited for: the end of a token, of a task, of a group's last task.
   - A waiter waits for one event at most. When that happens, it goes to the end of its home, a queue of those
   that can go on.
   - A queue has drivers: those who run what is ready in it. As long as something is ready, the first of them
   is awake. A driver is itself a waiter, at home in another queue, so that being ready is passed on, from
   group to group, to whoever can run it: a blocked thread, an event loop, or llama_cloud.step(). */
#ifndef LLAMA_CLOUD_WAITING_H
#define LLAMA_CLOUD_WAITING_H

#include "chain.h"

#include <stdbool.h>

/* Zero-initialised: nobody waits. */
typedef struct event {
  chain waiting;
} event;

/* Zero-initialised: empty, and without drivers. */
typedef struct run_queue {
  chain ready;        /* the waiters that can go on, in the order in which they will */
  chain drivers;      /* the waiters that run them */
  unsigned long made; /* how many have been made ready so far */
} run_queue;

typedef struct waiter {
  chain_link ready, waits, drives; /* in a queue's `ready`, in an event, in a queue's `drivers` */
  run_queue *home;
  unsigned long number; /* counts those made ready in its home, up to this one */
  bool awake;           /* it has been woken since it last waited, or does not wait at all */
} waiter;

/* Makes a waiter that waits for nothing; `home` stays its caller's, and has to outlive it. */
void waiter_init(waiter *w, run_queue *home);

/* Makes it wait for an event, and for no other any more; or, with NULL, for being woken as a driver only. One
   that drives a queue in which something is ready is woken at once. */
void waiter_wait(waiter *w, event *e);

/* Makes it the last driver of a queue. */
void waiter_drive(waiter *w, run_queue *q);

/* Makes it ready, at the end of its home's queue; no effect on one that is. */
void waiter_wake(waiter *w);

/* Takes it out of everything: it waits for nothing, is not ready, and drives nothing. If it was to run
   something, the next driver is woken. */
void waiter_leave(waiter *w);

/* Makes it drive nothing any more; it stays ready or waiting. */
void waiter_resign(waiter *w);

/* The event has happened: those who wait for it are woken, in the order in which they began to wait. */
void event_happen(event *e);

/* Takes out the waiter that has been ready for longest; NULL if none is. */
waiter *run_queue_take(run_queue *q);

/* Moves all of `from` to the end of `to`, and wakes its driver. They are at home there. */
void run_queue_readmit(run_queue *to, chain *from);

/* Whether something is ready. */
static inline bool run_queue_is_ready(const run_queue *q) { return q->ready.first != NULL; }

#endif
