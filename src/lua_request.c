/* The request of transport:start: a Lua table, or a profile and arguments, to transfer_options. */
#include "lua_request.h"

#include "lua_files.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define PROFILE "llama_cloud.profile"

/* What the requests of a client have in common. Its texts follow it in the same userdata. */
typedef struct profile {
  const char *proxy, *ca_file;
  double connect_timeout;
  size_t max_response_bytes;
  bool verify;
} profile;

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

/* Raises unless the method is a word in capital letters: whatever the caller does, nothing is smuggled in. */
static void check_method(lua_State *L, const char *method) {
  const char *c = method;
  while (*c >= 'A' && *c <= 'Z')
    c++;
  if (c == method || *c != '\0')
    luaL_error(L, "the method must be a word in capital letters");
}

/* Reads what a profile has, too. Pushes what the options refer to, two values. */
static void read_settings(lua_State *L, int index, profile *settings) {
  lua_Number limit = number_field(L, index, "max_response_bytes", HUGE_VAL);
  if (limit < 0)
    luaL_error(L, "field 'max_response_bytes' is negative");
  settings->max_response_bytes = limit < (lua_Number)(SIZE_MAX / 4) ? (size_t)limit : SIZE_MAX / 4;
  settings->connect_timeout = number_field(L, index, "connect_timeout", HUGE_VAL);
  settings->verify = boolean_field(L, index, "verify", true);
  settings->proxy = string_field(L, index, "proxy", NULL);
  settings->ca_file = string_field(L, index, "ca_file", NULL);
}

static void apply(const profile *settings, transfer_options *options) {
  options->proxy = settings->proxy;
  options->ca_file = settings->ca_file;
  options->verify = settings->verify;
  options->connect_timeout = settings->connect_timeout;
  options->max_response_bytes = settings->max_response_bytes;
}

/* The body at a stack index: a string, a form, or nil. Raises for anything else. */
static void read_body(lua_State *L, int index, transfer_options *options) {
  options->body = NULL;
  options->body_length = 0;
  options->form = lua_test_form(L, index);
  if (options->form != NULL || lua_isnil(L, index))
    return;
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "the body of a request must be a string or a form");
  options->body = lua_tolstring(L, index, &options->body_length);
}

/* The request of a table. Pushes what the options refer to, seven values. */
static void read_table(lua_State *L, int index, transfer_options *options) {
  profile settings;
  options->method = string_field(L, index, "method", NULL);
  if (options->method == NULL)
    luaL_error(L, "a request needs a method");
  check_method(L, options->method);
  options->url = string_field(L, index, "url", NULL);
  if (options->url == NULL)
    luaL_error(L, "a request needs a url");
  lua_getfield(L, index, "headers");
  options->headers = lua_to_header_set(L, -1);
  lua_getfield(L, index, "body");
  read_body(L, -1, options);
  lua_getfield(L, index, "output");
  options->output = lua_opt_output(L, -1);
  options->repeatable = boolean_field(L, index, "repeatable", false);
  options->fresh = boolean_field(L, index, "fresh", false);
  options->timeout = number_field(L, index, "timeout", HUGE_VAL);
  options->deadline = number_field(L, index, "deadline", HUGE_VAL);
  options->stall = number_field(L, index, "stall_timeout", HUGE_VAL);
  read_settings(L, index, &settings);
  apply(&settings, options);
}

/* An argument that is a string. Raises for what is none, and unless `length` is given for one with a NUL. */
static const char *string_argument(lua_State *L, int index, size_t *length) {
  size_t size;
  const char *text;
  luaL_checktype(L, index, LUA_TSTRING);
  text = lua_tolstring(L, index, &size);
  if (length != NULL)
    *length = size;
  else
    luaL_argcheck(L, strlen(text) == size, index, "contains a NUL");
  return text;
}

static double seconds_argument(lua_State *L, int index) {
  lua_Number seconds = luaL_optnumber(L, index, HUGE_VAL);
  luaL_argcheck(L, !isnan(seconds), index, "NaN");
  return seconds;
}

/* core.profile(settings) -> profile: what requests have in common, read once. settings: connect_timeout,
   max_response_bytes, proxy, ca_file, verify, as of a request. Raises for a field of the wrong type, and when
   memory runs out. */
static int core_profile(lua_State *L) {
  profile settings, *p;
  size_t proxy_size, ca_file_size;
  char *text;
  luaL_checktype(L, 1, LUA_TTABLE);
  read_settings(L, 1, &settings);
  proxy_size = settings.proxy != NULL ? strlen(settings.proxy) + 1 : 0;
  ca_file_size = settings.ca_file != NULL ? strlen(settings.ca_file) + 1 : 0;
  p = lua_newuserdatauv(L, sizeof *p + proxy_size + ca_file_size, 0);
  text = (char *)(p + 1);
  *p = settings;
  if (settings.proxy != NULL)
    p->proxy = memcpy(text, settings.proxy, proxy_size);
  if (settings.ca_file != NULL)
    p->ca_file = memcpy(text + proxy_size, settings.ca_file, ca_file_size);
  luaL_setmetatable(L, PROFILE);
  return 1;
}

/* As lua_request.h says. */
void lua_read_request(lua_State *L, int index, transfer_options *options) {
  const profile *settings;
  if (!lua_isuserdata(L, index)) {
    luaL_checktype(L, index, LUA_TTABLE);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    read_table(L, index, options);
    return;
  }
  settings = luaL_checkudata(L, index, PROFILE);
  options->method = string_argument(L, index + 1, NULL);
  check_method(L, options->method);
  options->url = string_argument(L, index + 2, NULL);
  options->headers = lua_to_header_set(L, index + 3);
  read_body(L, index + 4, options);
  options->repeatable = lua_toboolean(L, index + 5);
  options->fresh = !options->repeatable && !lua_toboolean(L, index + 10);
  options->timeout = seconds_argument(L, index + 6);
  options->deadline = seconds_argument(L, index + 7);
  options->stall = seconds_argument(L, index + 8);
  options->output = lua_opt_output(L, index + 9);
  apply(settings, options);
}

void lua_request_open(lua_State *L) {
  luaL_newmetatable(L, PROFILE);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lua_pushcfunction(L, core_profile);
  lua_setfield(L, -2, "profile");
}
