/* Runs a script that somebody else has written, with limits for its time and its memory, and with nothing to
   call but what it is given:

     limits SECONDS MEGABYTES HOST_SCRIPT SCRIPT

   HOST_SCRIPT (limits.lua) is the program's own: it gets the seconds, has all libraries and the client, and
   returns the table of what SCRIPT sees as its globals. There are three limits:

   - A count hook raises when the time is over. It sees Lua's instructions only: not a C function that
   computes for long, such as string.find with a malicious pattern. And Lua calls no hooks in finalizers, nor
   in the message handler of an error that a hook has raised: SCRIPT can make neither.
   - The allocator refuses more memory than the script may have. Lua raises "not enough memory".
   - The system ends the process if it computes for much longer than allowed: for what the hook does not see.
 */

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { HOOK_COUNT = 1000 };

typedef struct limits {
  double seconds;
  double deadline; /* by CLOCK_MONOTONIC; infinite before SCRIPT begins */
  size_t memory;   /* bytes that the state may have, */
  size_t used;     /* and has */
} limits;

/* What a clock says, in seconds. */
static double now(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The state's lua_Alloc. Less memory is never refused, as Lua demands. Before Lua gives up it collects its
   garbage and asks again. */
static void *allocate(void *data, void *block, size_t old_size, size_t new_size) {
  limits *l = data;
  if (block == NULL)
    old_size = 0; /* then it tells the type of the new object */
  if (new_size == 0) {
    free(block);
    l->used -= old_size;
    return NULL;
  }
  if (new_size > old_size && new_size - old_size > l->memory - l->used)
    return NULL;
  void *moved = realloc(block, new_size);
  if (moved != NULL)
    l->used = l->used - old_size + new_size;
  return moved;
}

/* The count hook of the main coroutine, and of all others, as each inherits it from the one that makes it.
   When the time is over it strikes at every instruction, or a loop around pcall would go on for ever. */
static void count_hook(lua_State *L, lua_Debug *record) {
  void *data;
  (void)record;
  lua_getallocf(L, &data);
  const limits *l = data;
  if (now(CLOCK_MONOTONIC) > l->deadline) {
    lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "the time limit of %f seconds is over", l->seconds);
  }
}

static int with_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* Begins the limits of time. The system counts in whole seconds, and is to come second. */
static bool begin(limits *l) {
  const rlim_t processor = (rlim_t)(now(CLOCK_PROCESS_CPUTIME_ID) + l->seconds + 0.5) + 1;
  const struct rlimit limit = {.rlim_cur = processor, .rlim_max = processor + 1};
  l->deadline = now(CLOCK_MONOTONIC) + l->seconds;
  return setrlimit(RLIMIT_CPU, &limit) == 0;
}

/* Runs HOST_SCRIPT and then SCRIPT, argv[3] and argv[4]. */
static int run(lua_State *L) {
  limits *l = lua_touserdata(L, 1);
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  if (luaL_loadfile(L, argv[3]) != LUA_OK)
    return lua_error(L);
  lua_pushnumber(L, l->seconds);
  lua_call(L, 1, 1); /* -> globals */
  luaL_checktype(L, -1, LUA_TTABLE);
  /* As text: bytecode can do anything to the process. */
  if (luaL_loadfilex(L, argv[4], "t") != LUA_OK)
    return lua_error(L);
  lua_insert(L, -2);
  lua_setupvalue(L, -2, 1); /* _ENV */
  if (!begin(l))
    return luaL_error(L, "the time of this process cannot be limited");
  lua_call(L, 0, 0);
  return 0;
}

/* A positive number from the command line; 0 if it is none, or too large to be meant. */
static double number(const char *text) {
  char *end;
  double value = strtod(text, &end);
  return *end == '\0' && value > 0 && value < 1e6 ? value : 0;
}

int main(int argc, char **argv) {
  static limits l;
  int status = LUA_ERRMEM;
  l.seconds = argc == 5 ? number(argv[1]) : 0;
  double megabytes = argc == 5 ? number(argv[2]) : 0;
  if (l.seconds == 0 || megabytes == 0) {
    fputs("usage: limits SECONDS MEGABYTES HOST_SCRIPT SCRIPT\n", stderr);
    return 2;
  }
  l.memory = (size_t)(megabytes * 1e6);
  l.deadline = HUGE_VAL;
#if LUA_VERSION_NUM >= 505
  lua_State *L = lua_newstate(allocate, &l, luaL_makeseed(NULL));
#else
  lua_State *L = lua_newstate(allocate, &l);
#endif
  if (L != NULL) {
    lua_sethook(L, count_hook, LUA_MASKCOUNT, HOOK_COUNT); /* before any coroutine is made */
    lua_pushcfunction(L, with_traceback);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &l);
    lua_pushlightuserdata(L, argv);
    status = lua_pcall(L, 2, 0, 1);
    if (status != LUA_OK)
      fprintf(stderr, "limits: %s\n", lua_tostring(L, -1) != NULL ? lua_tostring(L, -1) : "an error object");
    lua_sethook(L, NULL, 0, 0); /* the client's finalizers are not the script's */
    lua_close(L);
  }
  if (l.used != 0)
    abort(); /* Lua has given all of it back */
  return status == LUA_OK ? 0 : 1;
}
