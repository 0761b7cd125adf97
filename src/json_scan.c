#include "json_scan.h"

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
  *scan = (json_scan){.text = text, .at = text, .end = text + length};
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

void json_skip_space(json_scan *scan) {
  const char *at = scan->at;
  while (at < scan->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
    at++;
  scan->at = at;
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

/* The value of a hexadecimal digit, or -1. */
static int hex_digit(char c) {
  if (is_digit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* The code unit of the four digits at `at`; -1 if one is none, -2 if `end` comes first. */
static int32_t code_unit(const char *at, const char *end) {
  int32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    if (at + i == end)
      return -2;
    int digit = hex_digit(at[i]);
    if (digit < 0)
      return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

static bool is_high_surrogate(int32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }

static bool is_low_surrogate(int32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

int json_utf8(const char *at, const char *end) {
  const unsigned char *byte = (const unsigned char *)at;
  size_t available = (size_t)(end - at);
  int length;
  /* The second byte's range is what tells overlong forms, surrogates and too high values from the rest. */
  unsigned char lowest = 0x80;
  unsigned char highest = 0xBF;
  if (byte[0] >= 0xC2 && byte[0] <= 0xDF) {
    length = 2;
  } else if (byte[0] >= 0xE0 && byte[0] <= 0xEF) {
    length = 3;
    if (byte[0] == 0xE0)
      lowest = 0xA0;
    if (byte[0] == 0xED)
      highest = 0x9F;
  } else if (byte[0] >= 0xF0 && byte[0] <= 0xF4) {
    length = 4;
    if (byte[0] == 0xF0)
      lowest = 0x90;
    if (byte[0] == 0xF4)
      highest = 0x8F;
  } else {
    return 0;
  }
  for (int i = 1; i < length; i++) {
    if ((size_t)i == available)
      return -1;
    if (byte[i] < lowest || byte[i] > highest)
      return 0;
    lowest = 0x80;
    highest = 0xBF;
  }
  return length;
}

/* The text ends before the string does: at its very end, whatever was cut in two there. */
static bool unfinished_string(json_scan *scan) {
  return json_fault(scan, scan->end, "the text ends inside a string");
}

/* Passes over the escape whose backslash is here; a pair of surrogates is one escape. The fault, if not the
   end of the text, lies at the backslash. */
static bool scan_escape(json_scan *scan) {
  const char *escape = scan->at;
  const char *at = escape + 1;
  if (at == scan->end)
    return unfinished_string(scan);
  if (*at != 'u') {
    if (*at == '\0' || !strchr("\"\\/bfnrt", *at))
      return json_fault(scan, escape, "invalid escape");
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
    if (at[0] != '\\' || at[1] != 'u')
      return json_fault(scan, escape, "lone surrogate");
    int32_t second = code_unit(at + 2, scan->end);
    if (second == -2)
      return unfinished_string(scan);
    if (!is_low_surrogate(second))
      return json_fault(scan, escape, "lone surrogate");
    at += 6;
  } else if (is_low_surrogate(unit)) {
    return json_fault(scan, escape, "lone surrogate");
  }
  scan->at = at;
  return true;
}

bool json_scan_string(json_scan *scan, json_string *string) {
  const char *start = ++scan->at;
  string->escaped = false;
  while (scan->at < scan->end) {
    unsigned char byte = (unsigned char)*scan->at;
    if (byte == '"') {
      string->start = start;
      string->length = (size_t)(scan->at - start);
      scan->at++;
      return true;
    }
    if (byte == '\\') {
      string->escaped = true;
      if (!scan_escape(scan))
        return false;
    } else if (byte < 0x20) {
      return json_fault(scan, scan->at, "a control character that is not escaped");
    } else if (byte < 0x80) {
      scan->at++;
    } else {
      int length = json_utf8(scan->at, scan->end);
      if (length < 0)
        return unfinished_string(scan);
      if (length == 0)
        return json_fault(scan, scan->at, "invalid UTF-8");
      scan->at += length;
    }
  }
  return unfinished_string(scan);
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

/* The character that a one-letter escape stands for; the quote, the backslash and the slash stand for
 * themselves. */
static char unescaped(char letter) {
  switch (letter) {
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return letter;
  }
}

size_t json_unescape(const json_string *string, char *out) {
  char *start = out;
  const char *at = string->start;
  const char *end = at + string->length;
  while (at < end) {
    const char *escape = memchr(at, '\\', (size_t)(end - at));
    size_t plain = (size_t)((escape ? escape : end) - at);
    memcpy(out, at, plain);
    out += plain;
    at += plain;
    if (!escape)
      break;
    if (at[1] != 'u') {
      *out++ = unescaped(at[1]);
      at += 2;
    } else {
      int32_t code = code_unit(at + 2, end);
      at += 6;
      if (is_high_surrogate(code)) {
        code = 0x10000 + (code - 0xD800) * 0x400 + (code_unit(at + 2, end) - 0xDC00);
        at += 6;
      }
      out = put_utf8(out, code);
    }
  }
  return (size_t)(out - start);
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
