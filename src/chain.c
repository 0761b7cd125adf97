#include "chain.h"

void chain_append(chain *c, chain_link *link) {
  link->in = c;
  link->prev = c->last;
  link->next = NULL;
  if (c->last != NULL)
    c->last->next = link;
  else
    c->first = link;
  c->last = link;
}

void chain_prepend(chain *c, chain_link *link) {
  link->in = c;
  link->prev = NULL;
  link->next = c->first;
  if (c->first != NULL)
    c->first->prev = link;
  else
    c->last = link;
  c->first = link;
}

void chain_remove(chain_link *link) {
  chain *c = link->in;
  if (c == NULL)
    return;
  if (link->prev != NULL)
    link->prev->next = link->next;
  else
    c->first = link->next;
  if (link->next != NULL)
    link->next->prev = link->prev;
  else
    c->last = link->prev;
  link->prev = link->next = NULL;
  link->in = NULL;
}
