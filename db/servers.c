/* Servers: reading, lists, and writing whole rows. The narrow changes are in servers_set.c. */
#include "db/servers.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/flavors.h"
#include "db/place.h"
#include "db/query.h"
#include "db/server_changed.h"

#include <stdio.h>
#include <string.h>

static const struct row_column columns[] = {
	COLUMN_AS("servers.id", struct db_server, id, ROW_KEY),
	COLUMN_AS("servers.uuid", struct db_server, uuid, ROW_FIXED),
	COLUMN_AS("servers.name", struct db_server, name, 0),
	COLUMN_AS("servers.instance_name", struct db_server, instance_name, 0),
	COLUMN_AS("servers.project_id", struct db_server, project_id, 0),
	COLUMN_AS("servers.user_id", struct db_server, user_id, 0),
	COLUMN_AS("servers.host_id", struct db_server, host_id, ROW_ZERO_IS_NULL),
	COLUMN_AS("hosts.name", struct db_server, host, ROW_JOINED),
	COLUMN_AS("servers.vm_state", struct db_server, vm_state, 0),
	COLUMN_AS("servers.task_state", struct db_server, task_state, 0),
	COLUMN_AS("servers.power_state", struct db_server, power_state, 0),
	COLUMN_AS("servers.locked_by", struct db_server, locked_by, 0),
	COLUMN_AS("servers.locked_reason", struct db_server, locked_reason, 0),
	COLUMN_AS("servers.old_vm_state", struct db_server, old_vm_state, 0),
	COLUMN_AS("servers.flavor_row", struct db_server, flavor.id, 0),
	COLUMN_AS("flavors.flavor_id", struct db_server, flavor.flavor_id, ROW_JOINED),
	COLUMN_AS("flavors.name", struct db_server, flavor.name, ROW_JOINED),
	COLUMN_AS("flavors.vcpus", struct db_server, flavor.vcpus, ROW_JOINED),
	COLUMN_AS("flavors.memory_mb", struct db_server, flavor.memory_mb, ROW_JOINED),
	COLUMN_AS("flavors.disk_gb", struct db_server, flavor.disk_gb, ROW_JOINED),
	COLUMN_AS("flavors.ephemeral_gb", struct db_server, flavor.ephemeral_gb, ROW_JOINED),
	COLUMN_AS("flavors.swap_mb", struct db_server, flavor.swap_mb, ROW_JOINED),
	COLUMN_AS("flavors.extra_specs", struct db_server, flavor.extra_specs, ROW_JOINED),
	COLUMN_AS("servers.fault_code", struct db_server, fault.code, 0),
	COLUMN_AS("servers.fault_message", struct db_server, fault.message, 0),
	COLUMN_AS("servers.fault_details", struct db_server, fault.details, 0),
	COLUMN_AS("servers.fault_created_us", struct db_server, fault.created_us, 0),
	COLUMN_AS("servers.image_id", struct db_server, image_id, 0),
	COLUMN_AS("servers.hostname", struct db_server, hostname, 0),
	COLUMN_AS("servers.key_name", struct db_server, key_name, 0),
	COLUMN_AS("servers.config_drive", struct db_server, config_drive, 0),
	COLUMN_AS("servers.availability_zone", struct db_server, availability_zone, 0),
	COLUMN_AS("servers.reservation_id", struct db_server, reservation_id, 0),
	COLUMN_AS("servers.root_device_name", struct db_server, root_device_name, 0),
	COLUMN_AS("servers.description", struct db_server, description, 0),
	COLUMN_AS("servers.user_data", struct db_server, user_data, 0),
	COLUMN_AS("servers.metadata", struct db_server, metadata, 0),
	COLUMN_AS("servers.system_metadata", struct db_server, system_metadata, 0),
	COLUMN_AS("servers.tags", struct db_server, tags, 0),
	COLUMN_AS("servers.addresses", struct db_server, addresses, 0),
	COLUMN_AS("servers.volumes", struct db_server, volumes, 0),
	COLUMN_AS("servers.facts", struct db_server, facts, 0),
	COLUMN_AS("servers.progress", struct db_server, progress, 0),
	COLUMN_AS("servers.created_us", struct db_server, created_us, ROW_FIXED),
	COLUMN_AS("servers.updated_us", struct db_server, updated_us, 0),
	COLUMN_AS("servers.launched_us", struct db_server, launched_us, 0),
	COLUMN_AS("servers.terminated_us", struct db_server, terminated_us, 0),
	COLUMN_AS("servers.is_deleted", struct db_server, is_deleted, 0),
	COLUMN_AS("servers.error_cause", struct db_server, error_cause, ROW_FIXED),
};
static const struct row_type server_row = ROW_TYPE("servers", "server", struct db_server, columns);

#define SELECT_SERVERS                                                                                                 \
	"SELECT $columns FROM servers JOIN flavors ON flavors.id = servers.flavor_row"                                 \
	" LEFT JOIN hosts ON hosts.id = servers.host_id"

void db_server_clear(struct db_server *server)
{
	row_clear(&server_row, server);
}

void db_server_list_clear(struct db_server_list *list)
{
	row_list_clear(&server_row, list->items, list->count);
	*list = (struct db_server_list){ 0 };
}

int db_server_by_uuid(struct db_session *session, const char *uuid, struct db_server *ret_server, struct error *error)
{
	return row_by_text(session, &server_row, SELECT_SERVERS " WHERE servers.uuid = ?1 AND servers.is_deleted = 0",
			   uuid, ret_server, error);
}

/* The substring as a LIKE pattern: the caller's own %, _ and ! stand for themselves. */
static int write_pattern(const char *part, struct text *pattern, struct error *error)
{
	if (!part)
		return 0;
	text_append(pattern, "%");
	for (; *part; part++) {
		if (strchr("%_!", *part))
			text_append(pattern, "!");
		text_append_bytes(pattern, part, 1);
	}
	text_append(pattern, "%");
	return text_failed(pattern) ? error_no_memory(error) : 0;
}

int db_server_find(struct db_session *session, const struct db_server_filter *filter,
		   struct db_server_list *ret_servers, struct error *error)
{
	CLEANUP_TEXT struct text pattern = TEXT_EMPTY;
	int result = write_pattern(filter->name_part, &pattern, error);

	if (result < 0)
		return result;

	/* Few servers changed lately: their ids are found first, unless another condition leaves fewer. */
	bool is_narrow = filter->uuid || filter->project_id || filter->host_id;
	const struct query_condition conditions[] = {
		CONDITION_TEXT("servers.uuid = ?#", filter->uuid),
		CONDITION_TEXT("servers.project_id = ?#", filter->project_id),
		CONDITION_NUMBER("servers.host_id = ?#", filter->host_id),
		CONDITION_TEXT("servers.vm_state = ?#", filter->vm_state),
		CONDITION_TEXT("servers.task_state = ?#", filter->task_state),
		CONDITION_TEXT("LOWER(servers.name) LIKE LOWER(?#) ESCAPE '!'", pattern.data),
		CONDITION_NUMBER("servers.updated_us >= ?#", is_narrow ? filter->changes_since_us : 0),
		CONDITION_NUMBER("servers.id IN (SELECT id FROM servers WHERE updated_us >= ?#)",
				 is_narrow ? 0 : filter->changes_since_us),
		CONDITION_FACT("servers.is_deleted = 0", !filter->has_deleted),
		CONDITION_TEXT("(servers.created_us, servers.id) < "
			       "(SELECT created_us, id FROM servers WHERE uuid = ?# ORDER BY id DESC LIMIT 1)",
			       filter->marker),
	};
	struct query query = {
		.select = SELECT_SERVERS,
		.order = "ORDER BY servers.created_us DESC, servers.id DESC",
		.conditions = conditions,
		.condition_count = ARRAY_LENGTH(conditions),
		.limit = filter->limit,
	};
	struct row_list rows;

	result = query_check_marker(session,
				    filter->has_deleted ? "SELECT id FROM servers WHERE uuid = ?1"
							: "SELECT id FROM servers WHERE uuid = ?1 AND is_deleted = 0",
				    filter->marker, error);
	if (result == 0)
		result = query_read_all(session, &server_row, &query, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_servers);
	return result;
}

static int fill_text(char **text, const char *what, struct error *error)
{
	if (!*text || !**text) {
		free(*text);
		*text = strdup(what);
	}
	return *text ? 0 : error_no_memory(error);
}

/* JSON texts are never absent, so that no reader has to ask. */
static int fill_json(struct db_server *server, struct error *error)
{
	int result = fill_text(&server->metadata, "{}", error);

	if (result == 0)
		result = fill_text(&server->system_metadata, "{}", error);
	if (result == 0)
		result = fill_text(&server->tags, "[]", error);
	if (result == 0)
		result = fill_text(&server->addresses, "{}", error);
	if (result == 0)
		result = fill_text(&server->volumes, "[]", error);
	return result < 0 ? result : fill_text(&server->flavor.extra_specs, "{}", error);
}

/* As Nova makes them: r- and eight characters. */
static void make_reservation_id(char *ret_id, size_t size)
{
	char uuid[UUID_SIZE];

	uuid_make(uuid);
	snprintf(ret_id, size, "r-%.8s", uuid);
}

int db_server_insert(struct db_session *session, struct db_server *server, struct error *error)
{
	int64_t id = 0;
	int result = fill_json(server, error);

	if (result == 0)
		result = flavor_keep(session, &server->flavor, error);
	if (result < 0)
		return result;
	if (!server->reservation_id[0])
		make_reservation_id(server->reservation_id, sizeof(server->reservation_id));
	if (!server->created_us)
		server->created_us = db_now_us(session);
	if (!server->launched_us)
		server->launched_us = db_now_us(session);

	result = row_insert(session, &server_row, server, &id, error);
	if (result == -EEXIST)
		return error_wrap(error, "server %s is there already", server->uuid);
	if (result < 0)
		return error_wrap(error, "server %s", server->uuid);
	server->id = id;
	result = session_changed(session, DB_TABLE_SERVERS, id, error);
	if (result == 0)
		result = server_row_changed(session, server->uuid, error);
	return result < 0 ? result : place_changed(session, server->host_id, error);
}

int db_server_update(struct db_session *session, struct db_server *server, struct error *error)
{
	int result = fill_json(server, error);

	if (result == 0)
		result = flavor_keep(session, &server->flavor, error);
	if (result == 0)
		result = place_changed_by_server(session, server->uuid, error);
	if (result < 0)
		return result;

	int64_t updated_us_before = server->updated_us;
	server->updated_us = db_now_us(session);
	result = row_update(session, &server_row, DB_TABLE_SERVERS, server->id, server, error);
	if (result < 0) {
		server->updated_us = updated_us_before;
		return result;
	}
	result = server_row_changed(session, server->uuid, error);
	return result < 0 ? result : place_changed(session, server->host_id, error);
}
