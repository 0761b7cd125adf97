/* Random bytes from the system. */
#ifndef LLAMA_CLOUD_RANDOM_H
#define LLAMA_CLOUD_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Fills `length` bytes. False: the system has none; errno tells why. */
bool random_bytes(void *bytes, size_t length);

#endif
