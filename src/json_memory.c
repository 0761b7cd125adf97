#include "json_memory.h"

#include <stdlib.h>
#include <string.h>

/* Bounds what a hostile document can make us remember: each list and each endpoint has a memory. */
enum { MAX_PLACES = 128, MAX_FIELDS = 64, FIRST_FIELDS = 8, MAX_SLOTS = 2048 };

bool json_memory_begin(json_memory *memory, unsigned slot) {
  *memory = (json_memory){.places = calloc(MAX_PLACES, sizeof(json_place)), .count = 2, .slots = slot};
  return memory->places != NULL;
}

void json_memory_free(json_memory *memory) {
  if (memory->places != NULL) {
    for (unsigned i = 0; i < memory->count; i++)
      free(memory->places[i].fields);
  }
  free(memory->places);
  *memory = (json_memory){0};
}

unsigned json_memory_place(json_memory *memory, unsigned *child) {
  if (*child == 0 && memory->count < MAX_PLACES)
    *child = memory->count++;
  else if (*child == 0)
    memory->full = true;
  return *child;
}

void json_memory_judge(json_memory *memory, json_verdict verdict) {
  json_place *root = &memory->places[JSON_ROOT];
  for (unsigned i = 0; i < root->count; i++)
    root->fields[i].verdict = verdict;
}

json_field *json_memory_field(json_memory *memory, unsigned place, const char *key, size_t length) {
  json_place *p = &memory->places[place];
  if (place == JSON_NOWHERE || p->wild)
    return NULL;
  if (p->count == MAX_FIELDS) {
    p->wild = true;
    memory->full = memory->full || place == JSON_ROOT;
    p->count = 0;
    return NULL;
  }
  if (memory->slots >= MAX_SLOTS) {
    memory->full = true;
    return NULL;
  }
  if (p->count == p->capacity) {
    unsigned capacity = p->capacity != 0 ? p->capacity * 2 : FIRST_FIELDS;
    json_field *fields = realloc(p->fields, capacity * sizeof *fields);
    if (fields == NULL)
      return NULL;
    p->fields = fields;
    p->capacity = capacity;
  }
  json_field *field = &p->fields[p->count++];
  *field = (json_field){.slot = memory->slots, .spelling_length = (unsigned char)(length + 3)};
  field->spelling[0] = '"';
  memcpy(field->spelling + 1, key, length);
  memcpy(field->spelling + 1 + length, "\":", 2);
  memory->slots += 2;
  return field;
}
