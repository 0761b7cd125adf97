/* Many sockets and one timer behind one file descriptor. This is the seam for other systems: an
   implementation knows neither libcurl nor Lua. */
#ifndef LLAMA_CLOUD_POLLER_H
#define LLAMA_CLOUD_POLLER_H

#include <stdint.h>

/* What a socket is watched for, and what it turned out to be ready for. */
enum { POLLER_READ = 1, POLLER_WRITE = 2, POLLER_ERROR = 4 };

/* A due time that never comes. All times are nanoseconds of the monotonic clock. */
#define POLLER_NEVER INT64_MAX

typedef struct poller poller;

typedef struct poller_event {
  int fd;
  unsigned ready; /* POLLER_READ | POLLER_WRITE | POLLER_ERROR */
} poller_event;

/* Makes a poller; NULL and errno when there is no memory or no descriptor left. */
poller *poller_new(void);

/* Closes the poller's own descriptors, never the sockets. NULL is allowed. */
void poller_free(poller *p);

/* In a forked process: makes the poller one of this process's, under the same descriptors, with nothing to
   watch and no timer set. The parent's goes on. Returns 0, or -1 and errno. */
int poller_renew(poller *p);

/* The descriptor that is readable while poller_take would return something or the timer is due. The system's
   timer, which is not cheap to set, is used only from the first call on: poller_wait needs none. */
int poller_fd(poller *p);

/* Watches fd for POLLER_READ | POLLER_WRITE; 0 forgets it. Returns 0, or -1 and errno; forgetting never
   fails. */
int poller_watch(poller *p, int fd, unsigned interest);

/* Sets the one timer to an absolute time: in the past means now, POLLER_NEVER means off. */
void poller_arm(poller *p, int64_t due);

/* Takes up to capacity events without blocking, and a timer that has gone off with them. Returns how many. */
int poller_take(poller *p, poller_event *events, int capacity);

/* Blocks until the descriptor is readable or the timer is due: 1; until `until` is past: 0; until a signal
   arrives: -1. */
int poller_wait(const poller *p, int64_t until);

/* The monotonic clock, in nanoseconds. */
int64_t poller_now(void);

#endif
