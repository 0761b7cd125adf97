/* Eight bytes of text at a time, where the processor has no vectors that we use: the same code for every word size
   and byte order. A mask has the highest bit of each byte set that it is about. */
#ifndef LLAMA_CLOUD_JSON_WORD_H
#define LLAMA_CLOUD_JSON_WORD_H

#include <stdint.h>
#include <string.h>

/* JSON_WITHOUT_SSE2 is for tests: so the other path can be tried where there is SSE2. */
#if defined(__SSE2__) && !defined(JSON_WITHOUT_SSE2)
#define JSON_SSE2
#endif

#define JSON_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define JSON_HIGHEST JSON_EACH(0x80)

/* The eight bytes at `at`; the first one is the lowest. */
static inline uint64_t json_word_at(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

/* The bytes that are zero. */
static inline uint64_t json_word_zeros(uint64_t word) {
  return ~(((word & ~JSON_HIGHEST) + ~JSON_HIGHEST) | word) & JSON_HIGHEST;
}

/* The bytes that are zero, up to the first of them; of those after it any. Takes less. */
static inline uint64_t json_word_first_zero(uint64_t word) {
  return (word - JSON_EACH(1)) & ~word & JSON_HIGHEST;
}

/* Which byte is the first of a mask that is not empty. */
static inline unsigned json_word_first(uint64_t mask) { return (unsigned)__builtin_ctzll(mask) / 8; }

/* A mask as eight bits: bit i for byte i. */
static inline uint64_t json_word_bits(uint64_t mask) {
  return ((mask >> 7) * UINT64_C(0x0102040810204080)) >> 56;
}

#endif
