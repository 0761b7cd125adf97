/* Those who wait and are no tasks: coroutines that event loops have parked, blocked threads, alarms; and what
   Lua sees to when they can go on. */
#include "lua_mark.h"

#define MARK "llama_cloud.mark"

/* ---- places in event loops ---- */

/* As lua_mark.h says. */
void lua_mark_count(lua_State *L, int place, lua_Integer more) {
  if (lua_getfield(L, place, "watch") == LUA_TTABLE) {
    lua_getfield(L, -1, "count");
    lua_pushinteger(L, lua_tointeger(L, -1) + more);
    lua_setfield(L, -3, "count");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Pushes the place of a waiter that Lua is to see to, or nil. */
static int push_place(lua_State *L, const lua_loop *loop, const waiter *w) {
  int type;
  lua_push_kept(L, loop, KEPT_PARKED);
  type = lua_rawgetp(L, -1, w);
  lua_remove(L, -2);
  return type;
}

/* Forgets the place of a waiter. Needs no memory. */
static void forget_place(lua_State *L, const lua_loop *loop, const waiter *w) {
  lua_push_kept(L, loop, KEPT_PARKED);
  if (lua_rawgetp(L, -1, w) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawsetp(L, -3, w);
  }
  lua_pop(L, 2);
}

/* loop:first() -> place | nil: the first of those that Lua is to see to: it wakes what is parked there, or
 * calls an alarm. */
static int loop_first(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  waiter *w;
  while ((w = chain_first(&loop->attended.ready)) != NULL) {
    if (push_place(L, loop, w) == LUA_TTABLE)
      return 1;
    lua_pop(L, 1);
    chain_remove(&w->ready);
  }
  lua_loop_refresh(loop);
  return 0;
}

/* loop:postpone(place): this one could not be seen to: the others come first. */
static int loop_postpone(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  waiter *w = chain_first(&loop->attended.ready);
  if (w == NULL)
    return 0;
  lua_settop(L, 2);
  push_place(L, loop, w);
  if (lua_rawequal(L, 2, 3)) {
    chain_remove(&w->ready);
    chain_append(&loop->attended.ready, &w->ready);
  }
  return 0;
}

/* loop:pass(place): this one has been seen to. Until then `first` names it again. */
static int loop_pass(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  waiter *w = chain_first(&loop->attended.ready);
  if (w == NULL)
    return 0;
  lua_settop(L, 2);
  push_place(L, loop, w);
  if (!lua_rawequal(L, 2, 3))
    return 0; /* what was called has seen to it itself */
  mark *m = (mark *)(void *)w;
  chain_remove(&w->ready);
  if (m->counted) {
    m->counted = false;
    lua_mark_count(L, 3, -1);
  }
  forget_place(L, loop, w);
  return 0;
}

/* ---- marks ---- */

/* Pushes a mark that waits for nothing. */
static mark *push_mark(lua_State *L, lua_loop *loop) {
  mark *m = lua_newuserdatauv(L, sizeof *m, 3);
  *m = (mark){.loop = loop};
  waiter_init(&m->own, &loop->attended);
  m->waiter = &m->own;
  luaL_setmetatable(L, MARK);
  return m;
}

/* __close and __gc of a mark: takes it out of everything. Idempotent. Its place's watch ends with the last
   that it counts; the root is driven by somebody else. */
int lua_mark_leave(lua_State *L) {
  mark *m = luaL_checkudata(L, 1, MARK);
  lua_loop *loop = m->loop;
  bool counted = m->counted;
  if (m->left)
    return 0;
  m->left = true;
  m->counted = false;
  if (m->drives != NULL)
    run_queue_readmit(&m->drives->queue, &m->drives->later); /* for the next driver */
  if (m->waiter == &m->own)
    waiter_leave(m->waiter);
  else
    waiter_resign(m->waiter);
  lua_loop_refresh(loop);
  if (push_place(L, loop, &m->own) == LUA_TTABLE) {
    int place = lua_gettop(L);
    if (counted)
      lua_mark_count(L, place, -1);
    forget_place(L, loop, &m->own);
    lua_push_kept(L, loop, KEPT_UNWATCH);
    lua_getfield(L, place, "watch");
    lua_call(L, 1, 0);
  }
  if (m->drives == loop->root && m->drives != NULL && m->drives->live > 0 &&
      m->drives->queue.drivers.first == NULL) {
    lua_push_kept(L, loop, KEPT_ROOT_LEFT);
    lua_call(L, 0, 0);
  }
  return 0;
}

/* Puts a mark into SLOT_MARK, to be closed. */
mark *lua_mark_enter(lua_State *L, lua_loop *loop) {
  mark *m = push_mark(L, loop);
  lua_pushvalue(L, SLOT_WHAT);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, SLOT_GROUP);
  lua_setiuservalue(L, -2, 2);
  lua_replace(L, SLOT_MARK);
  lua_toclose(L, SLOT_MARK);
  return m;
}

/* loop:alarm(timer, f) -> alarm: has f called when the timer has ended, from whatever dispatches then. f does
   bookkeeping: it may end tokens, but never waits, and runs nothing of the application's. alarm:close() drops
   it; alarm:done() tells whether it has been called, or will be at once. */
static int loop_alarm(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  token_handle *timer = lua_check_token(L, 2);
  mark *m;
  lua_settop(L, 3);
  m = push_mark(L, loop);
  lua_push_kept(L, loop, KEPT_PARKED);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "call");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "timer");
  lua_pushvalue(L, 4);
  lua_setfield(L, -2, "mark");
  lua_rawsetp(L, 5, &m->own);
  lua_settop(L, 4);
  if (lua_token_has_ended(timer))
    waiter_wake(&m->own);
  else
    waiter_wait(&m->own, token_end(timer->token));
  lua_loop_refresh(loop);
  return 1;
}

/* alarm:close(): the alarm is not called, and its timer is over. Idempotent. */
static int alarm_close(lua_State *L) {
  const mark *m = luaL_checkudata(L, 1, MARK);
  lua_settop(L, 1);
  if (push_place(L, m->loop, &m->own) == LUA_TTABLE) {
    lua_mark_leave(L);
    lua_settop(L, 2);
    if (lua_getfield(L, 2, "timer") == LUA_TUSERDATA) {
      lua_getfield(L, 3, "close");
      lua_insert(L, 3);
      lua_call(L, 1, 0);
    }
  }
  return 0;
}

static int alarm_done(lua_State *L) {
  const mark *m = luaL_checkudata(L, 1, MARK);
  lua_pushboolean(L, m->own.waits.in == NULL);
  return 1;
}

/* ---- registration ---- */

const luaL_Reg lua_mark_of_loop[] = {{"alarm", loop_alarm},
                                     {"first", loop_first},
                                     {"pass", loop_pass},
                                     {"postpone", loop_postpone},
                                     {NULL, NULL}};

static const luaL_Reg mark_methods[] = {{"close", alarm_close}, {"done", alarm_done}, {NULL, NULL}};

static const luaL_Reg mark_metamethods[] = {
    {"__close", lua_mark_leave}, {"__gc", lua_mark_leave}, {NULL, NULL}};

void lua_mark_open(lua_State *L) {
  static const luaL_Reg *const methods[] = {mark_methods, NULL};
  lua_make_class(L, MARK, mark_metamethods, methods);
}
