/* What hosts offer and guests ask for by name, as discovery stored it: from the JSON `facts` of a host or a guest to the
 * scheduler's collections of names. */
#pragma once

#include "server/scheduler/scheduler.h"

#include <jansson.h>

/* The names belong to the parsed document. */
struct offers {
	json_t *document;
	const char **names[HOST_SET_COUNT];
	struct host_offers lists; /* into `names` */
	int64_t highest_pinned_cpu; /* -1: not pinned */
};

void offers_clear(struct offers *offers);
#define CLEANUP_OFFERS __attribute__((cleanup(offers_clear)))

/* Reads the object `key` of the facts (host: "offers", guest: "needs"): for each set that is known a list of names, see
 * hypervisor.h. What is no such thing is not known. False when out of memory. */
bool offers_read(const char *facts, const char *key, struct offers *ret_offers);
