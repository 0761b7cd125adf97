#include "handle_pool.h"

#include <stdbool.h>
#include <stdlib.h>

CURL *handle_pool_take(handle_pool *pool) {
  return pool->length > 0 ? pool->handles[--pool->length] : curl_easy_init();
}

/* Makes a used easy handle as good as new. False if it cannot be. The reset cannot say that it has stopped
   half-way for lack of memory: of the defaults that are then missing, a transfer would hang without the first
   two. And a handle that has lost its way in a transfer for the same reason refuses the first. */
static bool clean_easy(CURL *easy) {
  curl_easy_reset(easy);
  return curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)CURL_MAX_WRITE_SIZE) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 65536L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK;
}

void handle_pool_give(handle_pool *pool, CURL *easy) {
  if (pool->length < pool->capacity && clean_easy(easy))
    pool->handles[pool->length++] = easy;
  else
    curl_easy_cleanup(easy);
}

void handle_pool_resize(handle_pool *pool, size_t capacity) {
  CURL **handles;
  while (pool->length > capacity)
    curl_easy_cleanup(pool->handles[--pool->length]);
  handles = realloc(pool->handles, capacity * sizeof(CURL *));
  if (handles != NULL)
    pool->handles = handles;
  else if (capacity > pool->capacity)
    return;
  pool->capacity = capacity;
}

void handle_pool_free(handle_pool *pool) {
  while (pool->length > 0)
    curl_easy_cleanup(pool->handles[--pool->length]);
  free(pool->handles);
  *pool = (handle_pool){0};
}
