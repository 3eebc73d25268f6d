/* The kinds of chores. Their one difficulty is that time has passed since they were written: the guest may have come back,
 * gone on to another host, or been removed, so that everything is looked at again right before something goes. */
#include "server/worker/chore_steps.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/migrations.h"
#include "server/worker/job.h"

/* What a leftover half may be: never a guest that runs, or whose memory is kept. */
#define LEFTOVER_STATES (GUEST_SET_OFF | GUEST_SET(GUEST_ARRIVING) | GUEST_SET(GUEST_HANDED_OVER))

/* A chore on its way. */
struct chore_run {
	struct worker *worker;
	const struct db_chore *chore;
	int64_t job_id; /* of the job that has it done; 0: none */
	struct hypervisor_host *host;
	char host_name[DB_NAME_SIZE];
	struct db_server server; /* id 0: it was deleted */
	bool is_moving; /* another unfinished job has it */
	bool is_awaited; /* a call upon it is stuck somewhere */
	bool has_definition_chore; /* its definition there is still to be removed */
	/* Where the guest is whole; NULL: nowhere that is known. */
	struct hypervisor_host *home;
	char home_name[DB_NAME_SIZE];
};

static const struct hypervisor_operations *operations(const struct chore_run *run)
{
	return run->worker->parts.hypervisor->operations;
}

static int dropped(const struct chore_run *run, struct error *error, const char *why)
{
	error_set(error, ESTALE, "on host %s nothing was removed of server %.36s: %s", run->host_name,
		  run->chore->server_uuid, why);
	return CHORE_DROPPED;
}

static int read_rows(struct chore_run *run, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_CHORES struct db_chore_list others = { 0 };
	CLEANUP_DB_JOB struct db_job job = { 0 };
	const char *uuid = run->chore->server_uuid;
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result < 0)
		return result;
	result = db_server_by_uuid(session, uuid, &run->server, error);
	if (result < 0 && result != -ENOENT)
		return result;
	result = db_job_unfinished_of_server(session, uuid, &job, error);
	if (result < 0 && result != -ENOENT)
		return result;
	run->is_moving = result == 0 && job.id != run->job_id;
	error_clear(error);
	result = db_chore_by_server(session, uuid, &others, error);
	for (size_t i = 0; i < others.count; i++) {
		const struct db_chore *other = &others.items[i];

		run->is_awaited = run->is_awaited || text_equal(other->kind, DB_CHORE_AWAIT_LIBVIRTD);
		run->has_definition_chore =
			run->has_definition_chore
			|| (text_equal(other->kind, DB_CHORE_REMOVE_GUEST) && other->host_id == run->chore->host_id);
	}
	return result;
}

/* The host where the guest is to be whole: its server's, or of a deleted one the other host of the move. */
static int find_home(struct chore_run *run, struct error *error)
{
	int64_t home_id = run->server.id ? run->server.host_id : run->chore->other_host_id;
	bool is_gone = false;

	if (!home_id || home_id == run->chore->host_id)
		return 0;
	int result = worker_open_host(run->worker, home_id, run->home_name, &run->home, &is_gone, error);
	if (result == -ENOENT || is_gone) { /* the host was removed */
		error_clear(error);
		run->home = NULL;
		result = 0;
	}
	return result;
}

/* 0: go on. Else CHORE_DROPPED, or why it has to wait. */
static int check_common(struct chore_run *run, struct error *error)
{
	if (run->is_moving)
		return error_set(error, EBUSY, "server %.36s has a job that has not ended", run->chore->server_uuid);
	if (run->is_awaited)
		return error_set(error, EBUSY,
				 "a call upon server %.36s has not returned: its libvirtd must be restarted first",
				 run->chore->server_uuid);
	if (run->server.id && run->server.host_id == run->chore->host_id)
		return dropped(run, error, "it is on this host again");
	return 0;
}

/* Its place shows it, off or alive. */
static int check_home_has_guest(struct chore_run *run, struct error *error)
{
	struct guest_view view = { 0 };

	if (!run->home)
		return error_set(error, ESTALE, "server %.36s is known on no other host", run->chore->server_uuid);
	int result = operations(run)->look(run->home, run->chore->server_uuid, &view, error);
	if (result < 0)
		return result;
	enum side_view side = side_view_of(0, &view);
	if (side == SIDE_ALIVE || side == SIDE_OFF)
		return 0;
	return error_set(error, ESTALE, "server %.36s is %s on host %s: what host %s has of it is kept meanwhile",
			 run->chore->server_uuid, guest_state_name(view.state), run->home_name, run->host_name);
}

static int remove_guest(struct chore_run *run, struct error *error)
{
	struct guest_view view = { 0 };
	const char *uuid = run->chore->server_uuid;
	int result = operations(run)->look(run->host, uuid, &view, error);

	if (result < 0)
		return result;
	if (view.state == GUEST_ABSENT)
		return CHORE_DONE;
	if (run->server.id && (result = check_home_has_guest(run, error)) < 0)
		return result;
	result = operations(run)->remove_guest(run->host, uuid, LEFTOVER_STATES, error);
	if (result != -ESTALE)
		return result < 0 ? result : CHORE_DONE;
	struct error ignored = { 0 };
	if (operations(run)->look(run->host, uuid, &view, &ignored) == 0 && side_view_of(0, &view) == SIDE_ALIVE)
		return dropped(run, error, "it runs there, started by somebody else");
	return result;
}

static int remove_volume(struct chore_run *run, struct error *error)
{
	const struct db_chore *chore = run->chore;
	const struct hypervisor_volume volume = { chore->pool, chore->name, chore->bytes };
	int result = 0;

	/* It may be the only whole disk: its copy is looked at where the guest is. */
	if (chore->is_complete) {
		result = run->home ? operations(run)->verify_disks(run->home, &volume, 1, error)
				   : error_set(error, ESTALE, "volume %s of storage pool %s: no other copy is known",
					       chore->name, chore->pool);
		if (result == -ESTALE && !run->server.id)
			return CHORE_DROPPED; /* of a deleted server nothing will change: a person decides */
	}
	if (result == 0)
		result = operations(run)->remove_volume(run->host, &volume, error);
	if (result == -ESTALE && !run->has_definition_chore && !chore->is_complete)
		return CHORE_DROPPED;
	return result < 0 ? result : CHORE_DONE;
}

struct conflict_end {
	const struct chore_run *run;
	int64_t winner_id, loser_id;
	struct guest_view view;
	bool has_leftover_guest;
	bool is_loser_gone; /* given up: nothing is removed there */
};

static int write_volumes(struct db_session *session, const struct conflict_end *end, struct error *error)
{
	CLEANUP_DB_VOLUMES struct db_volume_list volumes = { 0 };
	const struct db_chore *chore = end->run->chore;
	struct db_chore like = { .host_id = end->loser_id,
				 .other_host_id = end->winner_id,
				 .migration_id = chore->migration_id,
				 .reason = (char[]){ "the server is on the other host" } };

	if (end->is_loser_gone)
		return db_volume_delete_by_migration(session, chore->migration_id, error);
	int result = db_volume_by_migration(session, chore->migration_id, &volumes, error);

	TEXT_COPY(like.server_uuid, chore->server_uuid);
	/* A disk of the source was whole before the move; a copy is so by the journal. */
	for (size_t i = 0; i < volumes.count; i++)
		volumes.items[i].is_complete = volumes.items[i].is_complete || end->loser_id == chore->host_id;
	if (result == 0)
		result = db_chore_take_volumes(session, &volumes, &like, error);
	if (result < 0 || !end->has_leftover_guest)
		return result;
	TEXT_COPY(like.kind, DB_CHORE_REMOVE_GUEST);
	return db_chore_insert(session, &like, error);
}

/* The definition that a cold migration saved of its source leads nowhere any more, unless the source has the guest and none of
 * its own: then it goes back there. */
static int write_saved(struct db_session *session, const struct conflict_end *end, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain saved = { 0 };
	const struct db_chore *chore = end->run->chore;
	struct db_chore back = { .kind = DB_CHORE_GIVE_BACK_DEFINITION,
				 .host_id = end->winner_id,
				 .other_host_id = end->loser_id,
				 .migration_id = chore->migration_id,
				 .reason = (char[]){ "the host has no definition of the server" } };
	int result = db_kept_domain_by_migration(session, chore->migration_id, &saved, error);

	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (result < 0)
		return result;
	if (saved.host_id != end->winner_id || end->view.is_persistent)
		return db_kept_domain_delete_by_migration(session, chore->migration_id, error);
	TEXT_COPY(back.server_uuid, chore->server_uuid);
	return db_chore_insert(session, &back, error);
}

static int write_leftovers(struct db_session *session, const struct conflict_end *end, struct error *error)
{
	int result = write_saved(session, end, error);

	return result < 0 ? result : write_volumes(session, end, error);
}

static int write_conflict_end(struct db_session *session, void *context, struct error *error)
{
	struct conflict_end *end = context;
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	int result = db_server_by_uuid(session, end->run->chore->server_uuid, &server, error);

	if (result == -ENOENT) {
		error_clear(error);
		return write_leftovers(session, end, error);
	}
	if (result < 0)
		return result;
	server.host_id = end->winner_id;
	server.power_state = guest_state_power_state(end->view.state);
	bool is_ours = text_equal(server.vm_state, "error") && text_equal(server.error_cause, "both_hosts");
	if (is_ours) /* one that an admin set stays */
		TEXT_COPY(server.vm_state, guest_state_vm_state(end->view.state));
	result = db_server_update(session, &server, error);
	if (result == 0 && is_ours)
		result = db_server_set_fault(session, server.uuid, NULL, error);
	return result < 0 ? result : write_leftovers(session, end, error);
}

/* Nobody has the guest: what was saved of it goes back to the host that is left. */
static int write_no_winner(struct db_session *session, void *context, struct error *error)
{
	return write_leftovers(session, context, error);
}

/* The other host of the chore, with what it shows; one that was given up, or is none, shows nothing. */
static int look_at_other(const struct chore_run *run, char ret_name[DB_NAME_SIZE], struct guest_view *ret_view,
			 bool *ret_is_gone, struct error *error)
{
	const struct db_chore *chore = run->chore;
	struct hypervisor_host *other = NULL;
	int result = 0;

	ret_name[0] = '\0';
	*ret_view = (struct guest_view){ .state = GUEST_ABSENT };
	*ret_is_gone = chore->other_host_id == 0;
	if (chore->other_host_id)
		result = worker_open_host(run->worker, chore->other_host_id, ret_name, &other, ret_is_gone, error);
	if (result == -ENOENT) { /* it was removed */
		error_clear(error);
		*ret_is_gone = true;
		result = 0;
	}
	return result < 0 || *ret_is_gone ? result : operations(run)->look(other, chore->server_uuid, ret_view, error);
}

static int end_conflict(struct chore_run *run, struct error *error)
{
	const struct db_chore *chore = run->chore;
	struct guest_view here = { 0 }, there = { 0 };
	char other_name[DB_NAME_SIZE];
	bool is_gone = false;
	int result = operations(run)->look(run->host, chore->server_uuid, &here, error);

	if (result == 0)
		result = look_at_other(run, other_name, &there, &is_gone, error);
	if (result < 0)
		return result;
	enum side_view sides[] = { side_view_of(0, &here), side_view_of(0, &there) };
	for (size_t i = 0; i < ARRAY_LENGTH(sides); i++) {
		enum side_view loser = sides[1 - i];

		if (sides[i] != SIDE_ALIVE || (loser != SIDE_ABSENT && loser != SIDE_OFF))
			continue;
		struct conflict_end end = { .run = run,
					    .winner_id = i == 0 ? chore->host_id : chore->other_host_id,
					    .loser_id = i == 0 ? chore->other_host_id : chore->host_id,
					    .view = i == 0 ? here : there,
					    .has_leftover_guest = loser == SIDE_OFF,
					    .is_loser_gone = i == 0 && is_gone };
		result = db_write(run->worker->parts.database, write_conflict_end, &end, error);
		return result < 0 ? result : CHORE_DONE;
	}
	if (is_gone && sides[0] == SIDE_ABSENT) {
		struct conflict_end end = {
			.run = run, .winner_id = chore->host_id, .view = here, .is_loser_gone = true
		};

		result = db_write(run->worker->parts.database, write_no_winner, &end, error);
		return result < 0 ? result : dropped(run, error, "it is on no host any more");
	}
	if (is_gone)
		return error_set(error, ESTALE,
				 "server %.36s is %s on host %s, and its other host was given up: start it there or "
				 "remove it by hand",
				 chore->server_uuid, side_view_name(sides[0]), run->host_name);
	return error_set(error, ESTALE, "server %.36s is %s on host %s and %s on host %s: stop one of them by hand",
			 chore->server_uuid, side_view_name(sides[0]), run->host_name, side_view_name(sides[1]),
			 other_name);
}

/* The call has ended when neither side shows anything of it any more. */
static int await_libvirtd(struct chore_run *run, struct error *error)
{
	const struct db_chore *chore = run->chore;
	struct guest_view here = { 0 }, there = { 0 };
	char other_name[DB_NAME_SIZE];
	bool is_gone = false;
	int result = operations(run)->look(run->host, chore->server_uuid, &here, error);

	if (result == 0)
		result = look_at_other(run, other_name, &there, &is_gone, error);
	if (result < 0)
		return result;
	enum side_view side = side_view_of(0, &here), other_side = side_view_of(0, &there);
	if (side != SIDE_BUSY && side != SIDE_MOVING && other_side != SIDE_BUSY && other_side != SIDE_MOVING)
		return CHORE_DONE;
	return error_set(error, EBUSY,
			 "libvirtd on host %s must be restarted: a call upon server %.36s does not return there",
			 run->host_name, chore->server_uuid);
}

static int write_definition_given_back(struct db_session *session, void *context, struct error *error)
{
	return db_kept_domain_delete(session, *(int64_t *)context, error);
}

/* The saved definition goes back to its host, so that the guest can be started there; by whom wants it. While the guest runs
 * there without one it stays ours: the host takes none over it, and with its QEMU it would be gone. */
static int give_back_definition(struct chore_run *run, struct error *error)
{
	CLEANUP_DB_KEPT_DOMAIN struct db_kept_domain saved = { 0 };
	CLEANUP_DB_READ struct db_session *session = NULL;
	const int64_t hosts[2] = { run->chore->host_id, run->chore->other_host_id };
	struct guest_view view = { 0 };
	int result = db_read_begin(run->worker->parts.database, &session, error);

	if (result == 0)
		result = db_kept_domain_by_migration(session, run->chore->migration_id, &saved, error);
	db_read_end(TAKE_POINTER(session));
	if (result == -ENOENT) {
		error_clear(error);
		return CHORE_DONE;
	}
	if (result == 0)
		result = operations(run)->look(run->host, run->chore->server_uuid, &view, error);
	if (result == 0 && view.state != GUEST_ABSENT && !view.is_persistent)
		return error_set(
			error, EBUSY,
			"server %.36s is %s on host %s without a definition: it gets the saved one when it is off",
			run->chore->server_uuid, guest_state_name(view.state), run->host_name);
	if (result == 0 && view.state == GUEST_ABSENT)
		result = worker_expect_on_no_other_host(run->worker, run->chore->server_uuid, hosts, false, error);
	if (result == -ESTALE) { /* somebody moved it there, with its definition */
		result = db_write(run->worker->parts.database, write_definition_given_back, &saved.id, error);
		return result < 0 ? result : CHORE_DROPPED;
	}
	if (result == 0 && view.state == GUEST_ABSENT)
		result = operations(run)->define(run->host, saved.definition, saved.had_autostart, error);
	if (result == 0)
		result = db_write(run->worker->parts.database, write_definition_given_back, &saved.id, error);
	return result < 0 ? result : CHORE_DONE;
}

static const struct {
	const char *kind;
	bool is_removal; /* of something that must not be the guest's own */
	int (*run)(struct chore_run *run, struct error *error);
} kinds[] = {
	{ DB_CHORE_REMOVE_GUEST, true, remove_guest },
	{ DB_CHORE_REMOVE_VOLUME, true, remove_volume },
	{ DB_CHORE_END_CONFLICT, false, end_conflict },
	{ DB_CHORE_AWAIT_LIBVIRTD, false, await_libvirtd },
	{ DB_CHORE_GIVE_BACK_DEFINITION, false, give_back_definition },
};

static int run_kind(struct chore_run *run, struct error *error)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		if (text_equal(kinds[i].kind, run->chore->kind)) {
			int result = kinds[i].is_removal ? check_common(run, error) : 0;

			return result == 0 ? kinds[i].run(run, error) : result;
		}
	return error_set(error, EINVAL, "a chore of no known kind: %s", run->chore->kind);
}

int chore_do(struct worker *worker, const struct db_chore *chore, int64_t job_id, struct error *error)
{
	struct chore_run run = { .worker = worker, .chore = chore, .job_id = job_id };
	bool is_gone = false;
	int result = read_rows(&run, error);

	if (result == 0)
		result = worker_open_host(worker, chore->host_id, run.host_name, &run.host, &is_gone, error);
	if (result == 0 && is_gone)
		result = dropped(&run, error, "the host was given up");
	else if (result == 0)
		result = find_home(&run, error);
	if (result == 0)
		result = run_kind(&run, error);
	db_server_clear(&run.server);
	return result;
}
