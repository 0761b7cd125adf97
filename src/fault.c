#include "fault.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_TOLD 160

void fault_note(fault *f, outcome kind, const char *reason) {
  f->kind = kind;
  f->reason = reason;
}

void fault_print(fault *f, outcome kind, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(f->text, sizeof f->text, format, arguments);
  va_end(arguments);
  fault_note(f, kind, f->text);
}

void fault_file(fault *f, const char *what, const char *path, const char *why) {
  size_t length = strlen(path);
  bool cut = length > PATH_TOLD;
  if (cut)
    path += length - PATH_TOLD;
  fault_print(f, OUTCOME_FILE, "cannot %s '%s%s': %s", what, cut ? "..." : "", path, why);
}
