/* Decoders, as Lua sees them: what a decode leaves for the next one that serves the same list, endpoint or
   caller. */
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

/* What a decoder has: its memory of earlier documents, and its work space. The Lua strings that the memory is
   made of are in a table of slots, and so are these: */
enum {
  DECODER_SLOT_ARRAY = 1, /* the metatable of arrays */
  DECODER_SLOT_STATE,     /* the state, which the table keeps alive */
  DECODER_SLOT_NAMES,     /* the wanted fields that the memory's `wanted` is about */
  DECODER_FIRST_SLOT
};

/* It is marked as taken while a decode runs, so that one inside it (a finalizer's) makes its own, and so does
   the one after an error has unwound a decode. */
typedef struct decoder_state {
  json_memory memory;
  buffer scratch; /* for strings with escapes */
  frame *frames;
  int frame_capacity;
  int worn;      /* how many decodes there were since its memory was full */
  bool narrowed; /* the last decode was of certain fields only */
  bool taken;
  bool passing; /* for no decode but the one that has it */
} decoder_state;

/* Pushes the table of slots of the state of the decoder at stack index `decoder`, takes that state and
   returns it. 0: a state for this decode alone, which remembers nothing. Raises when there is no memory. */
decoder_state *decoder_state_take(lua_State *L, int decoder);

/* Leaves the state for the next decode. */
void decoder_state_leave(decoder_state *state);

/* Pushes a decoder that remembers nothing yet. */
void decoder_new(lua_State *L);

/* Raises unless a decoder is at the stack index. */
void decoder_check(lua_State *L, int index);

/* core.decoder() -> decoder: what remembers, from one text to the next, how those of its owner look: of a
   list, of an endpoint, of who else decodes texts that are alike. Only speed depends on it. It may be used
   for any text, and by a finalizer while it decodes. */
int decoder_make(lua_State *L);

/* decoder:forget(): gives back what it remembers. Idempotent; it decodes as before, and begins to remember
   anew. */
int decoder_forget(lua_State *L);

/* Registers the metatables of states and decoders, and pushes that of decoders. */
void decoder_open(lua_State *L);

#endif
