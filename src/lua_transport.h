/* What lua_loop.c needs to know of transports and tokens in Lua. */
#ifndef LLAMA_CLOUD_LUA_TRANSPORT_H
#define LLAMA_CLOUD_LUA_TRANSPORT_H

#include "lua_core.h"
#include "transport.h"

/* A transport in Lua, which is made when it is first used. */
typedef struct lua_transport {
  transport *transport; /* NULL: closed, or not made yet */
  bool closed;
  const run_queue *attended, *root; /* what transport_serve is told when it is made */
  const bool *quiet;                /* likewise */
  lua_owned owned;
} lua_transport;

/* Pushes a transport. Raises when memory runs out. */
lua_transport *lua_push_transport(lua_State *L);

/* The open transport of a userdata, made now if it was not. Raises for a closed one, and without memory or
 * descriptors. */
transport *lua_open_transport(lua_State *L, lua_transport *h);

/* The handle of a transfer or timer at a stack index; raises for anything else. Its token is NULL once that
 * is closed. */
token_handle *lua_check_token(lua_State *L, int index);

/* Whether a handle's token has ended. */
bool lua_token_has_ended(const token_handle *h);

#endif
