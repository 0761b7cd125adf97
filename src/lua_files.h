/* What lua_form.c and lua_output.c offer to who reads the arguments of a request. */
#ifndef LLAMA_CLOUD_LUA_FILES_H
#define LLAMA_CLOUD_LUA_FILES_H

#include "form.h"
#include "lua_core.h"
#include "output.h"

/* The form at a stack index, which stays its owner's; NULL: it is none. */
form *lua_test_form(lua_State *L, int index);

/* The output at a stack index, which stays its owner's, or NULL for nil. Raises for anything else, and for
   one that is closed. It is good as long as the userdata is there, even if that is closed meanwhile. */
output *lua_opt_output(lua_State *L, int index);

/* Pushes nil and what the fault says, and returns 2; raises if it is lack of memory. */
int lua_push_fault(lua_State *L, const fault *wrong);

#endif
