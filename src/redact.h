/* Finding secrets in texts of others. Knows no Lua. */
#ifndef LLAMA_CLOUD_REDACT_H
#define LLAMA_CLOUD_REDACT_H

#include <stddef.h>

/* A secret as it is; the bytes are the caller's. */
typedef struct redact_secret {
  const char *text;
  size_t length; /* at least REDACT_LEAST */
} redact_secret;

/* What stands in place of a secret, and the fewest bytes that a secret has: a text never grows. */
#define REDACT_MARK "***"
#define REDACT_LEAST 3

/* The secrets in a text, one after the other. */
typedef struct redact_search {
  const redact_secret *secrets;
  size_t count;
  const char *end;           /* of the text */
  unsigned char begins[256]; /* whether a byte can be the first of a secret, as it is or escaped */
} redact_search;

/* Prepares a search for `count` secrets in a text that ends at `end`. Both must stay where they are. */
void redact_begin(redact_search *search, const redact_secret *secrets, size_t count, const char *end);

/* Finds the first secret that begins at `from` or later: returns where it begins and sets *after to where it
   ends, or returns NULL if there is none. Secrets that overlap each other in the text are one. Takes time in
   proportion to the distance gone, as long as the secrets do not repeat themselves. */
const char *redact_next(const redact_search *search, const char *from, const char **after);

#endif
