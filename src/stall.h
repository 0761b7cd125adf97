/* Whether something still moves: looked at from time to time, so that nothing has to be done when it does.
   Time in which nobody has come to look does not count: then nobody has come to move anything either. */
#ifndef LLAMA_CLOUD_STALL_H
#define LLAMA_CLOUD_STALL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct stall {
  double seconds; /* after which it has stalled; HUGE_VAL: never */
  int64_t since;  /* when it was seen last that more had been moved */
  int64_t due;    /* when it is to be looked again */
  uint64_t moved; /* so much, then */
} stall;

/* Begins to look. `seconds` is set already. Returns when to look. */
int64_t stall_begin(stall *s);

/* Looks: so much has been moved by now. Returns when to look again; POLLER_NEVER: it has stalled. */
int64_t stall_look(stall *s, uint64_t moved);

#endif
