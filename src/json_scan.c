#include "json_scan.h"

#include "json_fast.h"
#include "poller.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No number half-way between two doubles has more than 767 significant digits. So of a longer number only
   these count, and whether anything but zeros follows. */
#define SIGNIFICANT_DIGITS 768

/* Exponents stop counting here: far beyond what any number of leading zeros in memory could bring back. */
#define EXPONENT_LIMIT INT64_C(100000000000000000)

/* How many values are decoded, keys passed over, or pieces of a string resolved, from one look at the clock
   to the next. */
enum { PATIENCE = 10000 };

const char *const json_overdue = "there was no time to decode it";

/* A decimal number taken apart: whole and fraction are spans of digits in the text, and may be empty. */
typedef struct decimal {
  const char *whole;
  const char *whole_end;
  const char *fraction;
  const char *fraction_end;
  int64_t exponent;
} decimal;

void json_scan_begin(json_scan *scan, const char *text, size_t length) {
  if (!text)
    text = "";
  *scan =
      (json_scan){.text = text, .at = text, .end = text + length, .seconds = HUGE_VAL, .patience = PATIENCE};
}

bool json_look_at_clock(json_scan *scan) {
  scan->patience = PATIENCE;
  if (isinf(scan->seconds))
    return true;
  int64_t now = poller_now();
  if (scan->begun == 0)
    scan->begun = now;
  return (double)(now - scan->begun) / 1e9 < scan->seconds || json_fault(scan, scan->at, json_overdue);
}

bool json_scan_mark(json_scan *scan) {
  if (scan->end - scan->at < 3 || memcmp(scan->at, "\xEF\xBB\xBF", 3) != 0)
    return true;
  if (!scan->repair)
    return json_fault(scan, scan->at, "a byte order mark");
  scan->at += 3;
  return true;
}

bool json_fault(json_scan *scan, const char *at, const char *what) {
  scan->at = at;
  scan->fault = what;
  scan->expected = false;
  return false;
}

bool json_expected(json_scan *scan, const char *what) {
  scan->fault = what;
  scan->expected = true;
  return false;
}

/* A byte that was not expected is shown as a character if it is one on every terminal, and else as a number.
 */
void json_describe_fault(const json_scan *scan, char *out, size_t size) {
  size_t offset = (size_t)(scan->at - scan->text) + 1;
  if (!scan->expected) {
    snprintf(out, size, "%s at byte %zu", scan->fault, offset);
  } else if (scan->at == scan->end) {
    snprintf(out, size, "expected %s but the text ends at byte %zu", scan->fault, offset);
  } else {
    unsigned char found = (unsigned char)*scan->at;
    const char *format = found > 0x20 && found < 0x7f ? "expected %s but found '%c' at byte %zu"
                                                      : "expected %s but found 0x%02x at byte %zu";
    snprintf(out, size, format, scan->fault, found, offset);
  }
}

/* The fault lies where the text departs from the word. */
bool json_scan_word(json_scan *scan, const char *word) {
  for (const char *wanted = word; *wanted; wanted++, scan->at++) {
    if (scan->at == scan->end || *scan->at != *wanted) {
      return json_expected(scan, *word == 't' ? "true" : *word == 'f' ? "false" : "null");
    }
  }
  return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The value of a hexadecimal digit plus one; 0 for any other byte. */
static const unsigned char hex_value[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* What the letter after a backslash stands for; 0 for one that stands for nothing (and for the u of \uXXXX).
 */
static const char escape_value[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                       ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

/* The code unit of the four digits at `at`; -1 if one is none, -2 if `end` comes first. */
static int32_t code_unit(const char *at, const char *end) {
  int32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    if (at + i == end)
      return -2;
    int digit = hex_value[(unsigned char)at[i]];
    if (digit == 0)
      return -1;
    unit = unit * 16 + digit - 1;
  }
  return unit;
}

/* U+FFFD REPLACEMENT CHARACTER */
enum { REPLACEMENT = 0xFFFD };

static bool is_high_surrogate(int32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }

static bool is_low_surrogate(int32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

/* How many of the bytes from `at`, which is >= 0x80, to `end` are the beginning of a UTF-8 sequence or the
   whole of it, 0 if none; *length becomes that of the whole sequence. */
static inline int utf8_beginning(const char *at, const char *end, int *length) {
  const unsigned char *byte = (const unsigned char *)at;
  size_t available = (size_t)(end - at);
  /* The second byte's range is what tells overlong forms, surrogates and too high values from the rest. */
  unsigned char lowest = 0x80;
  unsigned char highest = 0xBF;
  if (byte[0] >= 0xC2 && byte[0] <= 0xDF) {
    *length = 2;
  } else if (byte[0] >= 0xE0 && byte[0] <= 0xEF) {
    *length = 3;
    if (byte[0] == 0xE0)
      lowest = 0xA0;
    if (byte[0] == 0xED)
      highest = 0x9F;
  } else if (byte[0] >= 0xF0 && byte[0] <= 0xF4) {
    *length = 4;
    if (byte[0] == 0xF0)
      lowest = 0x90;
    if (byte[0] == 0xF4)
      highest = 0x8F;
  } else {
    *length = 0;
    return 0;
  }
  int i = 1;
  for (; i < *length && (size_t)i < available && byte[i] >= lowest && byte[i] <= highest; i++) {
    lowest = 0x80;
    highest = 0xBF;
  }
  return i;
}

int json_utf8(const char *at, const char *end) {
  int length;
  int found = utf8_beginning(at, end, &length);
  if (found == length)
    return length;
  return at + found == end ? -1 : 0;
}

const char *const json_no_memory = "not enough memory";

static const char *const invalid_utf8 = "invalid UTF-8";
static const char *const control_character = "a control character that is not escaped";

/* The text ends before the string does: at its very end, whatever was cut in two there. */
static bool unfinished_string(json_scan *scan) {
  return json_fault(scan, scan->end, "the text ends inside a string");
}

/* Passes over the characters that are not ASCII and begin here. With `repair` it stops before what is no
 * UTF-8. */
static bool scan_utf8(json_scan *scan) {
  do {
    int length = json_utf8(scan->at, scan->end);
    if (length < 0)
      return unfinished_string(scan);
    if (length == 0)
      return scan->repair || json_fault(scan, scan->at, invalid_utf8);
    scan->at += length;
  } while (scan->at < scan->end && (unsigned char)*scan->at >= 0x80);
  return true;
}

/* Whether scan_utf8 has stopped before what is no UTF-8: after what is, there is ASCII or nothing. */
static inline bool is_broken(const json_scan *scan) {
  return scan->at < scan->end && (unsigned char)*scan->at >= 0x80;
}

/* Writes the UTF-8 form of a code point and returns the place after it. */
static char *put_utf8(char *out, int32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | (code >> 6));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (char)(0xE0 | (code >> 12));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xF0 | (code >> 18));
    *out++ = (char)(0x80 | ((code >> 12) & 0x3F));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

/* Passes over the escape whose backslash is here, and writes what it stands for at *out, which moves on; a
   pair of surrogates is one escape. What follows one without its partner is left alone. The fault, if not the
   end of the text, lies at the backslash. */
static bool scan_escape(json_scan *scan, char **out) {
  const char *escape = scan->at;
  const char *at = escape + 1;
  if (at == scan->end)
    return unfinished_string(scan);
  if (*at != 'u') {
    char value = escape_value[(unsigned char)*at];
    if (value == 0)
      return json_fault(scan, escape, "invalid escape");
    *(*out)++ = value;
    scan->at = at + 1;
    return true;
  }
  int32_t unit = code_unit(at + 1, scan->end);
  if (unit == -2)
    return unfinished_string(scan);
  if (unit == -1)
    return json_fault(scan, escape, "\\u without four hexadecimal digits");
  at += 5;
  if (is_high_surrogate(unit)) {
    if (at == scan->end || (*at == '\\' && at + 1 == scan->end))
      return unfinished_string(scan);
    int32_t second = at[0] == '\\' && at[1] == 'u' ? code_unit(at + 2, scan->end) : -1;
    if (second == -2)
      return unfinished_string(scan);
    if (is_low_surrogate(second)) {
      unit = 0x10000 + (unit - 0xD800) * 0x400 + (second - 0xDC00);
      at += 6;
    }
  }
  if (unit >= 0xD800 && unit <= 0xDFFF) {
    if (!scan->repair)
      return json_fault(scan, escape, "lone surrogate");
    unit = REPLACEMENT;
  }
  *out = put_utf8(*out, unit);
  scan->at = at;
  return true;
}

/* Copies a run of plain bytes to `out`, as json_plain_end finds it, and returns its end. Sixteen bytes at
   `out` may be overwritten; no more than sixteen are copied. */
static inline const char *copy_plain(char *out, const char *at, const char *end) {
  const char *limit = end - at > 16 ? at + 16 : end;
  const char *stop = json_plain_end(at, limit);
  if (end - at >= 16)
    memcpy(out, at, 16);
  else
    memcpy(out, at, (size_t)(stop - at));
  return stop;
}

/* Passes over a few of the bytes here that are not ASCII, and copies them to *out, which moves on, or puts
   U+FFFD in their place. Writes no more than UTF8_ROOM bytes. */
enum { UTF8_TURNS = 8, UTF8_ROOM = UTF8_TURNS * 4 };
static bool resolve_utf8(json_scan *scan, char **out) {
  const char *at = scan->at;
  for (int i = 0; i < UTF8_TURNS && at < scan->end && (unsigned char)*at >= 0x80; i++) {
    int length;
    int found = utf8_beginning(at, scan->end, &length);
    if (found == length && found > 0) {
      memcpy(*out, at, (size_t)found);
      *out += found;
    } else if (at + found == scan->end) {
      return unfinished_string(scan);
    } else if (!scan->repair) {
      return json_fault(scan, at, invalid_utf8);
    } else {
      memcpy(*out, "\xEF\xBF\xBD", 3); /* as put_utf8 writes REPLACEMENT, but faster: there may be many */
      *out += 3;
    }
    at += found > 0 ? found : 1;
  }
  scan->at = at;
  return true;
}

/* Goes on with a string in which an escape, or what is to be repaired, has been met, which begins at `start`:
   resolves it into `scratch`. */
static bool resolve_string(json_scan *scan, const char *start, buffer *scratch) {
  enum { STEP = 16 + UTF8_ROOM }; /* more than one turn writes */
  buffer_clear(scratch);
  if (!buffer_append(scratch, start, (size_t)(scan->at - start)))
    return json_fault(scan, scan->at, json_no_memory);
  for (;;) {
    if (!json_in_time(scan))
      return false;
    if (scratch->capacity - scratch->length < STEP && !buffer_reserve(scratch, STEP))
      return json_fault(scan, scan->at, json_no_memory);
    char *out = scratch->data + scratch->length;
    const char *from = scan->at;
    scan->at = copy_plain(out, from, scan->end);
    out += scan->at - from;
    if (scan->at == scan->end)
      return unfinished_string(scan);
    unsigned char byte = (unsigned char)*scan->at;
    if (byte == '\\') {
      if (!scan_escape(scan, &out))
        return false;
    } else if (byte >= 0x80) {
      if (!resolve_utf8(scan, &out))
        return false;
    } else if (byte == '"') {
      scratch->length = (size_t)(out - scratch->data);
      scan->at++;
      return true;
    } else if (byte < 0x20) {
      return json_fault(scan, scan->at, control_character);
    }
    scratch->length = (size_t)(out - scratch->data);
  }
}

bool json_scan_string(json_scan *scan, json_string *string, buffer *scratch) {
  const char *start = ++scan->at;
  for (;;) {
    scan->at = json_plain_end(scan->at, scan->end);
    if (scan->at == scan->end)
      return unfinished_string(scan);
    unsigned char byte = (unsigned char)*scan->at;
    if (byte == '"') {
      *string = (json_string){.bytes = start, .length = (size_t)(scan->at - start), .resolved = false};
      scan->at++;
      return true;
    }
    if (byte < 0x20)
      return json_fault(scan, scan->at, control_character);
    if (byte >= 0x80 && !scan_utf8(scan))
      return false;
    if (byte == '\\' || is_broken(scan)) {
      if (!resolve_string(scan, start, scratch))
        return false;
      *string = (json_string){.bytes = scratch->data, .length = scratch->length, .resolved = true};
      return true;
    }
  }
}

/* Passes over digits, of which there must be one; `what` says so. */
static bool scan_digits(json_scan *scan, const char *what) {
  if (scan->at == scan->end || !is_digit(*scan->at))
    return json_expected(scan, what);
  while (scan->at < scan->end && is_digit(*scan->at))
    scan->at++;
  return true;
}

/* Passes over the exponent's sign and digits. */
static bool scan_exponent(json_scan *scan, int64_t *exponent) {
  bool negative = false;
  if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
    negative = *scan->at++ == '-';
  const char *digit = scan->at;
  if (!scan_digits(scan, "a digit of the exponent"))
    return false;
  int64_t value = 0;
  for (; digit < scan->at; digit++) {
    if (value < EXPONENT_LIMIT)
      value = value * 10 + (*digit - '0');
  }
  *exponent = negative ? -value : value;
  return true;
}

/* The double nearest to significand × 10^exponent, if one operation on two exactly represented numbers finds
   it: then it is correctly rounded. False where it takes more. */
static bool exact_double(uint64_t significand, int64_t exponent, double *result) {
  static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (FLT_EVAL_METHOD != 0 || significand > (UINT64_C(1) << 53) || exponent < -22 || exponent > 22)
    return false;
  *result = exponent < 0 ? (double)significand / power[-exponent] : (double)significand * power[exponent];
  return true;
}

/* The nearest double. The hard cases go to strtod, but as digits and an exponent without a decimal point, the
   one part of a number that depends on the locale; this also bounds the copy that strtod needs for its
   terminating zero. */
static double nearest_double(const decimal *number) {
  char text[SIGNIFICANT_DIGITS + 32];
  size_t count = 0;
  size_t left_out = 0;
  bool more = false;
  uint64_t significand = 0;
  const char *part = number->whole;
  const char *part_end = number->whole_end;
  for (int i = 0; i < 2; i++) {
    for (; part < part_end; part++) {
      if (count == 0 && *part == '0')
        continue;
      if (count < SIGNIFICANT_DIGITS) {
        text[count++] = *part;
      } else {
        left_out++;
        more = more || *part != '0';
      }
    }
    part = number->fraction;
    part_end = number->fraction_end;
  }
  if (count == 0)
    return 0.0;
  int64_t exponent = number->exponent - (number->fraction_end - number->fraction) + (int64_t)left_out;
  if (!more) {
    for (; text[count - 1] == '0'; count--)
      exponent++;
  }
  if (count <= 19) {
    double result;
    for (size_t i = 0; i < count; i++)
      significand = significand * 10 + (uint64_t)(text[i] - '0');
    if (exact_double(significand, exponent, &result))
      return result;
  }
  int64_t magnitude = exponent + (int64_t)count;
  if (magnitude > 400)
    return HUGE_VAL;
  if (magnitude < -400)
    return 0.0;
  if (more) {
    text[count++] = '1';
    exponent--;
  }
  snprintf(text + count, sizeof text - count, "e%d", (int)exponent);
  return strtod(text, NULL);
}

/* Takes a number without fraction and exponent as an integer, if it is one that fits. It has no leading
   zeros, so 19 digits, which cannot overflow 64 bits without a sign, are all that can. */
static bool take_integer(const decimal *number, bool negative, json_number *result) {
  if (number->whole_end - number->whole > 19)
    return false;
  uint64_t magnitude = 0;
  for (const char *digit = number->whole; digit < number->whole_end; digit++) {
    magnitude = magnitude * 10 + (uint64_t)(*digit - '0');
  }
  if (negative && magnitude == 0)
    return false;
  if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
    return false;
  result->is_integer = true;
  result->integer = negative ? -1 - (int64_t)(magnitude - 1) : (int64_t)magnitude;
  return true;
}

bool json_scan_number(json_scan *scan, json_number *number) {
  const char *start = scan->at;
  bool negative = *start == '-';
  if (negative)
    scan->at++;
  if (scan->at < scan->end && (*scan->at == 'I' || *scan->at == 'N')) {
    return json_fault(scan, scan->at, "NaN and Infinity are not JSON");
  }
  decimal parts = {.whole = scan->at};
  if (!scan_digits(scan, "a digit after '-'"))
    return false;
  parts.whole_end = parts.fraction = parts.fraction_end = scan->at;
  if (*parts.whole == '0' && parts.whole_end - parts.whole > 1) {
    return json_fault(scan, parts.whole + 1, "a number with a leading zero");
  }
  bool plain = true;
  if (scan->at < scan->end && *scan->at == '.') {
    plain = false;
    parts.fraction = ++scan->at;
    if (!scan_digits(scan, "a digit after '.'"))
      return false;
    parts.fraction_end = scan->at;
  }
  if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
    plain = false;
    scan->at++;
    if (!scan_exponent(scan, &parts.exponent))
      return false;
  }
  if (plain && take_integer(&parts, negative, number))
    return true;
  double magnitude = nearest_double(&parts);
  if (isinf(magnitude))
    return json_fault(scan, start, "a number out of range");
  number->is_integer = false;
  number->real = negative ? -magnitude : magnitude;
  return true;
}
