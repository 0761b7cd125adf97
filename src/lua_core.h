/* What the files that know Lua offer each other. Each `…_open` expects the module table of
   llama_cloud.core on top of the stack, adds its own functions and values to it, and leaves the stack as
   it was. Each may raise out-of-memory. */
#ifndef LLAMA_CLOUD_LUA_CORE_H
#define LLAMA_CLOUD_LUA_CORE_H

#include "buffer.h"
#include "chain.h"
#include "header_set.h"

#include <stdbool.h>
#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>

/* The name in the registry of the metatable that marks arrays. core.c makes it before any `…_open` runs
   and offers it as core.array. The encoder writes every table that has it as an array; the decoder gives
   it to empty arrays. */
#define LUA_CORE_ARRAY "llama_cloud.array"

/* Raises what Lua raises when it runs out of memory itself. Does not return. */
int lua_out_of_memory(lua_State *L);

/* Registers a class: the metatable `name`, with metamethods (or NULL), and methods from a list of sets that
   ends with NULL. getmetatable gives false for its objects, for a finalizer that is called by hand would free
   what is in use. Stack as before. Raises when memory runs out. */
void lua_make_class(lua_State *L, const char *name, const luaL_Reg *metamethods,
                    const luaL_Reg *const *methods);

/* Part of a userdata that owns memory which is not Lua's. What is made while the Lua state is closed is never
   finalized; so whatever is still owned is released with the last of the core's finalizers. */
typedef struct lua_owned {
  chain_link link;
  void (*release)(void *userdata); /* idempotent; raises nothing */
} lua_owned;

/* Begins that, before the userdata owns anything. Raises when the core's last finalizer has run. */
void lua_own(lua_State *L, lua_owned *part, void *userdata, void (*release)(void *userdata));

/* Ends it: the userdata is finalized. No effect where it had not begun. */
void lua_disown(lua_owned *part);

void lua_append_open(lua_State *L);
void lua_decoder_open(lua_State *L);
void lua_encode_open(lua_State *L);
void lua_shown_open(lua_State *L);
void lua_form_open(lua_State *L);
void lua_headers_open(lua_State *L);
void lua_loop_open(lua_State *L);
void lua_machine_open(lua_State *L);
void lua_output_open(lua_State *L);
void lua_page_open(lua_State *L);
void lua_redact_open(lua_State *L);
void lua_request_open(lua_State *L);
void lua_transport_open(lua_State *L);
void lua_url_open(lua_State *L);

/* How to decode: the options of core.decode, and what the caller sets. */
typedef struct lua_decoding {
  int max_depth;
  bool keep_null; /* in objects */
  bool repair;    /* broken strings, and a byte order mark, are no fault */
  double seconds; /* how long it may take */
  int names;      /* stack index of an array of names: of the outermost object only these fields; 0: all */
  int decoder;    /* stack index of the decoder (core.decoder); 0: nothing is remembered */
} lua_decoding;

/* How an answer of the service is decoded. It is always repaired: one broken text must not make a batch, a
   list or an id of what was created unreadable. */
lua_decoding lua_answer_decoding(double seconds);

/* Reads the names of wanted fields at a stack index, an array of strings, or nil for all. Raises for anything
   else. */
int lua_wanted_fields(lua_State *L, int index);

/* Reads a decoder, or nil, at a stack index. Raises for anything else. */
int lua_given_decoder(lua_State *L, int index);

/* Reads the options of core.decode at a stack index, a table or nil, and pushes the array of the names of
   wanted fields, or nil. Raises for a bad option. */
lua_decoding lua_decode_options(lua_State *L, int index);

/* Decodes the JSON text of `length` bytes at `text`: all of it, if `at` is NULL; otherwise the value that
   begins at offset *at, which then becomes the offset of what follows it, and the array of names is as it was
   for the value before. Expects six values at most in the caller's part of the Lua stack. Pushes the value
   and returns 1; or, where the text is not JSON, pushes nil, a message and the 1-based offset of the fault,
   and returns 3. Raises when memory runs out. The text must stay where it is until this returns, even though
   finalizers may run meanwhile: the caller pins it. */
int lua_decode_text(lua_State *L, const char *text, size_t length, size_t *at, const lua_decoding *options);

/* Pushes a page of a list (lua_page.c) over `text`, whose bytes it takes, and returns 1; or, where the text
   is not a JSON object, or cannot be looked through in `seconds`, pushes nil, a message and the offset as
   lua_decode_text, returns 3, and leaves the text alone. `each` is how many seconds decoding an item may
   take; `decoder` is the stack index of the decoder that decodes them (0: it gets one of its own), `names`
   that of the names of their wanted fields (0: all). `text` must stay where it is until this returns: the
   caller pins it. */
int lua_page_push(lua_State *L, buffer *text, double seconds, double each, int decoder, int names);

/* Makes of the table on top of the stack what it shows: if it has __pairs, puts a plain table of what that
   gives in its place; else leaves it, for then it shows what it holds. NULL; or static text, if that cannot
   be told: an empty table with fields behind __index. The stack is then the caller's to put right. *left
   becomes less by each field that __pairs gives, and may not become negative, so that an endless one ends.
   Calls Lua code, which may raise, and must not yield; raises when memory runs out. */
#define LUA_MOST_SHOWN 1000000
const char *lua_show_table(lua_State *L, lua_Integer *left);

/* The request headers at a stack index: a table as core.headers takes it, what that has returned, or nil for
   none. Puts the userdata that owns the set in its place. Raises for anything else, and when memory runs out.
 */
header_set *lua_to_header_set(lua_State *L, int index);

/* Pushes a table of the headers in `lines`, the raw head of a response, status line first: names in lower
   case, repeated ones joined by ", " (RFC 9110 section 5.3). Raises when memory runs out. The lines must
   stay where they are meanwhile, as for lua_decode_text. */
void lua_push_headers(lua_State *L, const char *lines, size_t length);

#endif
