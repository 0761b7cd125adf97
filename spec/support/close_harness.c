/* Closes a Lua state while something is under way in it:

     close_harness chunk.lua [argument …]

   Runs the chunk as a coroutine that yields at each of its steps, in a fresh state each time: goes on with it
   0, 1, 2, … times and then closes the state, until the chunk ends before that. Each number of steps is tried
   twice, with and without a collection of garbage before. The chunk gets the arguments as `...`, and finds
   modules as any program does (LUA_PATH, LUA_CPATH). It must end well; what is left when the state is closed,
   in memory and in descriptors, is looked at here and by the leak checker that this runs under. */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* A run that takes so many seconds hangs, and a chunk with so many steps never ends. */
enum { MOST_SECONDS = 120, MOST_STEPS = 10000 };

/* How many descriptors this process has open; -1 where that cannot be told. */
static int count_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL)
    return -1;
  while (readdir(directory) != NULL)
    count++;
  closedir(directory);
  return count;
}

typedef enum outcome { CLOSED, ENDED, FAILED } outcome;

/* Runs the chunk for so many steps, and closes the state. */
static outcome run(char **argv, int argc, int steps, bool collect) {
  outcome result = CLOSED;
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return FAILED;
  luaL_openlibs(L);
  lua_State *co = lua_newthread(L);
  int status = luaL_loadfile(co, argv[0]);
  int given = argc - 1;
  for (int i = 1; i < argc; i++)
    lua_pushstring(co, argv[i]);
  for (int i = 0; status == LUA_OK && i < steps; i++) {
    int yielded;
    status = lua_resume(co, L, given, &yielded);
    if (status == LUA_YIELD) {
      lua_pop(co, yielded);
      status = LUA_OK;
      given = 0;
    } else {
      result = status == LUA_OK ? ENDED : FAILED;
      break;
    }
  }
  if (status != LUA_OK) {
    fprintf(stderr, "after %d steps: %s\n", steps, luaL_tolstring(co, -1, NULL));
    result = FAILED;
  } else if (collect) {
    lua_gc(L, LUA_GCCOLLECT);
  }
  lua_close(L);
  return result;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("usage: close_harness chunk.lua [argument ...]\n", stderr);
    return 2;
  }
  int descriptors = -1;
  for (int steps = 0; steps < MOST_STEPS; steps++) {
    outcome result = CLOSED;
    for (int collect = 0; collect <= 1 && result != FAILED; collect++) {
      alarm(MOST_SECONDS);
      result = run(argv + 1, argc - 1, steps, collect);
      alarm(0);
    }
    int open = count_descriptors();
    if (descriptors >= 0 && open > descriptors) {
      fprintf(stderr, "after %d steps: %d descriptors are open, and there were %d\n", steps, open,
              descriptors);
      result = FAILED;
    }
    descriptors = open;
    if (result == FAILED)
      return 1;
    if (result == ENDED) {
      printf("ok: closed after each of %d steps\n", steps);
      return 0;
    }
  }
  fprintf(stderr, "no end within %d steps\n", MOST_STEPS);
  return 1;
}
