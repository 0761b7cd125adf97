#include "timers.h"

#include <stdlib.h>

static void put(timers *t, size_t i, timed *one) {
  t->heap[i] = one;
  one->index = i;
}

/* Moves the member at `i` towards the root until the one above it is not later. */
static void move_up(timers *t, size_t i) {
  timed *one = t->heap[i];
  while (i > 0 && t->heap[(i - 1) / 2]->due > one->due) {
    put(t, i, t->heap[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  put(t, i, one);
}

/* Moves the member at `i` away from the root until none below it is earlier. */
static void move_down(timers *t, size_t i) {
  timed *one = t->heap[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= t->length)
      break;
    if (child + 1 < t->length && t->heap[child + 1]->due < t->heap[child]->due)
      child++;
    if (t->heap[child]->due >= one->due)
      break;
    put(t, i, t->heap[child]);
    i = child;
  }
  put(t, i, one);
}

bool timers_insert(timers *t, timed *one) {
  if (t->length == t->capacity) {
    size_t capacity = t->capacity != 0 ? t->capacity * 2 : 16;
    timed **heap = realloc(t->heap, capacity * sizeof(timed *));
    if (heap == NULL)
      return false;
    t->heap = heap;
    t->capacity = capacity;
  }
  put(t, t->length++, one);
  move_up(t, one->index);
  return true;
}

void timers_remove(timers *t, timed *one) {
  size_t i = one->index;
  if (i == TIMED_NOWHERE)
    return;
  one->index = TIMED_NOWHERE;
  timed *last = t->heap[--t->length];
  if (last == one)
    return;
  put(t, i, last);
  move_up(t, i);
  move_down(t, last->index);
}

timed *timers_first(const timers *t) { return t->length > 0 ? t->heap[0] : NULL; }

timed *timers_last(const timers *t) { return t->length > 0 ? t->heap[t->length - 1] : NULL; }

void timers_free(timers *t) {
  free(t->heap);
  *t = (timers){0};
}
