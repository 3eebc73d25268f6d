/* 500 mixed moves at once, asked of the API and done by the worker on the simulated fleet, while other threads read the hosts all
 * the time: each reading is one state of the database, no host is ever shown as more than full, and in the end each move has
 * ended, and each guest is there, whole and once.
 *
 * The hosts are as full as they can be for it: a server that counted twice on one of them would not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/servers.h"
#include "db/statement.h"
#include "server/scheduler/scheduler.h"
#include "server/settings.h"
#include "server/worker/bounded.h"
#include "server/worker/invariants.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"
#include "tests/unit/api_caller.h"
#include "tests/unit/usage_history.h"

#define MOVES        500
#define SERVERS      36
#define MOVERS       9 /* each has every ninth server, and moves one of them at a time */
#define READERS      2
#define SLOTS        8 /* servers that a host can hold */
#define RESERVED_MB  512
#define MEMORY_MB    1024 /* of a server */
#define DISK_BYTES   (1 << 20)
#define COPY_S       0.02
#define WAIT_MS      20000
#define BOUND_MS     60000
#define READINGS_MIN 500

static const char *const host_names[USAGE_HOSTS] = { "host-1", "host-2", "host-3", "host-4", "host-5", "host-6" };

/* The kinds of moves. */
static const struct kind {
	const char *name;
	const char *body; /* of the action */
	const char *while_running; /* asked of the migration: "DELETE", "POST"; NULL: nothing */
	const char *resized_end; /* the action that ends a resized server */
	const char *expected; /* the status of the migration in the end */
	enum simulated_failure fails;
	enum simulated_outcome outcome; /* of the host that it goes to: one of all, so that others may meet it */
} kinds[] = {
#define LIVE "{\"os-migrateLive\": {\"host\": null, \"block_migration\": \"auto\"}}"
#define COLD "{\"migrate\": null}"
#define WELL SIMULATED_FAILS_NOT
	{ "live", LIVE, NULL, NULL, "completed", WELL, SIMULATED_WELL },
	{ "cold, confirmed", COLD, NULL, "{\"confirmResize\": null}", "confirmed", WELL, SIMULATED_WELL },
	{ "live, aborted", LIVE, "DELETE", NULL, "cancelled", SIMULATED_FAILS_NEVER_CONVERGES, SIMULATED_WELL },
	{ "cold, reverted", COLD, NULL, "{\"revertResize\": null}", "reverted", WELL, SIMULATED_WELL },
	{ "live, forced", LIVE, "POST", NULL, "completed", SIMULATED_FAILS_NEVER_CONVERGES, SIMULATED_WELL },
	{ "live, breaks off", LIVE, NULL, NULL, "failed", SIMULATED_FAILS_MIDWAY, SIMULATED_WELL },
	{ "cold, breaks off", COLD, NULL, NULL, "error", SIMULATED_FAILS_MIDWAY, SIMULATED_WELL },
	{ "live, refused", LIVE, NULL, NULL, "error", SIMULATED_FAILS_PRECHECK, SIMULATED_WELL },
	{ "live, target leaves a half", LIVE, NULL, NULL, "failed", WELL, SIMULATED_COPY_RAISES },
	{ "live, target cannot prepare", LIVE, NULL, NULL, "failed", WELL, SIMULATED_PREPARE_FAILS },
	{ "cold, target does not start it", COLD, NULL, "{\"confirmResize\": null}", "error", WELL,
	  SIMULATED_START_FAILS },
};

/* A reading of the API, to be judged when the database rests. */
struct reading {
	size_t before, after; /* states of the history */
	struct usage usages[USAGE_HOSTS];
	bool is_over_full;
};

struct guest {
	char uuid[UUID_SIZE];
	char disk[32];
	struct simulated_move_settings plan;
	struct simulated_server_settings settings;
};

static struct scene {
	char folder[64], path[96];
	struct database *database;
	struct hypervisor *fleet, *bounded;
	struct worker *worker;
	struct policy *policy;
	struct token_verifier *tokens;
	struct api *api;
	struct api_caller caller;
	struct usage_history *history;
	struct worker_settings settings;
	struct scheduler_settings scheduler;
	struct guest guests[SERVERS];
	atomic_int moves; /* accepted */
	atomic_bool is_over, is_resting;
	pthread_rwlock_t starts; /* held for writing while hosts start nothing */
	pthread_mutex_t mutex; /* guards all below */
	char failure[512]; /* the first; "": none */
	struct reading *readings;
	size_t reading_count, reading_capacity;
	unsigned int ends[ARRAY_LENGTH(kinds)][2]; /* as expected, otherwise */
	char doubled[256]; /* a guest that ran on two hosts; "": none */
} scene;

static void note_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note_failure(const char *format, ...)
{
	LOCK_SCOPE(&scene.mutex);
	va_list arguments;

	if (scene.failure[0])
		return;
	va_start(arguments, format);
	vsnprintf(scene.failure, sizeof(scene.failure), format, arguments);
	va_end(arguments);
	atomic_store(&scene.is_over, true);
}

static void pause_ms(long milliseconds)
{
	nanosleep(&(struct timespec){ .tv_nsec = milliseconds * 1000000 }, NULL);
}

/* The guests that the walk has seen running so far. */
struct running {
	char uuids[SERVERS][UUID_SIZE];
	size_t count;
};

static void note_running(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	struct running *running = context;

	if (view->state != GUEST_RUNNING)
		return;
	for (size_t i = 0; i < running->count; i++)
		if (text_equal(running->uuids[i], uuid)) {
			LOCK_SCOPE(&scene.mutex);
			snprintf(scene.doubled, sizeof(scene.doubled), "%s runs a second time on %s", uuid, host);
			return;
		}
	if (running->count == SERVERS)
		return;
	TEXT_COPY(running->uuids[running->count], uuid);
	running->count++;
}

static void look_for_doubles(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	struct running running = { .count = 0 };
	const struct simulated_walk walk = { .guest = note_running, .context = &running };

	(void)context, (void)host, (void)operation, (void)uuid;
	if (is_after)
		simulated_walk(scene.fleet, &walk);
}

static void must(int result, const struct error *error)
{
	if (result < 0)
		fail_msg("%s", error->text);
}

static int insert_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_insert(session, context, error);
}

static int insert_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_insert(session, context, error);
}

static void add_hosts(void)
{
	struct error error = { 0 };

	for (size_t i = 0; i < USAGE_HOSTS; i++) {
		struct db_host host = { .vcpus = SLOTS,
					.memory_mb = SLOTS * MEMORY_MB + RESERVED_MB,
					.disk_gb = 100,
					.cpu_allocation_ratio = 2,
					.reserved_memory_mb = -1,
					.reserved_disk_gb = -1 };

		TEXT_COPY(host.name, host_names[i]);
		host.service.is_up = true;
		must(db_write(scene.database, insert_host, &host, &error), &error);
		assert_int_equal(host.id, i + 1); /* as the history counts them */
		must(simulated_add_host(scene.fleet, host_names[i], &error), &error);
	}
}

static void add_server(size_t number)
{
	struct guest *guest = &scene.guests[number];
	const char *host = host_names[number % USAGE_HOSTS];
	CLEANUP_DB_SERVER struct db_server server = {
		.project_id = "project",
		.user_id = "user",
		.host_id = (int64_t)(number % USAGE_HOSTS) + 1,
		.vm_state = "active",
		.power_state = 1,
		.flavor = { .flavor_id = "small", .name = "small", .vcpus = 2, .memory_mb = MEMORY_MB, .disk_gb = 10 },
	};
	struct error error = { 0 };

	uuid_make(server.uuid);
	TEXT_COPY(guest->uuid, server.uuid);
	snprintf(server.name, sizeof(server.name), "server-%zu", number);
	snprintf(guest->disk, sizeof(guest->disk), "disk-%zu", number);
	guest->settings = (struct simulated_server_settings){ .vcpus = 2,
							      .memory_mb = MEMORY_MB,
							      .disk_gb = 10,
							      .flavor = "small",
							      .moves = &guest->plan,
							      .move_count = 1 };
	must(db_write(scene.database, insert_server, &server, &error), &error);
	must(simulated_put_server(scene.fleet, host, guest->uuid, server.name, &guest->settings, &error), &error);
	must(simulated_put_disk(scene.fleet, host, guest->uuid, guest->disk, DISK_BYTES, false, &error), &error);
}

static void create_api(void)
{
	static const struct token_key key = { .algorithm = "HS256", .secret = "0123456789abcdef0123456789abcdef" };
	const struct token_settings tokens = { .keys = &key, .key_count = 1 };
	const struct policy_settings policies = { 0 };
	struct error error = { 0 };

	must(token_verifier_create(&tokens, &scene.tokens, &error), &error);
	must(policy_create(&policies, &scene.policy, &error), &error);
	const struct api_settings settings = { .database = scene.database,
					       .policy = scene.policy,
					       .tokens = scene.tokens,
					       .clock = clock_system(),
					       .public_endpoint = "http://nova.example:8774",
					       .node = "node",
					       .max_limit = 1000,
					       .reserved_memory_mb = RESERVED_MB,
					       .wait_timeout_s = 60,
					       .max_body_bytes = 114688 };
	must(api_create(&settings, &scene.api, &error), &error);
	api_caller_init(&scene.caller, scene.api, scene.tokens, clock_now_us(clock_system()));
}

static void create_worker(void)
{
	struct error error = { 0 };
	const struct worker_parts parts = { .database = scene.database,
					    .hypervisor = scene.bounded,
					    .clock = clock_system(),
					    .settings = &scene.settings,
					    .scheduler = &scene.scheduler,
					    .node = "node" };

	must(worker_create(&parts, &scene.worker, &error), &error);
}

static int setup(void **state)
{
	struct error error = { 0 };

	(void)state;
	scene = (struct scene){ .settings = { .threads = 16,
					      .lease_s = 60,
					      .progress_interval_s = 1,
					      .poll_interval_ms = 5,
					      .retry_interval_s = 1,
					      .max_concurrent_live_migrations = 3 } };
	pthread_mutex_init(&scene.mutex, NULL);
	pthread_rwlock_init(&scene.starts, NULL);
	scene.scheduler = scheduler_settings_default;
	scene.scheduler.ram_allocation_ratio = 1;
	scene.scheduler.reserved_host_memory_mb = RESERVED_MB;
	scene.scheduler.multipliers[SCHEDULER_WEIGHER_RAM] = -1; /* the fullest hosts first */
	scene.scheduler.multipliers[SCHEDULER_WEIGHER_BUILD_FAILURE] = 0; /* failures here are nobody's habit */
	snprintf(scene.folder, sizeof(scene.folder), "/tmp/migrationd-mixed.XXXXXX");
	assert_non_null(mkdtemp(scene.folder));
	snprintf(scene.path, sizeof(scene.path), "%s/db", scene.folder);
	must(db_open_temporary(scene.path, clock_system(), NULL, &scene.database, &error), &error);
	scene.history = usage_history_create(scene.database);
	must(simulated_create(clock_system(), &scene.fleet, &error), &error);
	simulated_set_hook(scene.fleet, look_for_doubles, NULL);
	must(bounded_create(scene.fleet, clock_system(), &scene.bounded, &error), &error);
	create_api();
	create_worker();
	add_hosts();
	for (size_t i = 0; i < SERVERS; i++)
		add_server(i);
	must(worker_start(scene.worker, &error), &error);
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
	char path[128];

	(void)state;
	api_stop_waiting(scene.api);
	assert_true(worker_stop(scene.worker));
	db_close(scene.database);
	worker_destroy(scene.worker);
	api_destroy(scene.api);
	scene.bounded->operations->destroy(scene.bounded);
	scene.fleet->operations->destroy(scene.fleet);
	token_verifier_destroy(scene.tokens);
	policy_destroy(scene.policy);
	usage_history_destroy(scene.history);
	free(scene.readings);
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", scene.path, ends[i]);
		unlink(path);
	}
	rmdir(scene.folder);
	return 0;
}

/* Of one row and column; `uuid` may be NULL. "": there is none. */
static void read_text(const char *sql, const char *uuid, char *ret_text, size_t size)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_STATEMENT struct statement *statement = NULL;
	struct error error = { 0 };
	int result = db_read_begin(scene.database, &session, &error);

	*ret_text = '\0';
	if (result == 0)
		result = statement_begin(session, sql, NULL, &statement, &error);
	if (result == 0 && uuid)
		statement_bind_text(statement, 1, uuid);
	if (result == 0)
		result = statement_step(statement, &error);
	if (result > 0)
		text_copy(ret_text, size, statement_column_text(statement, 0));
	if (result < 0)
		note_failure("%s: %s", sql, error.text);
}

/* False: it does not become so in time. */
static bool wait_for_text(const char *sql, const char *uuid, const char *wanted)
{
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + WAIT_MS;
	char found[64];

	while (!atomic_load(&scene.is_over)) {
		read_text(sql, uuid, found, sizeof(found));
		if (text_equal(found, wanted))
			return true;
		if (clock_monotonic_ms(clock_system()) > deadline_ms)
			break;
		pause_ms(1);
	}
	note_failure("%s gives %s instead of %s for %s", sql, found, wanted, uuid);
	return false;
}

static const char UNFINISHED[] = "SELECT COUNT(*) FROM jobs WHERE server_uuid = ?1 AND finished_us = 0";
static const char STATUS[] = "SELECT status FROM migrations WHERE server_uuid = ?1 ORDER BY id DESC LIMIT 1";
static const char NUMBER[] = "SELECT id FROM migrations WHERE server_uuid = ?1 ORDER BY id DESC LIMIT 1";
static const char HOME[] =
	"SELECT hosts.name FROM servers JOIN hosts ON hosts.id = servers.host_id WHERE servers.uuid = ?1";
static const char VM_STATE[] = "SELECT vm_state FROM servers WHERE uuid = ?1";

/* False: it was not accepted. */
static bool act(const struct guest *guest, const char *body)
{
	char path[128];
	json_t *document = NULL;

	snprintf(path, sizeof(path), "/v2.1/servers/%s/action", guest->uuid);
	int answer = api_caller_ask(&scene.caller, "POST", path, body, &document);
	CLEANUP_FREE char *text = document ? json_dumps(document, JSON_ENCODE_ANY) : NULL;
	json_decref(document);
	if (answer == 202 || answer == 204)
		return true;
	note_failure("%s is answered %d: %s", body, answer, text ? text : "");
	return false;
}

/* An abort or a force-complete, once it runs; where it has ended meanwhile there is nothing to ask. */
static void ask_while_running(const struct guest *guest, const char *method)
{
	bool is_abort = text_equal(method, "DELETE");
	char number[32], status[64], unfinished[8], path[192];

	do {
		read_text(STATUS, guest->uuid, status, sizeof(status));
		read_text(UNFINISHED, guest->uuid, unfinished, sizeof(unfinished));
		if (text_equal(unfinished, "0") || atomic_load(&scene.is_over))
			return;
		pause_ms(1);
	} while (!text_equal(status, "running"));
	read_text(NUMBER, guest->uuid, number, sizeof(number));
	snprintf(path, sizeof(path), "/v2.1/servers/%s/migrations/%s%s", guest->uuid, number,
		 is_abort ? "" : "/action");
	int answer = api_caller_ask(&scene.caller, method, path, is_abort ? NULL : "{\"force_complete\": null}", NULL);
	if (answer != 202)
		note_failure("%s of %s is answered %d", method, path, answer);
}

/* A revert that could not be done leaves it resized: it is confirmed then. */
static bool end_resized(const struct guest *guest, const char *body)
{
	char vm_state[64];

	for (int i = 0; i < 2; i++) {
		read_text(VM_STATE, guest->uuid, vm_state, sizeof(vm_state));
		if (!text_equal(vm_state, "resized"))
			return true;
		if (!act(guest, i == 0 && body ? body : "{\"confirmResize\": null}")
		    || !wait_for_text(UNFINISHED, guest->uuid, "0"))
			return false;
	}
	return true;
}

static void count_end(size_t number, const char *status)
{
	LOCK_SCOPE(&scene.mutex);

	scene.ends[number][!text_equal(status, kinds[number].expected)]++;
}

/* On each host but its own, so that the way back is open. */
static void script_starts(const struct guest *guest, int count)
{
	char home[64];

	read_text(HOME, guest->uuid, home, sizeof(home));
	for (size_t i = 0; i < USAGE_HOSTS; i++)
		if (count == 0 || !text_equal(host_names[i], home))
			simulated_script(scene.fleet, host_names[i], SIMULATED_START_FAILS, count);
}

static bool move_once(struct guest *guest, size_t number, unsigned int turn)
{
	const struct kind *kind = &kinds[number];
	char status[64];

	guest->plan = (struct simulated_move_settings){ .takes_s = COPY_S, .fails = kind->fails };
	if (kind->outcome == SIMULATED_START_FAILS)
		script_starts(guest, 1);
	else if (kind->outcome != SIMULATED_WELL)
		simulated_script(scene.fleet, host_names[turn % USAGE_HOSTS], kind->outcome, 1);
	if (!act(guest, kind->body))
		return false;
	atomic_fetch_add(&scene.moves, 1);
	if (kind->while_running)
		ask_while_running(guest, kind->while_running);
	if (!wait_for_text(UNFINISHED, guest->uuid, "0") || !end_resized(guest, kind->resized_end))
		return false;
	read_text(STATUS, guest->uuid, status, sizeof(status));
	count_end(number, status);
	return true;
}

/* A host that starts nothing is for one move alone: another one's server that came back there would stay in error. */
static bool move_in_turn(struct guest *guest, size_t number, unsigned int turn)
{
	if (kinds[number].outcome == SIMULATED_START_FAILS)
		pthread_rwlock_wrlock(&scene.starts);
	else
		pthread_rwlock_rdlock(&scene.starts);
	bool is_done = move_once(guest, number, turn);
	if (kinds[number].outcome == SIMULATED_START_FAILS)
		script_starts(guest, 0);
	pthread_rwlock_unlock(&scene.starts);
	return is_done;
}

static void *mover_thread(void *context)
{
	size_t first = (size_t)(intptr_t)context;

	for (unsigned int turn = 0; atomic_load(&scene.moves) < MOVES && !atomic_load(&scene.is_over); turn++)
		for (size_t i = first; i < SERVERS; i += MOVERS)
			if (!move_in_turn(&scene.guests[i], (turn + i) % ARRAY_LENGTH(kinds), turn + (unsigned int)i))
				return NULL;
	return NULL;
}

static int64_t number_of(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	if (!json_is_integer(value))
		note_failure("a hypervisor has no %s", key);
	return json_integer_value(value);
}

static void take_row(struct reading *reading, const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "hypervisor_hostname"));

	for (size_t i = 0; i < USAGE_HOSTS; i++)
		if (name && text_equal(name, host_names[i])) {
			reading->usages[i] =
				(struct usage){ number_of(row, "vcpus_used"),
						number_of(row, "memory_mb_used") - RESERVED_MB,
						number_of(row, "local_gb_used"), number_of(row, "running_vms") };
			reading->is_over_full = reading->is_over_full || number_of(row, "free_ram_mb") < 0
						|| number_of(row, "free_disk_gb") < 0
						|| number_of(row, "vcpus_used") > 2 * number_of(row, "vcpus");
		}
}

static void keep(const struct reading *reading)
{
	LOCK_SCOPE(&scene.mutex);

	if (scene.reading_count == scene.reading_capacity) {
		scene.reading_capacity = scene.reading_capacity ? scene.reading_capacity * 2 : 1024;
		scene.readings = reallocarray(scene.readings, scene.reading_capacity, sizeof(*scene.readings));
		if (!scene.readings)
			abort();
	}
	scene.readings[scene.reading_count++] = *reading;
}

static void *reader_thread(void *context)
{
	(void)context;
	while (!atomic_load(&scene.is_resting)) {
		struct reading reading = { .before = usage_history_length(scene.history) };
		json_t *document = NULL, *row;
		size_t i;
		int answer = api_caller_ask(&scene.caller, "GET", "/v2.1/os-hypervisors/detail", NULL, &document);

		reading.after = usage_history_length(scene.history);
		json_t *rows = json_object_get(document, "hypervisors");
		if (answer != 200 || json_array_size(rows) != USAGE_HOSTS)
			note_failure("a reading is answered %d with %zu hosts", answer, json_array_size(rows));
		json_array_foreach(rows, i, row) take_row(&reading, row);
		json_decref(document);
		keep(&reading);
		pause_ms(1); /* for those who move */
	}
	return NULL;
}

static void run_all(void)
{
	pthread_t movers[MOVERS], readers[READERS];

	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, reader_thread, NULL), 0);
	for (size_t i = 0; i < MOVERS; i++)
		assert_int_equal(pthread_create(&movers[i], NULL, mover_thread, (void *)(intptr_t)i), 0);
	for (size_t i = 0; i < MOVERS; i++)
		pthread_join(movers[i], NULL);
	wait_for_text("SELECT COUNT(*) FROM chores", NULL, "0");
	atomic_store(&scene.is_resting, true);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
}

static void check_readings(void)
{
	for (size_t i = 0; i < scene.reading_count; i++) {
		const struct reading *reading = &scene.readings[i];

		if (reading->is_over_full)
			fail_msg("reading %zu shows a host with more than it has", i);
		if (!usage_history_has(scene.history, reading->before, reading->after, reading->usages))
			fail_msg("reading %zu is no state of the database between %zu and %zu", i, reading->before,
				 reading->after);
	}
	assert_int_equal(usage_history_doubled(scene.history), 0);
	assert_true(scene.reading_count >= READINGS_MIN);
}

/* Each kind came, and most of each ended as such moves do; others met a host that was made to fail. */
static void check_ends(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		unsigned int as_expected = scene.ends[i][0], otherwise = scene.ends[i][1];

		printf("# %s: %u %s, %u otherwise\n", kinds[i].name, as_expected, kinds[i].expected, otherwise);
		assert_true(as_expected > 0);
		if (kinds[i].outcome == SIMULATED_WELL)
			assert_true(as_expected > otherwise);
	}
}

static void check_count(const char *sql, const char *expected)
{
	char found[32];

	read_text(sql, NULL, found, sizeof(found));
	if (!text_equal(found, expected))
		fail_msg("%s gives %s instead of %s", sql, found, expected);
}

static void check_rows(void)
{
	check_count("SELECT COUNT(*) FROM jobs WHERE finished_us = 0", "0");
	check_count("SELECT COUNT(*) FROM migrations WHERE status NOT IN ('completed', 'failed', 'error', 'cancelled', "
		    "'confirmed', 'reverted')",
		    "0");
	check_count("SELECT COUNT(*) FROM claims", "0");
	check_count("SELECT COUNT(*) FROM chores", "0");
	check_count("SELECT COUNT(*) FROM kept_domains", "0");
	check_count("SELECT COUNT(*) FROM volumes", "0");
	check_count("SELECT COUNT(*) FROM servers WHERE vm_state <> 'active' OR task_state <> ''", "0");
	check_count("SELECT COUNT(*) FROM instance_actions WHERE finish_us = 0", "0");
}

static void check_guest(const struct guest *guest)
{
	struct simulated_disk_view disk = { 0 };
	char home[64];

	read_text(HOME, guest->uuid, home, sizeof(home));
	for (size_t i = 0; i < USAGE_HOSTS; i++) {
		bool is_home = text_equal(host_names[i], home);

		assert_int_equal(simulated_state(scene.fleet, host_names[i], guest->uuid),
				 is_home ? GUEST_RUNNING : GUEST_ABSENT);
		assert_int_equal(simulated_disk_state(scene.fleet, host_names[i], guest->disk, &disk), is_home);
		assert_true(!is_home || disk.is_whole);
	}
}

static void check_invariants(void)
{
	CLEANUP_INVARIANTS_REPORT struct invariants_report report = { 0 };
	const struct invariants_parts parts = { .database = scene.database,
						.hypervisor = scene.bounded,
						.pause_ms = 50 };
	struct error error = { 0 };

	must(invariants_check(&parts, &report, &error), &error);
	for (size_t i = 0; i < report.count; i++)
		fail_msg("%s: %s", report.items[i].invariant->name, report.items[i].found);
	assert_int_equal(report.server_count, SERVERS);
}

static void each_reading_of_hosts_is_one_state_while_500_moves_go_on(void **state)
{
	int64_t began_ms = clock_monotonic_ms(clock_system());

	(void)state;
	run_all();
	int64_t took_ms = clock_monotonic_ms(clock_system()) - began_ms;
	printf("# %d moves in %lld ms, %zu readings, %zu states\n", atomic_load(&scene.moves), (long long)took_ms,
	       scene.reading_count, usage_history_length(scene.history));
	if (scene.failure[0])
		fail_msg("%s", scene.failure);
	assert_true(atomic_load(&scene.moves) >= MOVES);
	check_readings();
	check_ends();
	check_rows();
	for (size_t i = 0; i < SERVERS; i++)
		check_guest(&scene.guests[i]);
	assert_string_equal(scene.doubled, "");
	check_invariants();
	assert_true(took_ms < BOUND_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_reading_of_hosts_is_one_state_while_500_moves_go_on, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
