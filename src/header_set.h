/* The headers of a request, as libcurl takes them. A set is made once and shared by all the transfers that
   send it: a client sends the same headers with most of its calls. Knows no Lua. */
#ifndef LLAMA_CLOUD_HEADER_SET_H
#define LLAMA_CLOUD_HEADER_SET_H

#include <stdbool.h>
#include <stddef.h>

struct curl_slist;

typedef struct header_set header_set;

/* Makes a set that only leaves out what all our requests do without: Expect. NULL: no memory. */
header_set *header_set_new(void);

/* Adds a header; value NULL leaves out one that libcurl would send by itself. Only before the set is shared.
   False: no memory, and the set is as before. */
bool header_set_add(header_set *set, const char *name, const char *value);

/* Adds, when all others are there, what every request of ours sends unless it has been added or left out:
   Accept-Encoding. (libcurl's own option for it would be put into words twice for each request.) False: no
   memory. */
bool header_set_complete(header_set *set);

/* The same set, for one more owner. */
header_set *header_set_share(header_set *set);

/* Ends one ownership; the last one frees the set. NULL is allowed. */
void header_set_release(header_set *set);

/* The lines for CURLOPT_HTTPHEADER, which stay the set's, their length in all, and that of the longest. */
struct curl_slist *header_set_lines(const header_set *set);
size_t header_set_length(const header_set *set);
size_t header_set_longest(const header_set *set);

#endif
