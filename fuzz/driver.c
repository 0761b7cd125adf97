/* Joins libFuzzer and a target written in Lua: fuzz/targets/NAME.lua, where NAME is in
   LLAMA_CLOUD_FUZZ_TARGET.

   A target is a chunk that gets the functions below as its one argument and returns a function of one input.
   What that function raises is a finding, as is what the sanitizers find in the core, which is part of this
   program. If it returns true besides, which lines of lua/llama_cloud/ run, in which order, guides libFuzzer
   as the core's own edges do. */

#include "lua_core.h"

#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_llama_cloud_core(lua_State *L);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the lines of Lua that run ---- */

enum { LINE_PAIRS = 1 << 14 };

/* libFuzzer takes these counters for edges, beside its own. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t line_pairs[LINE_PAIRS];

/* Whether a source is one of the module's files. Sources are known by their address, and the last is
   remembered: this is asked for every line. */
static bool is_module(const char *source) {
  static const char *last;
  static bool answer;
  if (source != last) {
    last = source;
    answer = strstr(source, "lua/llama_cloud/") != NULL;
  }
  return answer;
}

/* A hook for each line of Lua: counts the pair of it and the line before it, if it is one of the module's. */
static void on_line(lua_State *L, lua_Debug *at) {
  static uint32_t previous;
  lua_getinfo(L, "S", at);
  if (!is_module(at->source))
    return;
  uint32_t line = (uint32_t)(uintptr_t)at->source * UINT32_C(2654435761) + (uint32_t)at->currentline;
  line_pairs[(line ^ previous) % LINE_PAIRS]++;
  previous = line * 31 >> 1;
}

/* ---- what targets are offered ---- */

/* Pushes a block that holds exactly the string at index 1: a read beyond its last byte, which in a string of
   Lua's would find a zero, is reported. Returns the block. */
static const char *push_exact(lua_State *L, size_t *length) {
  const char *text = luaL_checklstring(L, 1, length);
  char *block = lua_newuserdatauv(L, *length, 0);
  if (*length > 0)
    memcpy(block, text, *length);
  return block;
}

/* decode(text[, options[, decoder]]): as core.decode, by that decoder. */
static int fuzz_decode(lua_State *L) {
  size_t length;
  lua_settop(L, 3);
  const char *text = push_exact(L, &length);
  lua_decoding options = lua_decode_options(L, 2);
  options.decoder = lua_given_decoder(L, 3);
  return lua_decode_text(L, text, length, NULL, &options);
}

/* headers(lines) -> table: as transfer:headers(), of these lines. */
static int fuzz_headers(lua_State *L) {
  size_t length;
  const char *lines = push_exact(L, &length);
  lua_push_headers(L, lines, length);
  return 1;
}

static const luaL_Reg functions[] = {{"decode", fuzz_decode}, {"headers", fuzz_headers}, {NULL, NULL}};

/* ---- the run ---- */

static lua_State *state; /* with the traceback function and the target on its stack, nothing else */

static void give_up(const char *message) {
  fprintf(stderr, "%s\n", message != NULL ? message : "an error that is no string");
  abort();
}

static int with_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* Sets package.path, so that the modules of this checkout are found. */
static void set_path(lua_State *L) {
  lua_getglobal(L, "package");
  lua_pushliteral(L, FUZZ_ROOT "/lua/?.lua;" FUZZ_ROOT "/lua/?/init.lua;" FUZZ_ROOT "/?.lua;");
  lua_getfield(L, -2, "path");
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  lua_pop(L, 1);
}

static void close_state(void) { lua_close(state); }

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  char path[4096];
  const char *name = getenv("LLAMA_CLOUD_FUZZ_TARGET");
  (void)argc;
  (void)argv;
  if (name == NULL)
    give_up("set LLAMA_CLOUD_FUZZ_TARGET to the name of a target (scripts/fuzz does)");
  snprintf(path, sizeof path, "%s/fuzz/targets/%s.lua", FUZZ_ROOT, name);
  state = luaL_newstate();
  if (state == NULL)
    give_up("no memory");
  luaL_openlibs(state);
  set_path(state);
  luaL_getsubtable(state, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(state, luaopen_llama_cloud_core);
  lua_setfield(state, -2, "llama_cloud.core");
  lua_pop(state, 1);
  lua_pushcfunction(state, with_traceback);
  if (luaL_loadfile(state, path) != LUA_OK)
    give_up(lua_tostring(state, -1));
  luaL_newlib(state, functions);
  if (lua_pcall(state, 1, 2, 1) != LUA_OK)
    give_up(lua_tostring(state, -1));
  if (lua_toboolean(state, -1))
    lua_sethook(state, on_line, LUA_MASKLINE, 0);
  lua_pop(state, 1);
  atexit(close_state);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_pushvalue(state, 2);
  lua_pushlstring(state, (const char *)data, size);
  if (lua_pcall(state, 1, 0, 1) != LUA_OK)
    give_up(lua_tostring(state, -1));
  return 0;
}
