/* The body of a request while it is sent: bytes in memory, or a form, whose file is opened when an attempt
   begins and closed when it is over, and of which no more is in memory than libcurl asks for at a time. */
#ifndef LLAMA_CLOUD_SENDING_H
#define LLAMA_CLOUD_SENDING_H

#include "buffer.h"
#include "fault.h"
#include "form.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sending {
  buffer bytes;        /* unless it is a form */
  form *form;          /* shared; NULL: none */
  curl_mime *mime;     /* of the attempt */
  curl_off_t position; /* how much of the bytes, or of the form's file, libcurl has read */
  int descriptor;      /* of the form's file during the attempt, as long as `open` */
  bool open;
} sending;

/* What sending_read returns on failure. */
#define SENDING_FAILED SIZE_MAX

/* Copies the bytes, or shares the form, into a zero-initialised one; with neither there is no body. False: no
   memory. */
bool sending_init(sending *s, const char *bytes, size_t length, form *f);
void sending_free(sending *s);

bool sending_has_body(const sending *s);

/* Begins an attempt: opens the file, and tells a clean easy handle what to send, with the callbacks `read`
   and `seek`. On failure libcurl's code comes back, and the fault is noted if it is one of the file. In any
   case sending_close is due. */
CURLcode sending_open(sending *s, CURL *easy, curl_read_callback read, curl_seek_callback seek, void *user,
                      fault *wrong);

/* Ends the attempt: closes the file. Idempotent. With `mine` the easy handle is reset or freed already, and
   what it sent is freed; otherwise it is another process's. */
void sending_close(sending *s, bool mine);

/* Hands out the next bytes, `room` at most: how many; 0: there are no more; SENDING_FAILED: the file cannot
   be read, or does not have the size any more that was told. */
size_t sending_read(sending *s, char *data, size_t room, fault *wrong);

/* Goes to a position. False: it is outside. */
bool sending_seek(sending *s, curl_off_t position);

/* Whether the server may have all of it, once it was asked for any. */
bool sending_is_out(const sending *s);

/* How many bytes the body has, of a form its file. How many go out in all, of a form about so many. */
curl_off_t sending_size(const sending *s);
curl_off_t sending_length(const sending *s);

#endif
