/* A server that is forgotten. The one difficulty: its disks may lie on both hosts of a move, and nobody can say any more which
 * is the last copy. So nothing is removed here; chores do that, each after a look at the other copy. */
#include "server/worker/forget_server.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/jobs.h"
#include "db/migrations.h"
#include "db/servers.h"
#include "db/volumes.h"

static int check_no_job(struct db_session *session, const char *uuid, struct error *error)
{
	CLEANUP_DB_JOB struct db_job job = { 0 };
	int result = db_job_unfinished_of_server(session, uuid, &job, error);

	if (result == 0)
		return error_set(error, EBUSY, "server %s is not forgotten while its %s job is not finished", uuid,
				 job.kind);
	if (result != -ENOENT)
		return result;
	error_clear(error);
	return 0;
}

/* 0 in *ret_id: there is no such host any more. */
static int find_host(struct db_session *session, const char *name, int64_t *ret_id, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, name, &host, error);

	*ret_id = result == 0 ? host.id : 0;
	if (result != -ENOENT)
		return result;
	error_clear(error);
	return 0;
}

/* False in *ret_can_ask: it was removed, or given up for good. */
static int can_ask(struct db_session *session, int64_t host_id, bool *ret_can_ask, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_id(session, host_id, &host, error);

	*ret_can_ask = result == 0 && !host.is_gone;
	if (result != -ENOENT)
		return result;
	error_clear(error);
	return 0;
}

/* A copy that lies where the server was is its disk: then the source's, from which it was made, is the superfluous one. */
static int choose_side(struct db_session *session, const struct db_volume *volume, const struct db_server *server,
		       const struct db_migration *migration, struct db_chore *like, struct error *error)
{
	like->host_id = volume->host_id;
	like->other_host_id = volume->is_complete ? server->host_id : 0;
	if (volume->host_id != server->host_id || !volume->is_complete)
		return 0;
	return find_host(session, migration->source_compute, &like->host_id, error);
}

static int release_volume(struct db_session *session, struct db_volume *volume, const struct db_server *server,
			  const struct db_migration *migration, struct error *error)
{
	CLEANUP_DB_CHORE struct db_chore like = { .migration_id = migration->id };
	bool can_remove = false, can_look = true;
	int result = choose_side(session, volume, server, migration, &like, error);

	if (result == 0)
		result = can_ask(session, like.host_id, &can_remove, error);
	if (result == 0 && volume->is_complete)
		result = can_ask(session, like.other_host_id, &can_look, error);
	if (result < 0)
		return result;
	/* What may be the last whole disk stays: it is nobody's but the operator's. */
	if (!can_remove || !can_look || like.host_id == like.other_host_id)
		return db_volume_delete(session, volume->id, error);
	TEXT_COPY(like.server_uuid, server->uuid);
	like.reason = strdup("no host has the guest any more, and its server was forgotten");
	return like.reason ? db_chore_take_volumes(session, &(struct db_volume_list){ volume, 1 }, &like, error)
			   : error_no_memory(error);
}

static int end_migration(struct db_session *session, const struct db_server *server,
			 const struct db_migration *migration, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };
	const char *status = text_equal(migration->status, "finished") ? "confirmed" : "error";
	int result = db_migration_set_status(session, migration->id, status, error);

	if (result == 0)
		result = db_claim_release(session, migration->id, 0, error);
	if (result == 0)
		result = db_volume_by_migration(session, migration->id, &volumes, error);
	for (size_t i = 0; result == 0 && i < volumes.count; i++)
		result = release_volume(session, &volumes.items[i], server, migration, error);
	return result;
}

static int delete_saved_definitions(struct db_session *session, const char *uuid, struct error *error)
{
	for (;;) {
		CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain saved = { 0 };
		int result = db_kept_domain_by_server(session, uuid, &saved, error);

		if (result == 0)
			result = db_kept_domain_delete(session, saved.id, error);
		else if (result == -ENOENT) {
			error_clear(error);
			return 0;
		}
		if (result < 0)
			return result;
	}
}

int forget_server(struct db_session *session, const char *uuid, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	CLEANUP_DB_MIGRATIONS struct db_migration_list migrations = { 0 };
	int result = db_server_by_uuid(session, uuid, &server, error);

	if (result == 0)
		result = check_no_job(session, uuid, error);
	if (result == 0)
		result = db_migration_unended_of_server(session, uuid, &migrations, error);
	for (size_t i = 0; result == 0 && i < migrations.count; i++)
		result = end_migration(session, &server, &migrations.items[i], error);
	if (result == 0)
		result = delete_saved_definitions(session, uuid, error);
	return result < 0 ? result : db_server_delete(session, uuid, error);
}
