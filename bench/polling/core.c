/* The engine of the module without Lua, doing what rival.c does: core URL REQUESTS TASKS [CA_FILE] */
#include "transport.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void die(const char *what) {
  fprintf(stderr, "core: %s\n", what);
  exit(1);
}

/* Starts one more request. */
static void send_next(transport *t, const transfer_options *options) {
  token *k = transfer_new(options);
  if (k == NULL || !transport_start(t, k, NULL))
    die("not enough memory");
}

int main(int argc, char **argv) {
  if (argc < 4)
    die("usage: core URL REQUESTS TASKS [CA_FILE]");
  long requests = atol(argv[2]), tasks = atol(argv[3]), left = requests, answered = 0;
  header_set *headers = header_set_new();
  if (headers == NULL || !header_set_add(headers, "Authorization", "Bearer key") ||
      !header_set_complete(headers))
    die("not enough memory");
  const transfer_options options = {.method = "GET",
                                    .url = argv[1],
                                    .headers = headers,
                                    .proxy = "",
                                    .ca_file = argc > 4 ? argv[4] : NULL,
                                    .verify = true,
                                    .repeatable = true,
                                    .timeout = 60,
                                    .stall = HUGE_VAL,
                                    .connect_timeout = 10,
                                    .deadline = HUGE_VAL,
                                    .max_response_bytes = 1 << 20};
  transport *t = transport_new();
  if (t == NULL)
    die("no transport");
  transport_set_concurrency(t, (size_t)tasks);
  for (; tasks > 0 && left > 0; tasks--, left--)
    send_next(t, &options);
  while (answered < requests) {
    token *k;
    if (transport_wait(t, 60) != 1)
      die("nothing happened for a minute");
    transport_step(t);
    while ((k = transport_next(t)) != NULL) {
      const exchange *x = transfer_result(k);
      if (x->result != OUTCOME_RESPONSE || x->status != 200)
        die(x->message);
      token_free(k);
      answered++;
      if (left > 0) {
        left--;
        send_next(t, &options);
      }
    }
  }
  printf("%ld\n", answered);
  transport_free(t);
  header_set_release(headers);
  return 0;
}
