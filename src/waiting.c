#include "waiting.h"

#include <stddef.h>

/* The queue that a chain is the drivers of. */
static run_queue *driven(chain *drivers) {
  return (run_queue *)(void *)((char *)drivers - offsetof(run_queue, drivers));
}

/* Sees to it that somebody runs what is ready: the first driver is awake. */
static void announce(run_queue *q) {
  waiter *driver = chain_first(&q->drivers);
  if (driver != NULL && q->ready.first != NULL && !driver->awake)
    waiter_wake(driver);
}

void waiter_init(waiter *w, run_queue *home) {
  *w = (waiter){.home = home, .awake = true};
  w->ready.of = w->waits.of = w->drives.of = w;
}

void waiter_wait(waiter *w, event *e) {
  chain_remove(&w->waits);
  w->awake = w->ready.in != NULL;
  if (w->awake)
    return;
  if (e != NULL)
    chain_append(&e->waiting, &w->waits);
  if (w->drives.in != NULL)
    announce(driven(w->drives.in));
}

void waiter_drive(waiter *w, run_queue *q) {
  chain_remove(&w->drives);
  chain_append(&q->drivers, &w->drives);
}

void waiter_wake(waiter *w) {
  chain_remove(&w->waits);
  w->awake = true;
  if (w->ready.in != NULL)
    return;
  w->number = ++w->home->made;
  chain_append(&w->home->ready, &w->ready);
  announce(w->home);
}

void waiter_resign(waiter *w) {
  chain *drivers = w->drives.in;
  chain_remove(&w->drives);
  if (drivers != NULL)
    announce(driven(drivers));
}

void waiter_leave(waiter *w) {
  chain_remove(&w->ready);
  chain_remove(&w->waits);
  w->awake = true;
  waiter_resign(w);
}

void event_happen(event *e) {
  waiter *w;
  while ((w = chain_first(&e->waiting)) != NULL)
    waiter_wake(w);
}

waiter *run_queue_take(run_queue *q) { return chain_take(&q->ready); }

void run_queue_readmit(run_queue *to, chain *from) {
  waiter *w;
  while ((w = chain_first(from)) != NULL) {
    chain_remove(&w->ready);
    w->number = ++to->made;
    chain_append(&to->ready, &w->ready);
  }
  announce(to);
}
