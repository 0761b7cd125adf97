/* Things that are due at a time, the earliest first: a binary heap of which every member knows its place, so
   that it can leave at any time. Knows no clock. */
#ifndef LLAMA_CLOUD_TIMERS_H
#define LLAMA_CLOUD_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of what is due. `due` must not change while it is in a heap. */
typedef struct timed {
  int64_t due;
  size_t index; /* where it is in the heap, or TIMED_NOWHERE */
} timed;

#define TIMED_NOWHERE SIZE_MAX

/* Zero-initialised is empty. Refers to its members and does not own them. */
typedef struct timers {
  timed **heap;
  size_t length, capacity;
} timers;

/* Adds one that is nowhere. False: no memory, and nothing has changed. */
bool timers_insert(timers *t, timed *one);

/* Takes one out; no effect on one that is nowhere. */
void timers_remove(timers *t, timed *one);

/* The earliest, and one that can be removed at no cost; NULL if there is none. */
timed *timers_first(const timers *t);
timed *timers_last(const timers *t);

/* Frees the heap, not its members. */
void timers_free(timers *t);

#endif
