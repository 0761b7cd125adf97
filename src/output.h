/* A file that is written beside the one that it is to replace, and takes that one's name when it is whole.
   Shared by its maker and by whoever writes it. A forked process changes nothing of its parent's. Knows
   neither Lua nor libcurl. */
#ifndef LLAMA_CLOUD_OUTPUT_H
#define LLAMA_CLOUD_OUTPUT_H

#include "fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct output output;

/* Makes the file, empty, in the directory of `path`, readable by its owner only. Where `path` is a symbolic
   link, what it points at is meant, whether that is there or not. NULL: OUTCOME_NO_MEMORY or OUTCOME_FILE is
   noted: the directory is missing or cannot be written to, `path` is there and no regular file, or a link
   that the system does not let this user follow. What is at `path` stays as it is. */
output *output_new(const char *path, fault *wrong);

/* The same output, for one more owner. */
output *output_share(output *o);

/* Ends one ownership; the last one discards it and frees it. NULL is allowed. */
void output_release(output *o);

/* Whether it is neither committed nor discarded. */
bool output_is_open(const output *o);

/* How many bytes it has. */
uint64_t output_received(const output *o);

/* Makes `writer` the only one to write it, until output_leave: bytes of two would be mixed. False: a fault is
   noted: it has another writer. A descriptor is held only while there is one. */
bool output_claim(output *o, const void *writer, fault *wrong);
void output_leave(output *o, const void *writer);

/* Adds its writer's bytes. False: a fault is noted, such as a full disk; the output may have got some of
 * them. */
bool output_write(output *o, const char *data, size_t length, fault *wrong);

/* Empties it, for its writer, or for its maker (NULL) while it has none. False: a fault is noted. */
bool output_reset(output *o, const void *writer, fault *wrong);

/* Makes sure that the disk has all of it, gives it the mode of the file that it replaces, or that of any new
   file if there is none, and puts it in that file's place; from then on it is closed. A crash of the system
   right after that may undo the renaming, but cannot leave a part of the file. False: a fault is noted, such
   as that it has a writer, and the target is as before. */
bool output_commit(output *o, fault *wrong);

/* Closes it, and removes what is not committed. Idempotent. */
void output_discard(output *o);

#endif
