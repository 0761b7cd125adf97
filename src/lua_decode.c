/* JSON text to Lua tables, in one pass with nothing between.

   The decoder goes round in a loop rather than calling itself, so the depth of a document costs no C stack.
   Open arrays and objects are tables on the Lua stack, and frames in the decoder's state
   (lua_decoder_state.h), which is a userdata: an error may unwind a decode at any point, and a finalizer may
   decode meanwhile, with a state of its own.

   Most of the time goes into building tables and strings. So what can be known before is remembered from the
   last object at the same place (json_memory.h): its keys as Lua strings, its size, its last values. */

#include "json_fast.h"
#include "json_scan.h"
#include "json_skip.h"
#include "lua_core.h"
#include "lua_decoder_state.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Levels that fit the Lua stack as a C function finds it, beside what its caller and the decoder have there.
 */
#define FIRST_LEVELS 4

static_assert(sizeof(lua_Integer) == sizeof(int64_t) && sizeof(lua_Number) == sizeof(double),
              "Lua built with 64-bit integers and doubles");

typedef struct decoder {
  lua_State *L;
  json_scan scan;
  decoder_state *state;
  frame *top;        /* the innermost open array or object */
  json_field *field; /* of the value that comes next; NULL: it is not remembered */
  int slots;         /* stack index of the state's table of slots; nothing else of the decoder's is below the
                        value that it makes */
  int depth;
  int stack_room; /* levels for which the Lua stack has been grown */
  size_t room;    /* bytes of text for which tables may still be made in the size of earlier ones */
  const lua_decoding *options;
} decoder;

/* Whether the quoted text at the scanner's place is `length` bytes that need no escape and equal `bytes`. */
static inline bool text_is(const json_scan *scan, const char *bytes, size_t length) {
  const char *at = scan->at;
  return (size_t)(scan->end - at) > length + 1 && at[length + 1] == '"' && memcmp(at + 1, bytes, length) == 0;
}

/* As json_scan_string, without a call for a string that stands in the text as it is. */
static inline bool scan_string(json_scan *scan, json_string *string, buffer *scratch) {
  const char *start = scan->at + 1;
  const char *stop = json_plain_end(start, scan->end);
  if (stop == scan->end || *stop != '"')
    return json_scan_string(scan, string, scratch);
  *string = (json_string){.bytes = start, .length = (size_t)(stop - start)};
  scan->at = stop + 1;
  return true;
}

/* Keeps the string on top of the stack alive in a slot and returns its bytes. */
static const char *keep(decoder *d, unsigned slot) {
  lua_pushvalue(d->L, -1);
  lua_rawseti(d->L, d->slots, (lua_Integer)slot);
  return lua_tostring(d->L, -1);
}

/* Pushes the string value whose opening quote is here. One that equals the last value of its field, as status
   and project do on a page, is recognised by its bytes alone. Fields whose values differ, as ids do, are
   asked seldom. */
static bool decode_string(decoder *d) {
  enum { PATIENCE = 4, RETRY = 64 };
  json_scan *scan = &d->scan;
  json_field *field = d->field;
  json_string string;
  bool remember = false;
  if (field != NULL) {
    if (field->misses < PATIENCE) {
      if (field->value != NULL && text_is(scan, field->value, field->value_length)) {
        lua_rawgeti(d->L, d->slots, (lua_Integer)field->slot + 1);
        scan->at += field->value_length + 2;
        field->misses = 0;
        return true;
      }
      field->misses++;
      remember = true;
    } else if (++field->misses == RETRY) {
      field->misses = PATIENCE - 1;
      remember = true;
    }
  }
  if (!scan_string(scan, &string, &d->state->scratch))
    return false;
  lua_pushlstring(d->L, string.bytes, string.length);
  if (remember && !string.resolved && string.length <= JSON_MEMORY_STRING) {
    field->value = keep(d, field->slot + 1);
    field->value_length = string.length;
  }
  return true;
}

/* Pushes null: as nothing in an object, unless it is to be kept, for there it then removes what an earlier
   duplicate of the key has set. */
static void push_null(decoder *d) {
  bool in_object = d->depth > 0 && d->top->length < 0;
  if (in_object && !d->options->keep_null) {
    lua_pushnil(d->L);
    d->top->members--;
  } else {
    lua_pushlightuserdata(d->L, NULL);
  }
}

/* Decodes the number, true, false or null that begins here and pushes it. False, with nothing pushed, if
   there is none; `wanted` says what was expected. */
static bool decode_plain(decoder *d, const char *wanted) {
  json_scan *scan = &d->scan;
  json_number number;
  switch (*scan->at) {
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

/* Whether the key here, with its quotes and its colon, is spelt as the field's. */
static inline bool is_field(const json_scan *scan, const json_field *field) {
  size_t length = field->spelling_length;
  const char *at = scan->at, *spelling = field->spelling;
  if ((size_t)(scan->end - at) < length)
    return false;
  /* as memcmp, which is a call: the last piece, which is compared first, overlaps the one before it */
  if (length >= 8) {
    uint64_t a, b;
    memcpy(&a, at + length - 8, 8);
    memcpy(&b, spelling + length - 8, 8);
    for (size_t i = 0; a == b && i + 8 < length; i += 8) {
      memcpy(&a, at + i, 8);
      memcpy(&b, spelling + i, 8);
    }
    return a == b;
  }
  if (length >= 4) {
    uint32_t a, b, c, d;
    memcpy(&a, at, 4);
    memcpy(&b, spelling, 4);
    memcpy(&c, at + length - 4, 4);
    memcpy(&d, spelling + length - 4, 4);
    return a == b && c == d;
  }
  return memcmp(at, spelling, length) == 0;
}

/* Finds the field of the key here, of those seen at the place: from `position` on and around; NULL if it was
   never seen there, or is not followed by its colon at once. */
static json_field *find_field(const json_scan *scan, json_place *place, unsigned position) {
  for (unsigned i = 0; i < place->count; i++, position++) {
    if (position >= place->count)
      position = 0;
    if (is_field(scan, &place->fields[position]))
      return &place->fields[position];
  }
  return NULL;
}

/* Whether the value of the key on top of the stack is wanted. */
static bool is_wanted(decoder *d) {
  lua_State *L = d->L;
  if (d->options->names == 0 || d->depth > 1)
    return true;
  lua_Integer n = (lua_Integer)lua_rawlen(L, d->options->names);
  bool found = false;
  for (lua_Integer i = 1; !found && i <= n; i++) {
    lua_rawgeti(L, d->options->names, i);
    found = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  return found;
}

/* Decodes a key that was not recognised, up to its colon, pushes it, and remembers it. */
static bool decode_new_key(decoder *d, const char *wanted, json_field **field) {
  json_scan *scan = &d->scan;
  json_memory *memory = &d->state->memory;
  json_string key;
  if (scan->at == scan->end || *scan->at != '"')
    return json_expected(scan, wanted);
  if (!json_scan_string(scan, &key, &d->state->scratch))
    return false;
  lua_pushlstring(d->L, key.bytes, key.length);
  json_skip_space(scan);
  if (scan->at == scan->end || *scan->at != ':')
    return json_expected(scan, "':'");
  /* one that is not spelt as it is, or has a space behind it, is not, for it would be remembered again each
   * time */
  if (!key.resolved && key.length <= JSON_MEMORY_STRING && scan->at == key.bytes + key.length + 1)
    *field = json_memory_field(memory, d->top->place, key.bytes, key.length);
  if (*field != NULL)
    keep(d, (*field)->slot);
  scan->at++;
  return true;
}

/* Decides whether the value of the key on top of the stack is wanted, for its field too, if it has one; pops
   the key if it is not. */
static bool judge(decoder *d, json_field *field) {
  bool wanted = is_wanted(d);
  if (field != NULL)
    field->verdict = wanted ? JSON_WANTED : JSON_UNWANTED;
  if (!wanted)
    lua_pop(d->L, 1);
  return wanted;
}

typedef enum member { FAULT, MEMBER, SKIPPED, CLOSED } member;

/* Takes the key and the colon here if they are those that came next in the object last seen at this place, as
   most are, and the value is known to be wanted: then the key is on the stack. */
static inline bool take_expected_key(decoder *d) {
  frame *top = d->top;
  const json_place *place = &d->state->memory.places[top->place];
  if (top->position >= place->count)
    return false;
  json_field *field = &place->fields[top->position];
  if (field->verdict != JSON_WANTED || !is_field(&d->scan, field))
    return false;
  d->scan.at += field->spelling_length;
  lua_rawgeti(d->L, d->slots, (lua_Integer)field->slot);
  d->field = field;
  top->position++;
  top->members++;
  return true;
}

/* Decodes a key and its colon, and finds the field that its value belongs to. MEMBER: the key is on the
   stack; SKIPPED: its value is not wanted, and nothing was pushed. */
static member decode_key(decoder *d, const char *wanted) {
  json_scan *scan = &d->scan;
  frame *top = d->top;
  json_place *place = &d->state->memory.places[top->place];
  json_field *field = NULL;
  json_skip_space(scan);
  if (place->count > 0)
    field = find_field(scan, place, top->position);
  if (field != NULL) {
    scan->at += field->spelling_length;
    top->position = (unsigned)(field - place->fields) + 1;
    if (field->verdict == JSON_UNWANTED)
      return SKIPPED;
    lua_rawgeti(d->L, d->slots, (lua_Integer)field->slot);
    if (field->verdict == JSON_UNDECIDED && !judge(d, field))
      return SKIPPED;
  } else {
    if (!decode_new_key(d, wanted, &field))
      return FAULT;
    if (field != NULL)
      top->position = (unsigned)(field - place->fields) + 1;
    if (!judge(d, field))
      return SKIPPED;
  }
  d->field = field;
  top->members++;
  return MEMBER;
}

/* Decodes the next key of an object whose value is wanted, passing over those before it. CLOSED: there is
   none, and the closing bracket is here. */
static member decode_member(decoder *d, const char *wanted) {
  json_scan *scan = &d->scan;
  member found;
  while ((found = decode_key(d, wanted)) == SKIPPED) {
    if (!json_in_time(scan))
      return FAULT;
    json_skip_space(scan);
    if (!json_skip_value(scan, NULL))
      return FAULT;
    json_skip_space(scan);
    if (scan->at < scan->end && *scan->at == '}')
      return CLOSED;
    if (scan->at == scan->end || *scan->at != ',') {
      json_expected(scan, "',' or '}'");
      return FAULT;
    }
    scan->at++;
    wanted = "a key after ','";
  }
  return found;
}

/* Makes room for one more frame. Raises when there is no memory. */
static void grow_frames(decoder *d) {
  decoder_state *state = d->state;
  int capacity = state->frame_capacity != 0 ? state->frame_capacity * 2 : 16;
  frame *frames = realloc(state->frames, (size_t)capacity * sizeof *frames);
  if (frames == NULL)
    lua_out_of_memory(d->L);
  state->frames = frames;
  state->frame_capacity = capacity;
}

/* Opens the array or object whose bracket is here, and pushes its table, in the size that the last one at
   this place had. False when it is nested too deeply. */
static bool enter_container(decoder *d, bool is_array) {
  enum { LEVELS = 32 };
  json_memory *memory = &d->state->memory;
  lua_State *L = d->L;
  unsigned place;
  if (d->depth == d->options->max_depth)
    return json_fault(&d->scan, d->scan.at,
                      "more arrays and objects within each other than max_depth allows");
  if (d->depth == d->stack_room) {
    luaL_checkstack(L, LEVELS * 2 + LUA_MINSTACK, "decoding JSON");
    d->stack_room += LEVELS;
  }
  if (d->depth == 0)
    place = JSON_ROOT;
  else if (d->field != NULL)
    place = json_memory_place(memory, &d->field->child);
  else if (d->top->length >= 0 && d->top->place != JSON_NOWHERE)
    place = json_memory_place(memory, &memory->places[d->top->place].element);
  else
    place = JSON_NOWHERE;
  if (d->depth == d->state->frame_capacity)
    grow_frames(d);
  /* never more than the rest of the text could fill, nor all tables together more than the whole of it: an
     element takes two bytes, a member five */
  const json_place *p = &memory->places[place];
  size_t size = is_array ? p->length : p->members;
  if (d->depth == 0 && d->options->names != 0 && !is_array) {
    size = lua_rawlen(L, d->options->names);
    if (size > p->count)
      size = p->count;
  }
  size_t bytes = is_array ? 2 : 5;
  size_t rest = (size_t)(d->scan.end - d->scan.at);
  size_t most = (rest < d->room ? rest : d->room) / bytes;
  if (size > most)
    size = most;
  d->room -= size * bytes;
  lua_createtable(L, is_array ? (int)size : 0, is_array ? 0 : (int)size);
  d->top = &d->state->frames[d->depth++];
  *d->top = (frame){.place = place, .length = is_array ? 0 : -1};
  d->field = NULL;
  d->scan.at++;
  return true;
}

/* Passes over the closing bracket here: the finished table, on top of the stack, is now a value of the one
   around it, which is the innermost again. */
static void leave_container(decoder *d) {
  frame *top = d->top;
  json_place *place = &d->state->memory.places[top->place];
  if (top->place != JSON_NOWHERE) {
    if (top->length >= 0)
      place->length = top->length < INT_MAX ? (unsigned)top->length : INT_MAX;
    else if (d->depth > 1 || d->options->names == 0)
      place->members = top->members < INT_MAX ? top->members : INT_MAX;
  }
  d->scan.at++;
  d->depth--;
  d->top = d->depth > 0 ? top - 1 : NULL;
}

/* Whether the next byte that is not white space is `c`. */
static inline bool next_is(json_scan *scan, char c) {
  json_skip_space(scan);
  return scan->at < scan->end && *scan->at == c;
}

/* Puts the complete value on top of the stack into the container around it, and closes those that end with
   it. MEMBER: another value comes next, and *wanted says what it is; CLOSED: the outermost value is complete.
 */
static inline member end_value(decoder *d, const char **wanted) {
  json_scan *scan = &d->scan;
  while (d->top != NULL) {
    bool in_array = d->top->length >= 0;
    if (in_array)
      lua_rawseti(d->L, -2, ++d->top->length);
    else
      lua_rawset(d->L, -3);
    json_skip_space(scan);
    char next = scan->at < scan->end ? *scan->at : '\0';
    if (next == ',') {
      scan->at++;
      d->field = NULL;
      *wanted = in_array ? "a value after ','" : "a value after ':'";
      if (in_array)
        return MEMBER;
      member found = take_expected_key(d) ? MEMBER : decode_member(d, "a key after ','");
      if (found != CLOSED)
        return found;
    } else if (next != (in_array ? ']' : '}')) {
      json_expected(scan, in_array ? "',' or ']'" : "',' or '}'");
      return FAULT;
    }
    leave_container(d);
  }
  return CLOSED;
}

/* Decodes the value that begins at the next byte that is not white space, and pushes it. False on a fault:
   the stack then holds the unfinished tables, which are the caller's to drop. */
static bool decode_value(decoder *d) {
  json_scan *scan = &d->scan;
  lua_State *L = d->L;
  const char *wanted = "a value";
  for (;;) {
    if (!json_in_time(scan))
      return false;
    json_skip_space(scan);
    if (scan->at == scan->end)
      return json_expected(scan, wanted);
    char first = *scan->at;
    if (first == '"') {
      if (!decode_string(d))
        return false;
    } else if (first == '{') {
      if (!enter_container(d, false))
        return false;
      if (!next_is(scan, '}')) {
        member found = take_expected_key(d) ? MEMBER : decode_member(d, "a key or '}'");
        if (found == FAULT)
          return false;
        wanted = "a value after ':'";
        if (found == MEMBER)
          continue;
      }
      leave_container(d);
    } else if (first == '[') {
      if (!enter_container(d, true))
        return false;
      if (!next_is(scan, ']')) {
        wanted = "a value or ']'";
        continue;
      }
      lua_rawgeti(L, d->slots, DECODER_SLOT_ARRAY);
      lua_setmetatable(L, -2);
      leave_container(d);
    } else if (!decode_plain(d, wanted)) {
      return false;
    }
    member next = end_value(d, &wanted);
    if (next != MEMBER)
      return next == CLOSED;
  }
}

/* Decodes the whole text as one value. As for decode_value. */
static bool decode_document(decoder *d) {
  json_scan *scan = &d->scan;
  if (!json_scan_mark(scan))
    return false;
  if (scan->at == scan->end)
    return json_fault(scan, scan->at, "the text is empty");
  if (!decode_value(d))
    return false;
  json_skip_space(scan);
  return scan->at == scan->end || json_fault(scan, scan->at, "text after the value");
}

/* Makes the memory know which fields are wanted. What it has decided stays where the names are the array that
   they were for the item before. */
static void narrow(decoder *d, bool is_item) {
  lua_State *L = d->L;
  int names = d->options->names;
  bool same = false;
  if (names != 0 && is_item && d->state->narrowed) {
    lua_rawgeti(L, d->slots, DECODER_SLOT_NAMES);
    same = lua_rawequal(L, -1, names);
    lua_pop(L, 1);
  }
  if (same)
    return;
  json_memory_judge(&d->state->memory, names != 0 ? JSON_UNDECIDED : JSON_WANTED);
  d->state->narrowed = names != 0;
  if (names != 0) {
    lua_pushvalue(L, names);
    lua_rawseti(L, d->slots, DECODER_SLOT_NAMES);
  }
}

/* Drops the unfinished value, and pushes nil, the fault's message and its offset. */
static int push_fault(decoder *d) {
  lua_State *L = d->L;
  if (d->scan.fault == json_no_memory)
    lua_out_of_memory(L);
  bool overdue = d->scan.fault == json_overdue;
  char message[JSON_MESSAGE_SIZE];
  json_describe_fault(&d->scan, message, sizeof message);
  lua_settop(L, d->slots);
  decoder_state_leave(d->state);
  lua_pushnil(L);
  lua_pushstring(L, overdue ? json_overdue : message);
  lua_pushinteger(L, (lua_Integer)(d->scan.at - d->scan.text) + 1);
  return 3;
}

/* As lua_core.h says. Below the results stays the table of slots. */
int lua_decode_text(lua_State *L, const char *text, size_t length, size_t *at, const lua_decoding *options) {
  enum { ITEM_ROOM = 64 * 1024 };
  decoder d = {.L = L, .options = options, .room = length, .stack_room = FIRST_LEVELS};
  d.state = decoder_state_take(L, options->decoder);
  d.slots = lua_gettop(L);
  if (options->names != 0 || d.state->narrowed)
    narrow(&d, at != NULL);
  json_scan_begin(&d.scan, text, length);
  d.scan.repair = options->repair;
  d.scan.seconds = options->seconds;
  if (at != NULL) {
    d.scan.at += *at;
    if (d.room > ITEM_ROOM) /* most of the text belongs to other items */
      d.room = ITEM_ROOM;
  }
  if (!(at != NULL ? decode_value(&d) : decode_document(&d)))
    return push_fault(&d);
  decoder_state_leave(d.state);
  if (at != NULL)
    *at = (size_t)(d.scan.at - text);
  return 1;
}
