/* A growable byte buffer in malloc'd memory. Knows neither Lua nor curl. */
#ifndef LLAMA_CLOUD_BUFFER_H
#define LLAMA_CLOUD_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty buffer that holds no memory. The bytes are not terminated. */
typedef struct buffer {
  char *data;
  size_t length;
  size_t capacity;
} buffer;

/* Makes room for `extra` more bytes after `length`. False: out of memory, or the size overflows; the
   contents are then as before. On success `data` may have moved. */
bool buffer_reserve(buffer *buf, size_t extra);

/* Appends `length` bytes, which must not lie inside the buffer. False as for buffer_reserve, and nothing
   is appended. */
bool buffer_append(buffer *buf, const void *bytes, size_t length);

/* Forgets the contents and keeps the memory. */
void buffer_clear(buffer *buf);

/* Gives the memory back. The buffer is then empty and may be used, or freed, again. */
void buffer_free(buffer *buf);

#endif
