/* Doubly linked lists whose links are parts of their members: putting one in and taking one out needs no
   memory and cannot fail. */
#ifndef LLAMA_CLOUD_CHAIN_H
#define LLAMA_CLOUD_CHAIN_H

#include <stddef.h>

typedef struct chain chain;

/* Part of a member. Zero-initialised but for `of`: in no chain. */
typedef struct chain_link {
  struct chain_link *prev, *next;
  chain *in; /* NULL: in none */
  void *of;  /* the member */
} chain_link;

/* Zero-initialised: empty. Refers to its members and does not own them. */
struct chain {
  chain_link *first, *last;
};

/* Adds a link that is in no chain, at either end. */
void chain_append(chain *c, chain_link *link);
void chain_prepend(chain *c, chain_link *link);

/* Takes a link out of whatever chain it is in; no effect if that is none. */
void chain_remove(chain_link *link);

/* Takes out the first member and returns it; NULL if there is none. */
static inline void *chain_take(chain *c) {
  chain_link *link = c->first;
  if (link == NULL)
    return NULL;
  c->first = link->next;
  if (c->first != NULL)
    c->first->prev = NULL;
  else
    c->last = NULL;
  link->next = NULL;
  link->in = NULL;
  return link->of;
}

/* The first member, or NULL. */
static inline void *chain_first(const chain *c) { return c->first != NULL ? c->first->of : NULL; }

#endif
