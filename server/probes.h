/* What monitors ask, without a token: `GET /healthz` (do we live), `GET /readyz` (can we work) and `GET /metrics`. Each also by
 * HEAD. The listener answers them, and the door of their own (probe_door.h) where there is one. */
#pragma once

#include <stdbool.h>

#include "server/http_measures.h"

struct api_reply;
struct error;
struct metrics;
struct metrics_settings;
struct probes;
struct readiness;

/* All borrowed, until probes_destroy. */
struct probes_parts {
	struct readiness *readiness;
	struct metrics *metrics;
	const struct metrics_settings *settings;
};

int probes_create(const struct probes_parts *parts, struct probes **ret_probes, struct error *error);
void probes_destroy(struct probes *probes); /* NULL is fine */

/* Whether metrics at the listener's address are for this client; NULL: for none. */
bool probes_are_for(const struct probes *probes, const char *address);

struct probe_request {
	const char *method;
	const char *target; /* as sent, with its query */
	bool is_near; /* the client may read metrics here */
	bool is_own_door; /* it came to the door of their own */
};

/* False: it is no such question. `probes` NULL: only whether we live is one. Thread-safe. */
bool probes_answer(const struct probes *probes, const struct probe_request *request, struct api_reply *ret_reply,
		   enum http_probe *ret_probe);
