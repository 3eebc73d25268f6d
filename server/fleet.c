/* Labels of hosts against the fleet's settings. */
#include "server/fleet.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define SEPARATOR "::"

const char *fleet_expected_label(const char *text)
{
	const char *separator = strstr(text, SEPARATOR);

	return *text && separator != text && (!separator || !strstr(separator + 1, SEPARATOR))
		       ? NULL
		       : "LABEL::VALUE, as node-specific overrides have it";
}

/* Has it the label NAME (of that length), with that value? `value` NULL: any. */
static bool has_label(const struct host_settings *host, const char *name, size_t length, const char *value)
{
	if (strlen(FLEET_NAME_LABEL) == length && strncmp(FLEET_NAME_LABEL, name, length) == 0
	    && (!value || text_equal(value, host->name)))
		return true;
	for (size_t i = 0; i < host->label_count; i++)
		if (strlen(host->labels[i].name) == length && strncmp(host->labels[i].name, name, length) == 0)
			return !value || text_equal(value, host->labels[i].value);
	return false;
}

static bool matches(const struct label_settings *settings, const struct host_settings *host)
{
	const char *separator = strstr(settings->label, SEPARATOR);
	size_t length = separator ? (size_t)(separator - settings->label) : strlen(settings->label);

	return has_label(host, settings->label, length, separator ? separator + strlen(SEPARATOR) : NULL);
}

void fleet_fill_host(const struct fleet_settings *fleet, struct host_settings *host, struct fleet_marks *ret_marks)
{
	struct label_settings found = {
		.live_migration_interface = fleet->live_migration_interface,
		.tunnel_interface = fleet->tunnel_interface,
	};
	struct fleet_marks marks = { 0 };

	for (size_t i = 0; i < fleet->label_count; i++) {
		const struct label_settings *label = &fleet->labels[i];

		if (!matches(label, host))
			continue;
		if (label->live_migration_interface) {
			found.live_migration_interface = label->live_migration_interface;
			marks.live_migration_interface = label->mark;
		}
		if (label->tunnel_interface)
			found.tunnel_interface = label->tunnel_interface;
		if (label->cpu_allocation_ratio > 0)
			found.cpu_allocation_ratio = label->cpu_allocation_ratio;
		if (label->ram_allocation_ratio > 0)
			found.ram_allocation_ratio = label->ram_allocation_ratio;
		if (label->disk_allocation_ratio > 0)
			found.disk_allocation_ratio = label->disk_allocation_ratio;
		if (label->cpu_allocation_ratio > 0 || label->ram_allocation_ratio > 0
		    || label->disk_allocation_ratio > 0)
			marks.ratios = label->mark;
	}
	if (!host->live_migration_interface)
		host->live_migration_interface = found.live_migration_interface;
	else
		marks.live_migration_interface = NULL;
	host->tunnel_interface = found.tunnel_interface;
	if (!(host->cpu_allocation_ratio > 0))
		host->cpu_allocation_ratio = found.cpu_allocation_ratio;
	if (!(host->ram_allocation_ratio > 0))
		host->ram_allocation_ratio = found.ram_allocation_ratio;
	if (!(host->disk_allocation_ratio > 0))
		host->disk_allocation_ratio = found.disk_allocation_ratio;
	if (ret_marks)
		*ret_marks = marks;
}
