#include "decoding.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* As many as libcurl allows: more are no answer but an attack. */
enum { MOST = 5 };

enum { WINDOW = 15, GZIP = 16 + WINDOW };

/* How much more than it gives a stage may take from another one. What takes bytes and gives none (empty
   members or blocks, a file's name) may be packed a thousandfold: a few kilobytes would keep zlib busy for
   minutes, and nothing that has a bound would grow. */
enum { MOST_LOSS = 1024 * 1024 };

typedef struct stage {
  z_stream zlib;
  bool deflate;          /* whose format is told by the first two bytes */
  bool begun;            /* zlib is at work */
  bool ended;            /* all of the data have come, or a member of them */
  bool over;             /* and what follows is something else */
  uint64_t taken, given; /* bytes so far */
  unsigned char head[2]; /* the first bytes, until zlib is at work */
  unsigned held;         /* how many of them are there */
  unsigned char out[16384];
} stage;

struct decoding {
  size_t count;
  stage stages[]; /* in the order in which the encodings were applied: the last one is undone first */
};

/* ---- names ---- */

/* Compared by libcurl, for which case is that of ASCII in every locale: in a Turkish one strcasecmp takes
   GZIP for another word than gzip. */

static bool is(const char *name, size_t length, const char *word) {
  return strlen(word) == length && curl_strnequal(name, word, length);
}

static bool begins(const char *name, size_t length, const char *word) {
  size_t n = strlen(word);
  return length >= n && curl_strnequal(name, word, n);
}

/* Whether a name in a Content-Encoding says nothing about how the bytes are encoded: a character set, a
   transfer encoding of HTTP, mail or Amazon's, or what is no token at all and so names none (RFC 9110 section
   5.6.2: a media type, for one). */
static bool is_none(const char *name, size_t length) {
  static const char *const words[] = {"identity", "none", "null",    "binary",
                                      "7bit",     "8bit", "chunked", "aws-chunked"};
  static const char *const charsets[] = {
      "utf",     "ucs-",  "unicode", "ascii", "us-ascii", "ansi",  "iso-", "iso8859", "iso_88", "cp12",
      "windows", "latin", "koi8",    "gbk",   "gb231",    "gb180", "big5", "euc-",    "shift",  "charset"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (is(name, length, words[i]))
      return true;
  for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++)
    if (begins(name, length, charsets[i]))
      return true;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
      return true;
  }
  return false;
}

/* Takes the next name off a list, without the blanks around it and without parameters, which no encoding has.
   False at the end; the name may be empty. */
static bool next_name(const char **list, const char *end, const char **name, size_t *length) {
  const char *p = *list, *last = NULL;
  while (p < end && (*p == ' ' || *p == '\t'))
    p++;
  if (p == end)
    return false;
  *name = p;
  for (; p < end && *p != ','; p++)
    if (*p == ';' && last == NULL)
      last = p;
  if (last == NULL)
    last = p;
  *list = p < end ? p + 1 : end;
  while (last > *name && (last[-1] == ' ' || last[-1] == '\t'))
    last--;
  *length = (size_t)(last - *name);
  return true;
}

/* ---- stages ---- */

/* zlib's memory, so that it comes from where ours does. */
static void *take(void *user, unsigned count, unsigned size) {
  (void)user;
  return calloc(count, size);
}

static void give_back(void *user, void *memory) {
  (void)user;
  free(memory);
}

bool decoding_is_needed(const char *list, size_t length) {
  const char *end = list + length, *name;
  while (next_name(&list, end, &name, &length))
    if (length > 0 && !is_none(name, length))
      return true;
  return false;
}

decoding_result decoding_new(decoding **made, const char *list, size_t list_length, const char **name,
                             size_t *length) {
  const char *end = list + list_length;
  bool deflate[MOST];
  size_t count = 0;
  *made = NULL;
  while (next_name(&list, end, name, length)) {
    bool is_deflate = is(*name, *length, "deflate");
    if (!is_deflate && !is(*name, *length, "gzip") && !is(*name, *length, "x-gzip")) {
      if (*length > 0 && !is_none(*name, *length))
        return DECODING_UNKNOWN;
      continue;
    }
    if (count == MOST)
      return DECODING_UNKNOWN;
    deflate[count++] = is_deflate;
  }
  if (count == 0)
    return DECODING_WELL;
  *made = calloc(1, sizeof **made + count * sizeof(stage));
  if (*made == NULL)
    return DECODING_NO_MEMORY;
  (*made)->count = count;
  for (size_t i = 0; i < count; i++)
    (*made)->stages[i].deflate = deflate[i];
  return DECODING_WELL;
}

void decoding_free(decoding *d) {
  if (d == NULL)
    return;
  for (size_t i = 0; i < d->count; i++)
    if (d->stages[i].begun)
      inflateEnd(&d->stages[i].zlib);
  free(d);
}

/* What a code of zlib's that is no success means. */
static decoding_result failure(int code) {
  return code == Z_MEM_ERROR ? DECODING_NO_MEMORY : DECODING_DAMAGED;
}

/* Sets zlib to work. "deflate" is data with zlib's header (RFC 9110 section 8.4.1.2); without one they are
   sent, too, and then the first two bytes make no such header. */
static int begin(stage *s) {
  int window = GZIP, code;
  if (s->deflate)
    window = (s->head[0] & 15) == Z_DEFLATED && (s->head[0] << 8 | s->head[1]) % 31 == 0 ? WINDOW : -WINDOW;
  s->zlib.zalloc = take;
  s->zlib.zfree = give_back;
  code = inflateInit2(&s->zlib, window);
  s->begun = code == Z_OK;
  return code;
}

static decoding_result write_to(decoding *d, size_t index, const unsigned char *data, size_t length,
                                decoding_sink *sink, void *user);

/* Gives zlib some bytes, and what comes out to the next stage. */
static decoding_result run(decoding *d, size_t index, const unsigned char *data, size_t length,
                           decoding_sink *sink, void *user) {
  stage *s = &d->stages[index];
  s->zlib.next_in = (unsigned char *)(uintptr_t)data; /* zlib only reads it */
  s->zlib.avail_in = (unsigned)length;
  do {
    int code;
    unsigned available = s->zlib.avail_in;
    decoding_result result;
    if (s->ended) {
      /* gzip may go on with another member (RFC 1952 section 2.2); what else follows is passed over */
      if (s->zlib.avail_in == 0)
        break;
      s->over = s->over || s->deflate || s->zlib.next_in[0] != 31;
      if (s->over || inflateReset(&s->zlib) != Z_OK)
        break;
      s->ended = false;
    }
    s->zlib.next_out = s->out;
    s->zlib.avail_out = sizeof s->out;
    code = inflate(&s->zlib, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return failure(code);
    s->ended = code == Z_STREAM_END;
    s->taken += available - s->zlib.avail_in;
    s->given += sizeof s->out - s->zlib.avail_out;
    if (index + 1 < d->count && s->taken > s->given + s->given / 256 + MOST_LOSS)
      return DECODING_DAMAGED;
    result = write_to(d, index, s->out, sizeof s->out - s->zlib.avail_out, sink, user);
    if (result != DECODING_WELL)
      return result;
  } while (s->zlib.avail_in > 0 || s->zlib.avail_out == 0);
  return DECODING_WELL;
}

/* Writes to the stages below `index`: the first of them, or the sink. */
static decoding_result write_to(decoding *d, size_t index, const unsigned char *data, size_t length,
                                decoding_sink *sink, void *user) {
  stage *s;
  if (length == 0)
    return DECODING_WELL;
  if (index == 0)
    return sink(user, (const char *)data, length) ? DECODING_WELL : DECODING_STOPPED;
  s = &d->stages[--index];
  if (!s->begun) {
    decoding_result result;
    int code;
    while (s->held < sizeof s->head && length > 0) {
      s->head[s->held++] = *data++;
      length--;
    }
    if (s->held < sizeof s->head)
      return DECODING_WELL;
    code = begin(s);
    if (code != Z_OK)
      return failure(code);
    result = run(d, index, s->head, sizeof s->head, sink, user);
    if (result != DECODING_WELL)
      return result;
  }
  return run(d, index, data, length, sink, user);
}

decoding_result decoding_write(decoding *d, const char *data, size_t length, decoding_sink *sink,
                               void *user) {
  return write_to(d, d->count, (const unsigned char *)data, length, sink, user);
}

bool decoding_is_whole(const decoding *d) {
  for (size_t i = 0; d != NULL && i < d->count; i++)
    if (d->stages[i].held > 0 && !d->stages[i].ended)
      return false;
  return true;
}
