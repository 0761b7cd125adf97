#include "receiving.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

void receiving_init(receiving *r, output *o, size_t most) {
  r->output = o != NULL ? output_share(o) : NULL;
  r->most = most;
  r->total = RECEIVING_UNKNOWN;
}

void receiving_free(receiving *r) {
  if (r->output != NULL)
    output_leave(r->output, r);
  output_release(r->output);
  buffer_free(&r->body);
  buffer_free(&r->encodings);
  decoding_free(r->decoding);
}

/* ---- the head ---- */

void receiving_forget(receiving *r) {
  buffer_clear(&r->encodings);
  r->ranged = false;
}

/* The value of a header line, without the white space around it, if the header is called `name` (with a
   colon, in lower case); NULL: it is another one. */
static const char *value_of(const char *line, size_t *length, const char *name) {
  size_t skip = strlen(name), end = *length;
  if (end <= skip || (line[0] | 0x20) != name[0] || !curl_strnequal(line, name, skip))
    return NULL;
  while (end > skip && (line[end - 1] == '\r' || line[end - 1] == '\n'))
    end--;
  while (skip < end && (line[skip] == ' ' || line[skip] == '\t'))
    skip++;
  *length = end - skip;
  return line + skip;
}

/* Takes the digits at the front of a text, 18 at most. False: there are none. */
static bool take_number(const char **text, const char *end, int64_t *number) {
  const char *begin = *text;
  *number = 0;
  for (; *text < end && *text - begin < 18 && **text >= '0' && **text <= '9'; (*text)++)
    *number = *number * 10 + (**text - '0');
  return *text > begin;
}

static bool take_char(const char **text, const char *end, char c) {
  if (*text == end || **text != c)
    return false;
  (*text)++;
  return true;
}

/* Reads "bytes FIRST-LAST/WHOLE", where WHOLE may be "*" (RFC 9110 section 14.4). False: it is none. */
static bool read_range(receiving *r, const char *text, size_t length) {
  static const char unit[] = "bytes ";
  const char *end = text + length;
  if (length < sizeof unit || !curl_strnequal(text, unit, sizeof unit - 1))
    return false;
  text += sizeof unit - 1;
  if (!take_number(&text, end, &r->first) || !take_char(&text, end, '-') ||
      !take_number(&text, end, &r->last) || !take_char(&text, end, '/') || r->last < r->first)
    return false;
  r->whole = RECEIVING_UNKNOWN;
  if (take_char(&text, end, '*'))
    return text == end;
  return take_number(&text, end, &r->whole) && text == end && r->whole > r->last;
}

bool receiving_note(receiving *r, const char *line, size_t length) {
  size_t size = length;
  const char *value = value_of(line, &size, "content-encoding:");
  if (value != NULL)
    return buffer_append(&r->encodings, value, size) && buffer_append(&r->encodings, ",", 1);
  if (r->output != NULL && (value = value_of(line, &size, "content-range:")) != NULL)
    r->ranged = read_range(r, value, size);
  return true;
}

/* A 206 is of no use. What there is already may be of something else, so that the next attempt begins
   anew. */
static bool refuse_range(receiving *r, fault *wrong) {
  if (output_reset(r->output, r, wrong))
    fault_note(wrong, OUTCOME_CONNECTION,
               "the response is a part of the file that does not fit what has arrived so far");
  return false;
}

static bool is_encoded(const receiving *r) {
  return r->encodings.length > 0 && decoding_is_needed(r->encodings.data, r->encodings.length);
}

bool receiving_begin(receiving *r, long status, fault *wrong) {
  r->to_output = r->output != NULL && status / 100 == 2;
  if (!r->to_output)
    return true;
  if (!output_claim(r->output, r, wrong))
    return false;
  if (status != 206) {
    r->ranged = false;
    return output_reset(r->output, r, wrong);
  }
  int64_t have = (int64_t)output_received(r->output);
  if (!r->ranged || r->first != have || (have > 0 && is_encoded(r)))
    return refuse_range(r, wrong);
  return true;
}

/* ---- the body ---- */

/* Makes room for a body whose length the server tells. A lie, or compression, only costs time: no more than
   EXPECTED_MOST is believed before it arrives. */
static void expect(receiving *r, int64_t length) {
  enum { EXPECTED_MOST = 1024 * 1024 };
  if (length > 0)
    (void)buffer_reserve(&r->body, length < EXPECTED_MOST ? (size_t)length : EXPECTED_MOST);
}

/* How many bytes there will be when all has come. */
static int64_t total_of(const receiving *r, int64_t length) {
  if (r->decoding != NULL)
    return RECEIVING_UNKNOWN;
  if (r->to_output && r->ranged)
    return r->whole != RECEIVING_UNKNOWN ? r->whole : r->last + 1;
  return length >= 0 ? length : RECEIVING_UNKNOWN;
}

/* Gets ready for the body, before its first bytes. False: it cannot be had. */
static bool open_body(receiving *r, int64_t all, fault *wrong) {
  const char *name = NULL;
  size_t length = 0;
  decoding_result result = DECODING_WELL;
  r->begun = true;
  if (!r->to_output)
    expect(r, all);
  if (r->encodings.length > 0)
    result = decoding_new(&r->decoding, r->encodings.data, r->encodings.length, &name, &length);
  if (result == DECODING_UNKNOWN) { /* the name consists of visible characters, or it would be none */
    snprintf(wrong->text, sizeof wrong->text, "the response has a Content-Encoding that is not known: '%.*s'",
             length < 40 ? (int)length : 40, name);
    fault_note(wrong, OUTCOME_ENCODING, wrong->text);
  } else if (result == DECODING_NO_MEMORY) {
    fault_note(wrong, OUTCOME_NO_MEMORY, "");
  }
  r->total = total_of(r, all);
  return result == DECODING_WELL;
}

typedef struct sink {
  receiving *receiving;
  fault *wrong;
} sink;

/* Adds to the body; a decoding_sink. */
static bool add(void *user, const char *data, size_t length) {
  receiving *r = ((sink *)user)->receiving;
  fault *wrong = ((sink *)user)->wrong;
  if (r->to_output) {
    if (r->ranged && receiving_received(r) + (int64_t)length > r->last + 1 && r->decoding == NULL)
      return refuse_range(r, wrong);
    return output_write(r->output, data, length, wrong);
  }
  if (length > r->most - r->body.length)
    fault_note(wrong, OUTCOME_TOO_LARGE, BODY_TOO_LARGE);
  else if (!buffer_append(&r->body, data, length))
    fault_note(wrong, OUTCOME_NO_MEMORY, "");
  else
    return true;
  return false;
}

bool receiving_write(receiving *r, const char *data, size_t length, int64_t all, fault *wrong) {
  sink to = {r, wrong};
  if (!r->begun && !open_body(r, all, wrong))
    return false;
  if (r->decoding == NULL)
    return add(&to, data, length);
  switch (decoding_write(r->decoding, data, length, add, &to)) {
  case DECODING_WELL:
    return true;
  case DECODING_STOPPED:
    return false;
  case DECODING_NO_MEMORY:
    fault_note(wrong, OUTCOME_NO_MEMORY, "");
    return false;
  default:
    fault_note(wrong, OUTCOME_CONNECTION, "the response's body is not encoded as its Content-Encoding says");
    return false;
  }
}

bool receiving_is_whole(const receiving *r, fault *wrong) {
  if (!decoding_is_whole(r->decoding)) {
    fault_note(wrong, OUTCOME_CONNECTION, "the response's compressed body is cut off");
    return false;
  }
  if (r->to_output && r->ranged && r->decoding == NULL && receiving_received(r) != total_of(r, 0)) {
    fault_note(wrong, OUTCOME_CONNECTION, "the response is a part of the file that does not reach its end");
    return false;
  }
  return true;
}

void receiving_end(receiving *r, bool whole) {
  fault ignored = {0};
  if (!whole && r->to_output && r->decoding != NULL)
    output_reset(r->output, r, &ignored);
  if (r->output != NULL)
    output_leave(r->output, r);
}

int64_t receiving_received(const receiving *r) {
  return r->to_output ? (int64_t)output_received(r->output) : (int64_t)r->body.length;
}

int64_t receiving_total(const receiving *r) { return r->total; }
