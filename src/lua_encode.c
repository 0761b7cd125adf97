/* Lua values to JSON text.

   Like the decoder it goes round in a loop, so depth costs no C stack. The text, the open tables and the
   sorted keys lie in malloc'd buffers of one userdata: an error that unwinds leaves them to its finalizer.
   A table with __pairs is read by that (lua_shown.c), all others raw. That, and a finalizer which an
   allocation runs, may change a table that is being encoded: so whatever is counted or collected in one go
   allocates nothing in Lua meanwhile, keys are held by a list of our own, and what is gone afterwards is an
   error. */

#include "buffer.h"
#include "json_scan.h"
#include "lua_core.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENCODER "llama_cloud.encoder"

/* Deeper than any body, and a bound for the search for cycles, which looks at every table around the current
 * one. */
#define MAX_DEPTH 512

/* Where core_encode keeps what it needs. Above these lie three slots for each open table: the table, what it
   shows (mostly itself), and the list of its keys or, for an array, nil. */
enum { VALUE = 1, ROOT, STATE, ARRAY_METATABLE, FIXED_SLOTS = ARRAY_METATABLE };

/* A key of an object. The string is held by the list of keys, at place `slot`. */
typedef struct member {
  const char *key;
  size_t length;
  lua_Integer slot;
} member;

/* An open table. `next` of its `count` elements or members are written or being written. */
typedef struct frame {
  const void *table;
  bool is_array;
  lua_Integer next;
  lua_Integer count;
  size_t first_member; /* where its members begin in encoder.members */
} frame;

typedef struct encoder {
  lua_Integer left; /* how many fields __pairs may still give */
  buffer text;
  buffer frames;  /* of frame, outermost first */
  buffer members; /* of member, those of each open object in order, outermost first */
} encoder;

/* Gives an encoder's memory back: its finalizer, and called as soon as the text is done. */
static int encoder_gc(lua_State *L) {
  encoder *e = luaL_checkudata(L, 1, ENCODER);
  buffer_free(&e->text);
  buffer_free(&e->frames);
  buffer_free(&e->members);
  return 0;
}

/* Appends to the text, or raises when memory runs out. */
static void put(lua_State *L, encoder *e, const char *bytes, size_t length) {
  if (!buffer_append(&e->text, bytes, length))
    lua_out_of_memory(L);
}

static void put_text(lua_State *L, encoder *e, const char *text) { put(L, e, text, strlen(text)); }

static size_t depth_of(const encoder *e) { return e->frames.length / sizeof(frame); }

/* The open table at `level`, 0 for the outermost. Valid until the next one is opened. */
static frame *frame_at(const encoder *e, size_t level) { return (frame *)(void *)e->frames.data + level; }

/* The members of an open object. Valid until the next one is opened. */
static member *members_of(const encoder *e, const frame *f) {
  return (member *)(void *)e->members.data + f->first_member;
}

/* How many bytes from `at` on stand for themselves in a JSON string; `*valid` becomes false where invalid
   UTF-8 ends them. */
static size_t plain_length(const char *at, const char *end, bool *valid) {
  const char *start = at;
  while (at < end) {
    unsigned char byte = (unsigned char)*at;
    if (byte < 0x20 || byte == '"' || byte == '\\')
      break;
    int length = byte < 0x80 ? 1 : json_utf8(at, end);
    if (length <= 0) {
      *valid = false;
      break;
    }
    at += length;
  }
  return (size_t)(at - start);
}

/* Writes the escape of a quote, a backslash or a control character. */
static void put_escape(lua_State *L, encoder *e, unsigned char byte) {
  static const char *const short_form[0x20] = {
      ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
  char escape[8];
  if (byte >= 0x20) {
    snprintf(escape, sizeof escape, "\\%c", byte);
  } else if (short_form[byte]) {
    snprintf(escape, sizeof escape, "%s", short_form[byte]);
  } else {
    snprintf(escape, sizeof escape, "\\u%04x", byte);
  }
  put_text(L, e, escape);
}

/* Writes a string with its quotes. Returns 0, or the position from 1 at which it is not valid UTF-8. */
static size_t put_string(lua_State *L, encoder *e, const char *string, size_t length) {
  const char *at = string;
  const char *end = string + length;
  bool valid = true;
  put(L, e, "\"", 1);
  for (;;) {
    size_t plain = plain_length(at, end, &valid);
    put(L, e, at, plain);
    at += plain;
    if (!valid)
      return (size_t)(at - string) + 1;
    if (at == end)
      break;
    put_escape(L, e, (unsigned char)*at++);
  }
  put(L, e, "\"", 1);
  return 0;
}

/* Replaces the decimal point of the current locale, in some of several bytes, by a full stop. */
static void fix_decimal_point(char *text) {
  size_t before = strspn(text, "0123456789+-e");
  if (text[before] == '\0')
    return;
  size_t point = strcspn(text + before, "0123456789");
  memmove(text + before + 1, text + before + point, strlen(text + before + point) + 1);
  text[before] = '.';
}

/* Whether a number's text decodes to the same double. Asks our own decoder, which no locale can mislead. */
static bool reads_back(const char *text, double value) {
  json_scan scan;
  json_number number;
  json_scan_begin(&scan, text, strlen(text));
  if (!json_scan_number(&scan, &number))
    return false;
  return (number.is_integer ? (double)number.integer : number.real) == value;
}

/* Writes a finite double, rounded to the fewest digits (15, 16 or 17; from 1 for subnormals, which have less
   precision) that read back as the same, and so that it stays a float: 3.0, not 3. At some powers of two a
   decimal that is not the nearest of its length would do with one digit less. */
static void put_double(lua_State *L, encoder *e, double value) {
  char text[64];
  int digits = fabs(value) < DBL_MIN ? 1 : DBL_DIG;
  for (;; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    fix_decimal_point(text);
    if (digits >= 17 || reads_back(text, value))
      break;
  }
  put_text(L, e, text);
  if (!strpbrk(text, ".e"))
    put(L, e, ".0", 2);
}

static void put_integer(lua_State *L, encoder *e, lua_Integer value) {
  char text[32];
  int length = snprintf(text, sizeof text, LUA_INTEGER_FMT, (LUAI_UACINT)value);
  put(L, e, text, (size_t)length);
}

/* Whether a key can stand in a path as it is, like a name in Lua. */
static bool is_name(const char *key, size_t length) {
  static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  if (length == 0 || strspn(key, first) == 0)
    return false;
  for (size_t i = 1; i < length; i++) {
    if (key[i] == '\0' || (!strchr(first, key[i]) && !strchr("0123456789", key[i])))
      return false;
  }
  return true;
}

/* Writes a key for people: quoted, on one line, valid UTF-8 whatever the key is, and of a long one only the
 * beginning. */
static void put_quoted_key(lua_State *L, encoder *e, const char *key, size_t length) {
  const size_t most = 60;
  const char *end = key + length;
  const char *limit = length > most ? key + most : end;
  put(L, e, "\"", 1);
  while (key < limit) {
    unsigned char byte = (unsigned char)*key;
    int size = byte < 0x80 ? 1 : json_utf8(key, end);
    char escape[8];
    if (size <= 0 || byte < 0x20 || byte == 0x7f) {
      snprintf(escape, sizeof escape, "\\x%02x", byte);
      put_text(L, e, escape);
      key++;
    } else {
      if (byte == '"' || byte == '\\')
        put(L, e, "\\", 1);
      put(L, e, key, (size_t)size);
      key += size;
    }
  }
  if (limit < end)
    put_text(L, e, "…");
  put(L, e, "\"", 1);
}

/* Replaces the text by a message: the path of the value that is being encoded, and then `reason`. False, for
   `return refuse(…)`. Raises when memory runs out. */
static bool refuse(lua_State *L, encoder *e, const char *reason) {
  size_t length;
  const char *root = lua_tolstring(L, ROOT, &length);
  buffer_clear(&e->text);
  put(L, e, root, length);
  for (size_t level = 0; level < depth_of(e); level++) {
    const frame *f = frame_at(e, level);
    if (f->is_array) {
      put(L, e, "[", 1);
      put_integer(L, e, f->next);
      put(L, e, "]", 1);
      continue;
    }
    const member *m = &members_of(e, f)[f->next - 1];
    if (is_name(m->key, m->length)) {
      put(L, e, ".", 1);
      put(L, e, m->key, m->length);
    } else {
      put(L, e, "[", 1);
      put_quoted_key(L, e, m->key, m->length);
      put(L, e, "]", 1);
    }
  }
  put_text(L, e, ": ");
  put_text(L, e, reason);
  return false;
}

/* The same where the table on top of the stack is refused for a key, which `reason` is followed by. The key
   lies at stack index `key`; a copy of it is what becomes a string here, for lua_next needs it as it is. */
static bool refuse_key(lua_State *L, encoder *e, const char *reason, int key) {
  size_t length;
  refuse(L, e, reason);
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, key, &length);
    put_quoted_key(L, e, text, length);
  } else if (lua_type(L, key) == LUA_TNUMBER) {
    lua_pushvalue(L, key);
    put_text(L, e, lua_tostring(L, -1));
    lua_pop(L, 1);
  } else {
    put_text(L, e, "of type ");
    put_text(L, e, luaL_typename(L, key));
  }
  return false;
}

/* Refuses the table on top of the stack, whose positive integer keys have gaps, by its first gap. */
static bool refuse_gap(lua_State *L, encoder *e) {
  lua_Integer place = 1;
  while (lua_rawgeti(L, -1, place) != LUA_TNIL) {
    lua_pop(L, 1);
    place++;
  }
  lua_pop(L, 1);
  lua_pushinteger(L, place);
  refuse_key(L, e, "cannot encode an array with gaps: nothing at ", -1);
  lua_pop(L, 1);
  return false;
}

/* Finds out what the table on top of the stack is to JSON, and how many elements or members it has. It is an
   array if it is marked as one or has only the keys 1 to n, and an object if it has only strings as keys.
   False, with the message as text, if it is neither. Allocates nothing in Lua unless it refuses, so that it
   sees the table at one moment. */
static bool classify(lua_State *L, encoder *e, bool *is_array, lua_Integer *count) {
  lua_Integer strings = 0;
  lua_Integer integers = 0;
  lua_Integer highest = 0;
  int table = lua_gettop(L);
  bool marked = lua_getmetatable(L, table) && lua_rawequal(L, -1, ARRAY_METATABLE);
  lua_settop(L, table);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    bool refused = true;
    if (lua_isinteger(L, -2)) {
      lua_Integer key = lua_tointeger(L, -2);
      integers++;
      if (key > highest)
        highest = key;
      if (key < 1) {
        refuse_key(L, e, "cannot encode a table with the key ", -2);
      } else if (strings > 0) {
        refuse_key(L, e, "cannot encode a table with string keys and the key ", -2);
      } else {
        refused = false;
      }
    } else if (lua_type(L, -2) == LUA_TSTRING) {
      strings++;
      if (marked || integers > 0) {
        refuse_key(L, e, "cannot encode an array with the key ", -2);
      } else {
        refused = false;
      }
    } else {
      refuse_key(L, e, "cannot encode a table with the key ", -2);
    }
    if (refused) {
      lua_settop(L, table);
      return false;
    }
  }
  if (highest != integers)
    return refuse_gap(L, e);
  *is_array = marked || integers > 0;
  *count = integers + strings;
  return true;
}

/* Orders keys by their bytes, so that the same value always gives the same text. */
static int compare_members(const void *left, const void *right) {
  const member *a = left;
  const member *b = right;
  size_t shorter = a->length < b->length ? a->length : b->length;
  int order = memcmp(a->key, b->key, shorter);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Pushes the list of the `f->count` keys of the object on top of the stack, and appends them, sorted, to the
   members. The list and the room are made first, so that nothing can change the object while it is read; what
   a finalizer has changed until then shows as another number or kind of keys. */
static bool collect_members(lua_State *L, encoder *e, frame *f) {
  lua_Integer found = 0;
  int table = lua_gettop(L);
  f->first_member = e->members.length / sizeof(member);
  if (f->count > INT_MAX)
    return refuse(L, e, "cannot encode an object with so many keys");
  lua_createtable(L, (int)f->count, 0);
  /* one more, because there is no member to point at in a buffer without memory */
  if (!buffer_reserve(&e->members, ((size_t)f->count + 1) * sizeof(member)))
    lua_out_of_memory(L);
  member *members = members_of(e, f);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (found == f->count || lua_type(L, -2) != LUA_TSTRING) {
      lua_settop(L, table);
      return refuse(L, e, "the table changed while it was encoded");
    }
    member *m = &members[found++];
    m->key = lua_tolstring(L, -2, &m->length);
    m->slot = found;
    lua_pushvalue(L, -2);
    lua_rawseti(L, table + 1, found);
  }
  f->count = found;
  e->members.length += (size_t)found * sizeof(member);
  if (found > 1)
    qsort(members, (size_t)found, sizeof(member), compare_members);
  return true;
}

/* Opens the table on top of the stack: writes its bracket, pushes what it shows and the list of its keys or
   nil, and appends its frame. False, with the message as text, if it cannot be encoded. */
static bool enter_table(lua_State *L, encoder *e) {
  frame f = {.table = lua_topointer(L, -1)};
  for (size_t level = 0; level < depth_of(e); level++) {
    if (frame_at(e, level)->table == f.table) {
      return refuse(L, e, "cannot encode a table that contains itself");
    }
  }
  if (depth_of(e) == MAX_DEPTH)
    return refuse(L, e, "cannot encode more than 512 tables within each other");
  luaL_checkstack(L, LUA_MINSTACK, "encoding JSON");
  lua_pushvalue(L, -1);
  const char *problem = lua_show_table(L, &e->left);
  if (problem != NULL)
    return refuse(L, e, problem);
  if (!classify(L, e, &f.is_array, &f.count))
    return false;
  if (f.is_array) {
    lua_pushnil(L);
  } else if (!collect_members(L, e, &f)) {
    return false;
  }
  put(L, e, f.is_array ? "[" : "{", 1);
  if (!buffer_append(&e->frames, &f, sizeof f))
    lua_out_of_memory(L);
  return true;
}

/* Closes the innermost table and takes its slots off the stack. */
static void leave_table(lua_State *L, encoder *e) {
  const frame *f = frame_at(e, depth_of(e) - 1);
  put(L, e, f->is_array ? "]" : "}", 1);
  if (!f->is_array)
    e->members.length = f->first_member * sizeof(member);
  e->frames.length -= sizeof(frame);
  lua_pop(L, 3);
}

/* Writes what precedes the next value of the innermost table, and pushes that value. False if its key cannot
   be encoded, or if the value is gone. */
static bool next_value(lua_State *L, encoder *e) {
  frame *f = frame_at(e, depth_of(e) - 1);
  if (f->next++ > 0)
    put(L, e, ",", 1);
  if (f->is_array) {
    lua_rawgeti(L, -2, f->next);
  } else {
    const member *m = &members_of(e, f)[f->next - 1];
    if (put_string(L, e, m->key, m->length) != 0)
      return refuse(L, e, "the key is not valid UTF-8");
    put(L, e, ":", 1);
    lua_rawgeti(L, -1, m->slot);
    lua_rawget(L, -3);
  }
  return !lua_isnil(L, -1) || refuse(L, e, "the table changed while it was encoded");
}

/* Writes a value that is no table. It stays on top of the stack. */
static bool encode_scalar(lua_State *L, encoder *e) {
  char reason[64];
  size_t length;
  size_t fault;
  const char *string;
  switch (lua_type(L, -1)) {
  case LUA_TBOOLEAN:
    put_text(L, e, lua_toboolean(L, -1) ? "true" : "false");
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, -1)) {
      put_integer(L, e, lua_tointeger(L, -1));
      return true;
    }
    if (isnan(lua_tonumber(L, -1)))
      return refuse(L, e, "cannot encode NaN");
    if (isinf(lua_tonumber(L, -1)))
      return refuse(L, e, "cannot encode an infinite number");
    put_double(L, e, lua_tonumber(L, -1));
    return true;
  case LUA_TSTRING:
    string = lua_tolstring(L, -1, &length);
    fault = put_string(L, e, string, length);
    if (fault == 0)
      return true;
    snprintf(reason, sizeof reason, "the string is not valid UTF-8 at byte %zu", fault);
    return refuse(L, e, reason);
  case LUA_TLIGHTUSERDATA:
    if (lua_touserdata(L, -1))
      return refuse(L, e, "cannot encode a light userdata other than null");
    put_text(L, e, "null");
    return true;
  case LUA_TNIL:
    return refuse(L, e, "cannot encode nil");
  default:
    snprintf(reason, sizeof reason, "cannot encode a %s", lua_typename(L, lua_type(L, -1)));
    return refuse(L, e, reason);
  }
}

/* Writes the value on top of the stack and pops it. False, with the message as text, if it cannot be encoded;
   the stack is then the caller's to put right. */
static bool encode_value(lua_State *L, encoder *e) {
  for (;;) {
    if (lua_istable(L, -1)) {
      if (!enter_table(L, e))
        return false;
    } else {
      if (!encode_scalar(L, e))
        return false;
      lua_pop(L, 1);
    }
    for (;;) {
      if (depth_of(e) == 0)
        return true;
      const frame *f = frame_at(e, depth_of(e) - 1);
      if (f->next < f->count)
        break;
      leave_table(L, e);
    }
    if (!next_value(L, e))
      return false;
  }
}

/* Encodes a value as JSON text, without white space and with the keys of objects in the order of their bytes.

   Tables with the metatable core.array, and those with the keys 1 to n, are arrays; those with only strings
   as keys, and empty ones, are objects. core.null is null. Integers are written exactly; floats with the
   fewest digits that decode to the same float, and always as floats: 3.0, 1e+300. Strings are written as they
   are, but for quotes, backslashes and control characters.

   A table with __pairs is what that gives, as `pairs` would: it must not yield, must give no key twice and,
   over all such tables, at most 1000000 fields; what it raises comes out. Any other table is what it holds
   itself, as `pairs` has it, too: no other metamethod is called. But an empty one with fields behind __index
   is refused rather than written as {}; behind a table with functions alone, which is a class, there are
   none.

   ---@param value any
   ---@param root? string what the message calls the value; default "value"
   ---@return string? text
   ---@return string? message where and why: `body.config.job.type: cannot encode a function`

   Not encoded: nil, functions, threads, full userdata, other light userdata; NaN and infinities; strings and
   keys that are not valid UTF-8; tables that are neither arrays nor objects (gaps, mixed keys, keys that are
   neither integers nor strings), that contain themselves, or that lie in more than 511 others; tables that a
   finalizer or a __pairs changes meanwhile. Raises without a first argument, for a root that is no string,
   and when memory or the Lua stack runs out. */
static int core_encode(lua_State *L) {
  luaL_checkany(L, VALUE);
  luaL_optstring(L, ROOT, NULL);
  lua_settop(L, ROOT);
  if (lua_isnil(L, ROOT)) {
    lua_pushliteral(L, "value");
    lua_replace(L, ROOT);
  }
  encoder *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = (encoder){.left = LUA_MOST_SHOWN};
  luaL_setmetatable(L, ENCODER);
  luaL_getmetatable(L, LUA_CORE_ARRAY);
  lua_pushvalue(L, VALUE);
  bool encoded = encode_value(L, e);
  lua_settop(L, FIXED_SLOTS);
  if (!encoded)
    lua_pushnil(L);
  lua_pushlstring(L, e->text.data, e->text.length);
  lua_pushcfunction(L, encoder_gc);
  lua_pushvalue(L, STATE);
  lua_call(L, 1, 0);
  return encoded ? 1 : 2;
}

/* As lua_core.h says. */
void lua_encode_open(lua_State *L) {
  luaL_newmetatable(L, ENCODER);
  lua_pushcfunction(L, encoder_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, core_encode);
  lua_setfield(L, -2, "encode");
}
