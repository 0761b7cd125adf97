#include "lua_decoder_state.h"

#include "lua_core.h"

#include <stdlib.h>

#define STATE "llama_cloud.decoder_state"
#define DECODER "llama_cloud.decoder"

/* After so many decodes with a full memory a state begins anew: one odd document must not cost all later
 * ones. */
#define MOST_WORN 64

/* Its uservalue is the table of slots of its state. */
typedef struct decoder_handle {
  decoder_state *state; /* NULL: nothing is remembered */
} decoder_handle;

/* Frees what a state owns; no decode takes it any more. Idempotent. */
static void free_state(decoder_state *state) {
  json_memory_free(&state->memory);
  buffer_free(&state->scratch);
  free(state->frames);
  state->frames = NULL;
  state->frame_capacity = 0;
  state->taken = true;
}

/* __gc of a state. Its decoder may still have it when later finalizers of a closing Lua state decode. */
static int state_gc(lua_State *L) {
  free_state(luaL_checkudata(L, 1, STATE));
  return 0;
}

/* Lets go of the decoder's state. Its memory is given back now, for the collector, which sees little of it,
   might take long; or at the end of the decode that has it. */
static void drop_state(decoder_handle *decoder) {
  decoder_state *old = decoder->state;
  decoder->state = NULL;
  if (old != NULL && old->taken)
    old->passing = true;
  else if (old != NULL)
    free_state(old);
}

/* Makes a new state for the decoder at a stack index, or 0, and pushes its table of slots. One that is made
   in a finalizer is for one decode only, as nothing made while Lua closes is ever finalized; and the decode
   that the finalizer interrupts, whose state it cannot have, is the better one to learn from. */
static decoder_state *new_state(lua_State *L, int index) {
  lua_createtable(L, DECODER_FIRST_SLOT, 0);
  decoder_state *state = lua_newuserdatauv(L, sizeof *state, 0);
  *state = (decoder_state){0};
  luaL_setmetatable(L, STATE);
  lua_rawseti(L, -2, DECODER_SLOT_STATE);
  luaL_getmetatable(L, LUA_CORE_ARRAY);
  lua_rawseti(L, -2, DECODER_SLOT_ARRAY);
  if (!json_memory_begin(&state->memory, DECODER_FIRST_SLOT))
    lua_out_of_memory(L);
  /* Lua >= 5.4.4 answers so inside a finalizer */
  state->passing = index == 0 || lua_gc(L, LUA_GCISRUNNING) < 0;
  if (!state->passing) {
    decoder_handle *decoder = lua_touserdata(L, index);
    drop_state(decoder);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, 1);
    decoder->state = state;
  }
  return state;
}

decoder_state *decoder_state_take(lua_State *L, int index) {
  const decoder_handle *decoder = index != 0 ? lua_touserdata(L, index) : NULL;
  decoder_state *state = decoder != NULL ? decoder->state : NULL;
  if (state != NULL && !state->taken && state->worn < MOST_WORN)
    lua_getiuservalue(L, index, 1);
  else
    state = new_state(L, index);
  state->taken = true;
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

void decoder_new(lua_State *L) {
  decoder_handle *decoder = lua_newuserdatauv(L, sizeof *decoder, 1);
  decoder->state = NULL;
  luaL_setmetatable(L, DECODER);
}

void decoder_check(lua_State *L, int index) { luaL_checkudata(L, index, DECODER); }

/* As lua_core.h says. */
int lua_given_decoder(lua_State *L, int index) {
  if (lua_isnoneornil(L, index))
    return 0;
  decoder_check(L, index);
  return index;
}

int decoder_make(lua_State *L) {
  decoder_new(L);
  return 1;
}

int decoder_forget(lua_State *L) {
  decoder_handle *decoder = luaL_checkudata(L, 1, DECODER);
  drop_state(decoder);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

void decoder_open(lua_State *L) {
  luaL_newmetatable(L, STATE);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newmetatable(L, DECODER);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
}
