/* Reading names out of facts. What another version of the driver wrote, or did not, is taken as not known: it refuses no
 * host, and the pre-checks on the hypervisor decide. */
#include "server/worker/offers.h"

#include <stdlib.h>

/* Keys in the JSON, as hypervisor.h names them. */
static const char *const keys[HOST_SET_COUNT] = {
	[HOST_SET_HYPERVISORS] = "hypervisors", [HOST_SET_GUEST_TYPES] = "guest_types",
	[HOST_SET_MACHINES] = "machines",       [HOST_SET_HOST_CPU] = "host_cpu",
	[HOST_SET_NETWORKS] = "networks",       [HOST_SET_POOLS] = "pools",
};

void offers_clear(struct offers *offers)
{
	for (size_t set = 0; set < HOST_SET_COUNT; set++)
		free(offers->names[set]);
	json_decref(offers->document);
	*offers = (struct offers){ .highest_pinned_cpu = -1 };
}

static bool read_set(struct offers *offers, size_t set, const json_t *list)
{
	size_t count = json_array_size(list);
	const char **names = calloc(count + 1, sizeof(*names));
	size_t filled = 0;

	if (!names)
		return false;
	for (size_t i = 0; i < count; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (name)
			names[filled++] = name;
	}
	offers->names[set] = names;
	offers->lists.sets[set] = (struct name_list){ names, filled, .is_known = true };
	return true;
}

bool offers_read(const char *facts, const char *key, struct offers *ret_offers)
{
	struct offers offers = { .highest_pinned_cpu = -1 };
	bool is_read = true;

	offers.document = facts ? json_loads(facts, 0, NULL) : NULL;
	const json_t *object = json_object_get(offers.document, key);
	const json_t *pinned = json_object_get(object, "highest_pinned_cpu");

	if (json_is_integer(pinned))
		offers.highest_pinned_cpu = json_integer_value(pinned);
	for (size_t set = 0; is_read && set < HOST_SET_COUNT; set++) {
		const json_t *list = json_object_get(object, keys[set]);

		if (json_is_array(list))
			is_read = read_set(&offers, set, list);
	}
	if (!is_read) {
		offers_clear(&offers);
		return false;
	}
	*ret_offers = offers;
	return true;
}
