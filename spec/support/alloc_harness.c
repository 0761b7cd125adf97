/* Runs a Lua chunk under an allocator that fails at the n-th allocation, for n = 1, 2, 3, … until a run meets
   no failure:

     alloc_harness [-core | -curl] chunk.lua [argument …]

   It is Lua's allocations that fail, or, with a core that was linked with malloc_shim.c, those of the core's
   own code or of libcurl.

   Each n is tried twice, in a fresh state each time: with that one allocation failing, so that everything
   after it finds a state from which one step is missing; and with every allocation failing from there on
   until the chunk has ended. Lua answers a failure by a full collection and a second try, so "one allocation"
   is both tries.

   A run must end well or with an error about memory, and give back all memory of its state. The last run,
   without a failure, must end well: so a chunk checks its results with assert. What the chunk must not do is
   hide errors of memory as something else; only what libcurl makes of one may be called anything. If it sets
   the global function `afterwards`, that is called after the run, whatever came of it, when nothing fails any
   more, and must end well: one failure must not spoil what comes later. All
   blocks of the core must have been given back in the end, and libcurl's must not become more from run to
   run; other memory is for a leak checker to look after. The chunk gets its arguments as `...` and `arg`, and
   finds modules as any program does (LUA_PATH, LUA_CPATH). Where only a part of it is to meet failures, it
   calls the global function `failing(false)` before and `failing(true)` at the part's begin. */

#include "malloc_shim.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* A chunk that needs more allocations than this is too large for the purpose: the time grows with their
 * square. */
#define MOST_ALLOCATIONS 1000000L

/* A run that takes so many seconds hangs. */
#define MOST_SECONDS 120

typedef enum failing { FAIL_ONCE, FAIL_ON } failing;

/* What the allocator of one state knows. */
typedef struct pool {
  allocator who; /* whose allocations fail */
  failing mode;
  bool armed;     /* failures happen only while the chunk runs */
  bool failed;    /* one has happened */
  bool retry_due; /* FAIL_ONCE: the next request, if it is the same, is Lua's second try */
  void *block;    /* that request */
  size_t size;
  long count;   /* requests for more memory so far */
  long fail_at; /* the one that fails */
  size_t outstanding;
} pool;

typedef struct program {
  const char *path;
  int argc;
  char **argv;
} program;

/* The pool of the current run, for the shim to find, and how many blocks each allocator has out. libcurl
 * resolves names in threads of its own, and IP addresses, too, when it has no memory to parse them. A pool
 * belongs to one thread, so no allocation of those threads fails; but their blocks count. */
static _Thread_local pool *current;
static atomic_long blocks[ALLOCATORS];

typedef enum outcome { RAN_WELL, RAN_OUT_OF_MEMORY, RAN_WRONG } outcome;

/* Decides whether this request for more memory fails. */
static bool fails(pool *p, void *block, size_t size) {
  if (!p->armed)
    return false;
  if (p->retry_due) {
    p->retry_due = false;
    if (block == p->block && size == p->size)
      return true;
  }
  p->count++;
  if (p->mode == FAIL_ON && p->failed)
    return true;
  if (p->count != p->fail_at)
    return false;
  p->failed = true;
  p->retry_due = p->mode == FAIL_ONCE && p->who == ALLOCATOR_LUA;
  p->block = block;
  p->size = size;
  return true;
}

__attribute__((visibility("default"))) bool alloc_harness_fails(allocator who) {
  return current != NULL && current->who == who && fails(current, NULL, 0);
}

__attribute__((visibility("default"))) void alloc_harness_count(allocator who, int change) {
  blocks[who] += change;
}

/* The state's lua_Alloc. Lua counts on it that a block can shrink. */
static void *allocate(void *data, void *block, size_t old_size, size_t new_size) {
  pool *p = data;
  if (!block)
    old_size = 0; /* then it is the type of the new object */
  if (new_size == 0) {
    free(block);
    p->outstanding -= old_size;
    return NULL;
  }
  if (new_size > old_size && p->who == ALLOCATOR_LUA && fails(p, block, new_size))
    return NULL;
  void *moved = realloc(block, new_size);
  if (!moved)
    return NULL;
  p->outstanding = p->outstanding - old_size + new_size;
  return moved;
}

/* The chunk's `failing(on)`: whether allocations may fail from here on. */
static int set_failing(lua_State *L) {
  pool *p = lua_touserdata(L, lua_upvalueindex(1));
  p->armed = lua_toboolean(L, 1);
  return 0;
}

/* Loads the libraries and the chunk and runs it. Gets a program and a pool as light userdata. */
static int run_protected(lua_State *L) {
  const program *run = lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, set_failing, 1);
  lua_setglobal(L, "failing");
  lua_createtable(L, run->argc, 1);
  lua_pushstring(L, run->path);
  lua_rawseti(L, -2, 0);
  for (int i = 0; i < run->argc; i++) {
    lua_pushstring(L, run->argv[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
  if (luaL_loadfile(L, run->path) != LUA_OK)
    return lua_error(L);
  luaL_checkstack(L, run->argc, "too many arguments");
  for (int i = 0; i < run->argc; i++)
    lua_pushstring(L, run->argv[i]);
  lua_call(L, run->argc, 0);
  return 0;
}

/* Turns the error value at index 1 into a string, which may call metamethods. */
static int describe(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Whether a message is about memory. lua_checkstack does not tell that from an overflow of Lua's stack. */
static bool about_memory(const char *message) {
  return strstr(message, "not enough memory") || strstr(message, "stack overflow") ||
         strstr(message, "out of memory") || strstr(message, "no memory");
}

/* Collects all garbage and with it runs finalizers, which is where a broken state would show. */
static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

/* Says how the chunk ended; its error value, if `status` is one, is on top of the stack. Says on stderr what
 * went wrong. */
static outcome judge(lua_State *L, pool *p, int status) {
  if (status == LUA_OK)
    return RAN_WELL;
  lua_pushcfunction(L, describe);
  lua_insert(L, -2);
  lua_pcall(L, 1, 1, 0);
  const char *message =
      lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that cannot be described";
  if (p->failed && (status == LUA_ERRMEM || p->who == ALLOCATOR_CURL || about_memory(message)))
    return RAN_OUT_OF_MEMORY;
  fprintf(stderr, "allocation %ld: %s\n", p->fail_at, message);
  return RAN_WRONG;
}

/* Calls the chunk's `afterwards`, if it has set one. */
static bool goes_on(lua_State *L, const pool *p) {
  lua_settop(L, 0);
  if (lua_getglobal(L, "afterwards") != LUA_TFUNCTION || lua_pcall(L, 0, 0, 0) == LUA_OK)
    return true;
  fprintf(stderr, "after a failure at allocation %ld: %s\n", p->fail_at, luaL_tolstring(L, -1, NULL));
  return false;
}

/* Whether the core has given all back, and no more of libcurl's is out than after the first run. Waits up to
 * ten seconds for the threads that libcurl has left behind, which still hold some. */
static bool is_balanced(const pool *p) {
  static long curl_blocks = -1;
  const struct timespec millisecond = {.tv_nsec = 1000000};
  for (int waited = 0; curl_blocks >= 0 && blocks[ALLOCATOR_CURL] > curl_blocks && waited < 10000; waited++)
    nanosleep(&millisecond, NULL);
  if (curl_blocks < 0 || blocks[ALLOCATOR_CURL] < curl_blocks)
    curl_blocks = blocks[ALLOCATOR_CURL];
  if (blocks[ALLOCATOR_CORE] == 0 && blocks[ALLOCATOR_CURL] == curl_blocks)
    return true;
  fprintf(stderr, "allocation %ld: blocks not given back: %ld of the core's, %ld of libcurl's\n", p->fail_at,
          blocks[ALLOCATOR_CORE], blocks[ALLOCATOR_CURL] - curl_blocks);
  return false;
}

/* Runs the chunk once in a state of its own. */
static outcome run_once(const program *run, pool *p) {
  outcome result = RAN_OUT_OF_MEMORY;
  p->armed = true;
  current = p;
  alarm(MOST_SECONDS);
#if LUA_VERSION_NUM >= 505
  lua_State *L = lua_newstate(allocate, p, 0);
#else
  lua_State *L = lua_newstate(allocate, p);
#endif
  if (L) {
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, (void *)(uintptr_t)run);
    lua_pushlightuserdata(L, p);
    int status = lua_pcall(L, 2, 0, 0);
    p->armed = false;
    result = judge(L, p, status);
    if (!goes_on(L, p))
      result = RAN_WRONG;
    lua_settop(L, 0);
    lua_pushcfunction(L, collect);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
      fprintf(stderr, "allocation %ld: the collection afterwards failed\n", p->fail_at);
      result = RAN_WRONG;
    }
    lua_close(L);
  } else if (!p->failed) {
    fprintf(stderr, "cannot create a Lua state\n");
    result = RAN_WRONG;
  }
  if (p->outstanding != 0) {
    fprintf(stderr, "allocation %ld: %zu bytes not given back\n", p->fail_at, p->outstanding);
    result = RAN_WRONG;
  }
  alarm(0);
  current = NULL;
  return is_balanced(p) ? result : RAN_WRONG;
}

int main(int argc, char **argv) {
  allocator who = ALLOCATOR_LUA;
  if (argc > 1 && (strcmp(argv[1], "-core") == 0 || strcmp(argv[1], "-curl") == 0)) {
    who = strcmp(argv[1], "-core") == 0 ? ALLOCATOR_CORE : ALLOCATOR_CURL;
    argc--;
    argv++;
  }
  if (argc < 2) {
    fputs("usage: alloc_harness [-core | -curl] chunk.lua [argument ...]\n", stderr);
    return 2;
  }
  const program run = {.path = argv[1], .argc = argc - 2, .argv = argv + 2};
  bool all_well = true;
  for (long n = 1; n <= MOST_ALLOCATIONS; n++) {
    bool reached = false;
    for (int mode = FAIL_ONCE; mode <= FAIL_ON; mode++) {
      pool p = {.who = who, .mode = (failing)mode, .fail_at = n};
      outcome result = run_once(&run, &p);
      reached = reached || p.failed;
      all_well = all_well && result != RAN_WRONG;
    }
    if (!all_well)
      return 1;
    if (!reached) {
      printf("ok: %ld allocation points\n", n - 1);
      return 0;
    }
  }
  fprintf(stderr, "no run without a failure in %ld allocations\n", MOST_ALLOCATIONS);
  return 1;
}
