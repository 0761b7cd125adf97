#include "token_list.h"

#include <stddef.h>

void list_append(token_list *list, token *k) {
  k->prev = list->last;
  k->next = NULL;
  if (list->last != NULL)
    list->last->next = k;
  else
    list->first = k;
  list->last = k;
}

void list_prepend(token_list *list, token *k) {
  k->prev = NULL;
  k->next = list->first;
  if (list->first != NULL)
    list->first->prev = k;
  else
    list->last = k;
  list->first = k;
}

void list_remove(token_list *list, token *k) {
  if (k->prev != NULL)
    k->prev->next = k->next;
  else
    list->first = k->next;
  if (k->next != NULL)
    k->next->prev = k->prev;
  else
    list->last = k->prev;
  k->prev = k->next = NULL;
}
