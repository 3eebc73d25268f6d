/* The end of a host that was given up. The difficulty is the order: what can still be saved is asked for first (a revert needs
 * the volumes' rows and the saved definition), and the servers go to ERROR only when no job works on them any more. Each step
 * is one transaction that looks again for itself, so that a crash between two of them changes nothing. */
#include "server/worker/gone_hosts.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/migrations.h"
#include "server/worker/job.h"

/* One host that was given up, and how far its end has come. */
struct gone_host {
	const struct db_host *row;
	bool is_removed;
	int64_t reverts; /* that were begun now */
	int64_t lost; /* servers that went to ERROR now */
};

/* The finished migration that a server in VERIFY_RESIZE came by. -ENOENT: there is none. */
static int find_resize(struct db_session *session, const struct db_server *server, struct db_migration *ret_migration,
		       struct error *error)
{
	if (!text_equal(server->vm_state, "resized"))
		return -ENOENT;
	int result = db_migration_by_server_and_status(session, server->uuid, "finished", ret_migration, error);
	if (result == -ENOENT)
		error_clear(error);
	return result;
}

/* Whether its source is there and has what a revert needs. 1: it may be brought back, to *ret_source_id. */
static int may_revert(struct db_session *session, const struct db_migration *migration, int64_t *ret_source_id,
		      struct error *error)
{
	CLEANUP_DB_HOST struct db_host source = { 0 };
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain saved = { 0 };
	int result = db_host_by_name(session, migration->source_compute, &source, error);

	if (result == 0)
		result = db_kept_domain_by_migration(session, migration->id, &saved, error);
	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	*ret_source_id = source.id;
	return result < 0 ? result : !source.is_gone;
}

static int insert_revert(struct db_session *session, const struct db_server *server,
			 const struct db_migration *migration, int64_t source_id, struct error *error)
{
	struct db_job job = { .kind = "revert",
			      .block_migration = "auto",
			      .migration_id = migration->id,
			      .source_host_id = source_id,
			      .target_host_id = server->host_id };

	TEXT_COPY(job.server_uuid, server->uuid);
	request_id_make(job.request_id);
	int result = db_job_insert(session, &job, error);
	if (result == 0)
		result = db_migration_set_status(session, migration->id, "reverting", error);
	return result < 0 ? result : db_server_set_state(session, server->uuid, NULL, "resize_reverting", error);
}

/* The servers that came there by a cold migration, and have a way back. */
static int begin_reverts(struct db_session *session, struct gone_host *gone, const struct db_server_list *servers,
			 struct error *error)
{
	for (size_t i = 0; i < servers->count; i++) {
		const struct db_server *server = &servers->items[i];
		struct db_migration migration = { 0 };
		int64_t source_id = 0;
		int result = find_resize(session, server, &migration, error);

		if (result == -ENOENT || (result == 0 && !text_equal(migration.dest_compute, gone->row->name)))
			continue;
		if (result == 0)
			result = may_revert(session, &migration, &source_id, error);
		if (result > 0) {
			result = insert_revert(session, server, &migration, source_id, error);
			gone->reverts++;
		}
		if (result < 0)
			return result;
	}
	return 0;
}

/* The server has nothing to go back to: its confirm needs nothing of the source. What is kept of the definition is read by the
 * confirm alone, for whether the guest starts with its host: it is bound to the host where the server is. */
static int leave_source(struct db_session *session, const struct gone_host *gone, const struct db_migration *migration,
			struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, migration->server_uuid, &server, error);

	if (result == 0)
		result = db_volume_delete_by_migration(session, migration->id, error);
	if (result == 0 && server.host_id && server.host_id != gone->row->id)
		return db_kept_domain_move(session, migration->id, server.host_id, error);
	if (result == -ENOENT) { /* it was deleted outside the API */
		error_clear(error);
		result = 0;
	}
	return result;
}

static int leave_sources(struct db_session *session, const struct gone_host *gone, struct error *error)
{
	const struct db_migration_filter filter = { .source_compute = gone->row->name, .status = "finished" };
	CLEANUP_DB_MIGRATIONS struct db_migration_list migrations = { 0 };
	int result = db_migration_find(session, &filter, &migrations, error);

	for (size_t i = 0; result == 0 && i < migrations.count; i++)
		result = leave_source(session, gone, &migrations.items[i], error);
	return result;
}

/* The other host of a conflict, which is looked at alone from now on. 0: the server is in none. */
static int find_conflict(struct db_session *session, const char *server_uuid, int64_t *ret_host_id, struct error *error)
{
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	int result = db_chore_by_server(session, server_uuid, &chores, error);

	*ret_host_id = 0;
	for (size_t i = 0; i < chores.count; i++)
		if (text_equal(chores.items[i].kind, DB_CHORE_END_CONFLICT))
			*ret_host_id = chores.items[i].host_id;
	return result;
}

static int write_fault(struct db_session *session, const struct gone_host *gone, const char *uuid, struct error *error)
{
	CLEANUP_FREE char *details =
		text_format("Host %s, where the server was, was given up for good.", gone->row->name);
	struct db_fault fault = { .code = 500,
				  .message = (char[]){ "The server's host was given up for good." },
				  .details = details,
				  .created_us = db_now_us(session) };
	int result = details ? 0 : error_no_memory(error);

	if (result == 0)
		result = db_server_set_state(session, uuid, "error", "", error);
	if (result == 0)
		result = db_server_set_fault(session, uuid, &fault, error);
	return result < 0 ? result : db_server_set_error_cause(session, uuid, DB_ERROR_CAUSE_HOST_GONE, error);
}

/* Its cold migration comes to no confirm and no revert any more. */
static int end_resize(struct db_session *session, const struct db_server *server, struct error *error)
{
	struct db_migration migration = { 0 };
	int result = find_resize(session, server, &migration, error);

	if (result == -ENOENT)
		return 0;
	if (result == 0)
		result = db_claim_release(session, migration.id, 0, error);
	if (result == 0)
		result = db_volume_delete_by_migration(session, migration.id, error);
	return result < 0 ? result : db_migration_set_status(session, migration.id, "error", error);
}

static int give_up_server(struct db_session *session, struct gone_host *gone, const struct db_server *server,
			  struct error *error)
{
	int64_t other_id = 0;
	int result = find_conflict(session, server->uuid, &other_id, error);

	if (result == 0 && other_id) /* it is in ERROR, and what the other side shows will end that */
		return db_server_set_place(session, server->uuid, other_id, 0, error);
	if (result == 0)
		result = end_resize(session, server, error);
	if (result == 0)
		result = db_server_set_place(session, server->uuid, 0, 0, error);
	gone->lost++;
	return result < 0 ? result : write_fault(session, gone, server->uuid, error);
}

static int remove_all(struct db_session *session, struct gone_host *gone, const struct db_server_list *servers,
		      struct error *error)
{
	int64_t id = gone->row->id;
	int result = db_chore_give_up_host(session, id, error);

	if (result == 0)
		result = leave_sources(session, gone, error);
	for (size_t i = 0; result == 0 && i < servers->count; i++)
		result = give_up_server(session, gone, &servers->items[i], error);
	if (result == 0)
		result = db_claim_release_by_host(session, id, error);
	if (result == 0)
		result = db_volume_delete_by_host(session, id, error);
	if (result == 0)
		result = db_kept_domain_delete_by_host(session, id, error);
	if (result == 0)
		result = db_host_remove(session, id, error);
	gone->is_removed = result == 0;
	return result;
}

static int write_step(struct db_session *session, void *context, struct error *error)
{
	struct gone_host *gone = context;
	const struct db_server_filter filter = { .host_id = gone->row->id };
	CLEANUP_DB_SERVERS struct db_server_list servers = { 0 };
	struct db_host_burden burden;

	gone->reverts = gone->lost = 0;
	gone->is_removed = false;
	int result = db_host_burden(session, gone->row->id, &burden, error);
	if (result < 0 || burden.jobs > 0)
		return result;
	result = db_server_find(session, &filter, &servers, error);
	if (result == 0)
		result = begin_reverts(session, gone, &servers, error);
	if (result < 0 || gone->reverts > 0)
		return result;
	return remove_all(session, gone, &servers, error);
}

/* False: jobs name it, and end first. A reading is cheaper than a commit. */
static bool is_free(struct worker *worker, const struct db_host *host)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct db_host_burden burden = { 0 };
	struct error error = { 0 };
	int result = db_read_begin(worker->parts.database, &session, &error);

	if (result == 0)
		result = db_host_burden(session, host->id, &burden, &error);
	return result == 0 && burden.jobs == 0;
}

/* True: it is still there. */
static bool end_host(struct worker *worker, const struct db_host *host)
{
	struct gone_host gone = { .row = host };
	struct error error = { 0 };

	if (!is_free(worker, host))
		return true;
	if (db_write(worker->parts.database, write_step, &gone, &error) < 0) {
		error_wrap(&error, "host %s is given up", host->name);
		log_error(worker->parts.log, NULL, "host cannot be removed yet", &error);
		return true;
	}
	if (gone.reverts > 0)
		log_event(worker->parts.log, LOG_LEVEL_INFO, NULL,
			  "servers are brought back from a host that was given up", LOG_TEXT("host", host->name),
			  LOG_NUMBER("servers", gone.reverts));
	if (gone.is_removed)
		log_event(worker->parts.log, LOG_LEVEL_WARNING, NULL, "host was given up and is removed",
			  LOG_TEXT("host", host->name), LOG_NUMBER("servers_in_error", gone.lost));
	return !gone.is_removed;
}

static int read_gone(struct worker *worker, struct db_host_list *ret_hosts, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	int result = db_read_begin(worker->parts.database, &session, error);

	return result < 0 ? result : db_host_gone(session, ret_hosts, error);
}

void gone_hosts_dispatch(struct worker *worker)
{
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	struct error error = { 0 };
	bool must_look_again = false;

	pthread_mutex_lock(&worker->mutex);
	bool must_look = worker->must_read_gone && !worker->is_stopping;
	worker->must_read_gone = worker->must_read_gone && !must_look;
	pthread_mutex_unlock(&worker->mutex);
	if (!must_look)
		return;
	if (read_gone(worker, &hosts, &error) < 0) {
		log_error(worker->parts.log, NULL, "hosts that were given up cannot be read", &error);
		must_look_again = true;
	}
	for (size_t i = 0; i < hosts.count; i++)
		must_look_again = end_host(worker, &hosts.items[i]) || must_look_again;
	LOCK_SCOPE(&worker->mutex);
	worker->must_read_gone = worker->must_read_gone || must_look_again;
	worker->must_read_hosts = worker->must_read_hosts || hosts.count > 0;
}
