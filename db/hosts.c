/* Hosts and their services, and what stands on a host. */
#include "db/hosts.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/place.h"
#include "db/query.h"

#include <stdlib.h>

#define SERVICE_COLUMNS(prefix, struct_type, path, key_flag, update_flag, fixed_flag)                                  \
	COLUMN_AS(prefix "id", struct_type, path id, key_flag),                                                        \
		COLUMN_AS(prefix "uuid", struct_type, path uuid, fixed_flag),                                          \
		COLUMN_AS(prefix "\"binary\"", struct_type, path binary, fixed_flag),                                  \
		COLUMN_AS(prefix "host", struct_type, path host, fixed_flag),                                          \
		COLUMN_AS(prefix "zone", struct_type, path zone, fixed_flag),                                          \
		COLUMN_AS(prefix "is_disabled", struct_type, path is_disabled, update_flag),                           \
		COLUMN_AS(prefix "disabled_reason", struct_type, path disabled_reason, update_flag),                   \
		COLUMN_AS(prefix "is_forced_down", struct_type, path is_forced_down, update_flag),                     \
		COLUMN_AS(prefix "is_up", struct_type, path is_up, update_flag),                                       \
		COLUMN_AS(prefix "updated_us", struct_type, path updated_us, update_flag)

#define NO_PATH
static const struct row_column service_columns[] = {
	SERVICE_COLUMNS("", struct db_service, NO_PATH, ROW_KEY, 0, ROW_FIXED),
};
static const struct row_type service_row = ROW_TYPE("services", "service", struct db_service, service_columns);

static const struct row_column host_columns[] = {
	COLUMN_AS("hosts.id", struct db_host, id, ROW_KEY),
	COLUMN_AS("hosts.uuid", struct db_host, uuid, ROW_FIXED),
	COLUMN_AS("hosts.name", struct db_host, name, ROW_FIXED),
	COLUMN_AS("hosts.service_id", struct db_host, service.id, ROW_FIXED),
	COLUMN_AS("hosts.uri", struct db_host, uri, 0),
	COLUMN_AS("hosts.user_name", struct db_host, user_name, 0),
	COLUMN_AS("hosts.password_file", struct db_host, password_file, 0),
	COLUMN_AS("hosts.migration_address", struct db_host, migration_address, 0),
	COLUMN_AS("hosts.migration_interface", struct db_host, migration_interface, 0),
	COLUMN_AS("hosts.tunnel_interface", struct db_host, tunnel_interface, 0),
	COLUMN_AS("hosts.interfaces", struct db_host, interfaces, 0),
	COLUMN_AS("hosts.hypervisor_type", struct db_host, hypervisor_type, 0),
	COLUMN_AS("hosts.hypervisor_version", struct db_host, hypervisor_version, 0),
	COLUMN_AS("hosts.host_ip", struct db_host, host_ip, 0),
	COLUMN_AS("hosts.vcpus", struct db_host, vcpus, 0),
	COLUMN_AS("hosts.memory_mb", struct db_host, memory_mb, 0),
	COLUMN_AS("hosts.disk_gb", struct db_host, disk_gb, 0),
	COLUMN_AS("hosts.cpu_allocation_ratio", struct db_host, cpu_allocation_ratio, 0),
	COLUMN_AS("hosts.ram_allocation_ratio", struct db_host, ram_allocation_ratio, 0),
	COLUMN_AS("hosts.disk_allocation_ratio", struct db_host, disk_allocation_ratio, 0),
	COLUMN_AS("hosts.reserved_memory_mb", struct db_host, reserved_memory_mb, 0),
	COLUMN_AS("hosts.reserved_disk_gb", struct db_host, reserved_disk_gb, 0),
	COLUMN_AS("hosts.failed_migrations", struct db_host, failed_migrations, ROW_FIXED),
	COLUMN_AS("hosts.cpu_info", struct db_host, cpu_info, 0),
	COLUMN_AS("hosts.facts", struct db_host, facts, 0),
	COLUMN_AS("hosts.created_us", struct db_host, created_us, ROW_FIXED),
	COLUMN_AS("hosts.updated_us", struct db_host, updated_us, 0),
	COLUMN_AS("hosts.is_gone", struct db_host, is_gone, ROW_FIXED),
	SERVICE_COLUMNS("services.", struct db_host, service., ROW_JOINED, ROW_JOINED, ROW_JOINED),
};
static const struct row_type host_row = ROW_TYPE("hosts", "host", struct db_host, host_columns);

#define SELECT_HOSTS "SELECT $columns FROM hosts JOIN services ON services.id = hosts.service_id"

bool db_service_is_up(const struct db_service *service)
{
	return service->is_up && !service->is_forced_down;
}

void db_service_clear(struct db_service *service)
{
	row_clear(&service_row, service);
}

void db_service_list_clear(struct db_service_list *list)
{
	row_list_clear(&service_row, list->items, list->count);
	*list = (struct db_service_list){ 0 };
}

void db_host_clear(struct db_host *host)
{
	row_clear(&host_row, host);
}

void db_host_list_clear(struct db_host_list *list)
{
	row_list_clear(&host_row, list->items, list->count);
	*list = (struct db_host_list){ 0 };
}

void db_host_usage_list_clear(struct db_host_usage_list *list)
{
	free(list->items);
	*list = (struct db_host_usage_list){ 0 };
}

int db_host_by_id(struct db_session *session, int64_t id, struct db_host *ret_host, struct error *error)
{
	return row_by_id(session, &host_row, SELECT_HOSTS " WHERE hosts.id = ?1", id, ret_host, error);
}

int db_host_by_name(struct db_session *session, const char *name, struct db_host *ret_host, struct error *error)
{
	return row_by_text(session, &host_row, SELECT_HOSTS " WHERE hosts.name = ?1", name, ret_host, error);
}

int db_host_gone(struct db_session *session, struct db_host_list *ret_hosts, struct error *error)
{
	struct query query = { .select = SELECT_HOSTS " WHERE hosts.is_gone = 1", .order = "ORDER BY hosts.id" };
	struct row_list rows;
	int result = query_read_all(session, &host_row, &query, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_hosts);
	return result;
}

int db_host_by_uuid(struct db_session *session, const char *uuid, struct db_host *ret_host, struct error *error)
{
	return row_by_text(session, &host_row, SELECT_HOSTS " WHERE hosts.uuid = lower(?1)", uuid, ret_host, error);
}

int db_host_all(struct db_session *session, struct db_host_list *ret_hosts, struct error *error)
{
	return db_host_page(session, 0, 0, ret_hosts, error);
}

int db_host_page(struct db_session *session, int64_t above_id, int64_t limit, struct db_host_list *ret_hosts,
		 struct error *error)
{
	const struct query_condition conditions[] = { CONDITION_NUMBER("hosts.id > ?#", above_id) };
	struct query query = { .select = SELECT_HOSTS,
			       .order = "ORDER BY hosts.id",
			       .conditions = conditions,
			       .condition_count = ARRAY_LENGTH(conditions),
			       .limit = limit };
	struct row_list rows;
	int result = query_read_all(session, &host_row, &query, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_hosts);
	return result;
}

int db_host_naming_server(struct db_session *session, const char *server_uuid, struct db_host_list *ret_hosts,
			  struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	struct row_list rows;
	int result = statement_begin(
		session,
		SELECT_HOSTS
		" WHERE hosts.id IN ("
		"SELECT host_id FROM servers WHERE uuid = ?1 AND is_deleted = 0"
		" UNION ALL SELECT source_host_id FROM jobs WHERE server_uuid = ?1 AND finished_us = 0"
		" UNION ALL SELECT target_host_id FROM jobs WHERE server_uuid = ?1 AND finished_us = 0"
		" UNION ALL SELECT claims.host_id FROM migrations JOIN claims ON claims.migration_id = migrations.id"
		" WHERE migrations.server_uuid = ?1"
		" UNION ALL SELECT host_id FROM kept_domains WHERE server_uuid = ?1"
		" UNION ALL SELECT host_id FROM chores WHERE server_uuid = ?1"
		" UNION ALL SELECT other_host_id FROM chores WHERE server_uuid = ?1) ORDER BY hosts.id",
		&host_row, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	result = row_read_all(statement, &host_row, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_hosts);
	return result;
}

int db_service_all(struct db_session *session, struct db_service_list *ret_services, struct error *error)
{
	struct query query = { .select = "SELECT $columns FROM services", .order = "ORDER BY id" };
	struct row_list rows;
	int result = query_read_all(session, &service_row, &query, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_services);
	return result;
}

int db_service_insert(struct db_session *session, struct db_service *service, struct error *error)
{
	if (!service->uuid[0])
		uuid_make(service->uuid);

	int64_t id = 0;
	int result = row_insert(session, &service_row, service, &id, error);
	if (result == -EEXIST)
		return error_set(error, EEXIST, "service %s of host %s is there already", service->binary,
				 service->host);
	if (result < 0)
		return result;
	service->id = id;
	return session_changed(session, DB_TABLE_SERVICES, id, error);
}

int db_service_update(struct db_session *session, const struct db_service *service, struct error *error)
{
	int result = row_update(session, &service_row, DB_TABLE_SERVICES, service->id, service, error);

	return result < 0 ? result : place_changed_by_service(session, service->id, error);
}

static void fill_service_of_host(struct db_session *session, struct db_host *host)
{
	struct db_service *service = &host->service;

	if (!service->binary[0])
		TEXT_COPY(service->binary, "nova-compute");
	if (!service->host[0])
		TEXT_COPY(service->host, host->name);
	if (!service->zone[0])
		TEXT_COPY(service->zone, "nova");
	if (!service->updated_us)
		service->updated_us = db_now_us(session);
}

int db_host_insert(struct db_session *session, struct db_host *host, struct error *error)
{
	int64_t id = 0;
	int result;

	if (!host->uuid[0])
		uuid_make(host->uuid);
	if (!host->created_us)
		host->created_us = db_now_us(session);
	fill_service_of_host(session, host);

	result = db_service_insert(session, &host->service, error);
	if (result == 0)
		result = row_insert(session, &host_row, host, &id, error);
	if (result == -EEXIST)
		return error_wrap(error, "host %s is registered already", host->name);
	if (result < 0)
		return result;
	host->id = id;
	return session_changed(session, DB_TABLE_HOSTS, id, error);
}

int db_host_update(struct db_session *session, const struct db_host *host, struct error *error)
{
	return row_update(session, &host_row, DB_TABLE_HOSTS, host->id, host, error);
}

/* A narrow change of a host; ?1 is its id. */
static int set_number(struct db_session *session, const char *sql, int64_t id, int64_t number, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	statement_bind_int64(statement, 2, number);
	return statement_change(statement, DB_TABLE_HOSTS, "host", error);
}

int db_host_set_failed_migrations(struct db_session *session, int64_t id, int64_t failed_migrations,
				  struct error *error)
{
	return set_number(session, "UPDATE hosts SET failed_migrations = ?2 WHERE id = ?1 RETURNING id", id,
			  failed_migrations, error);
}

int db_host_set_gone(struct db_session *session, int64_t id, bool is_gone, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, id, &host, error);

	if (result == 0)
		result = set_number(session, "UPDATE hosts SET is_gone = ?2 WHERE id = ?1 RETURNING id", id, is_gone,
				    error);
	if (result < 0 || !is_gone || !host.service.is_up)
		return result;
	host.service.is_up = false;
	return db_service_update(session, &host.service, error);
}

/* What keeps a host from being removed. */
static const struct obstacle {
	const char *sql;
	const char *words;
	size_t offset; /* of its number in a struct db_host_burden */
} OBSTACLES[] = {
	{ "SELECT COUNT(*) FROM servers WHERE host_id = ?1 AND is_deleted = 0", "servers stand there",
	  offsetof(struct db_host_burden, servers) },
	{ "SELECT COUNT(*) FROM jobs WHERE finished_us = 0 AND (source_host_id = ?1 OR target_host_id = ?1)",
	  "unfinished jobs touch it", offsetof(struct db_host_burden, jobs) },
	{ "SELECT COUNT(*) FROM claims WHERE host_id = ?1", "claims hold resources there",
	  offsetof(struct db_host_burden, claims) },
	{ "SELECT COUNT(*) FROM kept_domains WHERE host_id = ?1",
	  "domains taken away from there wait for a confirm or a revert",
	  offsetof(struct db_host_burden, kept_domains) },
	{ "SELECT COUNT(*) FROM volumes WHERE host_id = ?1", "volumes of unfinished cold migrations lie there",
	  offsetof(struct db_host_burden, volumes) },
	{ "SELECT COUNT(*) FROM chores WHERE host_id = ?1", "chores wait to be done there",
	  offsetof(struct db_host_burden, chores) },
	/* Without it the other host would win, though the server still runs here. */
	{ "SELECT COUNT(*) FROM chores WHERE other_host_id = ?1"
	  " AND kind IN ('" DB_CHORE_END_CONFLICT "', '" DB_CHORE_AWAIT_LIBVIRTD "')",
	  "chores of other hosts end by what it shows", offsetof(struct db_host_burden, looked_at) },
};

static int64_t *number_of(struct db_host_burden *burden, const struct obstacle *obstacle)
{
	return (int64_t *)(void *)((char *)burden + obstacle->offset);
}

int db_host_burden(struct db_session *session, int64_t id, struct db_host_burden *ret_burden, struct error *error)
{
	*ret_burden = (struct db_host_burden){ 0 };
	for (size_t i = 0; i < sizeof(OBSTACLES) / sizeof(OBSTACLES[0]); i++) {
		CLEANUP_STATEMENT struct statement *statement = NULL;
		int result = statement_begin(session, OBSTACLES[i].sql, NULL, &statement, error);

		if (result < 0)
			return result;
		statement_bind_int64(statement, 1, id);
		result = statement_step(statement, error);
		if (result < 0)
			return result;
		*number_of(ret_burden, &OBSTACLES[i]) = statement_column_int64(statement, 0);
	}
	return 0;
}

/* Where the host does not answer, its operator may know that it never will. */
static int check_obstacles(struct db_session *session, const struct db_host *host, struct error *error)
{
	const char *way_out =
		db_service_is_up(&host->service) ? "" : "; should it never come back: migrationd host remove --gone";
	struct db_host_burden burden;
	int result = db_host_burden(session, host->id, &burden, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < sizeof(OBSTACLES) / sizeof(OBSTACLES[0]); i++) {
		int64_t count = *number_of(&burden, &OBSTACLES[i]);

		if (count > 0)
			return error_set(error, EBUSY, "%lld %s%s", (long long)count, OBSTACLES[i].words, way_out);
	}
	return 0;
}

static int run_with_id(struct db_session *session, const char *sql, int64_t id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, sql, NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, id);
	return statement_run(statement, error);
}

int db_host_remove(struct db_session *session, int64_t id, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, id, &host, error);

	if (result == 0) {
		result = check_obstacles(session, &host, error);
		if (result < 0)
			return error_wrap(error, "host %s cannot be removed", host.name);
	}
	if (result == 0)
		result = run_with_id(session, "UPDATE servers SET host_id = NULL WHERE host_id = ?1", id, error);
	if (result == 0)
		result = run_with_id(session, "DELETE FROM hosts WHERE id = ?1", id, error);
	if (result == 0)
		result = run_with_id(session, "DELETE FROM services WHERE id = ?1", host.service.id, error);
	if (result == 0)
		result = session_changed(session, DB_TABLE_HOSTS, id, error);
	return result < 0 ? result : session_changed(session, DB_TABLE_SERVICES, host.service.id, error);
}
