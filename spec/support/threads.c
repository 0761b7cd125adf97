/* Runs two Lua states in two threads at the same time, for ThreadSanitizer to watch the core in both:

     threads chunk.lua [argument …]    each thread runs the chunk in a state of its own
     threads -race                     a race of this program itself, which must be reported

   The threads begin together, so that what a process does once is begun by both. */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { THREADS = 2 };

typedef struct job {
  int argc;
  char **argv;
  const char *failure; /* of its chunk; NULL: it ended well */
  char message[256];
} job;

static pthread_barrier_t together;

/* Runs the chunk of a job. */
static void *run(void *data) {
  job *j = data;
  lua_State *L = luaL_newstate();
  pthread_barrier_wait(&together);
  if (L == NULL) {
    j->failure = "no memory";
    return NULL;
  }
  luaL_openlibs(L);
  int status = luaL_loadfile(L, j->argv[0]);
  if (status == LUA_OK) {
    for (int i = 1; i < j->argc; i++)
      lua_pushstring(L, j->argv[i]);
    status = lua_pcall(L, j->argc - 1, 0, 0);
  }
  if (status != LUA_OK) {
    snprintf(j->message, sizeof j->message, "%s", luaL_tolstring(L, -1, NULL));
    j->failure = j->message;
  }
  lua_close(L);
  return NULL;
}

static int shared;

/* What no program should do. */
static void *race(void *data) {
  (void)data;
  pthread_barrier_wait(&together);
  for (int i = 0; i < 1000; i++)
    shared++;
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  job jobs[THREADS];
  int failed = 0;
  if (argc < 2) {
    fputs("usage: threads -race | chunk.lua [argument ...]\n", stderr);
    return 2;
  }
  pthread_barrier_init(&together, NULL, THREADS);
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job){.argc = argc - 1, .argv = argv + 1};
    if (pthread_create(&threads[i], NULL, strcmp(argv[1], "-race") == 0 ? race : run, &jobs[i]) != 0) {
      fputs("cannot start a thread\n", stderr);
      return 1;
    }
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    if (jobs[i].failure != NULL) {
      fprintf(stderr, "thread %d: %s\n", i, jobs[i].failure);
      failed = 1;
    }
  }
  pthread_barrier_destroy(&together);
  return failed;
}
