/* Which of the fleet's settings hold for one host, by its labels. Pure; as the charts of MOSK resolve node-specific
 * overrides: one by one key, and of those labels that a host has the last one counts. */
#pragma once

#include "server/settings.h"

/* The label that every host has: its name. */
#define FLEET_NAME_LABEL "kubernetes.io/hostname"

/* Fills what the host itself does not set: interfaces and ratios. Texts stay the settings'. `ret_marks` gets for each key that
 * came from a label where that stands, else NULL; may be NULL itself. */
struct fleet_marks {
	const struct tree_mark *live_migration_interface;
	const struct tree_mark *ratios;
};
void fleet_fill_host(const struct fleet_settings *fleet, struct host_settings *host, struct fleet_marks *ret_marks);

/* NULL when it is a label that a host can have, else what was expected. */
const char *fleet_expected_label(const char *text);
