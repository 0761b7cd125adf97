/* A pool of threads with a Lua state each, which take jobs from one queue:

     thread_pool COUNT SCRIPT JOB …

   The script (thread_pool.lua) returns a function; each thread runs the script once and calls its function
   for one job after another. Of Lua nothing is shared: a state, all its coroutines, and the clients in it
   belong to the thread that made it. Jobs and results are C's, and a mutex guards them.

   SIGINT and SIGTERM end the jobs that run, also one that waits for an answer, and the program.

   Threads are for work that keeps a processor busy, such as looking through results. For waiting they are not
   needed: one state waits for thousands of batches at the same time (poll_loop.c). */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { MOST_THREADS = 64, NUDGE_MILLISECONDS = 20, HOOK_COUNT = 100 };

typedef struct job {
  const char *name;
  bool done, failed;
  char text[200]; /* its result, or why it has failed */
} job;

/* What the threads share. The mutex guards it, except for the names of the jobs, which do not change. */
static struct pool {
  pthread_mutex_t mutex;
  pthread_cond_t ended; /* a thread has */
  job *jobs;
  size_t count, next;
  int running;          /* how many threads */
  atomic_bool stopping; /* for the hook, which takes no mutex */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

/* One thread. */
typedef struct worker {
  pthread_t thread;
  const char *script;
  bool ended; /* guarded by the mutex */
} worker;

/* ---- ending a job that runs ---- */

/* The state of this thread while Lua runs in it. */
static _Thread_local lua_State *volatile interruptible;

/* The count hook of every coroutine, as each inherits it from the one that makes it. Raises when the program
   is to stop, and then at every further instruction, so that no pcall of the script saves the job. It counts
   instructions and nothing else, so that what is closed by C on the way out is not disturbed. */
static void count_hook(lua_State *L, lua_Debug *record) {
  (void)record;
  if (atomic_load(&pool.stopping)) {
    lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "stopped");
  } else if (lua_gethookcount(L) != HOOK_COUNT) { /* a signal that was not to end anything */
    lua_sethook(L, count_hook, LUA_MASKCOUNT, HOOK_COUNT);
  }
}

/* SIGUSR1, sent to one thread: a wait in Lua returns from poll(2) and lets Lua run, and the hook is called at
   the next instruction. lua_sethook is the one function of Lua that a signal handler may call, for a state of
   its own thread. */
static void on_nudge(int number) {
  (void)number;
  if (interruptible != NULL)
    lua_sethook(interruptible, count_hook, LUA_MASKCOUNT, 1);
}

/* ---- a thread ---- */

static int with_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* Opens the libraries and runs the script of the worker at index 1, which returns the function for jobs. */
static int open_script(lua_State *L) {
  const worker *w = lua_touserdata(L, 1);
  luaL_openlibs(L);
  if (luaL_loadfile(L, w->script) != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 1);
  if (!lua_isfunction(L, -1))
    return luaL_error(L, "%s does not return a function", w->script);
  return 1;
}

/* Calls the function of the script, at index 1, for the job at index 2. Its result becomes a string. */
static int run_job(lua_State *L) {
  const job *j = lua_touserdata(L, 2);
  lua_pushvalue(L, 1);
  lua_pushstring(L, j->name);
  lua_call(L, 1, 1);
  luaL_tolstring(L, -1, NULL);
  return 1;
}

/* The next job, or NULL. */
static job *take(void) {
  job *j = NULL;
  pthread_mutex_lock(&pool.mutex);
  if (!pool.stopping && pool.next < pool.count)
    j = &pool.jobs[pool.next++];
  pthread_mutex_unlock(&pool.mutex);
  return j;
}

/* Stores what became of a job: the string on top of the stack, which is popped. */
static void finish(lua_State *L, job *j, bool failed) {
  const char *text = lua_tostring(L, -1);
  pthread_mutex_lock(&pool.mutex);
  snprintf(j->text, sizeof j->text, "%s", text != NULL ? text : "an error that cannot be shown");
  j->failed = failed;
  j->done = true;
  pthread_mutex_unlock(&pool.mutex);
  lua_pop(L, 1);
}

/* Runs jobs in a new state until there is none. */
static void run_jobs(worker *w) {
  sigset_t nudge;
  job *j = take();
  lua_State *L = luaL_newstate();
  if (L == NULL) /* the jobs are left to other threads; this one is told as not done */
    return;
  sigemptyset(&nudge);
  sigaddset(&nudge, SIGUSR1);
  lua_sethook(L, count_hook, LUA_MASKCOUNT, HOOK_COUNT); /* before anything runs: coroutines inherit it */
  interruptible = L;
  pthread_sigmask(SIG_UNBLOCK, &nudge, NULL);
  lua_pushcfunction(L, with_traceback);
  lua_pushcfunction(L, open_script);
  lua_pushlightuserdata(L, w);
  bool opened = lua_pcall(L, 1, 1, 1) == LUA_OK;
  for (; j != NULL; j = take()) {
    int status = LUA_ERRRUN;
    if (opened) {
      lua_pushcfunction(L, run_job);
      lua_pushvalue(L, 2);
      lua_pushlightuserdata(L, j);
      status = lua_pcall(L, 2, 1, 1);
    } else { /* the script's own error is that of each job */
      lua_pushvalue(L, 2);
    }
    finish(L, j, status != LUA_OK);
  }
  pthread_sigmask(SIG_BLOCK, &nudge, NULL);
  interruptible = NULL;
  lua_sethook(L, NULL, 0, 0); /* finalizers end as they should */
  lua_close(L);
}

static void *run(void *data) {
  worker *w = data;
  run_jobs(w);
  pthread_mutex_lock(&pool.mutex);
  w->ended = true;
  pool.running--;
  pthread_cond_signal(&pool.ended);
  pthread_mutex_unlock(&pool.mutex);
  return NULL;
}

/* ---- the program ---- */

/* Waits for SIGINT or SIGTERM in a thread of its own, for only there may anything be done about a signal. */
static void *await_signal(void *data) {
  const sigset_t *ending = data;
  int number;
  while (sigwait(ending, &number) != 0)
    ;
  pthread_mutex_lock(&pool.mutex);
  pool.stopping = true;
  pthread_cond_signal(&pool.ended);
  pthread_mutex_unlock(&pool.mutex);
  return NULL;
}

/* Waits until all threads have ended. If they are to stop, they are nudged until they have: a signal that
   comes just before a thread begins to wait does not end that wait. */
static void wait_for(worker *workers, int count) {
  pthread_mutex_lock(&pool.mutex);
  while (pool.running > 0) {
    struct timespec till;
    if (!pool.stopping) {
      pthread_cond_wait(&pool.ended, &pool.mutex);
      continue;
    }
    for (int i = 0; i < count; i++) {
      if (!workers[i].ended)
        pthread_kill(workers[i].thread, SIGUSR1);
    }
    clock_gettime(CLOCK_REALTIME, &till);
    till.tv_nsec += NUDGE_MILLISECONDS * 1000000L;
    till.tv_sec += till.tv_nsec / 1000000000L;
    till.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&pool.ended, &pool.mutex, &till);
  }
  pthread_mutex_unlock(&pool.mutex);
  for (int i = 0; i < count; i++)
    pthread_join(workers[i].thread, NULL);
}

/* Prints the results. Whether all jobs are done, and none has failed. */
static bool print_results(void) {
  bool well = true;
  for (size_t i = 0; i < pool.count; i++) {
    const job *j = &pool.jobs[i];
    printf("%s: %s%s\n", j->name, j->failed ? "failed: " : "", j->done ? j->text : "not done");
    well = well && j->done && !j->failed;
  }
  return well;
}

int main(int argc, char **argv) {
  static worker workers[MOST_THREADS];
  struct sigaction nudge = {.sa_handler = on_nudge, .sa_flags = SA_RESTART}; /* poll returns all the same */
  sigset_t ending, blocked;
  pthread_t waiter;
  int count = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
  if (count < 1 || count > MOST_THREADS) {
    fputs("usage: thread_pool COUNT SCRIPT JOB ...\n", stderr);
    return 2;
  }
  /* A program that uses libcurl itself initializes it before its first thread. The client does so, too:
     libcurl counts, so neither disturbs the other. */
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
    return 1;
  pool.count = (size_t)(argc - 3);
  pool.jobs = calloc(pool.count, sizeof *pool.jobs);
  if (pool.jobs == NULL)
    return 1;
  for (size_t i = 0; i < pool.count; i++)
    pool.jobs[i].name = argv[i + 3];
  /* Threads inherit what is blocked, those of libcurl, too: so no signal ends up in one of them by chance. */
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  blocked = ending;
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  sigaction(SIGUSR1, &nudge, NULL);
  if (pthread_create(&waiter, NULL, await_signal, &ending) != 0)
    return 1;
  pool.running = count;
  for (int i = 0; i < count; i++) {
    workers[i].script = argv[2];
    if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
      abort(); /* a real program goes on with the threads that it has */
  }
  wait_for(workers, count);
  if (!pool.stopping)
    pthread_cancel(waiter); /* sigwait is a point where a thread can end */
  bool well = print_results();
  pthread_join(waiter, NULL);
  free(pool.jobs);
  curl_global_cleanup(); /* the client's own stays */
  return well ? 0 : 1;
}
