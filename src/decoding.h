/* Content-Encoding undone: gzip and deflate, by zlib, one upon the other if need be (RFC 9110 section 8.4).

   Not left to libcurl, which fails upon a name that it does not know before any of the body can be had, and
   servers send names that are no encodings: the character set, or what an object store calls its uploads.
   Knows neither Lua nor libcurl. */
#ifndef LLAMA_CLOUD_DECODING_H
#define LLAMA_CLOUD_DECODING_H

#include <stdbool.h>
#include <stddef.h>

/* What a request says in Accept-Encoding. */
#define DECODING_ACCEPTED "gzip, deflate"

typedef struct decoding decoding;

typedef enum decoding_result {
  DECODING_WELL,
  DECODING_DAMAGED, /* the bytes are not of that encoding */
  DECODING_UNKNOWN, /* an encoding that is not known here, or too many of them */
  DECODING_STOPPED, /* by the sink */
  DECODING_NO_MEMORY
} decoding_result;

/* Takes decoded bytes; false stops. */
typedef bool decoding_sink(void *user, const char *data, size_t length);

/* Makes what undoes the encodings that a Content-Encoding names, a list in the order in which they were
   applied; NULL in *made if there is nothing to undo. For DECODING_UNKNOWN the name is in *name, of *length
   bytes inside the list. */
decoding_result decoding_new(decoding **made, const char *list, size_t list_length, const char **name,
                             size_t *length);

/* Whether a Content-Encoding names anything that has to be undone, known here or not. */
bool decoding_is_needed(const char *list, size_t length);

/* NULL is allowed. */
void decoding_free(decoding *d);

/* Decodes some more, and hands what comes out to the sink. */
decoding_result decoding_write(decoding *d, const char *data, size_t length, decoding_sink *sink, void *user);

/* Whether the encoded data are all there. True for NULL, and when there were none at all. */
bool decoding_is_whole(const decoding *d);

#endif
