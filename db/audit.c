/* The rows for an audit: whole tables, which is what an audit is about, or what has not ended in them. */
#include "db/audit.h"

#include "base/error.h"
#include "db/migration_status.h"
#include "db/query.h"

static const struct row_column server_columns[] = {
	COLUMN_AS("servers.uuid", struct db_audit_server, uuid, 0),
	COLUMN_AS("servers.host_id", struct db_audit_server, host_id, ROW_ZERO_IS_NULL),
	COLUMN_AS("servers.vm_state", struct db_audit_server, vm_state, 0),
	COLUMN_AS("servers.task_state", struct db_audit_server, task_state, 0),
	COLUMN_AS("servers.error_cause", struct db_audit_server, error_cause, 0),
	COLUMN_AS("servers.power_state", struct db_audit_server, power_state, 0),
	COLUMN_AS("flavors.vcpus", struct db_audit_server, vcpus, ROW_JOINED),
	COLUMN_AS("flavors.memory_mb", struct db_audit_server, memory_mb, ROW_JOINED),
	COLUMN_AS("flavors.disk_gb", struct db_audit_server, disk_gb, ROW_JOINED),
	COLUMN_AS("flavors.ephemeral_gb", struct db_audit_server, ephemeral_gb, ROW_JOINED),
	COLUMN_AS("flavors.swap_mb", struct db_audit_server, swap_mb, ROW_JOINED),
};
static const struct row_type server_row = ROW_TYPE("servers", "server", struct db_audit_server, server_columns);

static const struct row_column migration_columns[] = {
	COLUMN(struct db_audit_migration, id, ROW_KEY),
	COLUMN(struct db_audit_migration, server_uuid, 0),
	COLUMN(struct db_audit_migration, status, 0),
};
static const struct row_type migration_row =
	ROW_TYPE("migrations", "migration", struct db_audit_migration, migration_columns);

static const struct row_column claim_columns[] = {
	COLUMN(struct db_claim, id, ROW_KEY),    COLUMN(struct db_claim, host_id, 0),
	COLUMN(struct db_claim, server_uuid, 0), COLUMN(struct db_claim, migration_id, 0),
	COLUMN(struct db_claim, vcpus, 0),       COLUMN(struct db_claim, memory_mb, 0),
	COLUMN(struct db_claim, disk_gb, 0),
};
static const struct row_type claim_row = ROW_TYPE("claims", "claim", struct db_claim, claim_columns);

static const struct row_column definition_columns[] = {
	COLUMN(struct db_audit_definition, id, ROW_KEY),
	COLUMN(struct db_audit_definition, host_id, 0),
	COLUMN(struct db_audit_definition, server_uuid, 0),
	COLUMN(struct db_audit_definition, migration_id, 0),
};
static const struct row_type definition_row =
	ROW_TYPE("kept_domains", "saved definition", struct db_audit_definition, definition_columns);

static const struct row_column action_columns[] = {
	COLUMN(struct db_audit_open, id, ROW_KEY),
	COLUMN_AS("instance_actions.id", struct db_audit_open, action_id, ROW_JOINED),
	COLUMN(struct db_audit_open, server_uuid, 0),
	COLUMN_AS("action", struct db_audit_open, name, 0),
	COLUMN_AS("finish_us", struct db_audit_open, action_finish_us, 0),
};
static const struct row_type action_row =
	ROW_TYPE("instance_actions", "instance action", struct db_audit_open, action_columns);

static const struct row_column event_columns[] = {
	COLUMN_AS("events.id", struct db_audit_open, id, ROW_KEY),
	COLUMN_AS("events.action_id", struct db_audit_open, action_id, 0),
	COLUMN_AS("instance_actions.server_uuid", struct db_audit_open, server_uuid, ROW_JOINED),
	COLUMN_AS("events.event", struct db_audit_open, name, 0),
	COLUMN_AS("instance_actions.finish_us", struct db_audit_open, action_finish_us, ROW_JOINED),
};
static const struct row_type event_row =
	ROW_TYPE("instance_action_events", "event of an instance action", struct db_audit_open, event_columns);

static const struct row_column volume_columns[] = {
	COLUMN_AS("volumes.id", struct db_audit_volume, id, ROW_KEY),
	COLUMN_AS("volumes.host_id", struct db_audit_volume, host_id, 0),
	COLUMN_AS("volumes.pool", struct db_audit_volume, pool, 0),
	COLUMN_AS("volumes.name", struct db_audit_volume, name, 0),
	COLUMN_AS("volumes.bytes", struct db_audit_volume, bytes, 0),
	COLUMN_AS("volumes.is_complete", struct db_audit_volume, is_complete, 0),
	COLUMN_AS("jobs.server_uuid", struct db_audit_volume, server_uuid, ROW_JOINED),
	COLUMN_AS("jobs.migration_id", struct db_audit_volume, migration_id, ROW_JOINED | ROW_ZERO_IS_NULL),
};
static const struct row_type volume_row = ROW_TYPE("volumes", "volume", struct db_audit_volume, volume_columns);

void db_audit_clear(struct db_audit *audit)
{
	db_host_list_clear(&audit->hosts);
	db_host_usage_list_clear(&audit->usages);
	row_list_clear(&server_row, audit->servers.items, audit->servers.count);
	row_list_clear(&migration_row, audit->migrations.items, audit->migrations.count);
	db_job_list_clear(&audit->jobs);
	db_claim_list_clear(&audit->claims);
	db_chore_list_clear(&audit->chores);
	row_list_clear(&definition_row, audit->definitions.items, audit->definitions.count);
	row_list_clear(&action_row, audit->actions.items, audit->actions.count);
	row_list_clear(&event_row, audit->events.items, audit->events.count);
	row_list_clear(&volume_row, audit->volumes.items, audit->volumes.count);
	*audit = (struct db_audit){ 0 };
}

static int read_rows(struct db_session *session, const struct row_type *type, const char *select, const char *order,
		     struct row_list *ret_rows, struct error *error)
{
	const struct query query = { .select = select, .order = order };

	return query_read_all(session, type, &query, ret_rows, error);
}

/* Into a list of the audit, unless an earlier one failed. */
#define READ_INTO(list, type, select, order)                                                                           \
	do {                                                                                                           \
		struct row_list rows = { 0 };                                                                          \
		if (result == 0)                                                                                       \
			result = read_rows(session, (type), (select), (order), &rows, error);                          \
		if (result == 0)                                                                                       \
			ROW_LIST_GIVE(rows, &(list));                                                                  \
	} while (0)

static int read_open(struct db_session *session, struct db_audit *audit, struct error *error)
{
	int result = 0;

	READ_INTO(audit->migrations, &migration_row,
		  "SELECT $columns FROM migrations WHERE status NOT IN " MIGRATION_STATUSES_ENDED, "ORDER BY id");
	READ_INTO(audit->actions, &action_row, "SELECT $columns FROM instance_actions WHERE finish_us = 0",
		  "ORDER BY id");
	READ_INTO(audit->events, &event_row,
		  "SELECT $columns FROM instance_action_events AS events"
		  " JOIN instance_actions ON instance_actions.id = events.action_id WHERE events.finish_us = 0",
		  "ORDER BY events.id");
	return result < 0 ? result : db_job_unfinished(session, &audit->jobs, error);
}

int db_audit_read(struct db_session *session, struct db_audit *ret_audit, struct error *error)
{
	int result = db_host_all(session, &ret_audit->hosts, error);

	if (result == 0)
		result = db_host_usage_all(session, &ret_audit->usages, error);
	READ_INTO(ret_audit->servers, &server_row,
		  "SELECT $columns FROM servers JOIN flavors ON flavors.id = servers.flavor_row"
		  " WHERE servers.is_deleted = 0",
		  "ORDER BY servers.uuid");
	READ_INTO(ret_audit->claims, &claim_row, "SELECT $columns FROM claims", "ORDER BY id");
	READ_INTO(ret_audit->definitions, &definition_row, "SELECT $columns FROM kept_domains", "ORDER BY id");
	READ_INTO(ret_audit->volumes, &volume_row, "SELECT $columns FROM volumes JOIN jobs ON jobs.id = volumes.job_id",
		  "ORDER BY volumes.id");
	if (result == 0)
		result = db_chore_all(session, &ret_audit->chores, error);
	return result < 0 ? result : read_open(session, ret_audit, error);
}
