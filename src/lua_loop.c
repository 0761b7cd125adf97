/* Waiting in Lua: a coroutine is suspended where it lives, as a task of a group, in somebody's event loop, or
   in a generator whose caller waits in its place; where none of this can be, the thread is blocked. */
#include "lua_loop.h"
#include "lua_mark.h"

#include "poller.h"

#include <math.h>

#define LOOP "llama_cloud.loop"

/* Nanoseconds after which tasks that never wait let whoever drives them wait, so that requests and an event
   loop's other coroutines get their turn. */
#define SLICE 5000000

void lua_push_kept(lua_State *L, const lua_loop *loop, int which) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, loop);
  lua_rawgeti(L, -1, which);
  lua_remove(L, -2);
}

lua_loop *lua_check_loop(lua_State *L, int index) { return luaL_checkudata(L, index, LOOP); }

void lua_loop_refresh(const lua_loop *loop) {
  if (loop->transport->transport != NULL)
    transport_refresh(loop->transport->transport);
}

/* Steps the transport, and lets Lua see to what has become ready of event loops and alarms. May raise what
 * they raise. */
static void dispatch(lua_State *L, lua_loop *loop) {
  if (loop->transport->transport != NULL) {
    transport *t = lua_open_transport(L, loop->transport);
    transport_step(t);
    while (transport_next(t) != NULL) {
      /* nobody has waited for it */
    }
  }
  if (run_queue_is_ready(&loop->attended) || lua_is_stranded(loop)) {
    lua_push_kept(L, loop, KEPT_ATTEND);
    lua_call(L, 0, 0);
  }
}

/* ---- waiting ---- */

int lua_drive(lua_State *L) {
  lua_loop *loop = lua_touserdata(L, SLOT_LOOP);
  lua_group *group = lua_touserdata(L, SLOT_GROUP);
  mark *m = lua_touserdata(L, SLOT_MARK);
  lua_task *task;
  if (m != NULL && m->drives != NULL)
    return 0;
  if (lua_is_inside(loop, group))
    return WAIT_INSIDE;
  if (m == NULL)
    m = lua_mark_enter(L, loop);
  task = lua_task_of(L, loop);
  m->drives = group;
  if (task != NULL && lua_isyieldable(L)) {
    lua_push_kept(L, loop, KEPT_TASKS);
    lua_pushthread(L);
    lua_rawget(L, -2);
    lua_setiuservalue(L, SLOT_MARK, 3);
    lua_pop(L, 1);
    m->waiter = &task->waiter;
  }
  waiter_drive(m->waiter, &group->queue);
  return 0;
}

/* Whether what is waited for has come. A function in SLOT_DONE may raise. */
static bool has_ended(lua_State *L, int how) {
  const void *what = lua_touserdata(L, SLOT_WHAT);
  const lua_group *group = what;
  switch (how & WAIT_KIND) {
  case WAIT_FOR_TOKEN:
    return lua_token_has_ended(what);
  case WAIT_FOR_TASK:
    return ((const lua_task *)what)->state != TASK_PENDING;
  default:
    if (!lua_isnil(L, SLOT_DONE)) {
      bool done;
      lua_pushvalue(L, SLOT_DONE);
      lua_call(L, 0, 1);
      done = lua_toboolean(L, -1);
      lua_pop(L, 1);
      return done;
    }
    return group->live == 0 || (group == group->loop->root && group->failed.first != NULL);
  }
}

/* The event that it waits for; there is one, as it has not ended. */
static event *event_of(lua_State *L, int how) {
  void *what = lua_touserdata(L, SLOT_WHAT);
  switch (how & WAIT_KIND) {
  case WAIT_FOR_TOKEN:
    return token_end(((token_handle *)what)->token);
  case WAIT_FOR_TASK:
    return &((lua_task *)what)->end;
  default:
    return &((lua_group *)what)->news;
  }
}

/* Makes a waiter wait; one that drives a group in which something is still ready goes on after the others. */
static void wait_or_go_on(lua_State *L, waiter *w, const lua_group *group, int how) {
  if ((how & WAIT_LATER) != 0 || (group != NULL && w->drives.in != NULL && run_queue_is_ready(&group->queue)))
    waiter_wake(w);
  else
    waiter_wait(w, event_of(L, how));
}

/* Blocks the thread until what is waited for has come, or the group can be driven. What ends meanwhile makes
   its waiters ready, who run when their event loops get control. A signal lets Lua run, so that a hook set by
   its handler is called. Outside of all tasks, those of the group `aside` go on meanwhile; false: see
   lua_group_turn. */
static bool block(lua_State *L, lua_loop *loop, lua_group *group, int how) {
  for (;;) {
    transport *t;
    lua_open_transport(L, loop->transport); /* there is something to block in from now on */
    dispatch(L, loop);
    if (has_ended(L, how))
      return true;
    if (group != NULL) {
      run_queue_readmit(&group->queue, &group->later); /* tasks that yield by themselves can always go on */
      if (run_queue_is_ready(&group->queue))
        return true;
    }
    if (loop->current == NULL && run_queue_is_ready(&loop->aside->queue)) {
      lua_push_kept(L, loop, KEPT_ASIDE);
      if (!lua_group_turn(L, lua_gettop(L), poller_now() + SLICE))
        return false;
      lua_pop(L, 1);
      continue;
    }
    t = lua_open_transport(L, loop->transport);
    if (transport_pending(t) == 0 && !run_queue_is_ready(&loop->attended)) {
      lua_pushliteral(L, "deadlock: every task waits for another, and no request or timer is under way");
      lua_error(L);
    }
    if (transport_block(t) < 0) {
      lua_push_kept(L, loop, KEPT_ATTEND);
      lua_call(L, 0, 0);
    }
  }
}

static int go_on(lua_State *L, int status, lua_KContext context);

/* Raises the error on top of the stack. Whoever waited waits no more, at once: an event loop may drop a
   coroutine that an error has ended without closing it, and a driver that is gone would be woken in vain. */
static int leave_with_error(lua_State *L) {
  if (!lua_isnil(L, SLOT_MARK)) {
    lua_pushcfunction(L, lua_mark_leave);
    lua_pushvalue(L, SLOT_MARK);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
      lua_pop(L, 1);
  }
  return lua_error(L);
}

/* Parks the coroutine in the event loop of the place on top of the stack. */
static int park_in_host(lua_State *L, lua_loop *loop, const lua_group *group, int how) {
  mark *m;
  lua_replace(L, SLOT_PLACE);
  m = lua_touserdata(L, SLOT_MARK);
  if (m == NULL)
    m = lua_mark_enter(L, loop);
  if (m->drives == NULL) {
    /* whom the event loop drops meanwhile is woken, in vain, when the token ends, and no longer counted then
     */
    lua_pushvalue(L, SLOT_MARK);
    lua_setfield(L, SLOT_PLACE, "mark");
  }
  lua_push_kept(L, loop, KEPT_PARKED);
  lua_pushvalue(L, SLOT_PLACE);
  lua_rawsetp(L, -2, &m->own);
  lua_getfield(L, SLOT_PLACE, "host");
  lua_getfield(L, -1, "park");
  lua_getfield(L, SLOT_PLACE, "handle");
  if (!(how & WAIT_LATER) && has_ended(L, how)) { /* allocating may have run finalizers */
    lua_settop(L, SLOT_TOP);
    return -1;
  }
  m->counted = true;
  lua_mark_count(L, SLOT_PLACE, 1);
  wait_or_go_on(L, &m->own, group, how);
  lua_loop_refresh(loop);
  if (lua_pcallk(L, 1, 0, 0, how, go_on) != LUA_OK)
    return leave_with_error(L);
  return -1;
}

/* Suspends the caller, or blocks. Returns -1 when it can go on at once. */
static int suspend(lua_State *L, lua_loop *loop, lua_group *group, int how) {
  if (lua_isyieldable(L)) {
    lua_task *task = lua_task_of(L, loop);
    if (task != NULL) {
      void *what = lua_touserdata(L, SLOT_WHAT);
      wait_or_go_on(L, &task->waiter, group, how);
      task->awaits_task = (how & WAIT_KIND) == WAIT_FOR_TASK ? what : NULL;
      task->parked = true;
      return lua_yieldk(L, 0, how, go_on);
    }
  }
  lua_push_kept(L, loop, KEPT_PLACE);
  lua_pushboolean(L, lua_isyieldable(L));
  if (lua_pcall(L, 1, 2, 0) != LUA_OK)
    return leave_with_error(L);
  if (lua_istable(L, -2)) {
    lua_pop(L, 1);
    return park_in_host(L, loop, group, how);
  } else if (lua_toboolean(L, -2)) {
    mark *m = lua_touserdata(L, SLOT_MARK);
    if (m != NULL && m->drives != NULL)
      waiter_resign(m->waiter); /* whoever waits in its place drives */
    lua_settop(L, SLOT_TOP);
    lua_push_kept(L, loop, KEPT_PARK);
    lua_pushvalue(L, SLOT_WHAT);
    if (how & WAIT_INSIDE)
      lua_pushnil(L);
    else
      lua_pushvalue(L, SLOT_GROUP);
    return lua_yieldk(L, 3, how, go_on);
  }
  if (lua_isstring(L, -1))
    lua_replace(L, SLOT_HELD_UP);
  lua_settop(L, SLOT_TOP);
  if (how & WAIT_LATER)
    return -1;
  if (!block(L, loop, group, how))
    return leave_with_error(L);
  if ((how & WAIT_INSIDE) && !has_ended(L, how) && !lua_group_turn(L, SLOT_GROUP, poller_now() + SLICE))
    return leave_with_error(L);
  return -1;
}

/* What a function that has waited returns. */
static int give(lua_State *L, int how) {
  switch (how & RETURN_KIND) {
  case RETURN_RESULT:
    return lua_push_result(L, SLOT_WHAT);
  case RETURN_NOTHING:
    if (!lua_isnil(L, SLOT_MARK)) {
      lua_pushcfunction(L, lua_mark_leave); /* first, as in leave_with_error */
      lua_pushvalue(L, SLOT_MARK);
      lua_call(L, 1, 0);
    }
    lua_group_raise(L, SLOT_GROUP);
    return 0;
  case RETURN_RUN:
    lua_group_raise(L, SLOT_GROUP);
    return lua_push_result(L, SLOT_EXTRA);
  default:
    lua_pushvalue(L, SLOT_HELD_UP);
    return 1;
  }
}

/* Notes that the coroutine runs again. */
static void come_back(lua_State *L, lua_loop *loop) {
  lua_task *task = lua_task_of(L, loop);
  mark *m = lua_touserdata(L, SLOT_MARK);
  if (task != NULL) {
    task->awaits_task = NULL;
    task->parked = false;
    chain_remove(&task->waiter.waits);
    task->waiter.awake = true;
  }
  if (lua_gettop(L) > SLOT_TOP &&
      lua_isstring(L, SLOT_TOP + 1)) { /* whoever waited in the generator's place says so */
    lua_pushvalue(L, SLOT_TOP + 1);
    lua_replace(L, SLOT_HELD_UP);
  }
  lua_settop(L, SLOT_TOP);
  if (m != NULL && m->drives != NULL && m->waiter->drives.in == NULL)
    waiter_drive(m->waiter, &m->drives->queue);
  if (m != NULL && m->counted) { /* the event loop has resumed it without having been told to */
    m->counted = false;
    lua_mark_count(L, SLOT_PLACE, -1);
  }
}

/* The loop of every wait; also the continuation after a suspension. */
static int go_on(lua_State *L, int status, lua_KContext context) {
  int how = (int)context;
  lua_loop *loop = lua_touserdata(L, SLOT_LOOP);
  lua_group *group = lua_touserdata(L, SLOT_GROUP);
  bool suspended = status != LUA_OK;
  if (status != LUA_OK && status != LUA_YIELD)
    return leave_with_error(L); /* the event loop has raised it where the coroutine was parked */
  if (status != LUA_OK)
    come_back(L, loop);
  if (how & WAIT_LATER) {
    if (status == LUA_OK) {
      int returned = suspend(L, loop, group, how);
      if (returned >= 0)
        return returned;
      come_back(L, loop);
    }
    how = (how & ~WAIT_LATER) | lua_drive(L);
  }
  for (;;) {
    bool drives = group != NULL && (how & WAIT_INSIDE) == 0;
    int64_t deadline = drives ? poller_now() + SLICE : 0;
    if (has_ended(L, how))
      return give(L, how);
    if ((how & WAIT_READY) != 0) {
      /* others go first: whoever asks has run the group for as long as it may; and only he can tell whether
         news of a group are what he waits for, which others may have run meanwhile */
      bool ready = drives && run_queue_is_ready(&group->queue);
      if (suspended && (ready || (how & WAIT_KIND) == WAIT_FOR_GROUP))
        return give(L, how);
    } else if (drives) {
      do {
        if (!lua_group_turn(L, SLOT_GROUP, deadline))
          return leave_with_error(L);
        if (has_ended(L, how))
          return give(L, how);
        run_queue_readmit(&group->queue, &group->later);
      } while (run_queue_is_ready(&group->queue) && poller_now() < deadline);
    }
    int returned = suspend(L, loop, group, how);
    if (returned >= 0)
      return returned;
    suspended = true;
    come_back(L, loop);
  }
}

int lua_wait(lua_State *L, int how) { return go_on(L, LUA_OK, how); }

/* loop:await(token) -> held_up: waits until a token has ended. held_up: what stood still meanwhile, because
   the caller could not be suspended; nil: nothing. */
static int loop_await(lua_State *L) {
  lua_check_loop(L, 1);
  if (lua_token_has_ended(lua_check_token(L, 2)))
    return 0;
  lua_settop(L, 2);
  lua_settop(L, SLOT_TOP);
  return lua_wait(L, WAIT_FOR_TOKEN | RETURN_HELD_UP);
}

/* loop:wait_ready(what, group) -> held_up: waits until a token, task or group has ended, or the group, if
   there is one, can be driven: what the caller of a generator does in its place. */
static int loop_wait_ready(lua_State *L) {
  int how = WAIT_READY | RETURN_HELD_UP;
  lua_check_loop(L, 1);
  lua_settop(L, 3);
  lua_settop(L, SLOT_TOP);
  if (luaL_testudata(L, SLOT_WHAT, LUA_TASK) != NULL)
    how |= WAIT_FOR_TASK;
  else if (luaL_testudata(L, SLOT_WHAT, LUA_GROUP) != NULL)
    how |= WAIT_FOR_GROUP;
  else
    lua_check_token(L, SLOT_WHAT);
  if (!lua_isnil(L, SLOT_GROUP)) {
    luaL_checkudata(L, SLOT_GROUP, LUA_GROUP);
    how |= lua_drive(L);
  }
  return lua_wait(L, how);
}

/* What an event loop runs in a coroutine of its own: drives the root until it has no task left, or one has
   failed, and raises what that has raised. A task begins after spawn has returned, so the coroutine lets
   others go first. */
static int drive_root(lua_State *L) {
  lua_loop *loop;
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  loop = lua_touserdata(L, SLOT_LOOP);
  loop->begun++;
  lua_push_kept(L, loop, KEPT_ROOT);
  lua_pushvalue(L, SLOT_WHAT);
  lua_settop(L, SLOT_TOP);
  lua_drive(L); /* if a task of the root has started this, whoever runs that drives the root as yet */
  return lua_wait(L, WAIT_LATER | WAIT_FOR_GROUP | RETURN_NOTHING);
}

/* loop:leave_root(): there is no event loop that could drive the root, and its tasks are left to step():
   until that is called, they do not make the descriptor readable, which would keep busy an event loop that
   cannot do anything about it. */
static int loop_leave_root(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  loop->quiet = true;
  lua_loop_refresh(loop);
  return 0;
}

/* loop:begun() -> integer: how many such coroutines have begun. */
static int loop_begun(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lua_check_loop(L, 1)->begun);
  return 1;
}

/* loop:root_driver() -> function, for event loops. */
static int loop_root_driver(lua_State *L) {
  lua_check_loop(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, drive_root, 1);
  return 1;
}

/* loop:dispatch(): steps the transport; who waited for what has ended is made ready. Runs no coroutine. */
static int loop_dispatch(lua_State *L) {
  dispatch(L, lua_check_loop(L, 1));
  return 0;
}

/* loop:step([budget]) -> live: does what can be done without waiting, for at most `budget` seconds, for the
   tasks of the root, unless somebody drives them. Raises what the first of them that has failed has raised.
 */
static int loop_step(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  lua_group *root = loop->root;
  int64_t deadline = transport_due(luaL_optnumber(L, 2, HUGE_VAL));
  lua_settop(L, 1);
  lua_push_kept(L, loop, KEPT_ROOT);
  loop->quiet = false;
  do {
    dispatch(L, loop);
    if (root->queue.drivers.first != NULL)
      break;
    if (!lua_group_turn(L, 2, deadline))
      return lua_error(L);
  } while (run_queue_is_ready(&root->queue) && poller_now() < deadline);
  run_queue_readmit(&root->queue, &root->later);
  lua_loop_refresh(loop);
  lua_group_raise(L, 2);
  lua_pushinteger(L, (lua_Integer)root->live);
  return 1;
}

/* ---- registration ---- */

static const luaL_Reg loop_methods[] = {{"await", loop_await},       {"wait_ready", loop_wait_ready},
                                        {"dispatch", loop_dispatch}, {"root_driver", loop_root_driver},
                                        {"begun", loop_begun},       {"leave_root", loop_leave_root},
                                        {"step", loop_step},         {NULL, NULL}};

/* core.loop(park, functions) -> loop, transport, root, tasks: makes the loop of a Lua state. park: what a
   generator yields for its caller to wait. functions, by name:

     attend()            sees to what loop:first names
     place(yieldable)    where the running coroutine, which can be suspended or not, is parked: a table {
   host, handle, watch }; true in a generator; nil, and what stands still while the thread is blocked
     unwatch(watch)      ends a watch that counts nobody
     root_left()         nobody drives the root any more
     cancelled()         a new error object for a cancelled task
     trace_of(co, err)   where a coroutine has failed
     trace_raise(err, frames)
     close(co)           coroutine.close

   Returns the transport that is made at its first use, the group that step() drives, a weak table: coroutine
   -> task, and the group whose tasks go on while the thread is blocked outside of all. */
static int core_loop(lua_State *L) {
  static const char *const names[] = {"attend",    "place",    "unwatch",     "root_left",
                                      "cancelled", "trace_of", "trace_raise", "close"};
  lua_loop *loop;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  loop = lua_newuserdatauv(L, sizeof *loop, 0);
  *loop = (lua_loop){0};
  luaL_setmetatable(L, LOOP);
  lua_createtable(L, KEPT_CLOSE_COROUTINE, 0); /* 4 */
  lua_pushvalue(L, 3);
  lua_rawseti(L, 4, KEPT_LOOP);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 4, KEPT_PARK);
  loop->transport = lua_push_transport(L);
  lua_rawseti(L, 4, KEPT_TRANSPORT);
  loop->root = lua_push_group(L, loop);
  lua_rawseti(L, 4, KEPT_ROOT);
  loop->aside = lua_push_group(L, loop);
  lua_rawseti(L, 4, KEPT_ASIDE);
  loop->transport->attended = &loop->attended;
  loop->transport->root = &loop->root->queue;
  loop->transport->quiet = &loop->quiet;
  lua_newtable(L);
  lua_rawseti(L, 4, KEPT_PARKED);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawseti(L, 4, KEPT_TASKS);
  for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
    if (lua_getfield(L, 2, names[i]) != LUA_TFUNCTION)
      return luaL_error(L, "a loop needs the function '%s'", names[i]);
    lua_rawseti(L, 4, KEPT_ATTEND + i);
  }
  lua_pushvalue(L, 4);
  lua_rawsetp(L, LUA_REGISTRYINDEX, loop);
  lua_pushvalue(L, 3);
  lua_rawgeti(L, 4, KEPT_TRANSPORT);
  lua_rawgeti(L, 4, KEPT_ROOT);
  lua_rawgeti(L, 4, KEPT_TASKS);
  lua_rawgeti(L, 4, KEPT_ASIDE);
  return 5;
}

void lua_loop_open(lua_State *L) {
  static const luaL_Reg *const methods[] = {loop_methods, lua_mark_of_loop, lua_group_of_loop, NULL};
  lua_make_class(L, LOOP, NULL, methods);
  lua_mark_open(L);
  lua_group_open(L);
  lua_task_open(L);
  lua_pushcfunction(L, core_loop);
  lua_setfield(L, -2, "loop");
}
