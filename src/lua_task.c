/* Tasks as their owners have them: results, cancelling, and who waits for whom. */
#include "lua_loop.h"

/* The task at index 1. Raises, at the caller's line, where a method was called with a dot. */
static lua_task *check_task(lua_State *L, const char *method) {
  lua_task *task = luaL_testudata(L, 1, LUA_TASK);
  if (task == NULL)
    luaL_error(L, "call the methods of a task with a colon: task:%s()", method);
  return task;
}

/* A search among the tasks that end after others: those that have been found and not looked at, and its
 * number. */
typedef struct search {
  lua_task *first, *last;
  unsigned number;
} search;

/* Adds a task that goes on only after the one where the search has begun. */
static void add_above(search *s, lua_task *task) {
  if (task == NULL || task->state != TASK_PENDING || task->above == s->number)
    return;
  task->above = s->number;
  task->next_above = NULL;
  if (s->last != NULL)
    s->last->next_above = task;
  else
    s->first = task;
  s->last = task;
}

/* Adds a task after which the one where the search has begun goes on. */
static void add_below(search *s, lua_task *task) {
  if (task == NULL || task->state != TASK_PENDING || task->below == s->number)
    return;
  task->below = s->number;
  task->next_below = NULL;
  if (s->last != NULL)
    s->last->next_below = task;
  else
    s->first = task;
  s->last = task;
}

/* Whether `task` can end only after `other`, both pending. Searches from both sides, a step here and a step
   there, so that it takes no longer than the shorter way: tasks that come to wait for one another, in
   whatever order, take linear time but for a logarithm. */
static bool depends(lua_loop *loop, lua_task *task, lua_task *other) {
  search above = {0}, below = {0};
  above.number = below.number = ++loop->search;
  add_above(&above, other);
  add_below(&below, task);
  while (above.first != NULL && below.first != NULL) {
    lua_task *a = above.first, *b = below.first;
    if (a == task || b == other)
      return true;
    for (const chain_link *link = a->end.waiting.first; link != NULL; link = link->next) {
      const waiter *w = link->of;
      if (w->home != &loop->attended)
        add_above(&above, (lua_task *)(void *)link->of);
    }
    if (a->group->run)
      add_above(&above, a->group->parent);
    /* what it has waited for once may be gone: only what it is linked to is there */
    if (b->awaits_task != NULL && b->waiter.waits.in == &b->awaits_task->end.waiting)
      add_below(&below, b->awaits_task);
    for (const lua_group *group = b->runs; group != NULL; group = group->outer)
      for (const chain_link *link = group->members.first; link != NULL; link = link->next)
        add_below(&below, link->of);
    above.first = a->next_above;
    below.first = b->next_below;
    if (above.first == NULL)
      above.last = NULL;
    if (below.first == NULL)
      below.last = NULL;
  }
  return false;
}

int lua_push_result(lua_State *L, int index) {
  const lua_task *task = lua_touserdata(L, index);
  if (task->state != TASK_DONE) {
    lua_pushnil(L);
    lua_getiuservalue(L, index, TASK_VALUE);
    return 2;
  } else if (task->count != LUA_TASK_MANY) {
    lua_getiuservalue(L, index, TASK_VALUE);
    return task->count;
  }
  lua_getiuservalue(L, index, TASK_VALUE);
  lua_getfield(L, -1, "n");
  int n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, n, "too many results");
  for (int i = 1; i <= n; i++)
    lua_rawgeti(L, -i, i);
  return n;
}

/* task:result() -> ...: waits until the task has ended, and runs its group meanwhile, if the caller is none
   of it. Returns what its function has returned; or nil and what it has raised, an error of kind "cancelled"
   if it was cancelled. */
static int task_result(lua_State *L) {
  lua_task *task = check_task(L, "result");
  lua_loop *loop = task->group->loop;
  lua_settop(L, 1);
  if (task->state != TASK_PENDING) {
    lua_task_observe(L, 1);
    return lua_push_result(L, 1);
  }
  if (loop->current == task)
    return luaL_error(L, "a task cannot wait for itself");
  if (loop->current != NULL && depends(loop, task, loop->current))
    return luaL_error(L, "deadlock: that task waits for this one");
  task->observed = true;
  lua_settop(L, SLOT_TOP);
  lua_pushvalue(L, 1);
  lua_replace(L, SLOT_WHAT);
  lua_push_kept(L, loop, KEPT_LOOP);
  lua_replace(L, SLOT_LOOP);
  lua_getiuservalue(L, SLOT_WHAT, TASK_GROUP);
  lua_replace(L, SLOT_GROUP);
  return lua_wait(L, lua_drive(L) | WAIT_FOR_TASK | RETURN_RESULT);
}

/* task:cancel(): ends the task where it waits: what it has declared to-be-closed is closed, its requests are
   cancelled. A task that has ended stays as it is; one that is running (it cancels itself) ends when it waits
   next. */
static int task_cancel(lua_State *L) {
  lua_task *task = check_task(L, "cancel");
  if (task->state != TASK_PENDING || task->ending)
    return 0;
  if (lua_task_is_running(task)) {
    task->cancelling = true;
    return 0;
  }
  return lua_task_cancel(L);
}

static const char *const state_names[] = {"pending", "done", "failed", "cancelled"};

/* task:status() -> "pending" | "done" | "failed" | "cancelled". */
static int task_status(lua_State *L) {
  lua_pushstring(L, state_names[check_task(L, "status")->state]);
  return 1;
}

static int task_tostring(lua_State *L) {
  const lua_task *task = luaL_checkudata(L, 1, LUA_TASK);
  lua_pushfstring(L, "%s (%s)", LUA_TASK, state_names[task->state]);
  return 1;
}

/* __gc: a task that nobody can reach any more neither waits nor is waited for. */
static int task_gc(lua_State *L) {
  lua_task *task = luaL_checkudata(L, 1, LUA_TASK);
  if (task->state == TASK_PENDING) {
    task->state = TASK_CANCELLED;
    task->group->live--;
  }
  waiter_leave(&task->waiter);
  chain_remove(&task->member);
  event_happen(&task->end);
  lua_loop_refresh(task->group->loop);
  return 0;
}

static const luaL_Reg task_methods[] = {
    {"result", task_result}, {"cancel", task_cancel}, {"status", task_status}, {NULL, NULL}};

static const luaL_Reg task_metamethods[] = {{"__gc", task_gc}, {"__tostring", task_tostring}, {NULL, NULL}};

void lua_task_open(lua_State *L) {
  static const luaL_Reg *const methods[] = {task_methods, NULL};
  lua_make_class(L, LUA_TASK, task_metamethods, methods);
}
