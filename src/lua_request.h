/* Reads the arguments of transport:start. */
#ifndef LLAMA_CLOUD_LUA_REQUEST_H
#define LLAMA_CLOUD_LUA_REQUEST_H

#include "exchange.h"

#include <lua.h>

/* How many arguments a request has at most. */
#define LUA_REQUEST_ARGUMENTS 11

/* Fills *options out of the request at the positive stack index `index`, where LUA_REQUEST_ARGUMENTS values
   are. It is a table: method, url, headers (as core.headers takes them or what it has returned; a line of
   more than 256 KiB ends it as refused), body (a string or a form), timeout, connect_timeout, stall_timeout
   and deadline (seconds, none by default), max_response_bytes, output (where the body of a 2xx goes, without
   that bound), proxy, ca_file, verify (true), repeatable (false), fresh. Or it is a profile, which
   core.profile has made, and method, url, headers, body, repeatable, timeout, deadline, stall_timeout,
   output, kept; fresh is then what is neither repeatable nor kept.

   repeatable: libcurl may send it again by itself when a kept connection dies without an answer. fresh
   (false): it goes out on a connection of its own, and is then sent again exactly when HTTP/2 has refused its
   stream (RFC 9113 section 8.7): what may not be repeated, and whose loss costs something, is to be fresh.
   What is neither takes a kept connection that was in use within the last two seconds, and after that has
   died `sent` is true. A POST or the like without a body that is not repeatable is always fresh, and a GET,
   HEAD or DELETE without one that is not fresh always repeatable.

   Leaves on the stack, at most seven values more, what the options refer to: they are good as long as that is
   there.
   Raises for a field of the wrong type, and when memory runs out. */
void lua_read_request(lua_State *L, int index, transfer_options *options);

#endif
