/* What the decoder remembers of earlier documents: at each place of a document the keys of the objects
   that were there, in their order, and how long the array was. Pages of a list look alike, so most keys are
   recognised by comparing bytes, and tables are made in their final size.

   Knows no Lua: the strings of keys and values are their caller's, who keeps them under slot numbers. */
#ifndef LLAMA_CLOUD_JSON_MEMORY_H
#define LLAMA_CLOUD_JSON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Longer strings are not remembered: they seldom come again, and Lua does not intern them. */
#define JSON_MEMORY_STRING 40

/* Whether the values of a field are wanted: decided anew when the wanted fields of the outermost object are
   others. */
typedef enum json_verdict { JSON_WANTED, JSON_UNDECIDED, JSON_UNWANTED } json_verdict;

typedef struct json_field {
  char spelling[JSON_MEMORY_STRING + 3]; /* the key as it stands in the text: "key": */
  unsigned char spelling_length;
  const char *value; /* the last string value; NULL: none */
  size_t value_length;
  unsigned slot;   /* where the caller keeps the key alive; slot + 1 is the value's */
  unsigned misses; /* how often in a row the value was another */
  json_verdict verdict;
  unsigned child; /* the place of an array or object that is the value; 0: none yet */
} json_field;

typedef struct json_place {
  json_field *fields; /* of the objects seen here, in the order of their first coming */
  unsigned count, capacity;
  unsigned members; /* how many fields that object had: those that are null do not count */
  unsigned element; /* the place of this array's elements; 0: none yet */
  unsigned length;  /* of the array last seen here */
  bool wild;        /* it had too many fields */
} json_place;

enum {
  JSON_NOWHERE = 0, /* a place that remembers nothing */
  JSON_ROOT = 1
};

typedef struct json_memory {
  json_place *places; /* [JSON_NOWHERE] and [JSON_ROOT] are always there */
  unsigned count;
  unsigned slots; /* the next slot number that is given out */
  bool full;      /* no place is left for something, or the root holds data as keys */
} json_memory;

/* Makes an empty memory, whose slot numbers begin with `slot`. False when there is no memory for it. */
bool json_memory_begin(json_memory *memory, unsigned slot);

/* Gives everything back; idempotent. */
void json_memory_free(json_memory *memory);

/* The place of a value whose place *child says (0: it gets one); JSON_NOWHERE when there are too many. */
unsigned json_memory_place(json_memory *memory, unsigned *child);

/* Gives all fields of the outermost object this verdict. */
void json_memory_judge(json_memory *memory, json_verdict verdict);

/* A further field at a place, for a key of at most JSON_MEMORY_STRING bytes that was not seen there before.
   NULL when there is no memory, or when there are too many fields: a place that alone has too many, where
   keys are data, remembers none from then on. */
json_field *json_memory_field(json_memory *memory, unsigned place, const char *key, size_t length);

#endif
