#include "stall.h"

#include "poller.h"

#include <math.h>

/* How many looks there are within the time after which it has stalled; that is noticed one interval late at
   most. */
#define LOOKS 8

#define NANOSECONDS 1e9

/* Seconds as nanoseconds, bounded. */
static int64_t nanoseconds(double seconds) {
  double most = (double)(POLLER_NEVER / 2);
  if (!(seconds > 0))
    return 0;
  return seconds * NANOSECONDS < most ? (int64_t)(seconds * NANOSECONDS) : (int64_t)most;
}

int64_t stall_begin(stall *s) {
  s->since = poller_now();
  s->moved = 0;
  s->due = s->seconds < HUGE_VAL ? s->since + nanoseconds(s->seconds / LOOKS) : POLLER_NEVER;
  return s->due;
}

int64_t stall_look(stall *s, uint64_t moved) {
  int64_t now = poller_now(), interval = nanoseconds(s->seconds / LOOKS), end;
  if (moved != s->moved)
    s->since = now;
  else if (now - s->due > interval)
    s->since += now - s->due;
  s->moved = moved;
  end = s->since + nanoseconds(s->seconds);
  if (now >= end)
    return POLLER_NEVER;
  s->due = now + interval < end ? now + interval : end;
  return s->due;
}
