/* Waiters that are not tasks. */
#ifndef LLAMA_CLOUD_LUA_MARK_H
#define LLAMA_CLOUD_LUA_MARK_H

#include "lua_loop.h"

/* Stands for one that waits, is no task, and can leave at any time: to-be-closed where it waits, and
   collected where an event loop drops it. Its uservalues keep what it is linked to: what it waits for, the
   group, and the task. */
typedef struct mark {
  waiter own;     /* of a coroutine in an event loop, of a blocked thread, of an alarm */
  waiter *waiter; /* its own, or that of a task which drives a group */
  lua_loop *loop;
  lua_group *drives; /* NULL: none */
  bool counted;      /* its place's watch counts it */
  bool left;
} mark;

/* Puts a new mark into SLOT_MARK, to be closed. */
mark *lua_mark_enter(lua_State *L, lua_loop *loop);

/* __close and __gc of a mark: takes it out of everything. Idempotent. */
int lua_mark_leave(lua_State *L);

/* Adds to the count of the watch of the place at a stack index, a table; no effect where it has none. The
   stack is left as before. Needs no memory. */
void lua_mark_count(lua_State *L, int place, lua_Integer more);

/* Registers the class. */
void lua_mark_open(lua_State *L);

/* The methods of a loop that are about marks. */
extern const luaL_Reg lua_mark_of_loop[];

#endif
