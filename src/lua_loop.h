/* What lua_loop.c (waiting), lua_group.c and lua_task.c (groups and tasks) and lua_mark.c (who waits and is
   no task) know of each other.

   There is one loop in a Lua state. All that is ready to run, and who waits for what, is in C structures
   (waiting.h) that are parts of userdata; so every change of them is one C call, in which no debug hook runs,
   and which allocates before it tests or changes anything. The invariants:

   1. What has ended has made its waiters ready: no call returns between the two.
   2. What is ready is in the queue of its home, and is taken out of it only by the call that resumes it.
   3. While a queue holds something, somebody is awake who will run it: its first driver; or, for what event
   loops have parked and for the tasks of step(), the transport's descriptor is readable.
   4. A waiter leaves all of it when its coroutine is closed, collected, or left by an error. */
#ifndef LLAMA_CLOUD_LUA_LOOP_H
#define LLAMA_CLOUD_LUA_LOOP_H

#include "lua_transport.h"
#include "waiting.h"

#include <stdint.h>

typedef struct lua_loop lua_loop;
typedef struct lua_group lua_group;
typedef struct lua_task lua_task;

struct lua_loop {
  run_queue attended; /* waiters that event loops have parked, and alarms: Lua sees to them */
  lua_group *root;    /* the group that step() drives */
  lua_group *aside;   /* the group that goes on while the thread is blocked outside of all tasks */
  lua_task *current;  /* the task that is running; NULL outside of all */
  lua_transport *transport;
  bool quiet;      /* see loop:leave_root */
  unsigned begun;  /* how many coroutines of event loops have begun to drive the root */
  unsigned search; /* the number of the last search of lua_task.c */
};

struct lua_group {
  run_queue queue; /* its tasks that can go on */
  chain members;   /* those that have not ended */
  chain later;     /* those that let the others go first */
  chain failed;    /* those that have failed, and whose result nobody has asked for */
  event news;      /* the last has ended, one has failed, or somebody has called notify */
  size_t live;     /* how many have not ended */
  lua_loop *loop;
  lua_task *parent; /* the task that has made it, and drives it; NULL: none */
  lua_group *outer; /* of the groups that the parent runs to their ends, the next one */
  bool run;         /* it is one of these */
};

typedef enum lua_task_state { TASK_PENDING, TASK_DONE, TASK_FAILED, TASK_CANCELLED } lua_task_state;

struct lua_task {
  waiter waiter;     /* first, so that it is the task; at home in the group's queue */
  chain_link member; /* of the group's members, or of those that failed */
  event end;
  lua_group *group;
  lua_State *co;
  lua_task *awaits_task; /* what it waits for, while it is parked */
  lua_group *runs;       /* the innermost of the groups that it runs to their ends */
  lua_task *next_above, *next_below;
  unsigned above, below; /* the searches that have come by */
  int count;             /* of the arguments on its stack, until it begins; of its results, when it is done */
  lua_task_state state;
  bool begun, parked, ending, cancelling, observed;
};

/* What Lua lends the loop, and what it keeps for it: fields of a table, for lua_push_kept. */
enum {
  KEPT_LOOP = 1,
  KEPT_TRANSPORT,
  KEPT_ROOT,
  KEPT_ASIDE,
  KEPT_PARKED, /* address of a waiter that Lua is to see to -> its place */
  KEPT_TASKS,  /* coroutine -> task; weak */
  KEPT_PARK,   /* what a generator yields to wait */
  KEPT_ATTEND, /* functions: see core.loop */
  KEPT_PLACE,
  KEPT_UNWATCH,
  KEPT_ROOT_LEFT,
  KEPT_CANCELLED,
  KEPT_TRACE_OF,
  KEPT_TRACE_RAISE,
  KEPT_CLOSE_COROUTINE
};

/* Pushes one of these. */
void lua_push_kept(lua_State *L, const lua_loop *loop, int which);

/* The loop at a stack index, or an error. */
lua_loop *lua_check_loop(lua_State *L, int index);

/* To be called when a queue has changed: the descriptor is to say so. */
void lua_loop_refresh(const lua_loop *loop);

/* Whether tasks of the root can go on, and nobody drives them. */
bool lua_is_stranded(const lua_loop *loop);

/* The stack of a function that waits: lua_wait begins with it, and expects nothing above. */
enum {
  SLOT_LOOP = 1,
  SLOT_WHAT,  /* what is waited for: a transfer or timer, a task, or a group */
  SLOT_GROUP, /* the group whose tasks are run meanwhile, or nil */
  SLOT_DONE,  /* a function that tells whether a group has come to what is waited for; nil: it has no task any
                 more */
  SLOT_MARK,  /* a to-be-closed userdata: who waits, as far as that is no task */
  SLOT_PLACE, /* where an event loop has parked the coroutine */
  SLOT_HELD_UP,
  SLOT_EXTRA, /* the caller's own */
  SLOT_TOP = SLOT_EXTRA
};

/* How it waits. */
enum {
  WAIT_FOR_TOKEN = 0,
  WAIT_FOR_TASK = 1,
  WAIT_FOR_GROUP = 2,
  WAIT_KIND = 3,
  WAIT_READY = 4,  /* also ends when the group can be driven, and runs nothing */
  WAIT_INSIDE = 8, /* does not drive the group, because the caller is in it; but does so if it has to block */
  RETURN_HELD_UP = 0, /* what it returns in the end */
  RETURN_RESULT = 16,
  RETURN_RUN = 32,
  RETURN_NOTHING = 48,
  RETURN_KIND = 48,
  WAIT_LATER = 64 /* lets others go first; then drives the group */
};

/* Waits, to be called as `return lua_wait(L, how)`: it may yield, and returns what `how` says to the
 * function's caller. */
int lua_wait(lua_State *L, int how);

/* Makes the function that is running a driver of the group in SLOT_GROUP, until it returns or is left. Not so
   a task of that group, which would wait for itself: then it returns WAIT_INSIDE, which belongs to how it
   waits, else 0. */
int lua_drive(lua_State *L);

/* ---- lua_group.c ---- */

#define LUA_GROUP "llama_cloud.group"
#define LUA_TASK "llama_cloud.task"

/* Registers the class of groups. */
void lua_group_open(lua_State *L);

/* The methods of a loop that are about groups. */
extern const luaL_Reg lua_group_of_loop[];

/* Pushes a new group. */
lua_group *lua_push_group(lua_State *L, lua_loop *loop);

/* Runs the tasks that can go on of the group at a stack index, each once, until a time is past. False: a
   debug hook has raised the error on top of the stack where a failed task's traceback was taken; that task
   has ended. */
bool lua_group_turn(lua_State *L, int index, int64_t deadline);

/* The task whose coroutine L is, or NULL. */
lua_task *lua_task_of(lua_State *L, const lua_loop *loop);

/* Whether the task that runs goes on only if the group is driven: it is one of the group's, or of a group
   that such a one drives. */
bool lua_is_inside(const lua_loop *loop, const lua_group *group);

/* Ends the task at index 1, which is suspended, as cancelled. Raises when there is no memory for the error;
   the task then goes on. */
int lua_task_cancel(lua_State *L);

/* Somebody has asked for the result of the task at a stack index. Needs no memory. */
void lua_task_observe(lua_State *L, int index);

/* Whether the coroutine of a task runs, or has resumed one that does. */
bool lua_task_is_running(const lua_task *task);

/* ---- lua_task.c ---- */

/* The uservalues of a task. */
enum {
  TASK_COROUTINE = 1,
  TASK_GROUP,
  TASK_VALUE, /* what its function has returned: one value, or an array of them; or what it has raised */
  TASK_FRAMES /* where it has failed */
};

#define LUA_TASK_MANY (-1) /* as `count` of a task that is done: several results, in an array */

/* Registers the class of tasks. */
void lua_task_open(lua_State *L);

/* Pushes what task:result() returns of a task that has ended, at a stack index; returns how many values. */
int lua_push_result(lua_State *L, int index);

/* Raises what the first failed task of the group at a stack index has raised, once. */
void lua_group_raise(lua_State *L, int index);

#endif
