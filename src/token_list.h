/* What transfers and timers have in common, and lists of them. */
#ifndef LLAMA_CLOUD_TOKEN_LIST_H
#define LLAMA_CLOUD_TOKEN_LIST_H

#include "timers.h"
#include "transport.h"

struct token {
  timed timed; /* when a timer goes off, when a transfer's deadline passes; first, so that it is the token */
  transport *owner;   /* NULL while idle and once taken */
  token *prev, *next; /* in the queue, the active or the finished list */
  token_state state;
  bool is_transfer;
};

/* Zero-initialised is empty. Refers to its members and does not own them. */
typedef struct token_list {
  token *first, *last;
} token_list;

/* Adds one that is in no list, at either end. */
void list_append(token_list *list, token *k);
void list_prepend(token_list *list, token *k);

/* Takes one of its members out. */
void list_remove(token_list *list, token *k);

#endif
