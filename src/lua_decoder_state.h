/* What the decoder keeps from one decode to the next: its memory of earlier documents with the Lua strings
   that it is made of, and its work space. */
#ifndef LLAMA_CLOUD_LUA_DECODER_STATE_H
#define LLAMA_CLOUD_LUA_DECODER_STATE_H

#include "buffer.h"
#include "json_memory.h"

#include <stdbool.h>

#include <lua.h>

/* An open array or object: its table is on the Lua stack, in an object with the key that it belongs to the
   value around it below it. */
typedef struct frame {
  unsigned place;
  unsigned position;  /* object: the field that is expected next */
  unsigned members;   /* object: how many values were set */
  lua_Integer length; /* array: how many elements it has; -1 in an object */
} frame;

/* What outlives a decode, for the next one: kept in the registry, and marked as taken while a decode runs, so
   that one inside it (a finalizer's) makes its own, and so does the one after an error has unwound a decode.
   Its uservalues are the table of slots, a copy of the `fields` that it was made for, and the metatable of
   arrays. It is made for certain fields because what is remembered of a field includes whether it is one of
   them. */
typedef struct decoder_state {
  json_memory memory;
  buffer scratch; /* for strings with escapes */
  frame *frames;
  int frame_capacity;
  int worn; /* how many decodes there were since its memory was full */
  bool taken;
  bool recent;  /* taken since a place was last looked for */
  bool passing; /* for no decode but the one that has it */
} decoder_state;

/* Pushes the state that an earlier decode with the same names left, or a new one, and its three uservalues:
   the table of slots, the names, the metatable of arrays. `names` is the stack index of an array of strings,
   or 0. Raises when there is no memory. */
decoder_state *decoder_state_take(lua_State *L, int names);

/* Leaves the state for the next decode. */
void decoder_state_leave(decoder_state *state);

/* Registers the metatable of states. Stack as before. */
void decoder_state_open(lua_State *L);

#endif
