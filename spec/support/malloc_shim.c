/* Stands between the core and malloc, and between libcurl and malloc, so that a harness can make any of their
   allocations fail and count what they hold. Linked into a core of its own with the linker's --wrap: a call
   of the core's to malloc is one to __wrap_malloc here, and __real_malloc is what it would have been. libcurl
   is given its functions when it is initialised (curl_global_init_mem(3)). */
#include "malloc_shim.h"

#include <curl/curl.h>
#include <stddef.h>
#include <string.h>

/* Elsewhere than in the harness, nothing fails. */
#pragma weak alloc_harness_fails
#pragma weak alloc_harness_count

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);
char *__wrap_strdup(const char *text);
CURLcode __wrap_curl_global_init(long flags);

static bool fails(allocator who) { return alloc_harness_fails != NULL && alloc_harness_fails(who); }

static void count(allocator who, int change) {
  if (alloc_harness_count != NULL)
    alloc_harness_count(who, change);
}

/* Counts a block that was asked for, if there is one. */
static void *counted(allocator who, void *block) {
  if (block != NULL)
    count(who, 1);
  return block;
}

static void *allocate(allocator who, size_t size) {
  return fails(who) ? NULL : counted(who, __real_malloc(size));
}

static void *allocate_array(allocator who, size_t number, size_t size) {
  return fails(who) ? NULL : counted(who, __real_calloc(number, size));
}

static void release(allocator who, void *block) {
  if (block != NULL)
    count(who, -1);
  __real_free(block);
}

/* A block that moves is the same block to the count. With size 0 glibc gives it back. */
static void *reallocate(allocator who, void *block, size_t size) {
  if (block == NULL)
    return allocate(who, size);
  if (size == 0) {
    release(who, block);
    return NULL;
  }
  return fails(who) ? NULL : __real_realloc(block, size);
}

static char *duplicate(allocator who, const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = allocate(who, size);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

void *__wrap_malloc(size_t size) { return allocate(ALLOCATOR_CORE, size); }

void *__wrap_calloc(size_t number, size_t size) { return allocate_array(ALLOCATOR_CORE, number, size); }

void *__wrap_realloc(void *block, size_t size) { return reallocate(ALLOCATOR_CORE, block, size); }

void __wrap_free(void *block) { release(ALLOCATOR_CORE, block); }

char *__wrap_strdup(const char *text) { return duplicate(ALLOCATOR_CORE, text); }

static void *curl_allocate(size_t size) { return allocate(ALLOCATOR_CURL, size); }

static void *curl_allocate_array(size_t number, size_t size) {
  return allocate_array(ALLOCATOR_CURL, number, size);
}

static void *curl_reallocate(void *block, size_t size) { return reallocate(ALLOCATOR_CURL, block, size); }

static void curl_release(void *block) { release(ALLOCATOR_CURL, block); }

static char *curl_duplicate(const char *text) { return duplicate(ALLOCATOR_CURL, text); }

CURLcode __wrap_curl_global_init(long flags) {
  return curl_global_init_mem(flags, curl_allocate, curl_release, curl_reallocate, curl_duplicate,
                              curl_allocate_array);
}
