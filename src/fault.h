/* How an exchange ends, and why its parts make it fail. */
#ifndef LLAMA_CLOUD_FAULT_H
#define LLAMA_CLOUD_FAULT_H

typedef enum outcome {
  OUTCOME_RESPONSE,   /* a whole response, whatever its status */
  OUTCOME_CONNECTION, /* no response, or not a whole one */
  OUTCOME_REFUSED, /* like OUTCOME_CONNECTION, but trying again cannot help: the fault is in the arguments */
  OUTCOME_TIMEOUT, /* one attempt took longer than `timeout` or `connect_timeout`, or nothing moved for
                      `stall`, or `deadline` has passed */
  OUTCOME_TOO_LARGE, /* the body exceeds max_response_bytes, or the headers exceed 256 KiB or libcurl's bounds
                      */
  OUTCOME_ENCODING,  /* the response has a Content-Encoding that is not known here */
  OUTCOME_FILE,      /* a local file could not be read or written */
  OUTCOME_CANCELLED,
  OUTCOME_NO_MEMORY
} outcome;

/* What was found wrong. Zero-initialised: nothing. */
typedef struct fault {
  outcome kind;       /* OUTCOME_RESPONSE: nothing is wrong */
  const char *reason; /* in words; a constant, or `text` */
  char text[300];
} fault;

/* Notes what is wrong. */
void fault_note(fault *f, outcome kind, const char *reason);

/* Notes that a local file could not be read or written: "cannot read 'PATH': why". Of a long path the end is
   told. */
void fault_file(fault *f, const char *what, const char *path, const char *why);

/* Notes that open(2) has failed with errno `error` during an attempt. Running out of descriptors is not the
   file's fault, and passes: it is OUTCOME_CONNECTION, as if there were none for a connection. */
void fault_open(fault *f, const char *what, const char *path, int error);

#endif
