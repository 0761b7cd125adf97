/* What transfers and timers have in common. */
#ifndef LLAMA_CLOUD_TOKEN_H
#define LLAMA_CLOUD_TOKEN_H

#include "chain.h"
#include "timers.h"
#include "transport.h"
#include "waiting.h"

struct token {
  timed timed; /* when a timer goes off, when a transfer's deadline passes; first, so that it is the token */
  transport *owner;     /* NULL until it is started, and once it has outlived its transport */
  token_handle *handle; /* who refers to it, or NULL */
  chain_link all;       /* among its transport's tokens */
  chain_link place;     /* in the queue, among the active or the ended ones */
  event end;
  token_state state;
  bool is_transfer;
};

#endif
