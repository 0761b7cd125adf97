/* The request of transport:start: a Lua table to transfer_options. */
#include "lua_request.h"

#include "lua_core.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Pushes field `name` of the table at `index`, where it stays, and returns it as a string, or NULL for nil.
   Without `length` there may be no NUL in it. */
static const char *string_field(lua_State *L, int index, const char *name, size_t *length) {
  const char *text;
  size_t size;
  if (lua_getfield(L, index, name) == LUA_TNIL)
    return NULL;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "field '%s' must be a string", name);
  text = lua_tolstring(L, -1, &size);
  if (length != NULL)
    *length = size;
  else if (strlen(text) != size)
    luaL_error(L, "field '%s' contains a NUL", name);
  return text;
}

/* The number in field `name` of the table at `index`. Raises for what is none, NaN included. Stack as
   before. */
static lua_Number number_field(lua_State *L, int index, const char *name, lua_Number otherwise) {
  lua_Number value = otherwise;
  if (lua_getfield(L, index, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "field '%s' must be a number", name);
    value = lua_tonumber(L, -1);
    if (isnan(value))
      luaL_error(L, "field '%s' is NaN", name);
  }
  lua_pop(L, 1);
  return value;
}

/* Whether field `name` of the table at `index` is true. Stack as before. */
static bool boolean_field(lua_State *L, int index, const char *name, bool otherwise) {
  bool value = lua_getfield(L, index, name) == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* The field's method, pushed. Raises unless it is a word in capital letters: whatever the caller does,
   nothing is smuggled in. */
static const char *method_field(lua_State *L, int index) {
  const char *method = string_field(L, index, "method", NULL);
  if (method == NULL)
    luaL_error(L, "a request needs a method");
  else if (method[0] == '\0' || method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
    luaL_error(L, "the method must be a word in capital letters");
  return method;
}

/* As lua_request.h says. */
void lua_read_request(lua_State *L, int index, transfer_options *options) {
  lua_Number limit;
  options->method = method_field(L, index);
  options->url = string_field(L, index, "url", NULL);
  if (options->url == NULL)
    luaL_error(L, "a request needs a url");
  lua_getfield(L, index, "headers");
  options->headers = lua_to_header_set(L, -1);
  options->body_length = 0;
  options->body = string_field(L, index, "body", &options->body_length);
  options->proxy = string_field(L, index, "proxy", NULL);
  options->ca_file = string_field(L, index, "ca_file", NULL);
  options->verify = boolean_field(L, index, "verify", true);
  options->repeatable = boolean_field(L, index, "repeatable", false);
  options->fresh = boolean_field(L, index, "fresh", false);
  options->timeout = number_field(L, index, "timeout", HUGE_VAL);
  options->connect_timeout = number_field(L, index, "connect_timeout", HUGE_VAL);
  options->deadline = number_field(L, index, "deadline", HUGE_VAL);
  limit = number_field(L, index, "max_response_bytes", HUGE_VAL);
  if (limit < 0)
    luaL_error(L, "field 'max_response_bytes' is negative");
  options->max_response_bytes = limit < (lua_Number)(SIZE_MAX / 4) ? (size_t)limit : SIZE_MAX / 4;
}
