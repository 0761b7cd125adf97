/* libcurl's callbacks touch malloc'd memory only and report by their return codes; nothing here knows Lua, so
   no Lua error can cross libcurl. */
#include "multi.h"

#include <limits.h>

/* CURLMOPT_RESOLVE_THREADS_MAX and CURLMOPT_QUICK_EXIT, which the headers name since 8.20; libcurl before
   that says that it does not know them. */
#define RESOLVE_THREADS_MAX ((CURLMoption)20)
#define QUICK_EXIT ((CURLMoption)21)
#define MOST_LOOKUPS 1000L

/* CURLMOPT_SOCKETFUNCTION. A failure is noted rather than returned: returning it would make the whole multi
   unusable. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data) {
  multi *m = data;
  unsigned interest = 0;
  (void)easy;
  (void)socket_data;
  if (what != CURL_POLL_REMOVE) {
    if (what & CURL_POLL_IN)
      interest |= POLLER_READ;
    if (what & CURL_POLL_OUT)
      interest |= POLLER_WRITE;
  }
  if (poller_watch(m->poller, fd, interest) != 0)
    m->failed = true;
  return 0;
}

/* CURLMOPT_TIMERFUNCTION. Only notes the time: acting here would re-enter libcurl. */
static int on_timer(CURLM *curl, long ms, void *data) {
  multi *m = data;
  (void)curl;
  m->due = ms < 0 ? POLLER_NEVER : poller_now() + (int64_t)ms * 1000000;
  return 0;
}

bool multi_renew(multi *m, size_t limit) {
  CURLM *curl = curl_multi_init();
  if (curl == NULL)
    return false;
  multi_free(m);
  m->curl = curl;
  m->due = POLLER_NEVER;
  curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, m);
  curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(curl, CURLMOPT_TIMERDATA, m);
  multi_set_limit(m, limit);
  /* From 8.20 on the threads that look up names are the multi's: it would wait for them when it is freed, and
     have 20 of them at most, two for each name, so that ten names that hang would hold up all others. */
  curl_multi_setopt(curl, QUICK_EXIT, 1L);
  curl_multi_setopt(curl, RESOLVE_THREADS_MAX, MOST_LOOKUPS);
  return true;
}

void multi_set_limit(multi *m, size_t limit) {
  curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, limit > LONG_MAX ? LONG_MAX : (long)limit);
}

bool multi_add(multi *m, CURL *easy) {
  if (curl_multi_add_handle(m->curl, easy) != CURLM_OK)
    return false;
  m->running++;
  m->added = true;
  return true;
}

void multi_remove(multi *m, CURL *easy) {
  curl_multi_remove_handle(m->curl, easy);
  m->running--;
}

/* Lets libcurl act on one socket, or on its timer. */
static void act(multi *m, curl_socket_t fd, int flags) {
  int running = 0;
  if (fd == CURL_SOCKET_TIMEOUT) {
    m->due = POLLER_NEVER;
    m->added = false;
  }
  if (curl_multi_socket_action(m->curl, fd, flags, &running) != CURLM_OK)
    m->failed = true;
  if ((size_t)running < m->running)
    m->ended = true;
}

void multi_begin(multi *m) { act(m, CURL_SOCKET_TIMEOUT, 0); }

int64_t multi_step(multi *m) {
  enum { BATCH = 64 };
  poller_event events[BATCH];
  int64_t now;
  int n = poller_take(m->poller, events, BATCH);
  for (int i = 0; i < n && !m->failed; i++) {
    int flags = 0;
    if (events[i].ready & POLLER_READ)
      flags |= CURL_CSELECT_IN;
    /* Before it sends on, libcurl is to look for an answer: a server that does not want the rest of a body
       may answer and close, and to send once more would be to lose the answer. */
    if (events[i].ready & POLLER_WRITE)
      flags |= CURL_CSELECT_OUT | CURL_CSELECT_IN;
    if (events[i].ready & POLLER_ERROR)
      flags |= CURL_CSELECT_ERR;
    act(m, events[i].fd, flags);
  }
  now = poller_now();
  if (m->due <= now && !m->failed)
    act(m, CURL_SOCKET_TIMEOUT, 0);
  return now;
}

CURL *multi_next(multi *m, CURLcode *code) {
  CURLMsg *message;
  int left;
  m->ended = false;
  while ((message = curl_multi_info_read(m->curl, &left)) != NULL) {
    if (message->msg != CURLMSG_DONE)
      continue;
    *code = message->data.result; /* the message does not outlive the handle's stay in the multi */
    return message->easy_handle;
  }
  return NULL;
}

void multi_free(multi *m) {
  if (m->curl != NULL)
    curl_multi_cleanup(m->curl); /* calls on_socket */
  m->curl = NULL;
}
