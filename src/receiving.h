/* The body of a response while it arrives: its encodings are undone, and it goes to memory, or, if it is one
   of a 2xx and there is an output, into that. */
#ifndef LLAMA_CLOUD_RECEIVING_H
#define LLAMA_CLOUD_RECEIVING_H

#include "buffer.h"
#include "decoding.h"
#include "fault.h"
#include "output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is not known of a length. */
#define RECEIVING_UNKNOWN (-1)

#define BODY_TOO_LARGE "the response's body exceeds max_response_bytes"

typedef struct receiving {
  output *output;             /* shared; NULL: none */
  size_t most;                /* of what goes to memory */
  buffer body;                /* that */
  buffer encodings;           /* a list of what Content-Encoding names */
  decoding *decoding;         /* what undoes them; NULL: nothing does */
  int64_t first, last, whole; /* of Content-Range: its first byte, its last one, the length of it all */
  int64_t total;              /* how many bytes there will be at the end, or RECEIVING_UNKNOWN */
  bool ranged;                /* there is a Content-Range */
  bool to_output;             /* it goes there */
  bool begun;                 /* some of it has come */
} receiving;

/* Shares the output, which may be NULL, into a zero-initialised one. */
void receiving_init(receiving *r, output *o, size_t most);
void receiving_free(receiving *r);

/* A response's head begins: forgets what another one has told. */
void receiving_forget(receiving *r);

/* Notes what a line of the head tells about the body. False: no memory. */
bool receiving_note(receiving *r, const char *line, size_t length);

/* The head is complete, and a body may follow: gets the output ready if it is for that. A 206 goes on where
   the output ends; anything else begins anew. False: a fault is noted. */
bool receiving_begin(receiving *r, long status, fault *wrong);

/* Takes some of the body as it was sent, which has `length` bytes in all as far as the head tells. False: a
   fault is noted. */
bool receiving_write(receiving *r, const char *data, size_t length, int64_t all, fault *wrong);

/* Whether all has come, as far as the head and the encodings tell; else a fault is noted. */
bool receiving_is_whole(const receiving *r, fault *wrong);

/* The attempt is over, and the output may have another writer. Of a body that was encoded nothing can be used
 * unless it is whole. */
void receiving_end(receiving *r, bool whole);

/* How many bytes there are, with those that the output had already; how many it will be. */
int64_t receiving_received(const receiving *r);
int64_t receiving_total(const receiving *r);

#endif
