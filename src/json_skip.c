#include "json_skip.h"

#include "json_fast.h"

#include <string.h>

/* What is known between two bytes of an array or object that is passed over. */
typedef struct skipper {
  size_t depth; /* of brackets outside of strings */
  size_t inner;
  bool in_string;
  bool escaped; /* the last byte was a backslash that escapes the next one */
} skipper;

/* A bracket outside of strings. True if it closes the outermost one. */
static inline bool bracket(skipper *s, bool opens) {
  if (opens) {
    if (s->depth == 1)
      s->inner++;
    s->depth++;
    return false;
  }
  return --s->depth == 0;
}

/* Goes over bytes one by one; the place after the outermost closing bracket, or NULL if it is not among them.
 */
static const char *skip_bytes(skipper *s, const char *at, const char *end) {
  for (; at < end; at++) {
    char c = *at;
    if (s->escaped) {
      s->escaped = false;
    } else if (s->in_string) {
      s->escaped = c == '\\';
      s->in_string = c != '"';
    } else if (c == '"') {
      s->in_string = true;
    } else if (c == '{' || c == '[' || c == '}' || c == ']') {
      if (bracket(s, c == '{' || c == '['))
        return at + 1;
    }
  }
  return NULL;
}

/* Where among 64 bytes the interesting ones are: bit i for byte i. What is taken for a bracket may be one of
   four bytes, Y _ y DEL, that differ from brackets in two bits; none of them stands outside of strings in
   JSON. */
typedef struct block {
  uint64_t quotes, brackets;
  bool backslashes; /* whether there are any */
} block;

enum { BRACKET_BITS = 0xD9, BRACKET = 0x59 };

#ifdef JSON_SSE2
static inline block look(const char *at) {
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i bits = _mm_set1_epi8((char)BRACKET_BITS);
  const __m128i bracket = _mm_set1_epi8(BRACKET);
  block found = {0};
  __m128i backslashes = _mm_setzero_si128();
#define MASK(bytes) ((uint64_t)(unsigned)_mm_movemask_epi8(bytes) << i)
#pragma GCC unroll 4
  for (int i = 0; i < 64; i += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(at + i));
    found.quotes |= MASK(_mm_cmpeq_epi8(bytes, quote));
    found.brackets |= MASK(_mm_cmpeq_epi8(_mm_and_si128(bytes, bits), bracket));
    backslashes = _mm_or_si128(backslashes, _mm_cmpeq_epi8(bytes, backslash));
  }
#undef MASK
  found.backslashes = _mm_movemask_epi8(backslashes) != 0;
  return found;
}
#else
static inline block look(const char *at) {
  block found = {0};
  uint64_t backslashes = 0;
  for (int i = 0; i < 64; i += 8) {
    uint64_t bytes = json_word_at(at + i);
    uint64_t quotes = json_word_zeros(bytes ^ JSON_EACH('"'));
    uint64_t brackets = json_word_zeros((bytes & JSON_EACH(BRACKET_BITS)) ^ JSON_EACH(BRACKET));
    found.quotes |= json_word_bits(quotes) << i;
    found.brackets |= json_word_bits(brackets) << i;
    backslashes |= json_word_first_zero(bytes ^ JSON_EACH('\\'));
  }
  found.backslashes = backslashes != 0;
  return found;
}
#endif

/* The same as skip_bytes, for 64 bytes without backslashes. Each quote turns "inside a string" over, so the
   parity of the quotes up to a byte tells whether it is inside one. */
static inline const char *skip_block(skipper *s, const char *at, block found) {
  uint64_t inside = found.quotes;
  inside ^= inside << 1;
  inside ^= inside << 2;
  inside ^= inside << 4;
  inside ^= inside << 8;
  inside ^= inside << 16;
  inside ^= inside << 32;
  if (s->in_string)
    inside = ~inside;
  s->in_string = inside >> 63;
  uint64_t brackets = found.brackets & ~inside;
  for (; brackets != 0; brackets &= brackets - 1) {
    unsigned i = (unsigned)__builtin_ctzll(brackets);
    bool opens = at[i] == '{' || at[i] == '[';
    if ((opens || at[i] == '}' || at[i] == ']') && bracket(s, opens))
      return at + i + 1;
  }
  return NULL;
}

/* Passes over the array or object that begins here. */
static bool skip_container(json_scan *scan, size_t *inner) {
  skipper s = {0};
  const char *at = scan->at;
  const char *after = NULL;
  while (after == NULL && scan->end - at >= 64) {
    block found = look(at);
    after = s.escaped || found.backslashes ? skip_bytes(&s, at, at + 64) : skip_block(&s, at, found);
    at += 64;
  }
  if (after == NULL)
    after = skip_bytes(&s, at, scan->end);
  if (after == NULL)
    return json_fault(scan, scan->end,
                      s.in_string ? "the text ends inside a string" : "the text ends too early");
  scan->at = after;
  if (inner != NULL)
    *inner = s.inner;
  return true;
}

/* Passes over the string that begins here. */
static bool skip_string(json_scan *scan) {
  const char *at = scan->at + 1;
  for (;;) {
    const char *quote = memchr(at, '"', (size_t)(scan->end - at));
    if (quote == NULL)
      return json_fault(scan, scan->end, "the text ends inside a string");
    const char *backslash = quote;
    while (backslash > at && backslash[-1] == '\\')
      backslash--;
    at = quote + 1;
    if ((quote - backslash) % 2 == 0) {
      scan->at = at;
      return true;
    }
  }
}

bool json_skip_value(json_scan *scan, size_t *inner) {
  json_number number;
  if (inner != NULL)
    *inner = 0;
  if (scan->at == scan->end)
    return json_expected(scan, "a value");
  switch (*scan->at) {
  case '{':
  case '[':
    return skip_container(scan, inner);
  case '"':
    return skip_string(scan);
  case 't':
    return json_scan_word(scan, "true");
  case 'f':
    return json_scan_word(scan, "false");
  case 'n':
    return json_scan_word(scan, "null");
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return json_scan_number(scan, &number);
  default:
    return json_expected(scan, "a value");
  }
}
