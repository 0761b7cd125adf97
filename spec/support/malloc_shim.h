/* Between the core's memory shim and the harness that makes allocations fail. The harness, which is the
   program, has these functions; the core that is linked with the shim asks them. */
#ifndef LLAMA_CLOUD_MALLOC_SHIM_H
#define LLAMA_CLOUD_MALLOC_SHIM_H

#include <stdbool.h>

/* Who allocates. */
typedef enum allocator { ALLOCATOR_LUA, ALLOCATOR_CORE, ALLOCATOR_CURL, ALLOCATORS } allocator;

/* Whether this request for memory is to fail. */
bool alloc_harness_fails(allocator who);

/* Notes a block that was allocated (1) or given back (-1). */
void alloc_harness_count(allocator who, int change);

#endif
