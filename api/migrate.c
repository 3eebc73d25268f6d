/* migrate: a cold migration, to a named host from 2.56 on. */
#include "api/server_action.h"

#include "api/microversion.h"
#include "base/cleanup.h"

static const struct schema_property host_property[] = { { "host", SCHEMA_HOST, false } };

static const struct schema schemas[] = {
	{ .first_minor = 1, .last_minor = 55, .is_anything = true },
	{ .first_minor = 56,
	  .last_minor = MICROVERSION_MINOR_MAX,
	  .is_null_allowed = true,
	  .properties = host_property,
	  .property_count = ARRAY_LENGTH(host_property) },
};

static int book(struct db_session *session, struct action_call *call, struct error *error)
{
	int result = action_check_service(session, call, call->server.host, error);

	if (result == 0 && !call->refusal && call->host)
		result = action_check_host(session, call, error);
	if (result == 0 && call->host && text_equal(call->host, call->server.host))
		action_refuse(call, 400, "Cannot migrate to the host where the server exists.");
	if (result < 0 || call->refusal)
		return result;
	TEXT_COPY(call->job.kind, "cold");
	result = action_book_migration(session, call, "migration", error);
	return result < 0 ? result : action_book_job(session, call, "migrate", "resize_prep", error);
}

const struct server_action migrate_action = {
	.name = "migrate",
	.schemas = schemas,
	.schema_count = ARRAY_LENGTH(schemas),
	.policy = "os_compute_api:os-migrate-server:migrate",
	.policy_with_host = "os_compute_api:os-migrate-server:migrate:host",
	.first_host_minor = 56,
	.vm_states = { "active", "stopped" },
	.is_move = true,
	.status = 202,
	.must_be_launched = true,
	.book = book,
};
