/* Passing over JSON values without looking into them: only strings, and the brackets outside of them, are
   told apart, 64 bytes at a time. What was passed over need not be valid. Knows no Lua. */
#ifndef LLAMA_CLOUD_JSON_SKIP_H
#define LLAMA_CLOUD_JSON_SKIP_H

#include "json_scan.h"

/* Passes over the value whose first byte is here. False, with a fault, if the text ends before it does, or if
   no value begins here. *inner, if not NULL, becomes how many arrays and objects it holds directly. */
bool json_skip_value(json_scan *scan, size_t *inner);

#endif
