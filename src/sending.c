#include "sending.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool sending_init(sending *s, const char *bytes, size_t length, form *f) {
  if (f != NULL)
    s->form = form_share(f);
  else if (bytes != NULL && length > 0)
    return buffer_append(&s->bytes, bytes, length);
  return true;
}

void sending_free(sending *s) {
  buffer_free(&s->bytes);
  form_release(s->form);
}

bool sending_has_body(const sending *s) { return s->form != NULL || s->bytes.length > 0; }

curl_off_t sending_size(const sending *s) {
  return s->form != NULL ? form_size(s->form) : (curl_off_t)s->bytes.length;
}

curl_off_t sending_length(const sending *s) {
  return s->form != NULL ? form_length(s->form) : (curl_off_t)s->bytes.length;
}

/* Notes that the form's file cannot be read. */
static bool fail(const sending *s, fault *wrong, const char *why) {
  fault_file(wrong, "read", form_path(s->form), why);
  return false;
}

/* Whether the file is one, and has the size that the form tells. */
static bool is_as_told(const sending *s, fault *wrong) {
  struct stat about;
  if (fstat(s->descriptor, &about) != 0)
    return fail(s, wrong, strerror(errno));
  if (!S_ISREG(about.st_mode))
    return fail(s, wrong, S_ISDIR(about.st_mode) ? strerror(EISDIR) : "it is no regular file");
  if (about.st_size > form_size(s->form))
    return fail(s, wrong, "it has grown since its size was told");
  if (about.st_size < form_size(s->form))
    return fail(s, wrong, "it has become shorter since its size was told");
  return true;
}

/* Opens the form's file, and makes sure that it is still what it was. */
static bool open_file(sending *s, fault *wrong) {
  const char *path = form_path(s->form);
  if (path == NULL)
    return true;
  /* what has become a pipe meanwhile does not hold us up */
  s->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (s->descriptor < 0) {
    fault_open(wrong, "read", path, errno);
    return false;
  }
  s->open = true;
  return is_as_told(s, wrong);
}

CURLcode sending_open(sending *s, CURL *easy, curl_read_callback read, curl_seek_callback seek, void *user,
                      fault *wrong) {
  CURLcode code;
  s->position = 0;
  if (s->form == NULL) {
    /* not POSTFIELDS: libcurl would send those again by itself */
    code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (code == CURLE_OK)
      code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->bytes.length);
    return code;
  }
  if (!open_file(s, wrong))
    return CURLE_READ_ERROR;
  s->mime = form_build(s->form, easy, read, seek, user);
  return s->mime != NULL ? curl_easy_setopt(easy, CURLOPT_MIMEPOST, s->mime) : CURLE_OUT_OF_MEMORY;
}

void sending_close(sending *s, bool mine) {
  if (mine)
    curl_mime_free(s->mime);
  s->mime = NULL;
  if (s->open)
    close(s->descriptor);
  s->open = false;
}

/* Reads on in the form's file. Not from where the descriptor stands, which a forked process has in common
   with its parent. */
static size_t read_file(sending *s, char *data, size_t length, fault *wrong) {
  ssize_t got;
  do
    got = pread(s->descriptor, data, length, s->position);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    fail(s, wrong, strerror(errno));
  else if (got == 0)
    fail(s, wrong, "it became shorter while it was sent");
  else if (s->position + got < form_size(s->form) || is_as_told(s, wrong)) /* the last of it */
    return (size_t)got;
  return SENDING_FAILED;
}

size_t sending_read(sending *s, char *data, size_t room, fault *wrong) {
  curl_off_t left = sending_size(s) - s->position;
  size_t length = left < (curl_off_t)room ? (size_t)left : room;
  if (length == 0)
    return 0;
  if (s->form != NULL && form_path(s->form) != NULL)
    length = read_file(s, data, length, wrong);
  else
    memcpy(data, (s->form != NULL ? form_data(s->form) : s->bytes.data) + s->position, length);
  if (length != SENDING_FAILED)
    s->position += (curl_off_t)length;
  return length;
}

bool sending_seek(sending *s, curl_off_t position) {
  if (position < 0 || position > sending_size(s))
    return false;
  s->position = position;
  return true;
}

bool sending_is_out(const sending *s) { return s->form == NULL || s->position == form_size(s->form); }
