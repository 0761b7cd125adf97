/* poller on Linux: an epoll instance with a timerfd inside (epoll(7), timerfd_create(2)). */
#define _GNU_SOURCE /* ppoll, dup3 */
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000

struct poller {
  int epoll;
  int timer;
  int64_t due;   /* what poller_arm has said last */
  int64_t armed; /* what the timerfd is set to */
  bool exposed;  /* whether others look at the epoll descriptor */
};

enum { BATCH = 64 };

/* Lets the epoll instance watch the timer. Returns 0, or -1 and errno. */
static int watch_timer(const poller *p) {
  struct epoll_event event = {.events = EPOLLIN};
  event.data.fd = p->timer;
  return epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->timer, &event);
}

poller *poller_new(void) {
  poller *p = malloc(sizeof *p);
  if (p == NULL)
    return NULL;
  p->due = p->armed = POLLER_NEVER;
  p->exposed = false;
  p->epoll = epoll_create1(EPOLL_CLOEXEC);
  p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (p->epoll < 0 || p->timer < 0 || watch_timer(p) != 0) {
    int problem = errno;
    poller_free(p);
    errno = problem;
    return NULL;
  }
  return p;
}

int poller_renew(poller *p) {
  struct epoll_event event = {0};
  poller *own = poller_new();
  int problem = 0;
  if (own == NULL)
    return -1;
  epoll_ctl(own->epoll, EPOLL_CTL_DEL, own->timer, &event); /* it is to be watched under its other number */
  if (dup3(own->timer, p->timer, O_CLOEXEC) < 0 || dup3(own->epoll, p->epoll, O_CLOEXEC) < 0 ||
      watch_timer(p) != 0)
    problem = errno;
  p->due = p->armed = POLLER_NEVER;
  poller_free(own);
  errno = problem;
  return problem == 0 ? 0 : -1;
}

void poller_free(poller *p) {
  if (p == NULL)
    return;
  if (p->timer >= 0)
    close(p->timer);
  if (p->epoll >= 0)
    close(p->epoll);
  free(p);
}

/* Makes the descriptor readable when the timer is due. */
static void set_timer(poller *p) {
  struct itimerspec when = {{0, 0}, {0, 0}};
  if (p->due == p->armed)
    return;
  p->armed = p->due;
  if (p->due != POLLER_NEVER) {
    when.it_value.tv_sec = (time_t)(p->due / NANOSECONDS);
    when.it_value.tv_nsec = (long)(p->due % NANOSECONDS);
  }
  timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int poller_fd(poller *p) {
  p->exposed = true;
  set_timer(p);
  return p->epoll;
}

int poller_watch(poller *p, int fd, unsigned interest) {
  struct epoll_event event = {0};
  if (interest == 0) {
    /* a socket that was closed first has left the set by itself */
    epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, &event);
    return 0;
  }
  event.data.fd = fd;
  if (interest & POLLER_READ)
    event.events |= EPOLLIN;
  if (interest & POLLER_WRITE)
    event.events |= EPOLLOUT;
  /* adding is the common case: libcurl stops watching a connection whenever it is idle */
  if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
    return 0;
  if (errno != EEXIST)
    return -1;
  return epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &event);
}

void poller_arm(poller *p, int64_t due) {
  p->due = due > 0 ? due : 1; /* zero would disarm */
  if (p->exposed)
    set_timer(p);
}

int poller_take(poller *p, poller_event *events, int capacity) {
  struct epoll_event ready[BATCH];
  int taken = 0;
  int n = epoll_wait(p->epoll, ready, capacity < BATCH ? capacity : BATCH, 0);
  for (int i = 0; i < n; i++) {
    if (ready[i].data.fd == p->timer) {
      uint64_t expirations;
      /* reading is what makes the descriptor quiet again; how often it went off does not matter */
      if (read(p->timer, &expirations, sizeof expirations) == (ssize_t)sizeof expirations)
        p->armed = POLLER_NEVER;
      continue;
    }
    events[taken].fd = ready[i].data.fd;
    events[taken].ready = 0;
    if (ready[i].events & EPOLLIN)
      events[taken].ready |= POLLER_READ;
    if (ready[i].events & EPOLLOUT)
      events[taken].ready |= POLLER_WRITE;
    if (ready[i].events & (EPOLLERR | EPOLLHUP))
      events[taken].ready |= POLLER_ERROR;
    taken++;
  }
  return taken;
}

int poller_wait(const poller *p, int64_t until) {
  struct pollfd fd = {.fd = p->epoll, .events = POLLIN};
  int64_t first = p->due < until ? p->due : until;
  for (;;) {
    int64_t now = poller_now();
    if (p->due <= now)
      return 1;
    int64_t left = first > now ? first - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NANOSECONDS), .tv_nsec = (long)(left % NANOSECONDS)};
    int n = ppoll(&fd, 1, first != POLLER_NEVER ? &timeout : NULL, NULL);
    if (n != 0)
      return n > 0 ? 1 : -1;
    if (until <= now)
      return 0;
  }
}

int64_t poller_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * NANOSECONDS + t.tv_nsec;
}
