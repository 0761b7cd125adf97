/* Scanning JSON text (RFC 8259): white space, words, strings, numbers, UTF-8. Knows no Lua, keeps
   no state but its arguments, and gives the same results in every locale. */
#ifndef LLAMA_CLOUD_JSON_SCAN_H
#define LLAMA_CLOUD_JSON_SCAN_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in a text. A function that returns false has set `fault`, and `at` to the place of the fault: the
   first byte that cannot stand there, or the first byte of the escape, UTF-8 sequence or number that is at
   fault as a whole, or `end` where the text ends too early. */
typedef struct json_scan {
  const char *text;
  const char *at;
  const char *end;
  const char *fault; /* static text, or NULL: what is wrong, or what was expected */
  bool expected;     /* which of the two `fault` is */
  bool repair;       /* strings are repaired rather than refused: see json_scan_string */
  double seconds;    /* how long it may take: see json_in_time */
  int64_t begun;     /* when the clock was looked at first; 0: it was not */
  unsigned patience; /* values until it is looked at again */
} json_scan;

/* A string without its quotes and escapes: in the text itself, or in the scratch buffer if it is not spelt
   there as it is. */
typedef struct json_string {
  const char *bytes;
  size_t length;
  bool resolved; /* it had escapes, or was repaired */
} json_string;

typedef struct json_number {
  bool is_integer;
  int64_t integer;
  double real;
} json_number;

/* Begins at the start of `length` bytes, which stay the caller's; strictly, unless the caller sets `repair`.
   A NULL text must be of length 0. */
void json_scan_begin(json_scan *scan, const char *text, size_t length);

/* Passes over a byte order mark at the start of a text that is repaired; in any other it is a fault (RFC 8259
   section 8.1 leaves the choice). */
bool json_scan_mark(json_scan *scan);

/* Record a fault at `at`, in static text, and return false: "`what` at byte n". */
bool json_fault(json_scan *scan, const char *at, const char *what);

/* The same for "expected `what` but found … at byte n", at the current place. */
bool json_expected(json_scan *scan, const char *what);

/* Writes the fault's message, with its 1-based byte offset, into `out`; `size` of JSON_MESSAGE_SIZE always
 * suffices. */
#define JSON_MESSAGE_SIZE 160
void json_describe_fault(const json_scan *scan, char *out, size_t size);

/* Whether there is time for another value; if not, the fault is json_overdue. To be asked for each: a clock
   is looked at now and then, a few milliseconds apart, and the time counts from its first look, so that short
   texts have none. */
extern const char *const json_overdue;
bool json_look_at_clock(json_scan *scan);
static inline bool json_in_time(json_scan *scan) { return --scan->patience != 0 || json_look_at_clock(scan); }

/* Goes on to the next byte that is not white space, or to the end. */
static inline void json_skip_space(json_scan *scan) {
  const char *at = scan->at;
  /* most services send no white space at all */
  while (at < scan->end && (unsigned char)*at <= ' ' &&
         (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
    at++;
  scan->at = at;
}

/* Passes over `word` (true, false or null), whose first byte the caller has seen here. */
bool json_scan_word(json_scan *scan, const char *word);

/* Passes over the string whose opening quote is here, checks all of it and resolves its escapes, if it has
   any, into `scratch`, whose contents are lost. Where there is no memory for that the fault is
   json_no_memory.

   With `repair` U+FFFD takes the place of the escape of each surrogate that is not one of a pair, and of what
   is no UTF-8, as the Unicode Standard (section 3.9, "U+FFFD Substitution of Maximal Subparts") and all
   browsers do it: one for the longest beginning of a character that breaks off, one for each other byte. All
   other faults stay faults. */
bool json_scan_string(json_scan *scan, json_string *string, buffer *scratch);
extern const char *const json_no_memory;

/* Passes over the number whose '-' or first digit is here. Without fraction and exponent, and within 64 bits,
   it is an integer, but "-0" is the real -0.0, because no integer can be that. All else is the nearest
   double, ties to even; what rounds to infinity is a fault, what rounds to zero is not. */
bool json_scan_number(json_scan *scan, json_number *number);

/* The length (2 to 4) of the UTF-8 sequence that begins with the byte >= 0x80 at `at`; 0 if it is none, which
   includes overlong forms, surrogates and what lies above U+10FFFF; -1 if `end` comes before it is complete
   or wrong. */
int json_utf8(const char *at, const char *end);

#endif
