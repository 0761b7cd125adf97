/* Easy handles that are not in use: a reset one is cheaper than a new one. */
#ifndef LLAMA_CLOUD_HANDLE_POOL_H
#define LLAMA_CLOUD_HANDLE_POOL_H

#include <curl/curl.h>
#include <stddef.h>

/* Zero-initialised is empty, and has room for none. */
typedef struct handle_pool {
  CURL **handles;
  size_t length, capacity;
} handle_pool;

/* A clean easy handle out of the pool, or a new one; NULL: no memory. */
CURL *handle_pool_take(handle_pool *pool);

/* Takes an easy handle back; it must be out of the multi. Connections and TLS sessions outlive the reset. */
void handle_pool_give(handle_pool *pool, CURL *easy);

/* Gives the pool room for capacity handles; without memory for that it keeps the room that it has. */
void handle_pool_resize(handle_pool *pool, size_t capacity);

/* Frees the handles and the room for them. */
void handle_pool_free(handle_pool *pool);

#endif
