/* A multipart form (RFC 7578): parts of text, then one file. Once it is complete it does not change, and is
   shared by all the attempts that send it. It holds no descriptor. Knows libcurl's mime, and no Lua. */
#ifndef LLAMA_CLOUD_FORM_H
#define LLAMA_CLOUD_FORM_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct form form;

/* Makes an empty form. NULL: no memory. */
form *form_new(void);

/* Adds a part of text. False: no memory. */
bool form_add(form *f, const char *name, const char *value, size_t length);

/* Sets what the file's part is called, the file's name, and its media type. False: no memory. */
bool form_describe(form *f, const char *part, const char *name, const char *type);

/* Sets where the file is, and how long; or its bytes, which are copied. False: no memory. */
bool form_set_path(form *f, const char *path, curl_off_t size);
bool form_set_data(form *f, const char *data, size_t length);

/* The same form, for one more owner. */
form *form_share(form *f);

/* Ends one ownership; the last one frees the form. NULL is allowed. */
void form_release(form *f);

/* Where the file is; NULL: nowhere but in form_data. How many bytes it has. */
const char *form_path(const form *f);
const char *form_data(const form *f);
curl_off_t form_size(const form *f);

/* About how many bytes all of the form has as it is sent; not less. */
curl_off_t form_length(const form *f);

/* Makes what libcurl sends. The file's bytes are asked for by `read`, from the start again after `seek`, with
   `user`. NULL: no memory. It is to be freed when the easy handle has been reset. */
curl_mime *form_build(const form *f, CURL *easy, curl_read_callback read, curl_seek_callback seek,
                      void *user);

#endif
