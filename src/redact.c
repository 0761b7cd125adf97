/* Finding secrets in texts of others, however their characters are written there: as they are, or escaped as
   JSON and most languages do, as URLs do (RFC 3986 section 2.1), or as HTML does. */
#include "redact.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MOST_REPEATED_PERCENTS 4
#define MOST_DIGITS 8       /* of an HTML reference; some write leading zeros */
#define MOST_BACKSLASHES 64 /* of an escape, where each of many is looked at: see match */

/* The value of a digit in base 10 or 16, or -1. Not isxdigit: nothing here depends on the locale. */
static int digit(char c, int base) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (base == 16 && c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (base == 16 && c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* Reads from `least` to `most` digits before `end`. Returns how many there were, 0 for too few, and sets
 * *value. */
static size_t number(const char *at, const char *end, int base, size_t least, size_t most, unsigned *value) {
  size_t count = 0;
  int d;
  *value = 0;
  while (count < most && at + count < end && (d = digit(at[count], base)) >= 0) {
    *value = *value * (unsigned)base + (unsigned)d;
    count++;
  }
  return count >= least ? count : 0;
}

/* How many bytes of `secret`, at least 1, are the character `code` in UTF-8; 0 if it begins otherwise. */
static size_t begins_with(unsigned code, const char *secret, size_t length) {
  char bytes[3];
  size_t count;
  if (code < 0x80) {
    bytes[0] = (char)code;
    count = 1;
  } else if (code < 0x800) {
    bytes[0] = (char)(0xC0 | code >> 6);
    bytes[1] = (char)(0x80 | (code & 0x3F));
    count = 2;
  } else if (code < 0x10000) {
    bytes[0] = (char)(0xE0 | code >> 12);
    bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
    bytes[2] = (char)(0x80 | (code & 0x3F));
    count = 3;
  } else {
    return 0;
  }
  return count <= length && memcmp(bytes, secret, count) == 0 ? count : 0;
}

/* An escape with backslashes: \u006c, \x6c, or the character itself (\/). JSON that is quoted in JSON has
   more of them; `most` are looked at. Returns how long it is if it stands for the beginning of `secret`, and
   sets *used to how much of that; otherwise 0. */
static size_t backslashed(const char *at, const char *end, size_t most, const char *secret, size_t length,
                          size_t *used) {
  const char *p = at;
  *used = 1;
  if (secret[0] == '\\') /* nobody can tell which of many is the character */
    return at + 1 < end && at[1] == '\\' ? 2 : 0;
  while (p < end && *p == '\\' && (size_t)(p - at) < most)
    p++;
  if (p == end)
    return 0;
  if (*p == 'u' || *p == 'x') {
    size_t width = *p == 'u' ? 4 : 2;
    unsigned code;
    if (number(p + 1, end, 16, width, width, &code) > 0 && (*used = begins_with(code, secret, length)) > 0)
      return (size_t)(p - at) + 1 + width;
    *used = 1;
  }
  return *p == secret[0] ? (size_t)(p - at) + 1 : 0;
}

/* An escape of URLs: %6c, also escaped again (%256c). As backslashed. */
static size_t percented(const char *at, const char *end, const char *secret, size_t *used) {
  size_t length = 1;
  unsigned byte;
  for (int i = 0; i < MOST_REPEATED_PERCENTS && end - at > (ptrdiff_t)length + 2; i++) {
    if (memcmp(at + length, "25", 2) != 0)
      break;
    length += 2;
  }
  if (number(at + length, end, 16, 2, 2, &byte) == 0 || (unsigned char)secret[0] != byte) {
    length = 1; /* an escaped percent sign */
    if (number(at + length, end, 16, 2, 2, &byte) == 0 || (unsigned char)secret[0] != byte)
      return 0;
  }
  *used = 1;
  return length + 2;
}

/* The name of a character in HTML, of the five that are always known; NULL for others. */
static const char *name_of(char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&apos;";
  default:
    return NULL;
  }
}

/* A reference of HTML: &#108; &#x6c; or a name. As backslashed. */
static size_t referenced(const char *at, const char *end, const char *secret, size_t length, size_t *used) {
  const char *name = name_of(secret[0]), *p = at + 2;
  unsigned code;
  int base = 10;
  *used = 1;
  if (name != NULL && (size_t)(end - at) >= strlen(name) && memcmp(at, name, strlen(name)) == 0)
    return strlen(name);
  if (end - at < 4 || at[1] != '#')
    return 0;
  if (*p == 'x' || *p == 'X') {
    base = 16;
    p++;
  }
  p += number(p, end, base, 1, MOST_DIGITS, &code);
  *used = begins_with(code, secret, length);
  return *used > 0 && p < end && *p == ';' ? (size_t)(p + 1 - at) : 0;
}

/* Whether an escape can begin with this byte. */
static bool is_escape(char c) { return c == '\\' || c == '%' || c == '&'; }

/* How long the secret is that begins at `at`, with any of its characters escaped; 0 if none does. */
static size_t match(const redact_secret *secret, const char *at, const char *end) {
  const char *p = at;
  size_t i = 0, most = (size_t)(end - at) < secret->length ? (size_t)(end - at) : secret->length;
  /* a secret that begins with one may begin at each backslash of many, and the last of them decide */
  size_t backslashes = secret->text[0] == '\\' ? MOST_BACKSLASHES : SIZE_MAX;
  bool escaped = false;
  for (; i < most && at[i] == secret->text[i]; i++)
    escaped |= is_escape(at[i]);
  if (i == secret->length)
    return i;
  if (!escaped && (i == most || !(is_escape(at[i]) || at[i] == '+')))
    return 0; /* decided nearly everywhere, and soon */
  for (p = at, i = 0; i < secret->length;) {
    const char *wanted = secret->text + i;
    size_t left = secret->length - i, used = 1, length = 0;
    if (p == end)
      return 0;
    if (*p == '\\')
      length = backslashed(p, end, backslashes, wanted, left, &used);
    else if (*p == '%')
      length = percented(p, end, wanted, &used);
    else if (*p == '&')
      length = referenced(p, end, wanted, left, &used);
    if (length == 0) {
      if (*p != *wanted && !(*p == '+' && *wanted == ' ')) /* a form's blank */
        return 0;
      length = used = 1;
    }
    p += length;
    i += used;
  }
  return (size_t)(p - at);
}

/* The longest secret that begins at `at`, where another backslash may come before; 0 if none does. */
static size_t longest(const redact_search *search, const char *at, bool backslash_before) {
  size_t best = 0;
  for (size_t i = 0; i < search->count; i++) {
    const redact_secret *secret = &search->secrets[i];
    /* the first backslash of many was looked at, and stands for all, unless the secret begins with one */
    if (*at == secret->text[0] || (is_escape(*at) && !(*at == '\\' && backslash_before))) {
      size_t length = match(secret, at, search->end);
      if (length > best)
        best = length;
    }
  }
  return best;
}

/* As redact.h says. */
void redact_begin(redact_search *search, const redact_secret *secrets, size_t count, const char *end) {
  *search = (redact_search){.secrets = secrets, .count = count, .end = end};
  for (size_t i = 0; i < count; i++)
    search->begins[(unsigned char)secrets[i].text[0]] = 1;
  search->begins['\\'] = search->begins['%'] = search->begins['&'] = 1;
}

/* The longest secret that begins at `at`, which is not where the text begins if `inside`; 0 if none does. */
static size_t look(const redact_search *search, const char *at, bool inside) {
  if (!search->begins[(unsigned char)*at])
    return 0;
  return longest(search, at, inside && at[-1] == '\\');
}

/* As redact.h says. */
const char *redact_next(const redact_search *search, const char *from, const char **after) {
  for (const char *at = from; at < search->end; at++) {
    size_t length = look(search, at, at > from);
    if (length == 0)
      continue;
    *after = at + length;
    for (const char *p = at + 1; p < *after; p++) {
      length = look(search, p, true);
      if (p + length > *after)
        *after = p + length;
    }
    return at;
  }
  return NULL;
}
