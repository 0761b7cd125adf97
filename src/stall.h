/* Whether a transfer has stalled. It is looked at from time to time, so that moving bytes costs nothing. Time
   in which nobody looks does not count, for then nobody steps the transfer either. */
#ifndef LLAMA_CLOUD_STALL_H
#define LLAMA_CLOUD_STALL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct stall {
  double seconds; /* after which it has stalled; HUGE_VAL: never */
  int64_t since;  /* when bytes were last seen to have moved */
  int64_t due;    /* when to look next */
  uint64_t moved; /* how many bytes had moved at the last look */
} stall;

/* Begins. `seconds` is set already. Returns when to look first. */
int64_t stall_begin(stall *s);

/* Looks: `moved` bytes have moved by now. Returns when to look again; POLLER_NEVER: it has stalled. */
int64_t stall_look(stall *s, uint64_t moved);

#endif
