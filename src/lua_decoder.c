/* core.decode and core.decoder: the options of a decode, and the functions that Lua calls. The decoding
   itself is lua_decode.c's, and what a decoder remembers lua_decoder_state.c's. */
#include "json_scan.h"
#include "lua_core.h"
#include "lua_decoder_state.h"

#include <math.h>
#include <string.h>

#define DEFAULT_MAX_DEPTH 512

/* Two slots for each level are a fifth of the million that Lua's stack may have. */
#define GREATEST_MAX_DEPTH 100000

/* Takes one option: its name is at stack index -2, its value at -1. Raises for what is none. */
static void take_option(lua_State *L, lua_decoding *decoding, int options) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
  if (strcmp(name, "null") == 0) {
    luaL_argcheck(L, lua_isboolean(L, -1), options, "'null' must be a boolean");
    decoding->keep_null = lua_toboolean(L, -1);
  } else if (strcmp(name, "repair") == 0) {
    luaL_argcheck(L, lua_isboolean(L, -1), options, "'repair' must be a boolean");
    decoding->repair = lua_toboolean(L, -1);
  } else if (strcmp(name, "max_depth") == 0) {
    int is_integer = 0;
    lua_Integer depth = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_integer) : 0;
    luaL_argcheck(L, is_integer && depth >= 1 && depth <= GREATEST_MAX_DEPTH, options,
                  "'max_depth' must be an integer from 1 to 100000");
    decoding->max_depth = (int)depth;
  } else if (strcmp(name, "fields") == 0) {
    luaL_argcheck(L, lua_istable(L, -1), options, "'fields' must be an array of strings");
    decoding->names = -1;
  } else {
    luaL_argerror(L, options, lua_pushfstring(L, "unknown option '%s'", name));
  }
}

/* As lua_core.h says. */
lua_decoding lua_decode_options(lua_State *L, int index) {
  lua_decoding decoding = {.max_depth = DEFAULT_MAX_DEPTH, .seconds = HUGE_VAL};
  if (lua_isnil(L, index)) {
    lua_pushnil(L);
    return decoding;
  }
  index = lua_absindex(L, index);
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushvalue(L, index);
  int shown = lua_gettop(L);
  lua_Integer left = LUA_MOST_SHOWN;
  const char *problem = lua_show_table(L, &left);
  luaL_argcheck(L, problem == NULL, index, problem);
  for (lua_pushnil(L); lua_next(L, shown); lua_pop(L, 1))
    take_option(L, &decoding, index);
  if (decoding.names != 0) {
    lua_getfield(L, shown, "fields");
    decoding.names = shown;
  } else {
    lua_pushnil(L);
  }
  lua_replace(L, shown);
  return decoding;
}

/* As lua_core.h says. */
lua_decoding lua_answer_decoding(double seconds) {
  return (lua_decoding){.max_depth = DEFAULT_MAX_DEPTH, .repair = true, .seconds = seconds};
}

/* As lua_core.h says. */
int lua_wanted_fields(lua_State *L, int index) {
  if (lua_isnoneornil(L, index))
    return 0;
  luaL_checktype(L, index, LUA_TTABLE);
  return index;
}

/* Decodes a JSON text: strict RFC 8259, one value with nothing but white space around it.

   Objects and arrays become tables. Of duplicate keys the last one counts. `null` in an object is an absent
   field, or core.null with the option `null`; in an array, and as the whole text, it is core.null. Integers
   that fit 64 bits are Lua integers; larger ones, those with a fraction or an exponent, and -0 are the
   nearest floats. An empty array has the metatable core.array, nothing else has any.

   ---@param text string
   ---@param options? { null?: boolean, max_depth?: integer, fields?: string[], repair?: boolean }
   max_depth: 1 to 100000, default 512; fields: of the outermost object only these are decoded, and the values
   of others are passed over without a look at anything in them but brackets and quotes; repair: lone
   surrogates and invalid UTF-8 in strings, keys included, become U+FFFD (json_scan_string says how many), and
   a byte order mark before the text is passed over. Answers of the service are always decoded so.
   ---@return any value       nil if the text is not such a text
   ---@return string? message what is wrong with it, and at which byte
   ---@return integer? offset the byte's position, from 1; #text + 1 if the text ends too early

   Faults: invalid UTF-8; lone surrogates and unknown escapes; control characters in strings; leading zeros
   and other misspelt numbers; numbers out of a double's range, such as 1e400; NaN and Infinity; trailing
   commas and other errors of grammar; a byte order mark; text after the value; nesting deeper than max_depth;
   the end of the text too early. Raises for an argument of the wrong type, an unknown or bad option, and when
   memory or the Lua stack runs out. */
static int core_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 2); /* keeps the text alive below all that follows */
  size_t length;
  const char *text = lua_tolstring(L, 1, &length);
  lua_decoding options = lua_decode_options(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  options.decoder = 4;
  return lua_decode_text(L, text, length, NULL, &options);
}

/* decoder:decode(text[, options]): as core.decode, which is the same by a decoder of its own. */
static int decoder_decode(lua_State *L) {
  decoder_check(L, 1);
  luaL_checktype(L, 2, LUA_TSTRING);
  lua_settop(L, 3);
  size_t length;
  const char *text = lua_tolstring(L, 2, &length);
  lua_decoding options = lua_decode_options(L, 3);
  options.decoder = 1;
  return lua_decode_text(L, text, length, NULL, &options);
}

static const luaL_Reg decoder_methods[] = {
    {"decode", decoder_decode}, {"forget", decoder_forget}, {NULL, NULL}};

/* As lua_core.h says: adds core.decode, core.decoder, and core.overdue, the message where an answer was not
   decoded in time. */
void lua_decoder_open(lua_State *L) {
  decoder_open(L);
  luaL_newlib(L, decoder_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  decoder_new(L);
  lua_pushcclosure(L, core_decode, 1);
  lua_setfield(L, -2, "decode");
  lua_pushcfunction(L, decoder_make);
  lua_setfield(L, -2, "decoder");
  lua_pushstring(L, json_overdue);
  lua_setfield(L, -2, "overdue");
}
