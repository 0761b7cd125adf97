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

/* Makes the file, empty, in the directory of `path`, readable by its owner only. NULL: OUTCOME_NO_MEMORY or
   OUTCOME_FILE is noted: the directory is missing or cannot be written to, or `path` is there and no regular
   file. What is at `path` stays as it is. */
output *output_new(const char *path, fault *wrong);

/* The same output, for one more owner. */
output *output_share(output *o);

/* Ends one ownership; the last one discards it and frees it. NULL is allowed. */
void output_release(output *o);

/* Whether it is neither committed nor discarded. */
bool output_is_open(const output *o);

/* How many bytes it has. */
uint64_t output_received(const output *o);

/* Holds no descriptor until it is written to or committed. */
void output_rest(output *o);

/* Adds bytes. False: a fault is noted, such as a full disk; the output may have got some of them. */
bool output_write(output *o, const char *data, size_t length, fault *wrong);

/* Empties it. False: a fault is noted. */
bool output_reset(output *o, fault *wrong);

/* Makes sure that the disk has all of it, gives it the mode of the file that it replaces, or that of any new
   file if there is none, and puts it in that file's place; from then on it is closed. What a crash of the
   system takes then is its name at most, never a part of it. False: a fault is noted, and the target is as
   before. */
bool output_commit(output *o, fault *wrong);

/* Closes it, and removes what is not committed. Idempotent. */
void output_discard(output *o);

#endif
