/* A program that has a loop around poll(2) of its own, and lets a Lua script talk to LlamaCloud in it:

     poll_loop SCRIPT [ARGUMENT …]

   The script (poll_loop.lua) starts tasks and returns. The loop waits for the client's descriptor beside the
   program's own, here a timer and signals, and calls llama_cloud.step() whenever the descriptor is readable.
   Nothing in it ever blocks. The script hands its results to C by a function. SIGINT and SIGTERM end the
   program while requests are under way: lua_close cancels them. */

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define STEP_SECONDS 0.01 /* the longest that the other work has to wait for Lua */
enum { TICK_MILLISECONDS = 50, MOST_RESULTS = 1000 };

/* What the script has reported, copied: Lua's strings live only as long as Lua refers to them. */
typedef struct result {
  char name[80];
  char outcome[160];
  lua_Integer files;
} result;

typedef struct app {
  lua_State *L;
  int step;    /* llama_cloud.step, in the registry */
  int pollfd;  /* becomes readable when step has something to do; Lua's to close */
  int timer;   /* what else the program waits for */
  int signals; /* SIGINT and SIGTERM arrive here, between two steps and not in the middle of one */
  unsigned ticks;
  bool failed;
  size_t results;
  result result[MOST_RESULTS];
} app;

/* The message handler of every call: puts a traceback behind the error, which may be any value. */
static int with_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* Calls the function below its arguments on the stack. False: it has raised; that is told, and the stack is
   as it was below the function. */
static bool call(app *a, int arguments, int results) {
  int handler = lua_gettop(a->L) - arguments; /* where the function is, and the handler will be */
  lua_pushcfunction(a->L, with_traceback);
  lua_insert(a->L, handler);
  int status = lua_pcall(a->L, arguments, results, handler);
  lua_remove(a->L, handler);
  if (status == LUA_OK)
    return true;
  const char *message = lua_tostring(a->L, -1); /* no string: there was no memory to make one */
  fprintf(stderr, "poll_loop: %s\n", message != NULL ? message : "an error that cannot be shown");
  lua_pop(a->L, 1);
  a->failed = true;
  return false;
}

/* report(name, outcome, files): what the script calls. Raises for wrong arguments and for too many results.
 */
static int report(lua_State *L) {
  app *a = lua_touserdata(L, lua_upvalueindex(1));
  const char *name = luaL_checkstring(L, 1);
  const char *outcome = luaL_checkstring(L, 2);
  lua_Integer files = luaL_checkinteger(L, 3);
  if (a->results == MOST_RESULTS)
    return luaL_error(L, "more than %d results", MOST_RESULTS);
  result *r = &a->result[a->results++];
  snprintf(r->name, sizeof r->name, "%s", name);
  snprintf(r->outcome, sizeof r->outcome, "%s", outcome);
  r->files = files;
  return 0;
}

#ifdef WITH_CORE
int luaopen_llama_cloud_core(lua_State *L);

/* Where the core is part of the program: tells `require` so. */
static void preload_core(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_llama_cloud_core);
  lua_setfield(L, -2, "llama_cloud.core");
  lua_pop(L, 1);
}
#endif

/* Opens the libraries and the client. Gets the app as light userdata. All of it can raise, so it runs inside
   a protected call. */
static int open_client(lua_State *L) {
  app *a = lua_touserdata(L, 1);
  luaL_openlibs(L);
#ifdef WITH_CORE
  preload_core(L);
#endif
  lua_getglobal(L, "require");
  lua_pushliteral(L, "llama_cloud");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "pollfd");
  lua_call(L, 0, 1);
  a->pollfd = (int)luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  lua_getfield(L, -1, "step");
  a->step = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* Runs the script, argv[0], with `report` and its arguments. */
static int run_script(lua_State *L) {
  app *a = lua_touserdata(L, 1);
  char **argv = lua_touserdata(L, 2);
  int count = 0;
  if (luaL_loadfile(L, argv[0]) != LUA_OK)
    return lua_error(L);
  lua_pushlightuserdata(L, a);
  lua_pushcclosure(L, report, 1);
  while (argv[count + 1] != NULL)
    count++;
  luaL_checkstack(L, count, "too many arguments");
  for (int i = 1; i <= count; i++)
    lua_pushstring(L, argv[i]);
  lua_call(L, count + 1, 0);
  return 0;
}

/* Lets Lua work for a moment. How many tasks have not ended; -1: one has raised, which is told, and the
   others go on. */
static lua_Integer step(app *a) {
  lua_Integer left = -1;
  lua_rawgeti(a->L, LUA_REGISTRYINDEX, a->step);
  lua_pushnumber(a->L, STEP_SECONDS);
  if (call(a, 1, 1)) {
    left = lua_tointeger(a->L, -1);
    lua_pop(a->L, 1);
  }
  return left;
}

/* What the program is really for. */
static void work(app *a) {
  uint64_t expirations;
  if (read(a->timer, &expirations, sizeof expirations) == (ssize_t)sizeof expirations)
    a->ticks++;
}

/* The loop: returns when the last task has ended, or with the signal that is to end the program. */
static int loop(app *a) {
  enum { LUA, WORK, SIGNALS, DESCRIPTORS };
  struct pollfd descriptors[DESCRIPTORS] = {
      [LUA] = {.fd = a->pollfd, .events = POLLIN},
      [WORK] = {.fd = a->timer, .events = POLLIN},
      [SIGNALS] = {.fd = a->signals, .events = POLLIN},
  };
  lua_Integer left = step(a);
  while (left != 0) {
    /* After an error nobody knows yet how many tasks are left: maybe none, and then nothing would arrive. */
    if (poll(descriptors, DESCRIPTORS, left < 0 ? 0 : -1) < 0)
      continue; /* EINTR: what poll says of the descriptors is of no use */
    if (descriptors[SIGNALS].revents != 0) {
      struct signalfd_siginfo info;
      if (read(a->signals, &info, sizeof info) == (ssize_t)sizeof info)
        return (int)info.ssi_signo;
    }
    if (descriptors[WORK].revents != 0)
      work(a);
    if (descriptors[LUA].revents != 0 || left < 0)
      left = step(a);
  }
  return 0;
}

/* Opens what else the program waits for. */
static bool open_descriptors(app *a) {
  const struct timespec tick = {.tv_nsec = TICK_MILLISECONDS * 1000000L};
  const struct itimerspec ticks = {.it_interval = tick, .it_value = tick};
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  a->signals = sigprocmask(SIG_BLOCK, &ending, NULL) == 0 ? signalfd(-1, &ending, SFD_CLOEXEC) : -1;
  a->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  return a->signals >= 0 && a->timer >= 0 && timerfd_settime(a->timer, 0, &ticks, NULL) == 0;
}

int main(int argc, char **argv) {
  static app a = {.timer = -1, .signals = -1};
  int signal_number = 0;
  if (argc < 2) {
    fputs("usage: poll_loop SCRIPT [ARGUMENT ...]\n", stderr);
    return 2;
  }
  if (!open_descriptors(&a)) {
    perror("poll_loop");
    return 1;
  }
  a.L = luaL_newstate();
  if (a.L == NULL) {
    fputs("poll_loop: not enough memory\n", stderr);
    return 1;
  }
  lua_pushcfunction(a.L, open_client);
  lua_pushlightuserdata(a.L, &a);
  if (call(&a, 1, 0)) {
    lua_pushcfunction(a.L, run_script);
    lua_pushlightuserdata(a.L, &a);
    lua_pushlightuserdata(a.L, argv + 1);
    if (call(&a, 2, 0))
      signal_number = loop(&a);
  }
  lua_close(a.L); /* cancels what is under way, and closes the descriptor: nothing may poll it any more */
  close(a.timer);
  close(a.signals);
  for (size_t i = 0; i < a.results; i++)
    printf("%s: %s, %lld files\n", a.result[i].name, a.result[i].outcome, (long long)a.result[i].files);
  printf("the program was at work %u times meanwhile\n", a.ticks);
  if (signal_number != 0) {
    printf("ended by %s\n", strsignal(signal_number));
    return 128 + signal_number;
  }
  return a.failed ? 1 : 0;
}
