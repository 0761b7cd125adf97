/* To be preloaded: makes the n-th allocation, the n-th socket that epoll is to watch, or the n-th ftruncate
   fail, the n-th close, fsync or fdatasync say that what was written is lost, or somebody remove the file
   before the n-th flock. As a Lua module of the same file it is told which. */

#define _GNU_SOURCE /* RTLD_NEXT */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int luaopen_failing(lua_State *L);

static long allocations_left = LONG_MAX;
static long watches_left = LONG_MAX;
static long closes_left = LONG_MAX;
static long syncs_left = LONG_MAX;
static long truncations_left = LONG_MAX;
static long locks_left = LONG_MAX;

/* Whether this one fails. Only the one does. */
static int fails(long *left) { return *left != LONG_MAX && --*left == 0; }

/* The function of that name which this library stands before. */
static void next(const char *name, void *function) {
  void *symbol = dlsym(RTLD_NEXT, name);
  memcpy(function, &symbol, sizeof symbol);
}

EXPORTED void *malloc(size_t size) {
  static void *(*original)(size_t);
  if (!original)
    next("malloc", &original);
  if (!fails(&allocations_left))
    return original(size);
  errno = ENOMEM;
  return NULL;
}

EXPORTED void *calloc(size_t count, size_t size) {
  static void *(*original)(size_t, size_t);
  if (!original)
    next("calloc", &original);
  if (!fails(&allocations_left))
    return original(count, size);
  errno = ENOMEM;
  return NULL;
}

EXPORTED void *realloc(void *block, size_t size) {
  static void *(*original)(void *, size_t);
  if (!original)
    next("realloc", &original);
  if (!fails(&allocations_left))
    return original(block, size);
  errno = ENOMEM;
  return NULL;
}

EXPORTED int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  static int (*original)(int, int, int, struct epoll_event *);
  if (!original)
    next("epoll_ctl", &original);
  if (operation != EPOLL_CTL_ADD || !fails(&watches_left))
    return original(epoll, operation, fd, event);
  errno = ENOSPC;
  return -1;
}

EXPORTED int close(int fd) {
  static int (*original)(int);
  int result;
  if (!original)
    next("close", &original);
  result = original(fd);
  if (!fails(&closes_left))
    return result;
  errno = EIO;
  return -1;
}

EXPORTED int fdatasync(int fd) {
  static int (*original)(int);
  if (!original)
    next("fdatasync", &original);
  if (!fails(&syncs_left))
    return original(fd);
  errno = EIO;
  return -1;
}

EXPORTED int fsync(int fd) {
  static int (*original)(int);
  if (!original)
    next("fsync", &original);
  if (!fails(&syncs_left))
    return original(fd);
  errno = EIO;
  return -1;
}

EXPORTED int ftruncate(int fd, off_t size) {
  static int (*original)(int, off_t);
  if (!original)
    next("ftruncate64", &original); /* as the core is compiled; with 64 bits it is the same */
  if (!fails(&truncations_left))
    return original(fd, size);
  errno = EIO;
  return -1;
}

EXPORTED int flock(int fd, int operation) {
  static int (*original)(int, int);
  char link[64], path[PATH_MAX];
  ssize_t length;
  if (!original)
    next("flock", &original);
  if (fails(&locks_left)) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    unlink(path);
  }
  return original(fd, operation);
}

/* failing.allocation(n): from now on the n-th one; nil: none. Returns how many the last count had left, or
   nil if it was reached. */
static int failing_allocation(lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 1, LONG_MAX);
  long left = allocations_left;
  allocations_left = LONG_MAX;
  if (left > 0 && left != LONG_MAX)
    lua_pushinteger(L, left);
  else
    lua_pushnil(L);
  allocations_left = (long)n;
  return 1;
}

/* failing.watch(n): the n-th socket from now on. */
static int failing_watch(lua_State *L) {
  watches_left = (long)luaL_checkinteger(L, 1);
  return 0;
}

/* failing.close(n): the n-th one from now on. */
static int failing_close(lua_State *L) {
  closes_left = (long)luaL_checkinteger(L, 1);
  return 0;
}

/* failing.sync(n): the n-th fsync or fdatasync from now on. */
static int failing_sync(lua_State *L) {
  syncs_left = (long)luaL_checkinteger(L, 1);
  return 0;
}

/* failing.truncate(n): the n-th ftruncate from now on. */
static int failing_truncate(lua_State *L) {
  truncations_left = (long)luaL_checkinteger(L, 1);
  return 0;
}

/* failing.lock(n): before the n-th flock from now on its file is removed. */
static int failing_lock(lua_State *L) {
  locks_left = (long)luaL_checkinteger(L, 1);
  return 0;
}

int luaopen_failing(lua_State *L) {
  static const luaL_Reg functions[] = {{"allocation", failing_allocation},
                                       {"watch", failing_watch},
                                       {"close", failing_close},
                                       {"sync", failing_sync},
                                       {"truncate", failing_truncate},
                                       {"lock", failing_lock},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
