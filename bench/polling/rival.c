/* What a careful C program does to poll many batches: curl multi, told by epoll which sockets are ready.

     rival URL REQUESTS TASKS [CA_FILE]

   Sends REQUESTS requests for URL, TASKS of them at a time, each by an easy handle that is used again, and
   keeps each body in memory until the next. It retries nothing, decodes nothing, and copies no headers. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

typedef struct task {
  CURL *easy;
  char *body;
  size_t length, capacity;
} task;

typedef struct program {
  CURLM *multi;
  int epoll;
  double deadline; /* of libcurl's timer, in seconds; negative: none */
  int running;
  long left, answered;
  const char *url;
} program;

static void die(const char *what) {
  fprintf(stderr, "rival: %s\n", what);
  exit(1);
}

static double monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Appends what arrived to the task's body. */
static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  task *t = context;
  size_t more = size * count;
  if (t->length + more > t->capacity) {
    size_t capacity = 2 * (t->length + more);
    char *grown = realloc(t->body, capacity);
    if (grown == NULL)
      return 0;
    t->body = grown;
    t->capacity = capacity;
  }
  memcpy(t->body + t->length, bytes, more);
  t->length += more;
  return more;
}

/* Watches a socket as libcurl wants it watched. socket_context is not NULL for one that is watched. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context) {
  program *p = context;
  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(p->epoll, EPOLL_CTL_DEL, socket, NULL);
    return 0;
  }
  struct epoll_event event = {.data.fd = socket};
  if (what & CURL_POLL_IN)
    event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT)
    event.events |= EPOLLOUT;
  if (epoll_ctl(p->epoll, socket_context ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) == -1)
    return -1;
  curl_multi_assign(p->multi, socket, p);
  return 0;
}

/* Notes when libcurl wants to be called. */
static int on_timer(CURLM *multi, long milliseconds, void *context) {
  program *p = context;
  (void)multi;
  p->deadline = milliseconds < 0 ? -1 : monotonic() + 1e-3 * (double)milliseconds;
  return 0;
}

/* Sends the task's next request, if any is left. */
static void send_next(program *p, task *t) {
  if (p->left == 0)
    return;
  p->left--;
  t->length = 0;
  curl_easy_setopt(t->easy, CURLOPT_URL, p->url);
  if (curl_multi_add_handle(p->multi, t->easy) != CURLM_OK)
    die("curl_multi_add_handle failed");
}

/* Takes the requests that ended, and sends the next. */
static void collect(program *p) {
  CURLMsg *message;
  int queued;
  while ((message = curl_multi_info_read(p->multi, &queued)) != NULL) {
    CURL *easy = message->easy_handle;
    CURLcode code = message->data.result;
    long status = 0;
    task *t;
    if (message->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    if (code != CURLE_OK || status != 200 || t->length == 0)
      die(code != CURLE_OK ? curl_easy_strerror(code) : "an answer is not what it should be");
    p->answered++;
    curl_multi_remove_handle(p->multi, easy);
    send_next(p, t);
  }
}

/* Waits once and does what came of it. */
static void turn(program *p) {
  struct epoll_event events[64];
  int timeout = -1;
  if (p->deadline >= 0) {
    double left = p->deadline - monotonic();
    timeout = left <= 0 ? 0 : (int)(left * 1e3) + 1;
  }
  int ready = epoll_wait(p->epoll, events, 64, timeout);
  for (int i = 0; i < ready; i++) {
    int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(p->multi, events[i].data.fd, what, &p->running);
  }
  if (p->deadline >= 0 && p->deadline <= monotonic()) {
    p->deadline = -1;
    curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &p->running);
  }
  collect(p);
}

int main(int argc, char **argv) {
  if (argc < 4)
    die("usage: rival URL REQUESTS TASKS [CA_FILE]");
  long requests = atol(argv[2]), tasks = atol(argv[3]);
  const char *ca_file = argc > 4 ? argv[4] : NULL;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  program p = {
      .multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC), .deadline = -1, .left = requests};
  p.url = argv[1];
  task *all = calloc((size_t)tasks, sizeof *all);
  struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer key");
  if (p.multi == NULL || p.epoll == -1 || all == NULL || headers == NULL)
    die("not enough memory");
  curl_multi_setopt(p.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(p.multi, CURLMOPT_SOCKETDATA, &p);
  curl_multi_setopt(p.multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(p.multi, CURLMOPT_TIMERDATA, &p);
  curl_multi_setopt(p.multi, CURLMOPT_MAXCONNECTS, tasks);
  for (long i = 0; i < tasks; i++) {
    CURL *easy = all[i].easy = curl_easy_init();
    if (easy == NULL)
      die("not enough memory");
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &all[i]);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &all[i]);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (ca_file != NULL)
      curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    send_next(&p, &all[i]);
  }
  while (p.answered < requests)
    turn(&p);
  printf("%ld\n", p.answered);
  for (long i = 0; i < tasks; i++) {
    curl_easy_cleanup(all[i].easy);
    free(all[i].body);
  }
  curl_multi_cleanup(p.multi);
  curl_slist_free_all(headers);
  free(all);
  close(p.epoll);
  curl_global_cleanup();
  return 0;
}
