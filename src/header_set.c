#include "header_set.h"

#include "decoding.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT_ENCODING "Accept-Encoding"

struct header_set {
  unsigned references;
  struct curl_slist *lines;
  size_t length;  /* of all lines */
  size_t longest; /* of one */
  bool encoding;  /* Accept-Encoding is among them, or is to be left out */
};

header_set *header_set_new(void) {
  header_set *set = calloc(1, sizeof *set);
  if (set == NULL)
    return NULL;
  set->references = 1;
  /* libcurl would wait for "100 Continue" before a large body */
  if (header_set_add(set, "Expect", NULL))
    return set;
  header_set_release(set);
  return NULL;
}

bool header_set_add(header_set *set, const char *name, const char *value) {
  const char *separator = ": ";
  struct curl_slist *list;
  char *line;
  /* to libcurl "Name:", whatever white space follows, leaves a header out, and "Name;" sends it empty
     (CURLOPT_HTTPHEADER(3)) */
  if (value == NULL) {
    separator = ":";
    value = "";
  } else if (value[strspn(value, " \t")] == '\0') {
    separator = ";";
    value = "";
  }
  size_t size = strlen(name) + strlen(separator) + strlen(value) + 1;
  line = malloc(size);
  if (line == NULL)
    return false;
  stpcpy(stpcpy(stpcpy(line, name), separator), value);
  list = curl_slist_append(set->lines, line);
  free(line);
  if (list == NULL)
    return false;
  set->lines = list;
  set->encoding = set->encoding || curl_strequal(name, ACCEPT_ENCODING);
  set->length += size;
  if (size > set->longest)
    set->longest = size;
  return true;
}

bool header_set_complete(header_set *set) {
  return set->encoding || header_set_add(set, ACCEPT_ENCODING, DECODING_ACCEPTED);
}

header_set *header_set_share(header_set *set) {
  set->references++;
  return set;
}

void header_set_release(header_set *set) {
  if (set == NULL || --set->references > 0)
    return;
  curl_slist_free_all(set->lines);
  free(set);
}

struct curl_slist *header_set_lines(const header_set *set) {
  return set->lines;
}

size_t header_set_length(const header_set *set) { return set->length; }

size_t header_set_longest(const header_set *set) { return set->longest; }
