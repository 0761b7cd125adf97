/* Groups and tasks: a group owns coroutines of ours, and whoever waits for the group runs them. Groups nest:
   who waits may himself be a task of another group.

   A group's uservalues: 1, its tasks, address -> task; 2, the task that has made it. */
#include "lua_loop.h"

#include "poller.h"

enum { GROUP_TASKS = 1, GROUP_PARENT };

lua_task *lua_task_of(lua_State *L, const lua_loop *loop) {
  lua_task *task = loop->current;
  if (task != NULL && task->co == L)
    return task;
  if (lua_pushthread(L)) { /* the main one */
    lua_pop(L, 1);
    return NULL;
  }
  lua_push_kept(L, loop, KEPT_TASKS);
  lua_insert(L, -2);
  lua_rawget(L, -2);
  task = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return task != NULL && task->state == TASK_PENDING ? task : NULL;
}

bool lua_is_inside(const lua_loop *loop, const lua_group *group) {
  const lua_task *task = loop->current;
  while (task != NULL && task->group != group)
    task = task->group->parent;
  return task != NULL;
}

/* Pushes a task that has not ended. Raises without memory for a larger stack. */
static void push_task(lua_State *L, const lua_loop *loop, const lua_task *task) {
  if (!lua_checkstack(task->co, 1)) /* luaL_checkstack would raise in that coroutine */
    lua_out_of_memory(L);
  lua_push_kept(L, loop, KEPT_TASKS);
  lua_pushthread(task->co);
  lua_xmove(task->co, L, 1);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* ---- groups ---- */

lua_group *lua_push_group(lua_State *L, lua_loop *loop) {
  lua_group *group = lua_newuserdatauv(L, sizeof *group, 2);
  *group = (lua_group){.loop = loop};
  luaL_setmetatable(L, LUA_GROUP);
  lua_newtable(L);
  lua_setiuservalue(L, -2, GROUP_TASKS);
  if (loop->current != NULL) {
    push_task(L, loop, loop->current);
    lua_setiuservalue(L, -2, GROUP_PARENT);
    group->parent = loop->current;
  }
  return group;
}

static lua_group *check_group(lua_State *L, int index) { return luaL_checkudata(L, index, LUA_GROUP); }

/* Takes the task at a stack index out of its group's table. Needs no memory. */
static void forget(lua_State *L, int index) {
  const lua_task *task = lua_touserdata(L, index);
  lua_getiuservalue(L, index, TASK_GROUP);
  lua_getiuservalue(L, -1, GROUP_TASKS);
  if (lua_rawgetp(L, -1, task) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawsetp(L, -3, task);
  }
  lua_pop(L, 3);
}

/* Ends the task at a stack index: who waits for it, or for its group, can go on. A failed one whose result
   nobody has asked for is kept until it is raised. Needs no memory. */
static void finish(lua_State *L, int index, lua_task_state state) {
  lua_task *task = lua_touserdata(L, index);
  lua_group *group = task->group;
  task->state = state;
  waiter_leave(&task->waiter);
  chain_remove(&task->member);
  group->live--;
  event_happen(&task->end);
  if (state == TASK_FAILED && !task->observed)
    chain_append(&group->failed, &task->member);
  else
    forget(L, index);
  if (group->live == 0 || state == TASK_FAILED)
    event_happen(&group->news);
  lua_loop_refresh(group->loop);
}

/* Somebody has asked for the result of the task at a stack index. Needs no memory. */
void lua_task_observe(lua_State *L, int index) {
  lua_task *task = lua_touserdata(L, index);
  task->observed = true;
  if (task->state == TASK_FAILED && task->member.in != NULL) {
    chain_remove(&task->member);
    forget(L, index);
  }
}

/* Closes the coroutine of the task at a stack index. Pushes what its to-be-closed variables have raised, and
   returns true; or returns false. Raises nothing. */
static bool close_coroutine(lua_State *L, int index, const lua_loop *loop) {
  lua_push_kept(L, loop, KEPT_CLOSE_COROUTINE);
  lua_getiuservalue(L, index, TASK_COROUTINE);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK)
    return true;
  if (lua_toboolean(L, -2)) {
    lua_pop(L, 2);
    return false;
  }
  lua_remove(L, -2);
  return true;
}

/* Ends a task that is suspended, as cancelled: called with the task. Raises when there is no memory for the
   error; the task then goes on. */
int lua_task_cancel(lua_State *L) {
  lua_task *task = lua_touserdata(L, 1);
  lua_loop *loop = task->group->loop;
  lua_settop(L, 1);
  lua_push_kept(L, loop, KEPT_CANCELLED);
  lua_call(L, 0, 1);
  if (task->state != TASK_PENDING || task->ending)
    return 0; /* making the error has run a finalizer, or a hook */
  task->ending = true;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, TASK_VALUE);
  if (!close_coroutine(L, 1, loop))
    lua_pushnil(L);
  lua_pushliteral(L, "cause"); /* which is there, so that this needs no memory */
  lua_insert(L, -2);
  lua_rawset(L, 2);
  finish(L, 1, TASK_CANCELLED);
  return 0;
}

/* Whether the coroutine of a task runs, or has resumed one that does. */
bool lua_task_is_running(const lua_task *task) {
  lua_Debug frame;
  return task->begun && lua_status(task->co) == LUA_OK && lua_getstack(task->co, 0, &frame);
}

/* Makes a task of the `n` values on top of the stack, a function and its arguments, and pushes it in their
 * place. */
static void spawn(lua_State *L, int group_index, int n) {
  lua_group *group = lua_touserdata(L, group_index);
  lua_task *task = lua_newuserdatauv(L, sizeof *task, 4);
  *task = (lua_task){.group = group, .state = TASK_DONE, .count = n - 1};
  waiter_init(&task->waiter, &group->queue);
  task->member.of = task;
  luaL_setmetatable(L, LUA_TASK);
  lua_pushvalue(L, group_index);
  lua_setiuservalue(L, -2, TASK_GROUP);
  task->co = lua_newthread(L);
  if (!lua_checkstack(task->co, n))
    lua_out_of_memory(L);
  lua_push_kept(L, group->loop, KEPT_TASKS);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -4);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_setiuservalue(L, -2, TASK_COROUTINE);
  lua_getiuservalue(L, group_index, GROUP_TASKS);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, task);
  lua_pop(L, 1);
  /* from here on nothing fails */
  lua_insert(L, -n - 1);
  lua_xmove(L, task->co, n);
  task->state = TASK_PENDING;
  chain_append(&group->members, &task->member);
  group->live++;
  waiter_wake(&task->waiter);
  lua_loop_refresh(group->loop);
}

/* group:spawn(f, ...) -> task: starts a task, which runs when the group is driven. */
static int group_spawn(lua_State *L) {
  check_group(L, 1);
  luaL_checkany(L, 2);
  spawn(L, 1, lua_gettop(L) - 1);
  return 1;
}

/* Packs the values on the stack into a table, on behalf of a task that is done. */
static int pack(lua_State *L) {
  int n = lua_gettop(L);
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  for (int i = n; i >= 1; i--)
    lua_rawseti(L, 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, 1, "n");
  return 1;
}

/* Takes the `n` values that the function of the task at a stack index has returned. False: no memory, and an
   error on top of the stack instead. */
static bool keep_values(lua_State *L, int index, int n) {
  lua_task *task = lua_touserdata(L, index);
  task->count = n;
  if (n == 0)
    return true;
  if (!lua_checkstack(L, n + 1)) {
    lua_pushliteral(L, "stack overflow (a task returns too many values)");
    return false;
  }
  if (n > 1) {
    lua_pushcfunction(L, pack);
    lua_xmove(task->co, L, n);
    if (lua_pcall(L, n, 1, 0) != LUA_OK)
      return false;
    task->count = LUA_TASK_MANY;
  } else {
    lua_xmove(task->co, L, 1);
  }
  lua_setiuservalue(L, index, TASK_VALUE);
  return true;
}

/* Ends the task at a stack index as failed, by the error on top of the stack. Pushes what a hook has raised
   meanwhile and returns true, or returns false. */
static bool fail(lua_State *L, int index) {
  lua_task *task = lua_touserdata(L, index);
  const lua_loop *loop = task->group->loop;
  int err = lua_gettop(L);
  bool interrupted;
  lua_push_kept(L, loop, KEPT_TRACE_OF);
  lua_getiuservalue(L, index, TASK_COROUTINE);
  lua_pushvalue(L, err);
  interrupted = lua_pcall(L, 2, 1, 0) != LUA_OK;
  if (!interrupted) {
    lua_setiuservalue(L, index, TASK_FRAMES);
    lua_pushnil(L);
  }
  /* its to-be-closed variables are still open, and may raise in their turn */
  if (close_coroutine(L, index, loop))
    lua_replace(L, err);
  lua_pushvalue(L, err);
  lua_setiuservalue(L, index, TASK_VALUE);
  finish(L, index, TASK_FAILED);
  return interrupted;
}

/* Notes what came of running the task on top of the stack: it waits, lets others go first, or has ended. */
static bool take_note(lua_State *L, lua_task *task, int status, int n) {
  int index = lua_gettop(L);
  if (status == LUA_YIELD) {
    lua_pop(task->co, n);
    if (task->cancelling) {
      lua_pushcfunction(L, lua_task_cancel);
      lua_pushvalue(L, index);
      if (lua_pcall(L, 1, 0, 0) != LUA_OK) { /* no memory for another error: this one will do */
        lua_setiuservalue(L, index, TASK_VALUE);
        task->ending = true;
        close_coroutine(L, index, task->group->loop);
        finish(L, index, TASK_CANCELLED);
      }
    } else if (!task->parked && task->waiter.ready.in == NULL) {
      chain_append(&task->group->later, &task->waiter.ready);
    }
    return true;
  }
  task->ending = true; /* whatever finalizers do from here on, it ends as it did */
  if (status == LUA_OK) {
    if (keep_values(L, index, n)) {
      finish(L, index, TASK_DONE);
      return true;
    }
  } else {
    lua_xmove(task->co, L, 1);
  }
  return !fail(L, index);
}

bool lua_group_turn(lua_State *L, int index, int64_t deadline) {
  lua_group *group = lua_touserdata(L, index);
  lua_loop *loop = group->loop;
  unsigned long till = group->queue.made;
  int top = lua_gettop(L);
  lua_task *task;
  luaL_checkstack(L, 10, "too many nested tasks");
  while ((task = chain_first(&group->queue.ready)) != NULL && (long)(till - task->waiter.number) >= 0) {
    lua_task *before = loop->current;
    int status, n = 0;
    lua_getiuservalue(L, index, GROUP_TASKS);
    lua_rawgetp(L, -1, task);
    lua_remove(L, -2);
    run_queue_take(&group->queue);
    if (!lua_task_is_running(task)) {
      int arguments = task->begun ? 0 : task->count;
      task->begun = true;
      task->parked = false;
      task->waiter.awake = true;
      loop->current = task;
      status = lua_resume(task->co, L, arguments, &n);
      loop->current = before;
      if (!take_note(L, task, status, n))
        return false;
    }
    lua_settop(L, top);
    if (poller_now() >= deadline)
      break;
  }
  return true;
}

/* group:close(), __close: cancels the tasks that have not ended; one that runs ends when it waits next. */
static int group_close(lua_State *L) {
  lua_group *group = check_group(L, 1);
  lua_task *task;
  if (group->run) {
    group->run = false;
    group->parent->runs = group->outer;
  }
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, GROUP_TASKS);
  while ((task = chain_first(&group->members)) != NULL) {
    if (lua_task_is_running(task) || task->ending) {
      task->cancelling = true;
      chain_remove(&task->member); /* it is on the way out, and finds its way without */
      continue;
    }
    lua_pushcfunction(L, lua_task_cancel);
    lua_rawgetp(L, 2, task);
    lua_call(L, 1, 0);
  }
  return 0;
}

/* __gc: who waits for it is linked to it no more. */
static int group_gc(lua_State *L) {
  lua_group *group = check_group(L, 1);
  event_happen(&group->news);
  lua_loop_refresh(group->loop);
  return 0;
}

/* group:live() -> integer: how many of its tasks have not ended. */
static int group_live(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_group(L, 1)->live);
  return 1;
}

/* group:failed() -> boolean: whether a task has failed whose result nobody has asked for. */
static int group_failed(lua_State *L) {
  lua_pushboolean(L, check_group(L, 1)->failed.first != NULL);
  return 1;
}

/* group:driven() -> boolean: whether somebody runs its tasks. */
static int group_driven(lua_State *L) {
  lua_pushboolean(L, check_group(L, 1)->queue.drivers.first != NULL);
  return 1;
}

/* group:notify(): those who wait for the group look again whether it has come to what they wait for. */
static int group_notify(lua_State *L) {
  lua_group *group = check_group(L, 1);
  event_happen(&group->news);
  lua_loop_refresh(group->loop);
  return 0;
}

void lua_group_raise(lua_State *L, int index) {
  lua_group *group = lua_touserdata(L, index);
  lua_task *task = chain_first(&group->failed);
  if (task == NULL)
    return;
  lua_push_kept(L, group->loop, KEPT_TRACE_RAISE);
  lua_getiuservalue(L, index, GROUP_TASKS);
  lua_rawgetp(L, -1, task);
  lua_remove(L, -2);
  lua_getiuservalue(L, -1, TASK_VALUE);
  lua_getiuservalue(L, -2, TASK_FRAMES);
  lua_task_observe(L, lua_gettop(L) - 2);
  lua_remove(L, -3);
  lua_call(L, 2, 0);
}

/* group:raise(): raises what its first failed task has raised, once; nothing if there is none. */
static int group_raise(lua_State *L) {
  check_group(L, 1);
  lua_group_raise(L, 1);
  return 0;
}

/* group:drive([done]) -> held_up: runs its tasks until done() is true, or none is left (of the root's: or one
   has failed). A task of its own only waits. done is called when a task has run, and after group:notify(). */
static int group_drive(lua_State *L) {
  lua_group *group = check_group(L, 1);
  lua_settop(L, 2);
  lua_settop(L, SLOT_TOP);
  lua_pushvalue(L, 2);
  lua_replace(L, SLOT_DONE);
  lua_pushvalue(L, 1);
  lua_replace(L, SLOT_WHAT);
  lua_push_kept(L, group->loop, KEPT_LOOP);
  lua_replace(L, SLOT_LOOP);
  lua_pushvalue(L, SLOT_WHAT);
  lua_replace(L, SLOT_GROUP);
  return lua_wait(L, lua_drive(L) | WAIT_FOR_GROUP | RETURN_HELD_UP);
}

/* loop:run(f, ...) -> ...: runs f as a task of a group of its own, until all that it has spawned have ended;
   returns what f has returned, or raises what the first failed task has raised. */
static int loop_run(lua_State *L) {
  lua_loop *loop = lua_check_loop(L, 1);
  lua_group *group;
  luaL_checkany(L, 2);
  group = lua_push_group(L, loop);
  lua_insert(L, SLOT_WHAT);
  lua_toclose(L, SLOT_WHAT);
  if (group->parent != NULL) {
    group->run = true;
    group->outer = group->parent->runs;
    group->parent->runs = group;
  }
  spawn(L, SLOT_WHAT, lua_gettop(L) - SLOT_WHAT);
  lua_settop(L, SLOT_TOP);
  lua_pushvalue(L, 3);
  lua_replace(L, SLOT_EXTRA);
  lua_pushvalue(L, SLOT_WHAT);
  lua_replace(L, SLOT_GROUP);
  return lua_wait(L, lua_drive(L) | WAIT_FOR_GROUP | RETURN_RUN);
}

/* loop:group() -> group: a new one; to be declared <close>: leaving it cancels its tasks. */
static int loop_group(lua_State *L) {
  lua_push_group(L, lua_check_loop(L, 1));
  return 1;
}

/* loop:current() -> group, task: the task that is running, and its group; outside of all, the root and no
   task. */
static int loop_current(lua_State *L) {
  const lua_loop *loop = lua_check_loop(L, 1);
  if (loop->current == NULL) {
    lua_push_kept(L, loop, KEPT_ROOT);
  } else {
    push_task(L, loop, loop->current);
    lua_getiuservalue(L, -1, TASK_GROUP);
    lua_insert(L, -2);
    return 2;
  }
  return 1;
}

bool lua_is_stranded(const lua_loop *loop) {
  return run_queue_is_ready(&loop->root->queue) && loop->root->queue.drivers.first == NULL;
}

/* loop:stranded() -> boolean: whether tasks of the root can go on, and nobody drives them. */
static int loop_stranded(lua_State *L) {
  lua_pushboolean(L, lua_is_stranded(lua_check_loop(L, 1)));
  return 1;
}

/* loop:holds_up() -> boolean: whether there are tasks that stand still while the running one blocks the
 * thread. */
static int loop_holds_up(lua_State *L) {
  const lua_loop *loop = lua_check_loop(L, 1);
  bool found = false;
  for (const lua_task *task = loop->current; task != NULL && !found; task = task->group->parent)
    found = task->group->live > 1;
  lua_pushboolean(L, found);
  return 1;
}

/* loop:ending(co) -> error: why the task is being cancelled whose coroutine that is; nil if it is not. */
static int loop_ending(lua_State *L) {
  const lua_loop *loop = lua_check_loop(L, 1);
  const lua_task *task;
  lua_settop(L, 2);
  lua_push_kept(L, loop, KEPT_TASKS);
  lua_pushvalue(L, 2);
  lua_rawget(L, 3);
  task = lua_touserdata(L, 4);
  if (task == NULL || !task->ending)
    return 0;
  lua_getiuservalue(L, 4, TASK_VALUE);
  return 1;
}

/* ---- registration ---- */

static const luaL_Reg group_methods[] = {
    {"spawn", group_spawn},   {"drive", group_drive},   {"close", group_close},
    {"live", group_live},     {"raise", group_raise},   {"failed", group_failed},
    {"driven", group_driven}, {"notify", group_notify}, {NULL, NULL}};

static const luaL_Reg group_metamethods[] = {{"__close", group_close}, {"__gc", group_gc}, {NULL, NULL}};

const luaL_Reg lua_group_of_loop[] = {{"run", loop_run},
                                      {"group", loop_group},
                                      {"current", loop_current},
                                      {"holds_up", loop_holds_up},
                                      {"stranded", loop_stranded},
                                      {"ending", loop_ending},
                                      {NULL, NULL}};

void lua_group_open(lua_State *L) {
  static const luaL_Reg *const methods[] = {group_methods, NULL};
  lua_make_class(L, LUA_GROUP, group_metamethods, methods);
}
