#include "fault.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_TOLD 160

void fault_note(fault *f, outcome kind, const char *reason) {
  f->kind = kind;
  f->reason = reason;
}

void fault_file(fault *f, const char *what, const char *path, const char *why) {
  size_t length = strlen(path);
  bool cut = length > PATH_TOLD;
  if (cut)
    path += length - PATH_TOLD;
  while (cut && ((unsigned char)*path & 0xc0) == 0x80) /* within a letter of UTF-8 */
    path++;
  snprintf(f->text, sizeof f->text, "cannot %s '%s%s': %s", what, cut ? "..." : "", path, why);
  fault_note(f, OUTCOME_FILE, f->text);
}

void fault_open(fault *f, const char *what, const char *path, int error) {
  fault_file(f, what, path, strerror(error));
  if (error == EMFILE || error == ENFILE)
    f->kind = OUTCOME_CONNECTION;
}
