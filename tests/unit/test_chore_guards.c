/* What may be removed by a chore, long after it was written: everything is looked at again first, and where anything is not as it was
 * meant, what the host has stays. The server's home is two; the chore is one's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/statement.h"
#include "server/worker/chore_steps.h"
#include "server/worker/job.h"
#include "server/worker/simulated/fleet.h"
#include "tests/unit/worker_fixture.h"

/* How things are when the chore is tried, and what it comes to. */
struct chore_case {
	enum guest_state at_home, there;
	const char *rows; /* how they are changed; NULL: not */
	bool is_home_silent; /* two does not answer */
	bool is_home_without_disk;
	bool is_copied; /* a volume's chore: the disk was a whole one */
	bool is_busy; /* the guest, on one */
	const char *other_chore; /* of the same server on one; NULL: none */
	const char *job; /* that has not ended; NULL: none */
	const char *waits_for; /* words of why it cannot be done; NULL: it has ended */
	const char *dropped_for; /* words of why it is not done at all, which the log alone has then; NULL: it is */
	const char *guests, *disks; /* afterwards, as letters of "123" */
};

#define DELETED   "UPDATE servers SET is_deleted = 1"
#define NOWHERE   "UPDATE servers SET host_id = NULL"
#define BACK_HOME "UPDATE servers SET host_id = (SELECT id FROM hosts WHERE name = 'one')"

static int run_sql(struct db_session *session, void *context, struct error *error)
{
	return statement_execute(session, context, error);
}

static int insert_chore(struct db_session *session, void *context, struct error *error)
{
	return db_chore_insert(session, context, error);
}

static void put_chore(struct worker_fixture *fixture, const struct worker_order *order, const char *kind,
		      bool is_complete)
{
	struct db_chore chore = { .host_id = fixture->hosts[ONE],
				  .other_host_id = fixture->hosts[TWO],
				  .is_complete = is_complete,
				  .reason = (char[]){ "the server has moved on" } };

	TEXT_COPY(chore.kind, kind);
	TEXT_COPY(chore.server_uuid, order->uuid);
	if (text_equal(kind, DB_CHORE_REMOVE_VOLUME)) {
		TEXT_COPY(chore.pool, SIMULATED_POOL);
		TEXT_COPY(chore.name, order->disk);
		chore.bytes = WORKER_DISK_BYTES;
	}
	db_fixture_write(fixture->db, insert_chore, &chore);
}

static void inject(struct worker_fixture *fixture, enum simulated_fault fault, int host, const char *other,
		   const char *uuid)
{
	const struct simulated_place place = { .host = worker_host_names[host], .other = other, .uuid = uuid };

	if (simulated_inject(fixture->fleet, fault, &place, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
}

static void put_guest(struct worker_fixture *fixture, const struct worker_order *order, int host,
		      enum guest_state state)
{
	struct error *error = &fixture->db->error;

	if (state == GUEST_ABSENT && host == TWO
	    && (simulated_by_hand_undefine(fixture->fleet, "two", order->uuid, error) < 0
		|| simulated_by_hand_power_off(fixture->fleet, "two", order->uuid, error) < 0))
		fail_msg("%s", error->text);
	if (state != GUEST_ABSENT
	    && simulated_put_guest(fixture->fleet, worker_host_names[host], order->uuid, state, 1024, error) < 0)
		fail_msg("%s", error->text);
}

static struct worker_order set_scene(struct worker_fixture *fixture, const struct chore_case *tried)
{
	struct worker_order order = worker_fixture_server(fixture, "vm", TWO);

	if (simulated_put_volume(fixture->fleet, "one", order.disk, WORKER_DISK_BYTES, &fixture->db->error) < 0)
		fail_msg("%s", fixture->db->error.text);
	put_guest(fixture, &order, TWO, tried->at_home);
	put_guest(fixture, &order, ONE, tried->there);
	if (tried->is_busy)
		inject(fixture, SIMULATED_QEMU_HANGS, ONE, NULL, order.uuid);
	if (tried->is_home_without_disk)
		inject(fixture, SIMULATED_VOLUME_GOES, TWO, order.disk, NULL);
	if (tried->is_home_silent)
		inject(fixture, SIMULATED_OUR_LINK_BREAKS, TWO, NULL, NULL);
	if (tried->job)
		worker_fixture_order(fixture, &order, tried->job, TWO, -1);
	if (tried->rows)
		db_fixture_write(fixture->db, run_sql, (void *)tried->rows);
	return order;
}

static void check_logged(int log_read, const char *words)
{
	char text[8192];
	ssize_t length = read(log_read, text, sizeof(text) - 1);

	assert_in_range(length, 1, sizeof(text) - 1);
	text[length] = '\0';
	if (!strstr(text, "chore is dropped") || !strstr(text, words))
		fail_msg("the log does not say that it is dropped since \"%s\": %s", words, text);
}

static void try_case(struct worker_fixture *fixture, const char *kind, const struct chore_case *tried)
{
	struct worker_order order = set_scene(fixture, tried);
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	struct log *log = log_create(ends[1], LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, fixture->db->clock);
	fixture->worker->parts.log = log;
	if (tried->other_chore)
		put_chore(fixture, &order, tried->other_chore, false);
	put_chore(fixture, &order, kind, tried->is_copied);
	worker_fixture_start(fixture);
	if (tried->waits_for)
		worker_fixture_wait_chore(fixture, ONE, kind, tried->waits_for);
	else
		worker_fixture_wait_no_chores(fixture);
	worker_fixture_check_places(fixture, &order, tried->guests, tried->disks);
	if (tried->dropped_for)
		check_logged(ends[0], tried->dropped_for);
	simulated_end_copies(fixture->fleet); /* what hangs returns */
	assert_true(worker_stop(fixture->worker));
	fixture->worker->parts.log = NULL;
	log_destroy(log);
	close(ends[0]);
	close(ends[1]);
}

static void try_cases(void **state, const char *kind, const struct chore_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		try_case(*state, kind, &cases[i]);
		if (i + 1 == count)
			break;
		worker_fixture_teardown(state);
		worker_fixture_setup(state);
	}
}

static void a_guest_goes_only_where_its_server_is_seen_elsewhere_and_it_does_not_run(void **state)
{
	static const struct chore_case cases[] = {
		{ .at_home = GUEST_RUNNING, .there = GUEST_SHUT_OFF, .guests = "2", .disks = "12" },
		{ .at_home = GUEST_SHUT_OFF, .there = GUEST_SHUT_OFF, .guests = "2", .disks = "12" },
		{ .at_home = GUEST_RUNNING, .there = GUEST_ARRIVING, .guests = "2", .disks = "12" },
		{ .at_home = GUEST_RUNNING, .there = GUEST_HANDED_OVER, .guests = "2", .disks = "12" },
		{ .at_home = GUEST_RUNNING, .there = GUEST_ABSENT, .guests = "2", .disks = "12" },
		/* Whoever started it there wants it. */
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_RUNNING,
		  .dropped_for = "it runs there, started by somebody else",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_PAUSED,
		  .dropped_for = "it runs there, started by somebody else",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING, .there = GUEST_SAVED, .waits_for = "saved", .guests = "12", .disks = "12" },
		/* It may be the last one. */
		{ .at_home = GUEST_ABSENT,
		  .there = GUEST_SHUT_OFF,
		  .waits_for = "is kept meanwhile",
		  .guests = "1",
		  .disks = "12" },
		{ .at_home = GUEST_ARRIVING,
		  .there = GUEST_SHUT_OFF,
		  .waits_for = "is kept meanwhile",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_SHUT_OFF,
		  .is_home_silent = true,
		  .waits_for = "two",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_SHUT_OFF,
		  .rows = NOWHERE,
		  .waits_for = "is known on no other host",
		  .guests = "12",
		  .disks = "12" },
		/* It came back. */
		{ .at_home = GUEST_ABSENT,
		  .there = GUEST_SHUT_OFF,
		  .rows = BACK_HOME,
		  .dropped_for = "it is on this host again",
		  .guests = "1",
		  .disks = "12" },
		/* Nobody asks for a server that was deleted. */
		{ .at_home = GUEST_ABSENT, .there = GUEST_SHUT_OFF, .rows = DELETED, .guests = "", .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_SHUT_OFF,
		  .job = "unknown",
		  .waits_for = "has a job that has not ended",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_RUNNING,
		  .is_busy = true,
		  .other_chore = DB_CHORE_AWAIT_LIBVIRTD,
		  .waits_for = "its libvirtd must be restarted first",
		  .guests = "12",
		  .disks = "12" },
	};

	try_cases(state, DB_CHORE_REMOVE_GUEST, cases, ARRAY_LENGTH(cases));
}

static void a_disk_goes_only_while_a_whole_one_is_at_home_and_no_guest_there_names_it(void **state)
{
	static const struct chore_case cases[] = {
		{ .at_home = GUEST_RUNNING, .is_copied = true, .guests = "2", .disks = "2" },
		{ .at_home = GUEST_RUNNING, .guests = "2", .disks = "2" },
		/* It may be the last one. */
		{ .at_home = GUEST_RUNNING,
		  .is_home_without_disk = true,
		  .is_copied = true,
		  .waits_for = "is not on host two",
		  .guests = "2",
		  .disks = "1" },
		{ .at_home = GUEST_RUNNING,
		  .is_home_silent = true,
		  .is_copied = true,
		  .waits_for = "two",
		  .guests = "2",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .rows = NOWHERE,
		  .is_copied = true,
		  .waits_for = "no other copy is known",
		  .guests = "2",
		  .disks = "12" },
		/* A copy that was never whole is nobody's last. */
		{ .at_home = GUEST_RUNNING, .is_home_without_disk = true, .guests = "2", .disks = "" },
		/* The other host of the move has it still. */
		{ .at_home = GUEST_RUNNING, .rows = DELETED, .is_copied = true, .guests = "2", .disks = "2" },
		{ .at_home = GUEST_RUNNING,
		  .rows = DELETED,
		  .is_home_without_disk = true,
		  .is_copied = true,
		  .dropped_for = "is not on host two",
		  .guests = "2",
		  .disks = "1" },
		/* It came back. */
		{ .at_home = GUEST_ABSENT,
		  .rows = BACK_HOME,
		  .is_copied = true,
		  .dropped_for = "it is on this host again",
		  .guests = "",
		  .disks = "12" },
		{ .at_home = GUEST_ABSENT,
		  .rows = BACK_HOME,
		  .dropped_for = "it is on this host again",
		  .guests = "",
		  .disks = "12" },
		/* Somebody's guest there has it. */
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_SHUT_OFF,
		  .dropped_for = "in use",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_SHUT_OFF,
		  .is_copied = true,
		  .waits_for = "",
		  .guests = "12",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_SHUT_OFF,
		  .other_chore = DB_CHORE_REMOVE_GUEST,
		  .guests = "2",
		  .disks = "2" },
		{ .at_home = GUEST_RUNNING,
		  .is_copied = true,
		  .job = "unknown",
		  .waits_for = "has a job that has not ended",
		  .guests = "2",
		  .disks = "12" },
		{ .at_home = GUEST_RUNNING,
		  .there = GUEST_RUNNING,
		  .is_copied = true,
		  .is_busy = true,
		  .other_chore = DB_CHORE_AWAIT_LIBVIRTD,
		  .waits_for = "its libvirtd must be restarted first",
		  .guests = "12",
		  .disks = "12" },
	};

	try_cases(state, DB_CHORE_REMOVE_VOLUME, cases, ARRAY_LENGTH(cases));
}

/* A guest that is to go on another host is in nobody's way here: what has the disk here stays. */
static void a_disk_waits_for_no_removal_of_a_guest_elsewhere(void **state)
{
	struct worker_fixture *fixture = *state;
	const struct chore_case used = { .at_home = GUEST_RUNNING, .there = GUEST_SHUT_OFF };
	struct worker_order order = set_scene(fixture, &used);
	struct db_chore volume = { .kind = DB_CHORE_REMOVE_VOLUME,
				   .host_id = fixture->hosts[ONE],
				   .other_host_id = fixture->hosts[TWO],
				   .pool = SIMULATED_POOL,
				   .bytes = WORKER_DISK_BYTES };
	struct db_chore guest = { .kind = DB_CHORE_REMOVE_GUEST, .other_host_id = fixture->hosts[TWO] };
	struct error error = { 0 };

	TEXT_COPY(volume.server_uuid, order.uuid);
	TEXT_COPY(volume.name, order.disk);
	TEXT_COPY(guest.server_uuid, order.uuid);
	guest.host_id = fixture->hosts[THREE];
	db_fixture_write(fixture->db, insert_chore, &guest);
	assert_int_equal(chore_do(fixture->worker, &volume, 0, &error), CHORE_DROPPED);
	guest.id = 0;
	guest.host_id = fixture->hosts[ONE];
	db_fixture_write(fixture->db, insert_chore, &guest);
	assert_int_equal(chore_do(fixture->worker, &volume, 0, &error), -ESTALE);
	worker_fixture_check_places(fixture, &order, "12", "12");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_goes_only_where_its_server_is_seen_elsewhere_and_it_does_not_run),
		TEST(a_disk_goes_only_while_a_whole_one_is_at_home_and_no_guest_there_names_it),
		TEST(a_disk_waits_for_no_removal_of_a_guest_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
