/* JSON text to Lua tables, in one pass with nothing between.

   The decoder goes round in a loop rather than calling itself, so the depth of a document costs no C stack.
   What it must remember of each open array or object lies on the Lua stack, at most two slots a level:
   nothing is held outside Lua, so an error may unwind it at any point, and a finalizer may decode meanwhile.
 */

#include "json_scan.h"
#include "lua_core.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define DEFAULT_MAX_DEPTH 512

/* Two slots for each level are a fifth of the million that Lua's stack may have. */
#define GREATEST_MAX_DEPTH 100000

static_assert(sizeof(lua_Integer) == sizeof(int64_t) && sizeof(lua_Number) == sizeof(double),
              "Lua built with 64-bit integers and doubles");

typedef struct decoder {
  lua_State *L;
  json_scan scan;
  int array_metatable; /* its stack index */
  bool keep_null;      /* in objects */
  int max_depth;
  int depth;         /* how many arrays and objects are open */
  lua_Integer index; /* of the innermost one if it is an array: where its next element goes; in an object 0 */
} decoder;

/* Pushes a scanned string. A string without escapes is copied once, by Lua. */
static void push_string(lua_State *L, const json_string *string) {
  if (!string->escaped) {
    lua_pushlstring(L, string->start, string->length);
    return;
  }
  luaL_Buffer text;
  char *out = luaL_buffinitsize(L, &text, string->length);
  luaL_pushresultsize(&text, json_unescape(string, out));
}

/* Pushes null: as nothing in an object, unless it is to be kept, for there it then removes what an earlier
   duplicate of the key has set. */
static void push_null(const decoder *d) {
  bool in_object = d->depth > 0 && d->index == 0;
  if (in_object && !d->keep_null) {
    lua_pushnil(d->L);
  } else {
    lua_pushlightuserdata(d->L, NULL);
  }
}

/* Decodes the string, number, true, false or null that begins here and pushes it. False, with nothing pushed,
   if there is none; `wanted` says what was expected. */
static bool decode_scalar(decoder *d, const char *wanted) {
  json_scan *scan = &d->scan;
  json_string string;
  json_number number;
  if (scan->at == scan->end)
    return json_expected(scan, wanted);
  switch (*scan->at) {
  case '"':
    if (!json_scan_string(scan, &string))
      return false;
    push_string(d->L, &string);
    return true;
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    if (!json_scan_number(scan, &number))
      return false;
    if (number.is_integer) {
      lua_pushinteger(d->L, number.integer);
    } else {
      lua_pushnumber(d->L, number.real);
    }
    return true;
  case 't':
    if (!json_scan_word(scan, "true"))
      return false;
    lua_pushboolean(d->L, 1);
    return true;
  case 'f':
    if (!json_scan_word(scan, "false"))
      return false;
    lua_pushboolean(d->L, 0);
    return true;
  case 'n':
    if (!json_scan_word(scan, "null"))
      return false;
    push_null(d);
    return true;
  case 'I':
  case 'N':
    return json_fault(scan, scan->at, "NaN and Infinity are not JSON");
  default:
    return json_expected(scan, wanted);
  }
}

/* Decodes a key and its colon, and pushes the key. */
static bool decode_key(decoder *d, const char *wanted) {
  json_scan *scan = &d->scan;
  json_string key;
  json_skip_space(scan);
  if (scan->at == scan->end || *scan->at != '"')
    return json_expected(scan, wanted);
  if (!json_scan_string(scan, &key))
    return false;
  json_skip_space(scan);
  if (scan->at == scan->end || *scan->at != ':')
    return json_expected(scan, "':'");
  scan->at++;
  push_string(d->L, &key);
  return true;
}

/* Opens the array or object whose bracket is here and pushes its table. Below it stays what says where it
   belongs: in an object the key, which is there already; in an array the index, which is pushed first. So a
   level is a table and one of these, and leave_container can tell which by its type. */
static bool enter_container(decoder *d) {
  lua_State *L = d->L;
  if (d->depth == d->max_depth) {
    return json_fault(&d->scan, d->scan.at,
                      "more arrays and objects within each other than max_depth allows");
  }
  luaL_checkstack(L, LUA_MINSTACK, "decoding JSON");
  if (d->index > 0)
    lua_pushinteger(L, d->index);
  lua_newtable(L);
  d->index = *d->scan.at == '[' ? 1 : 0;
  d->depth++;
  d->scan.at++;
  return true;
}

/* Passes over the closing bracket here. The finished table, on top of the stack, is then a value of the one
   around it, which is the innermost again. */
static void leave_container(decoder *d) {
  lua_State *L = d->L;
  d->scan.at++;
  d->depth--;
  d->index = 0;
  if (d->depth > 0 && lua_isinteger(L, -2)) {
    d->index = lua_tointeger(L, -2);
    lua_remove(L, -2);
  }
}

/* Moves the value on top of the stack, with its key if it has one, into the innermost table. */
static void store_value(decoder *d) {
  if (d->index > 0) {
    lua_rawseti(d->L, -2, d->index++);
  } else {
    lua_rawset(d->L, -3);
  }
}

/* Whether the next byte that is not white space is `c`. */
static bool next_is(json_scan *scan, char c) {
  json_skip_space(scan);
  return scan->at < scan->end && *scan->at == c;
}

/* Decodes the value that begins at the next byte that is not white space, and pushes it. False on a fault:
   the stack then holds the unfinished tables, which are the caller's to drop. */
static bool decode_value(decoder *d) {
  json_scan *scan = &d->scan;
  const char *wanted = "a value";
  for (;;) {
    if (next_is(scan, '[')) {
      if (!enter_container(d))
        return false;
      if (!next_is(scan, ']')) {
        wanted = "a value or ']'";
        continue;
      }
      lua_pushvalue(d->L, d->array_metatable);
      lua_setmetatable(d->L, -2);
      leave_container(d);
    } else if (next_is(scan, '{')) {
      if (!enter_container(d))
        return false;
      if (!next_is(scan, '}')) {
        if (!decode_key(d, "a key or '}'"))
          return false;
        wanted = "a value after ':'";
        continue;
      }
      leave_container(d);
    } else if (!decode_scalar(d, wanted)) {
      return false;
    }
    /* A value is complete, and with it perhaps the containers around it. */
    for (;;) {
      if (d->depth == 0)
        return true;
      store_value(d);
      bool in_array = d->index > 0;
      if (next_is(scan, ',')) {
        scan->at++;
        wanted = in_array ? "a value after ','" : "a value after ':'";
        if (!in_array && !decode_key(d, "a key after ','"))
          return false;
        break;
      }
      if (!next_is(scan, in_array ? ']' : '}')) {
        return json_expected(scan, in_array ? "',' or ']'" : "',' or '}'");
      }
      leave_container(d);
    }
  }
}

/* Decodes the whole text as one value. As for decode_value. */
static bool decode_document(decoder *d) {
  json_scan *scan = &d->scan;
  if (scan->at == scan->end)
    return json_fault(scan, scan->at, "the text is empty");
  if (scan->end - scan->at >= 3 && memcmp(scan->at, "\xEF\xBB\xBF", 3) == 0) {
    return json_fault(scan, scan->at, "a byte order mark");
  }
  if (!decode_value(d))
    return false;
  json_skip_space(scan);
  return scan->at == scan->end || json_fault(scan, scan->at, "text after the value");
}

/* Takes one option: its name is at stack index -2, its value at -1. Raises for what is none. */
static void take_option(decoder *d, int options) {
  lua_State *L = d->L;
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
  if (strcmp(name, "null") == 0) {
    luaL_argcheck(L, lua_isboolean(L, -1), options, "'null' must be a boolean");
    d->keep_null = lua_toboolean(L, -1);
  } else if (strcmp(name, "max_depth") == 0) {
    int is_integer = 0;
    lua_Integer depth = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_integer) : 0;
    luaL_argcheck(L, is_integer && depth >= 1 && depth <= GREATEST_MAX_DEPTH, options,
                  "'max_depth' must be an integer from 1 to 100000");
    d->max_depth = (int)depth;
  } else {
    luaL_argerror(L, options, lua_pushfstring(L, "unknown option '%s'", name));
  }
}

/* As lua_core.h says. The stack grows by a copy of the array metatable and the value, of which the value
 * stays. */
int lua_decode_text(lua_State *L, const char *text, size_t length, int options) {
  decoder d = {.L = L, .max_depth = DEFAULT_MAX_DEPTH};
  if (options != 0 && !lua_isnoneornil(L, options)) {
    options = lua_absindex(L, options);
    luaL_checktype(L, options, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, options); lua_pop(L, 1))
      take_option(&d, options);
  }
  luaL_checkstack(L, LUA_MINSTACK, "decoding JSON");
  luaL_getmetatable(L, LUA_CORE_ARRAY);
  d.array_metatable = lua_gettop(L);
  json_scan_begin(&d.scan, text, length);
  if (decode_document(&d)) {
    lua_replace(L, d.array_metatable);
    return 1;
  }
  char message[JSON_MESSAGE_SIZE];
  json_describe_fault(&d.scan, message, sizeof message);
  lua_settop(L, d.array_metatable - 1);
  lua_pushnil(L);
  lua_pushstring(L, message);
  lua_pushinteger(L, (lua_Integer)(d.scan.at - d.scan.text) + 1);
  return 3;
}

/* Decodes a JSON text: strict RFC 8259, one value with nothing but white space around it.

   Objects and arrays become tables. Of duplicate keys the last one counts. `null` in an object is an absent
   field, or core.null with the option `null`; in an array, and as the whole text, it is core.null. Integers
   that fit 64 bits are Lua integers; larger ones, those with a fraction or an exponent, and -0 are the
   nearest floats. An empty array has the metatable core.array, nothing else has any.

   ---@param text string
   ---@param options? { null?: boolean, max_depth?: integer } max_depth: 1 to 100000, default 512
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
  return lua_decode_text(L, text, length, 2);
}

/* As lua_core.h says. */
void lua_decode_open(lua_State *L) {
  lua_pushcfunction(L, core_decode);
  lua_setfield(L, -2, "decode");
}
