#include "form.h"

#include <stdlib.h>
#include <string.h>

typedef struct text {
  char *name, *value;
  size_t length;
} text;

struct form {
  unsigned references;
  text *texts;
  size_t count;
  char *part, *name, *type; /* of the file */
  char *path;               /* NULL: its bytes are in `data` */
  char *data;
  curl_off_t size;
};

form *form_new(void) {
  form *f = calloc(1, sizeof *f);
  if (f != NULL)
    f->references = 1;
  return f;
}

/* A copy of the bytes, with a NUL after them. NULL: no memory. */
static char *copy(const char *bytes, size_t length) {
  char *result = malloc(length + 1);
  if (result == NULL)
    return NULL;
  if (length > 0)
    memcpy(result, bytes, length);
  result[length] = '\0';
  return result;
}

bool form_add(form *f, const char *name, const char *value, size_t length) {
  text *texts = realloc(f->texts, (f->count + 1) * sizeof *texts);
  text *last;
  if (texts == NULL)
    return false;
  f->texts = texts;
  last = &texts[f->count++];
  *last = (text){.name = strdup(name), .value = copy(value, length), .length = length};
  return last->name != NULL && last->value != NULL;
}

bool form_describe(form *f, const char *part, const char *name, const char *type) {
  f->part = strdup(part);
  f->name = strdup(name);
  f->type = strdup(type);
  return f->part != NULL && f->name != NULL && f->type != NULL;
}

bool form_set_path(form *f, const char *path, curl_off_t size) {
  f->path = strdup(path);
  f->size = size;
  return f->path != NULL;
}

bool form_set_data(form *f, const char *data, size_t length) {
  f->data = copy(data, length);
  f->size = (curl_off_t)length;
  return f->data != NULL;
}

form *form_share(form *f) {
  f->references++;
  return f;
}

void form_release(form *f) {
  if (f == NULL || --f->references > 0)
    return;
  for (size_t i = 0; i < f->count; i++) {
    free(f->texts[i].name);
    free(f->texts[i].value);
  }
  free(f->texts);
  free(f->part);
  free(f->name);
  free(f->type);
  free(f->path);
  free(f->data);
  free(f);
}

const char *form_path(const form *f) { return f->path; }

const char *form_data(const form *f) { return f->data; }

curl_off_t form_size(const form *f) { return f->size; }

/* What a name takes, of which every byte may be escaped. */
static size_t escaped(const char *name) { return 3 * strlen(name); }

curl_off_t form_length(const form *f) {
  const size_t around = 200; /* a part: the boundary, the headers */
  size_t length = escaped(f->part) + escaped(f->name) + strlen(f->type) + 2 * around;
  for (size_t i = 0; i < f->count; i++)
    length += escaped(f->texts[i].name) + f->texts[i].length + around;
  return f->size + (curl_off_t)length;
}

/* Adds the parts of text to what libcurl sends. */
static CURLcode build_texts(const form *f, curl_mime *mime) {
  CURLcode code = CURLE_OK;
  for (size_t i = 0; code == CURLE_OK && i < f->count; i++) {
    curl_mimepart *part = curl_mime_addpart(mime);
    code = part != NULL ? curl_mime_name(part, f->texts[i].name) : CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK)
      code = curl_mime_data(part, f->texts[i].value, f->texts[i].length);
  }
  return code;
}

curl_mime *form_build(const form *f, CURL *easy, curl_read_callback read, curl_seek_callback seek,
                      void *user) {
  curl_mime *mime = curl_mime_init(easy);
  curl_mimepart *part = NULL;
  CURLcode code = CURLE_OUT_OF_MEMORY;
  if (mime == NULL)
    return NULL;
  if (build_texts(f, mime) == CURLE_OK)
    part = curl_mime_addpart(mime);
  if (part != NULL)
    code = curl_mime_data_cb(part, f->size, read, seek, NULL, user);
  if (code == CURLE_OK)
    code = curl_mime_name(part, f->part);
  if (code == CURLE_OK)
    code = curl_mime_filename(part, f->name);
  if (code == CURLE_OK)
    code = curl_mime_type(part, f->type);
  if (code == CURLE_OK)
    return mime;
  curl_mime_free(mime);
  return NULL;
}
