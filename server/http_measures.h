/* Requests as metrics: by the route's pattern and the answer's code, never by what a client wrote, so that nobody can make
 * series without end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct error;
struct http_measures;
struct metrics;

/* What is asked of the listener itself stands behind the API's routes. */
enum http_probe { HTTP_PROBE_HEALTH, HTTP_PROBE_READINESS, HTTP_PROBE_METRICS, HTTP_PROBE_MAX };

/* `methods` and `routes` of the API, `count` of them, are copied; number 0 is all that is none. */
int http_measures_create(struct metrics *metrics, const char *const *methods, const char *const *routes, size_t count,
			 struct http_measures **ret_measures, struct error *error);
void http_measures_destroy(struct http_measures *measures); /* when the metrics are gone; NULL is fine */

/* All take NULL. */
size_t http_measures_probe(const struct http_measures *measures, enum http_probe probe); /* its route's number */
void http_measures_begin(struct http_measures *measures); /* a request came */
void http_measures_answer(struct http_measures *measures, size_t route, int status, int64_t took_us);
void http_measures_end(struct http_measures *measures); /* it is over, answered or not */
