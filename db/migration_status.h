/* Sets of migration statuses as SQL lists. A partial index is only used by a query that says the very same list. */
#pragma once

/* Under way: they load their hosts. A finished cold migration waits for its confirm and loads nothing. */
#define MIGRATION_STATUSES_MOVING                                                                                      \
	"('accepted', 'queued', 'preparing', 'pre-migrating', 'running', 'running (post-copy)', 'migrating', "         \
	"'post-migrating', 'reverting')"

/* Ended for good: nothing of them is to be confirmed, reverted or cleaned. */
#define MIGRATION_STATUSES_ENDED "('completed', 'failed', 'error', 'cancelled', 'confirmed', 'reverted', 'done')"

/* What GET /servers/{id}/migrations shows (Nova API 2.23). */
#define MIGRATION_STATUSES_LIVE_IN_PROGRESS "('queued', 'preparing', 'running', 'post-migrating')"
