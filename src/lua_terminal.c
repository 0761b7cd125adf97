/* What the command line asks of open files: whether one is a terminal, and who may read one. */
#include "lua_core.h"

#include <stdio.h>
#include <string.h>

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The descriptor of the open file of Lua's io library at an index. Raises for anything else, and for a closed
   one. */
static int descriptor_of(lua_State *L, int index) {
  luaL_Stream *stream = luaL_checkudata(L, index, LUA_FILEHANDLE);
  luaL_argcheck(L, stream->closef != NULL, index, "the file is closed");
  return fileno(stream->f);
}

/* core.terminal(file) -> integer | nil: how many columns the terminal has that a file is, 0 where it does not
   say. Nil for what is no terminal. */
static int core_terminal(lua_State *L) {
  int descriptor = descriptor_of(L, 1);
  struct winsize size;
  if (!isatty(descriptor)) {
    lua_pushnil(L);
    return 1;
  }
  memset(&size, 0, sizeof size);
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0)
    size.ws_col = 0;
  lua_pushinteger(L, size.ws_col);
  return 1;
}

/* core.mode(file) -> integer | nil, message: the permission bits of an open file. */
static int core_mode(lua_State *L) {
  struct stat status;
  if (fstat(descriptor_of(L, 1), &status) != 0) {
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
  }
  lua_pushinteger(L, (lua_Integer)(status.st_mode & 07777));
  return 1;
}

void lua_terminal_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"mode", core_mode}, {"terminal", core_terminal}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
