/* What every driver's answers share: releasing them and naming states. */
#include "server/worker/hypervisor.h"

#include <stdlib.h>

#include "base/cleanup.h"

void guest_list_clear(struct guest_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct guest_facts *guest = &list->items[i];

		free(guest->domain_name);
		free(guest->name);
		free(guest->flavor_name);
		free(guest->project_id);
		free(guest->user_id);
		free(guest->image_id);
		free(guest->root_device);
		free(guest->facts);
	}
	free(list->items);
	*list = (struct guest_list){ 0 };
}

void host_facts_clear(struct host_facts *facts)
{
	free(facts->hypervisor_type);
	free(facts->host_ip);
	free(facts->cpu_info);
	free(facts->facts);
	*facts = (struct host_facts){ 0 };
}

static const struct {
	const char *vm_state;
	int power_state;
} meanings[GUEST_STATE_MAX] = {
	[GUEST_SHUT_OFF] = { "stopped", 4 }, [GUEST_CRASHED] = { "stopped", 6 }, [GUEST_RUNNING] = { "active", 1 },
	[GUEST_PAUSED] = { "paused", 3 },    [GUEST_SAVED] = { "suspended", 4 }, [GUEST_SUSPENDED] = { "suspended", 7 },
};

const char *guest_state_vm_state(enum guest_state state)
{
	return meanings[state].vm_state;
}

int guest_state_power_state(enum guest_state state)
{
	return meanings[state].power_state;
}

const char *guest_state_name(enum guest_state state)
{
	static const char *const names[GUEST_STATE_MAX] = {
		[GUEST_ABSENT] = "absent",
		[GUEST_SHUT_OFF] = "shut off",
		[GUEST_CRASHED] = "crashed",
		[GUEST_RUNNING] = "running",
		[GUEST_PAUSED] = "paused",
		[GUEST_SUSPENDED] = "suspended",
		[GUEST_SAVED] = "saved",
		[GUEST_ARRIVING] = "arriving",
		[GUEST_HANDED_OVER] = "handed over",
		[GUEST_POSTCOPY_SOURCE] = "in post-copy (source)",
		[GUEST_POSTCOPY_TARGET] = "in post-copy (target)",
		[GUEST_POSTCOPY_FAILED] = "broken in post-copy",
		[GUEST_STOPPING] = "stopping",
	};

	return (size_t)state < ARRAY_LENGTH(names) && names[state] ? names[state] : "unknown";
}
