/* The terms under which a request is answered: policies, keys, links, page limits. An operator may change them while requests
 * are under way; each ends under those that it began with. */
#pragma once

#include "api/api.h"

struct terms {
	struct api_settings settings; /* first: a request's settings are its terms' */
	unsigned int references; /* guarded by the api's mutex */
	struct api *api;
};

/* The newest, with a reference for the taker. Thread-safe, as the next. */
struct terms *api_terms_take(struct api *api);
/* The last owner tells the one who made the settings that nobody uses them any more. */
void terms_release(struct terms *terms);
