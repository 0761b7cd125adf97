/* Files that are sent, and the forms that they are sent in. */
#include "lua_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORM "llama_cloud.form"

typedef struct lua_form {
  lua_owned owned;
  form *form; /* NULL: not made yet, or collected */
} lua_form;

/* ---- files ---- */

/* How many bytes a file has that can be read. Negative: a fault is noted. */
static curl_off_t look_at_file(const char *path, fault *wrong) {
  struct stat about = {0};
  const char *why = NULL;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe does not hold us up */
  if (descriptor < 0 || fstat(descriptor, &about) != 0)
    why = strerror(errno);
  else if (!S_ISREG(about.st_mode))
    why = S_ISDIR(about.st_mode) ? strerror(EISDIR) : "it is no regular file";
  if (descriptor >= 0)
    close(descriptor);
  if (why == NULL)
    return about.st_size;
  fault_file(wrong, "read", path, why);
  return -1;
}

/* ---- forms ---- */

static void release(void *userdata) {
  lua_form *h = userdata;
  form_release(h->form);
  h->form = NULL;
}

/* The string on top of the stack. Raises if it is none, and without `length` if it contains a NUL; the
   message calls it `what`. */
static const char *check_text(lua_State *L, const char *what, size_t *length) {
  size_t size;
  const char *text;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "%s of a form must be a string", what);
  text = lua_tolstring(L, -1, &size);
  if (length != NULL)
    *length = size;
  else if (strlen(text) != size)
    luaL_error(L, "%s of a form contains a NUL", what);
  return text;
}

/* Adds the parts of the array on top of the stack, if it is not nil. */
static void read_texts(lua_State *L, form *f) {
  if (lua_isnil(L, -1))
    return;
  if (!lua_istable(L, -1))
    luaL_error(L, "field 'text' of a form must be a table");
  for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
    const char *name, *value;
    size_t length;
    if (lua_geti(L, -1, i) != LUA_TTABLE)
      luaL_error(L, "a text of a form must be a table");
    lua_geti(L, -1, 1);
    name = check_text(L, "a text's name", NULL);
    lua_geti(L, -2, 2);
    value = check_text(L, "a text", &length);
    if (!form_add(f, name, value, length))
      lua_out_of_memory(L);
    lua_pop(L, 3);
  }
}

/* Pushes a field of the table at `index` and returns it as a string. */
static const char *file_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  return check_text(L, name, NULL);
}

/* Reads the file of the table at stack index `index`, but for its bytes. Pushes three values. */
static void describe_file(lua_State *L, int index, form *f) {
  const char *part = file_field(L, index, "part");
  const char *name = file_field(L, index, "name");
  const char *type = file_field(L, index, "type");
  if (name[0] == '\0')
    luaL_error(L, "the name of a form's file is empty");
  if (strpbrk(type, "\r\n") != NULL)
    luaL_error(L, "the type of a form's file contains CR or LF");
  if (!form_describe(f, part, name, type))
    lua_out_of_memory(L);
}

/* Reads where the bytes of the file of the table at stack index `index` are. False: a fault is noted. */
static bool read_file(lua_State *L, int index, form *f, fault *wrong) {
  curl_off_t size;
  if (lua_getfield(L, index, "data") != LUA_TNIL) {
    size_t length;
    const char *data = check_text(L, "data", &length);
    return form_set_data(f, data, length) || lua_out_of_memory(L);
  }
  const char *path = file_field(L, index, "path");
  size = look_at_file(path, wrong);
  return size >= 0 && (form_set_path(f, path, size) || lua_out_of_memory(L));
}

/* core.form(description) -> form | nil, message. description: text, an array of { name, value }, sent in that
   order; file, with the fields part, name (the file's, without directories, sent as it is), type (its media
   type), and path or data (its bytes). The form is multipart/form-data, with the file last; it may be the
   body of any number of requests, which must not have a header Content-Type. The file is opened when an
   attempt begins, and not kept in memory; it has to have the size then that it has now. Message: it
   cannot be opened for reading, or is no regular file. Raises for fields of wrong types, and when memory runs
   out. */
static int core_form(lua_State *L) {
  fault wrong = {0};
  lua_form *h;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (lua_form){0};
  luaL_setmetatable(L, FORM);
  lua_own(L, &h->owned, h, release);
  h->form = form_new();
  if (h->form == NULL)
    lua_out_of_memory(L);
  lua_getfield(L, 1, "text");
  read_texts(L, h->form);
  if (lua_getfield(L, 1, "file") != LUA_TTABLE)
    luaL_error(L, "field 'file' of a form must be a table");
  describe_file(L, 4, h->form);
  if (!read_file(L, 4, h->form, &wrong))
    return lua_push_fault(L, &wrong);
  lua_settop(L, 2);
  return 1;
}

/* As lua_files.h says. */
form *lua_test_form(lua_State *L, int index) {
  lua_form *h = luaL_testudata(L, index, FORM);
  if (h != NULL && h->form == NULL)
    luaL_error(L,
               "attempt to use a form that was collected"); /* in a later finalizer of a closing Lua state */
  return h != NULL ? h->form : NULL;
}

/* form:bytes() -> integer: how many bytes its file has. */
static int form_l_bytes(lua_State *L) {
  form *f = lua_test_form(L, 1);
  luaL_argexpected(L, f != NULL, 1, FORM);
  lua_pushinteger(L, (lua_Integer)form_size(f));
  return 1;
}

static int form_gc(lua_State *L) {
  lua_form *h = luaL_checkudata(L, 1, FORM);
  lua_disown(&h->owned);
  release(h);
  return 0;
}

void lua_form_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"bytes", form_l_bytes}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", form_gc}, {NULL, NULL}};
  static const luaL_Reg *const sets[] = {methods, NULL};
  lua_make_class(L, FORM, metamethods, sets);
  lua_pushcfunction(L, core_form);
  lua_setfield(L, -2, "form");
}
