/* What the machine and the system tell: the clocks, the process, random bytes, names. */
#include "lua_core.h"

#include "poller.h"
#include "random.h"
#include "transport.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* core.process() -> integer: another one in a forked process than in its parent, once a transport was made.
 */
static int core_process(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)transport_process());
  return 1;
}

/* core.now() -> number: seconds of the monotonic clock. */
static int core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)poller_now() / 1e9);
  return 1;
}

/* core.time() -> integer: seconds since the epoch, also where the application has taken away Lua's `os`. */
static int core_time(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)time(NULL));
  return 1;
}

/* The machine's name as the official SDKs report it in X-Stainless-Arch. */
#if defined(__x86_64__)
#define ARCHITECTURE "x64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#elif defined(__arm__)
#define ARCHITECTURE "arm"
#elif defined(__i386__)
#define ARCHITECTURE "x32"
#else
#define ARCHITECTURE "unknown"
#endif

/* core.random(n) -> string: n random bytes, fit for ids that nobody else may ever make. Raises for another n
   than 0 to 1024, and where the system has none. */
static int core_random(lua_State *L) {
  char bytes[1024];
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= (lua_Integer)sizeof bytes, 1, "from 0 to 1024");
  if (!random_bytes(bytes, (size_t)n))
    return luaL_error(L, "the system has no random bytes: %s", strerror(errno));
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

void lua_machine_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"now", core_now},
                                       {"process", core_process},
                                       {"random", core_random},
                                       {"time", core_time},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushfstring(L, "libcurl/%s", transport_version());
  lua_setfield(L, -2, "curl_version");
  lua_pushliteral(L, ARCHITECTURE);
  lua_setfield(L, -2, "architecture");
}
