/* os-migrateLive: a live migration. Below 2.34 the answer waits for the dispatcher's verdict (Nova API 2.34). */
#include "api/server_action.h"

#include "api/microversion.h"
#include "base/cleanup.h"

#define FIRST_MINOR_FORCE    30
#define FIRST_MINOR_NO_FORCE 68
#define FIRST_MINOR_AT_ONCE  34

static const struct schema_property first_properties[] = {
	{ "block_migration", SCHEMA_BOOLEAN, true },
	{ "disk_over_commit", SCHEMA_BOOLEAN, true },
	{ "host", SCHEMA_HOST, true },
};

/* The last one came with 2.30 and went with 2.68. */
static const struct schema_property properties[] = {
	{ "block_migration", SCHEMA_BOOLEAN_OR_AUTO, true },
	{ "host", SCHEMA_HOST, true },
	{ "force", SCHEMA_BOOLEAN, false },
};

static const struct schema schemas[] = {
	{ .first_minor = 1,
	  .last_minor = 24,
	  .properties = first_properties,
	  .property_count = ARRAY_LENGTH(first_properties) },
	{ .first_minor = 25,
	  .last_minor = FIRST_MINOR_FORCE - 1,
	  .properties = properties,
	  .property_count = ARRAY_LENGTH(properties) - 1 },
	{ .first_minor = FIRST_MINOR_FORCE,
	  .last_minor = FIRST_MINOR_NO_FORCE - 1,
	  .properties = properties,
	  .property_count = ARRAY_LENGTH(properties) },
	{ .first_minor = FIRST_MINOR_NO_FORCE,
	  .last_minor = MICROVERSION_MINOR_MAX,
	  .properties = properties,
	  .property_count = ARRAY_LENGTH(properties) - 1 },
};

static void check_force(struct action_call *call)
{
	if (!call->host && schema_boolean(json_object_get(call->value, "force")))
		action_refuse(call, 400, "Can't force to a non-provided destination");
}

static void read_value(struct action_call *call)
{
	const json_t *block_migration = json_object_get(call->value, "block_migration");
	int minor = call->request->minor;
	struct db_job *job = &call->job;

	TEXT_COPY(job->kind, "live");
	if (text_equal(json_string_value(block_migration), "auto"))
		TEXT_COPY(job->block_migration, "auto");
	else
		TEXT_COPY(job->block_migration, schema_boolean(block_migration) ? "true" : "false");
	job->disk_over_commit = schema_boolean(json_object_get(call->value, "disk_over_commit"));
	job->is_forced =
		call->host && (minor < FIRST_MINOR_FORCE || schema_boolean(json_object_get(call->value, "force")));
	job->is_waited_for = minor < FIRST_MINOR_AT_ONCE;
}

static int book(struct db_session *session, struct action_call *call, struct error *error)
{
	int result = call->host ? action_check_host(session, call, error) : 0;

	if (result < 0 || call->refusal)
		return result;
	read_value(call);
	result = action_book_migration(session, call, "live-migration", error);
	return result < 0 ? result : action_book_job(session, call, "live-migration", "migrating", error);
}

const struct server_action migrate_live_action = {
	.name = "os-migrateLive",
	.schemas = schemas,
	.schema_count = ARRAY_LENGTH(schemas),
	.policy = "os_compute_api:os-migrate-server:migrate_live",
	.policy_with_host = "os_compute_api:os-migrate-server:migrate_live:host",
	.first_host_minor = 1,
	.vm_states = { "active", "paused" },
	.is_move = true,
	.status = 202,
	.must_be_launched = true,
	.check_value = check_force,
	.book = book,
};
