/* Inside the scheduler: Nova's weighers and the way their figures become weights. */
#pragma once

#include "server/scheduler/scheduler.h"

/* What is the same for all hosts of a request. */
struct weigher_context {
	const struct host_state *hosts; /* the table's array */
	const struct scheduler_settings *settings;
	const struct schedule_request *request;
	const int64_t *members; /* of the server's group, by place in `hosts`; NULL: none anywhere */
};

/* The figure by which hosts are compared. */
typedef double weigher_function(const struct weigher_context *context, const struct host_state *host);

struct weigher {
	const char *name;
	weigher_function *figure;
	bool has_floor; /* figures below 0 count as 0, and 0 is the low end (Nova's minval) */
	bool is_subtracted; /* the multiplier counts negatively */
};

extern const struct weigher scheduler_weighers[SCHEDULER_WEIGHER_COUNT];

/* How one weigher's figures become shares of the weight: (figure - low) / range × multiplier. */
struct weigher_scale {
	double multiplier; /* 0: it does not count */
	double low;
	double range; /* 0: all are equal and get 0 */
	bool has_floor;
};

/* Of a scale that has a range. */
double weigher_share(const struct weigher_scale *scale, double figure);

/* Adds the weigher's shares to the weights of `count` candidates (places in `hosts`). `figures` is room for as many. */
struct weigher_scale weigher_add(enum scheduler_weigher number, const struct weigher_context *context,
				 const uint32_t *candidates, size_t count, double *figures, double *weights);
