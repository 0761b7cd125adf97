/* A Lua module for specs of what happens after fork(2), which Lua itself does not have. */

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

__attribute__((visibility("default"))) int luaopen_fork(lua_State *L);

/* fork.fork() -> pid of the child; 0 in the child. Raises where there can be none. */
static int fork_fork(lua_State *L) {
  fflush(NULL); /* or both would write it */
  pid_t pid = fork();
  if (pid < 0)
    return luaL_error(L, "fork failed");
  lua_pushinteger(L, pid);
  return 1;
}

/* fork.wait(pid) -> status, signal: its exit status, or nil and the signal that ended it. */
static int fork_wait(lua_State *L) {
  int status;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0)
    return luaL_error(L, "waitpid failed");
  if (WIFEXITED(status)) {
    lua_pushinteger(L, WEXITSTATUS(status));
    return 1;
  }
  lua_pushnil(L);
  lua_pushinteger(L, WTERMSIG(status));
  return 2;
}

/* fork.exit(status): ends this process at once: nothing of the parent's is finalized or flushed. */
static int fork_exit(lua_State *L) { _exit((int)luaL_checkinteger(L, 1)); }

int luaopen_fork(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"fork", fork_fork}, {"wait", fork_wait}, {"exit", fork_exit}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
