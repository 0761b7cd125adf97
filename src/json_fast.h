/* Many bytes of text at a time: sixteen with SSE2, and elsewhere eight in plain C, the same for every word
   size and byte order. A mask has the highest bit of each byte set that it is about. */
#ifndef LLAMA_CLOUD_JSON_FAST_H
#define LLAMA_CLOUD_JSON_FAST_H

#include <stdint.h>
#include <string.h>

/* JSON_WITHOUT_SSE2 is for tests: so the other path can be tried where there is SSE2. */
#if defined(__SSE2__) && !defined(JSON_WITHOUT_SSE2)
#define JSON_SSE2
#include <emmintrin.h>
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

/* Goes on from `at` to the first byte that ends a run of plain ones: a quote, a backslash, a control
   character or one that is not ASCII. `end` if there is none. Sixteen or eight bytes at a time. */
static inline const char *json_plain_end(const char *at, const char *end) {
#ifdef JSON_SSE2
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i control = _mm_set1_epi8(0x1f);
  while (end - at >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
    special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_max_epu8(bytes, control), control));
    /* the highest bit of each byte is what movemask takes: of a byte that is not ASCII it is set already */
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(special, bytes));
    if (mask != 0)
      return at + __builtin_ctz(mask);
    at += 16;
  }
#else
  while (end - at >= 8) {
    uint64_t bytes = json_word_at(at);
    uint64_t quotes = (bytes ^ JSON_EACH('"')) - JSON_EACH(1);
    uint64_t backslashes = (bytes ^ JSON_EACH('\\')) - JSON_EACH(1);
    uint64_t controls = bytes - JSON_EACH(0x20);
    /* what is found borrows from the bytes after it, which does not matter: it is the first */
    uint64_t special = (quotes | backslashes | controls | bytes) & JSON_HIGHEST;
    if (special != 0)
      return at + json_word_first(special);
    at += 8;
  }
#endif
  while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
    at++;
  return at;
}

#endif
