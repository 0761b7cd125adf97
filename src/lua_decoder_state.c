#include "lua_decoder_state.h"

#include "lua_core.h"

#include <stdlib.h>

#define STATE "llama_cloud.decoder"

/* After so many decodes with a full memory a state begins anew: one odd document must not cost all later
 * ones. */
#define MOST_WORN 64

/* The addresses of the elements are keys in the registry: the first of the state of decodes of everything,
   the others of states for certain fields, so that two lists with different ones do not take turns to forget.
 */
enum { PLAIN_STATE = 0, FIRST_FIELDS_STATE = 1, STATES = 5 };
static const char state_keys[STATES] = {0};

/* Frees what a state owns; no decode takes it any more. Idempotent. */
static void free_state(decoder_state *state) {
  json_memory_free(&state->memory);
  buffer_free(&state->scratch);
  free(state->frames);
  state->frames = NULL;
  state->frame_capacity = 0;
  state->taken = true;
}

/* __gc of a state. The registry still has it when later finalizers of a closing Lua state decode. */
static int state_gc(lua_State *L) {
  free_state(luaL_checkudata(L, 1, STATE));
  return 0;
}

/* Whether the arrays at two stack indices hold the same strings. */
static bool same_names(lua_State *L, int a, int b) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, a);
  bool same = n == (lua_Integer)lua_rawlen(L, b);
  for (lua_Integer i = 1; same && i <= n; i++) {
    lua_rawgeti(L, a, i);
    lua_rawgeti(L, b, i);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return same;
}

/* Pushes a copy of the array at a stack index. */
static void copy_names(lua_State *L, int index) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  lua_newtable(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, index, i);
    lua_rawseti(L, -2, i);
  }
}

/* Pushes what the registry has under a key, and returns the state that it is, or NULL. */
static decoder_state *push_state(lua_State *L, int key) {
  return lua_rawgetp(L, LUA_REGISTRYINDEX, &state_keys[key]) == LUA_TUSERDATA ? lua_touserdata(L, -1) : NULL;
}

/* A key for a new state with `fields`: one without a state, or whose state was not taken for the longest
   time, about. */
static int find_key(lua_State *L) {
  for (int round = 0; round < 2; round++) {
    for (int key = FIRST_FIELDS_STATE; key < STATES; key++) {
      decoder_state *state = push_state(L, key);
      lua_pop(L, 1);
      if (state == NULL || !state->recent)
        return key;
      state->recent = false;
    }
  }
  return FIRST_FIELDS_STATE;
}

/* Puts the state on top of the stack in the place of the one that has the key. That one's memory is given
   back now: the collector, which sees little of it, might take long. */
static void replace_state(lua_State *L, int key) {
  decoder_state *old = push_state(L, key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_keys[key]);
  lua_pop(L, 1);
  if (old != NULL && old->taken)
    old->passing = true;
  else if (old != NULL)
    free_state(old);
}

/* Makes a new state for the names at stack index `names` (0: none) and leaves it to the registry; pushes it.
   One that is made in a finalizer is for one decode only, as nothing made while Lua closes is ever finalized;
   and the decode that the finalizer interrupts, whose state it cannot have, is the better one to learn from.
 */
static decoder_state *new_state(lua_State *L, int names) {
  decoder_state *state = lua_newuserdatauv(L, sizeof *state, 3);
  *state = (decoder_state){0};
  luaL_setmetatable(L, STATE);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  if (names != 0)
    copy_names(L, names);
  else
    lua_pushnil(L);
  lua_setiuservalue(L, -2, 2);
  luaL_getmetatable(L, LUA_CORE_ARRAY);
  lua_setiuservalue(L, -2, 3);
  if (!json_memory_begin(&state->memory))
    lua_out_of_memory(L);
  state->passing = lua_gc(L, LUA_GCISRUNNING) < 0; /* so says Lua >= 5.4.4 inside a finalizer */
  if (!state->passing)
    replace_state(L, names != 0 ? find_key(L) : PLAIN_STATE);
  return state;
}

/* Whether a state, which is on top of the stack, serves for a decode with these names. */
static bool serves(lua_State *L, const decoder_state *state, int names) {
  bool same = true;
  if (state->taken || state->worn >= MOST_WORN)
    return false;
  if (names != 0) {
    lua_getiuservalue(L, -1, 2);
    same = same_names(L, names, lua_gettop(L));
    lua_pop(L, 1);
  }
  return same;
}

decoder_state *decoder_state_take(lua_State *L, int names) {
  decoder_state *state = NULL;
  int key = names != 0 ? FIRST_FIELDS_STATE : PLAIN_STATE;
  int end = names != 0 ? STATES : FIRST_FIELDS_STATE;
  for (; state == NULL && key < end; key++) {
    state = push_state(L, key);
    if (state == NULL || !serves(L, state, names)) {
      lua_pop(L, 1);
      state = NULL;
    }
  }
  if (state == NULL)
    state = new_state(L, names);
  state->taken = state->recent = true;
  for (int i = 1; i <= 3; i++)
    lua_getiuservalue(L, -i, i);
  return state;
}

void decoder_state_leave(decoder_state *state) {
  enum { MOST_SCRATCH = 64 * 1024 };
  if (state->passing) {
    free_state(state);
    return;
  }
  if (state->scratch.capacity > MOST_SCRATCH)
    buffer_free(&state->scratch);
  if (state->memory.full)
    state->worn++;
  state->taken = false;
}

void decoder_state_open(lua_State *L) {
  luaL_newmetatable(L, STATE);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
