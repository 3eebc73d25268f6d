/* The scene: what a job needs around it, in memory where possible. The one difficulty is its clock, which must not run ahead of
 * threads that are at work: it goes on only when all of them sleep. */
#include "tests/faults/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/claims.h"
#include "db/instance_actions.h"
#include "db/migrations.h"
#include "db/servers.h"
#include "server/worker/bounded.h"
#include "tests/faults/threads.h"

#define NAP_NS     50000
#define STUCK_MS   20000 /* real time in which all has long come to rest that ever does */
#define STEP_S     5
#define START_US   1767312000000000
#define DISK_BYTES (1LL << 30)

const struct scene_life scene_lives[SCENE_LIVES] = {
	{ .name = "live", .kind = JOB_LIVE },
	{ "live that breaks", JOB_LIVE, { { SCENE_TARGET, SIMULATED_COPY_FAILS } } },
	{ "live that leaves a half", JOB_LIVE, { { SCENE_TARGET, SIMULATED_COPY_RAISES } } },
	{ "live that cannot be prepared", JOB_LIVE, { { SCENE_TARGET, SIMULATED_PREPARE_FAILS } } },
	{ .name = "cold", .kind = JOB_COLD },
	{ "cold that breaks", JOB_COLD, { { SCENE_TARGET, SIMULATED_COPY_FAILS } } },
	{ "cold that does not start", JOB_COLD, { { SCENE_TARGET, SIMULATED_START_FAILS } } },
	{ "cold that starts nowhere",
	  JOB_COLD,
	  { { SCENE_TARGET, SIMULATED_START_FAILS }, { SCENE_SOURCE, SIMULATED_START_FAILS } } },
	{ .name = "confirm", .kind = JOB_CONFIRM },
	{ .name = "revert", .kind = JOB_REVERT },
	{ "revert that does not start", JOB_REVERT, { { SCENE_SOURCE, SIMULATED_START_FAILS } } },
	{ .name = "start", .kind = JOB_START },
	{ .name = "stop", .kind = JOB_STOP },
	{ .name = "pause", .kind = JOB_PAUSE },
	{ .name = "unpause", .kind = JOB_UNPAUSE },
	{ .name = "suspend", .kind = JOB_SUSPEND },
	{ .name = "resume", .kind = JOB_RESUME },
	{ .name = "reboot_soft", .kind = JOB_REBOOT_SOFT },
	{ .name = "reboot_hard", .kind = JOB_REBOOT_HARD },
};

const char *const scene_hosts[SCENE_HOSTS] = { SCENE_SOURCE, SCENE_TARGET, SCENE_OTHER };

static struct simulated_move_settings moves[] = { { .takes_s = SCENE_COPY_S } };
static const struct simulated_server_settings server_settings = {
	.vcpus = 2, .memory_mb = 1024, .disk_gb = 10, .flavor = "small", .moves = moves, .move_count = 1
};

static void must(int result, const struct error *error, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "the scene cannot be set: %s: %s\n", what, error->text);
	abort();
}

static void write_row(struct scene *scene, db_write_fn write, void *context)
{
	struct error error = { 0 };

	must(db_write(scene->database, write, context, &error), &error, "a row");
}

size_t scene_place(const char *host)
{
	for (size_t i = 0; i < SCENE_HOSTS; i++)
		if (text_equal(scene_hosts[i], host))
			return i;
	return 0;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
}

struct running {
	const bool *is_dead;
	struct text hosts;
};

static void count_running(void *context, const char *host, const char *uuid, const struct guest_view *view)
{
	struct running *running = context;
	bool runs = view->state == GUEST_RUNNING || view->state == GUEST_PAUSED || view->state == GUEST_SUSPENDED;

	(void)uuid;
	if (runs && !running->is_dead[scene_place(host)])
		text_append_format(&running->hosts, "%s%s", running->hosts.length ? "," : "", host);
}

/* Looked at all the time: two of one guest for a moment are two. */
static void look_for_doubles(struct scene *scene, const char *when)
{
	bool is_dead[SCENE_HOSTS];
	struct running running = { is_dead, TEXT_EMPTY };
	const struct simulated_walk walk = { .guest = count_running, .context = &running };

	pthread_mutex_lock(&scene->mutex);
	memcpy(is_dead, scene->is_dead, sizeof(is_dead));
	pthread_mutex_unlock(&scene->mutex);
	simulated_walk(scene->fleet, &walk);
	CLEANUP_TEXT struct text hosts = running.hosts;
	if (!hosts.data || !strchr(hosts.data, ','))
		return;
	LOCK_SCOPE(&scene->mutex);
	if (!scene->doubled[0])
		snprintf(scene->doubled, sizeof(scene->doubled), "on %s at %s", hosts.data, when);
}

static void record(struct scene *scene, const struct scene_point *point)
{
	if (scene->point_count == scene->point_capacity) {
		scene->point_capacity = scene->point_capacity ? scene->point_capacity * 2 : 64;
		scene->points = reallocarray(scene->points, scene->point_capacity, sizeof(*scene->points));
		if (!scene->points)
			abort();
	}
	scene->points[scene->point_count++] = *point;
}

static bool is_point(const struct scene_point *a, const struct scene_point *b)
{
	return a->is_phase == b->is_phase && a->is_after == b->is_after && a->number == b->number
	       && text_equal(a->name, b->name) && text_equal(a->host, b->host);
}

/* True: this is where something is to happen, and it is the first time. */
static bool reaches(struct scene *scene, const struct scene_point *point)
{
	LOCK_SCOPE(&scene->mutex);

	if (scene->is_recording)
		record(scene, point);
	if (!scene->point || scene->has_happened || !is_point(scene->point, point))
		return false;
	scene->has_happened = true;
	return true;
}

static void happen(struct scene *scene)
{
	if (scene->act)
		scene->act(scene, scene->context);
}

static bool on_phase(void *context, const char *kind, const char *phase, bool is_written)
{
	struct scene *scene = context;
	struct scene_point point = { .is_phase = true, .is_after = is_written };

	if (scene->is_setting || !text_equal(kind, job_kind_name(scene->kind)))
		return true; /* of the move that the scene began with */
	TEXT_COPY(point.name, phase);
	look_for_doubles(scene, phase);
	if (!reaches(scene, &point))
		return true;
	happen(scene);
	if (!scene->kills)
		return true;
	LOCK_SCOPE(&scene->mutex);
	scene->is_killed = true;
	return false;
}

/* The how manieth of its name on its host; counted before the operation, asked again after it. */
static int number_of(struct scene *scene, struct scene_point *point)
{
	LOCK_SCOPE(&scene->mutex);

	for (size_t i = 0; i < scene->seen_count; i++) {
		struct scene_point *seen = &scene->seen[i];

		if (!text_equal(seen->name, point->name) || !text_equal(seen->host, point->host))
			continue;
		return point->is_after ? seen->number : ++seen->number;
	}
	if (scene->seen_count < sizeof(scene->seen) / sizeof(scene->seen[0]))
		scene->seen[scene->seen_count++] = *point;
	return 0;
}

/* Questions are asked all the time and change nothing: what happens around them happens around the changes. */
static bool is_counted(const char *operation)
{
	static const char *const left_out[] = { "progress", "completed", "describe", "list_guests", "look", "adjust" };

	for (size_t i = 0; i < ARRAY_LENGTH(left_out); i++)
		if (text_equal(left_out[i], operation))
			return false;
	return true;
}

static bool is_awaited(struct scene *scene, const char *host)
{
	LOCK_SCOPE(&scene->mutex);

	return text_equal(host, scene->held_host);
}

/* The reading that is to be held has come to its list. */
static void hold_list(struct scene *scene, const char *host, const char *operation, bool is_after)
{
	if (is_after || !text_equal(operation, "list_guests") || !is_awaited(scene, host))
		return;
	scene_inject(scene, SIMULATED_READINGS_ARE_HELD, host, NULL);
	LOCK_SCOPE(&scene->mutex);
	scene->held_host = NULL;
}

static void on_operation(void *context, const char *host, const char *operation, const char *uuid, bool is_after)
{
	struct scene *scene = context;
	struct scene_point point = { .is_after = is_after };

	(void)uuid;
	look_for_doubles(scene, operation);
	hold_list(scene, host, operation, is_after);
	if (!is_counted(operation) || !scene->job_id || scene->is_setting)
		return;
	TEXT_COPY(point.name, operation);
	TEXT_COPY(point.host, host);
	point.number = number_of(scene, &point);
	if (reaches(scene, &point))
		happen(scene);
}

static int insert_host(struct db_session *session, void *context, struct error *error)
{
	return db_host_insert(session, context, error);
}

static int insert_server(struct db_session *session, void *context, struct error *error)
{
	return db_server_insert(session, context, error);
}

void scene_add_host(struct scene *scene, const char *name)
{
	struct db_host host = {
		.vcpus = 8, .memory_mb = 8192, .disk_gb = 100, .reserved_memory_mb = -1, .reserved_disk_gb = -1
	};

	TEXT_COPY(host.name, name);
	host.service.is_up = true;
	write_row(scene, insert_host, &host);
	scene->host_ids[scene_place(name)] = host.id;
}

static void add_hosts(struct scene *scene)
{
	struct error error = { 0 };

	for (size_t i = 0; i < SCENE_HOSTS; i++) {
		scene_add_host(scene, scene_hosts[i]);
		must(simulated_add_host(scene->fleet, scene_hosts[i], &error), &error, "a host");
	}
}

static void add_server(struct scene *scene)
{
	CLEANUP_DB_SERVER struct db_server server = {
		.name = "vm",
		.project_id = "project",
		.user_id = "user",
		.host_id = scene->host_ids[0],
		.vm_state = "active",
		.power_state = 1,
		.flavor = { .flavor_id = "small", .name = "small", .vcpus = 2, .memory_mb = 1024, .disk_gb = 10 },
	};
	struct error error = { 0 };

	uuid_make(server.uuid);
	TEXT_COPY(scene->uuid, server.uuid);
	write_row(scene, insert_server, &server);
	must(simulated_put_server(scene->fleet, scene_hosts[0], scene->uuid, "vm", &server_settings, &error), &error,
	     "a guest");
	must(simulated_put_disk(scene->fleet, scene_hosts[0], scene->uuid, SCENE_DISK, DISK_BYTES, false, &error),
	     &error, "a disk");
}

/* So that a confirm has to set it on the target. */
static void set_autostart(struct scene *scene)
{
	const struct hypervisor_address address = { .host_id = scene->host_ids[0], .name = SCENE_SOURCE };
	const struct hypervisor_operations *operations = scene->fleet->operations;
	struct hypervisor_host *host = NULL;
	struct error error = { 0 };

	must(operations->open_host(scene->fleet, &address, &host, &error), &error, "a handle");
	must(operations->set_autostart(host, scene->uuid, true, &error), &error, "autostart");
	operations->close_host(host);
}

static void open_database(struct scene *scene)
{
	struct error error = { 0 };

	must(db_open_temporary(scene->path, scene->clock, NULL, &scene->database, &error), &error, "the database");
}

static void create_worker(struct scene *scene)
{
	struct error error = { 0 };
	const struct worker_parts parts = { .database = scene->database,
					    .hypervisor = scene->bounded,
					    .clock = scene->clock,
					    .log = scene->log,
					    .settings = &scene->settings,
					    .scheduler = &scene->scheduler,
					    .observer = &scene->observer,
					    .node = "node" };

	must(worker_create(&parts, &scene->worker, &error), &error, "the worker");
	must(discovery_create(scene->bounded, scene->database, &scene->hypervisor_settings, scene->clock, scene->log,
			      &scene->discovery, &error),
	     &error, "discovery");
}

void scene_begin(struct scene *scene, struct file_faults *files)
{
	struct error error = { 0 };

	*scene = (struct scene){ .settings = { .threads = 8,
					       .lease_s = 60,
					       .progress_interval_s = 5,
					       .poll_interval_ms = 500,
					       .retry_interval_s = 5,
					       .shutdown_timeout_s = 60,
					       .stall_timeout_s = 60 },
				 .hypervisor_settings = { .reconnect_interval_s = 5,
							  .reconcile_interval_s = SCENE_READ_S },
				 .files = files,
				 .observer = { on_phase, scene } };
	scene->scheduler = scheduler_settings_default;
	pthread_mutex_init(&scene->mutex, NULL);
	snprintf(scene->folder, sizeof(scene->folder), "%s/migrationd-faults.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(scene->folder))
		abort();
	snprintf(scene->path, sizeof(scene->path), "%s/db", scene->folder);
	scene->clock = clock_manual_create(START_US);
	must(simulated_create(scene->clock, &scene->fleet, &error), &error, "the fleet");
	scene->log_file = memfd_create("log", MFD_CLOEXEC);
	must(scene->log_file, &(struct error){ .text = "memfd_create" }, "a file in memory");
	scene->log = getenv("FAULTS_LOG")
			     ? log_create(2, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, scene->clock)
			     : log_create(scene->log_file, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, scene->clock);
	simulated_set_hook(scene->fleet, on_operation, scene);
	open_database(scene);
	must(bounded_create(scene->fleet, scene->clock, &scene->bounded, &error), &error, "the bounds");
	create_worker(scene);
	add_hosts(scene);
	add_server(scene);
	set_autostart(scene);
}

static void stop_worker(struct scene *scene)
{
	/* Threads that wait for the clock wait for us; what hangs is let go. */
	for (int i = 0; i < 400; i++) {
		clock_manual_advance(scene->clock, 60000000);
		if (worker_wait_idle(scene->worker, clock_monotonic_ms(clock_system()) + 1))
			break;
	}
}

static void remove_folder(const struct scene *scene)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
	char path[PATH_MAX + 8];

	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", scene->path, ends[i]);
		unlink(path);
	}
	rmdir(scene->folder);
}

void scene_end(struct scene *scene)
{
	simulated_set_hook(scene->fleet, NULL, NULL);
	simulated_end_copies(scene->fleet);
	simulated_open_all_gates(scene->fleet);
	stop_worker(scene);
	worker_stop(scene->worker);
	discovery_stop(scene->discovery);
	for (int i = 0; i < 2000 && bounded_has_stuck_calls(scene->bounded); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	db_close(scene->database);
	worker_destroy(scene->worker);
	discovery_destroy(scene->discovery);
	scene->bounded->operations->destroy(scene->bounded);
	scene->fleet->operations->destroy(scene->fleet);
	log_destroy(scene->log);
	close(scene->log_file);
	clock_manual_destroy(scene->clock);
	pthread_mutex_destroy(&scene->mutex);
	free(scene->points);
	remove_folder(scene);
}

void scene_warnings(const struct scene *scene, char *ret_text, unsigned long size)
{
	ssize_t length = pread(scene->log_file, ret_text, size - 1, 0);

	ret_text[length > 0 ? length : 0] = '\0';
}

void scene_start(struct scene *scene)
{
	struct error error = { 0 };

	must(discovery_start(scene->discovery, &error), &error, "discovery");
	if (scene->reads_hosts_first)
		discovery_wait_for_all(scene->discovery);
	must(worker_start(scene->worker, &error), &error, "the worker");
}

/* Its threads have ended, and it remembers nothing; calls that it made go on at the hosts. */
void scene_stop(struct scene *scene)
{
	while (!worker_stop(scene->worker)) /* a call of its own still runs: a killed daemon's ends with it */
		clock_manual_advance(scene->clock, STEP_S * 1000000LL);
	discovery_stop(scene->discovery);
	db_close(scene->database);
	worker_destroy(scene->worker);
	discovery_destroy(scene->discovery);
}

void scene_start_again(struct scene *scene)
{
	open_database(scene);
	create_worker(scene);
	scene_start(scene);
	LOCK_SCOPE(&scene->mutex);
	scene->is_killed = false;
}

void scene_restart(struct scene *scene)
{
	scene_stop(scene);
	scene_start_again(scene);
}

struct order {
	struct scene *scene;
	const char *kind;
	const char *type; /* of the migration that it makes; NULL: it makes none */
	const char *action;
};

static int write_order(struct db_session *session, void *context, struct error *error)
{
	const struct order *order = context;
	struct scene *scene = order->scene;
	struct db_action action = { 0 };
	struct db_migration migration = { .status = "accepted",
					  .user_id = "user",
					  .project_id = "project",
					  .source_compute = SCENE_SOURCE,
					  .memory = { -1, -1, -1 },
					  .disk = { -1, -1, -1 } };
	struct db_job job = { .block_migration = "auto", .minor_version = 90, .source_host_id = scene->host_ids[0] };
	struct db_migration finished = { 0 };
	int result = 0;

	TEXT_COPY(job.kind, order->kind);
	TEXT_COPY(job.server_uuid, scene->uuid);
	TEXT_COPY(action.action, order->action);
	TEXT_COPY(action.server_uuid, scene->uuid);
	request_id_make(action.request_id);
	TEXT_COPY(job.request_id, action.request_id);
	result = db_action_insert(session, &action, error);
	job.action_id = action.id;
	if (result == 0 && order->type) {
		TEXT_COPY(migration.type, order->type);
		TEXT_COPY(migration.server_uuid, scene->uuid);
		TEXT_COPY(job.requested_host, SCENE_TARGET);
		result = db_migration_insert(session, &migration, error);
		job.migration_id = migration.id;
	} else if (result == 0 && (text_equal(order->kind, "confirm") || text_equal(order->kind, "revert"))) {
		result = db_migration_by_server_and_status(session, scene->uuid, "finished", &finished, error);
		job.migration_id = finished.id;
		job.target_host_id = scene->host_ids[1];
		if (result == 0)
			result = db_migration_set_status(
				session, finished.id, text_equal(order->kind, "confirm") ? "confirming" : "reverting",
				error);
	}
	if (result == 0)
		result = db_job_insert(session, &job, error);
	scene->job_id = job.id;
	return result;
}

static void order(struct scene *scene, enum job_kind kind, const char *type)
{
	struct order request = { scene, job_kind_name(kind), type, job_kind_name(kind) };

	write_row(scene, write_order, &request);
}

/* The guest as the kind of job finds it. */
static void set_guest(struct scene *scene, enum job_kind kind)
{
	enum simulated_fault fault = kind == JOB_START     ? SIMULATED_GUEST_POWERED_OFF
				     : kind == JOB_UNPAUSE ? SIMULATED_GUEST_SUSPENDED
							   : SIMULATED_FAULT_MAX;

	if (fault != SIMULATED_FAULT_MAX && !scene_inject(scene, fault, SCENE_SOURCE, NULL))
		abort();
}

/* What the life is to meet, by the fleet itself. */
static void set_scripts(struct scene *scene, const struct scene_life *life)
{
	for (size_t i = 0; i < ARRAY_LENGTH(life->scripts); i++)
		if (life->scripts[i].host
		    && !simulated_script(scene->fleet, life->scripts[i].host, life->scripts[i].outcome, 1))
			abort();
}

void scene_order_end(struct scene *scene, enum job_kind kind)
{
	scene->kind = kind;
	order(scene, kind, NULL);
}

void scene_order(struct scene *scene, const struct scene_life *life)
{
	enum job_kind kind = life->kind;

	scene->kind = kind;
	if (kind == JOB_CONFIRM || kind == JOB_REVERT) {
		scene->is_setting = true;
		scene->kind = JOB_COLD;
		order(scene, JOB_COLD, "migration");
		scene_start(scene);
		if (!scene_settle(scene, 600))
			abort();
		scene->kind = kind;
		scene->seen_count = 0;
		free(scene->points);
		scene->points = NULL;
		scene->point_count = scene->point_capacity = 0;
		scene->job_id = 0;
		scene->is_setting = false;
		set_scripts(scene, life);
		order(scene, kind, NULL);
		return;
	}
	set_guest(scene, kind);
	set_scripts(scene, life);
	order(scene, kind, kind == JOB_LIVE ? "live-migration" : kind == JOB_COLD ? "migration" : NULL);
	scene_start(scene);
}

bool scene_inject(struct scene *scene, enum simulated_fault fault, const char *host, const char *other)
{
	const struct simulated_place place = { .host = host, .other = other, .uuid = scene->uuid };
	struct error error = { 0 };

	return simulated_inject(scene->fleet, fault, &place, &error) == 0;
}

bool scene_job_has_ended(struct scene *scene)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_JOB struct db_job job = { 0 };
	struct error error = { 0 };

	must(db_read_begin(scene->database, &session, &error), &error, "a reader");
	must(db_job_by_id(session, scene->job_id, &job, &error), &error, "the job");
	return job.finished_us != 0;
}

static bool has_chores(struct scene *scene)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	struct error error = { 0 };

	must(db_read_begin(scene->database, &session, &error), &error, "a reader");
	must(db_chore_all(session, &chores, &error), &error, "the chores");
	return chores.count > 0;
}

bool scene_obey_chores(struct scene *scene)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_CHORES struct db_chore_list chores = { 0 };
	struct error error = { 0 };
	bool has_obeyed = false;

	must(db_read_begin(scene->database, &session, &error), &error, "a reader");
	must(db_chore_all(session, &chores, &error), &error, "the chores");
	for (size_t i = 0; i < chores.count; i++) {
		const struct db_chore *chore = &chores.items[i];

		for (size_t j = 0; j < SCENE_HOSTS && text_equal(chore->kind, DB_CHORE_AWAIT_LIBVIRTD); j++)
			if (scene->host_ids[j] == chore->host_id) {
				has_obeyed = true;
				scene_inject(scene, SIMULATED_LIBVIRTD_DIES, scene_hosts[j], NULL);
				scene_inject(scene, SIMULATED_LIBVIRTD_STARTS, scene_hosts[j], NULL);
			}
	}
	return has_obeyed;
}

static bool take_killed(struct scene *scene)
{
	LOCK_SCOPE(&scene->mutex);

	return scene->is_killed;
}

static void advance(struct scene *scene)
{
	clock_manual_advance(scene->clock, STEP_S * 1000000LL);
}

void scene_rest(struct scene *scene)
{
	int64_t until_ms = clock_monotonic_ms(clock_system()) + STUCK_MS;

	do {
		bool is_asleep = threads_wait_asleep(STUCK_MS);

		if (!is_asleep || clock_monotonic_ms(clock_system()) > until_ms) {
			scene->is_restless = true;
			scene->is_pointless = true;
			return;
		}
	} while (clock_manual_wake_due(scene->clock));
}

/* One step of the clock, when all have done what they could. True: the worker rests. */
static bool step(struct scene *scene)
{
	scene_rest(scene);
	if (take_killed(scene)) {
		scene_restart(scene);
		scene_rest(scene);
	}
	return worker_wait_idle(scene->worker, clock_monotonic_ms(clock_system()));
}

bool scene_settle(struct scene *scene, int seconds)
{
	for (int passed = 0; passed < seconds; passed += STEP_S) {
		bool is_idle = step(scene);

		if (scene->is_pointless)
			return true;
		if (is_idle && scene_job_has_ended(scene) && !has_chores(scene))
			return true;
		advance(scene);
	}
	return step(scene) && scene_job_has_ended(scene) && !has_chores(scene);
}

void scene_pass(struct scene *scene, int seconds)
{
	for (int passed = 0; passed < seconds && !scene->is_pointless; passed += STEP_S) {
		step(scene);
		advance(scene);
	}
}

bool scene_hold_reading(struct scene *scene, const char *host)
{
	pthread_mutex_lock(&scene->mutex);
	scene->held_host = host;
	pthread_mutex_unlock(&scene->mutex);
	discovery_look_again(scene->discovery, scene->host_ids[scene_place(host)]);
	for (int i = 0; i < 4000 && is_awaited(scene, host); i++) {
		if (i % 40 == 0) /* it gathers what comes together first */
			clock_manual_advance(scene->clock, 10000);
		nap();
	}
	LOCK_SCOPE(&scene->mutex);
	bool is_held = !scene->held_host;
	scene->held_host = NULL;
	return is_held;
}

static void set_dead(struct scene *scene, const char *host, bool is_dead)
{
	LOCK_SCOPE(&scene->mutex);

	scene->is_dead[scene_place(host)] = is_dead;
}

bool scene_kill_host(struct scene *scene, const char *host)
{
	set_dead(scene, host, true);
	return scene_inject(scene, SIMULATED_LIBVIRTD_DIES, host, NULL);
}

bool scene_revive_host(struct scene *scene, const char *host)
{
	scene_inject(scene, SIMULATED_GUEST_POWERED_OFF, host, NULL);
	set_dead(scene, host, false);
	return scene_inject(scene, SIMULATED_LIBVIRTD_STARTS, host, NULL);
}

static int write_gone(struct db_session *session, void *context, struct error *error)
{
	return db_host_set_gone(session, *(int64_t *)context, true, error);
}

/* False: there is no row of it. */
static bool read_host(struct scene *scene, const char *host, bool *ret_is_up)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOST struct db_host row = { 0 };
	struct error error = { 0 };

	must(db_read_begin(scene->database, &session, &error), &error, "a reader");
	bool is_there = db_host_by_id(session, scene->host_ids[scene_place(host)], &row, &error) == 0;
	*ret_is_up = is_there && db_service_is_up(&row.service);
	return is_there;
}

bool scene_knows_host(struct scene *scene, const char *host)
{
	bool is_up = false;

	return read_host(scene, host, &is_up);
}

bool scene_give_up(struct scene *scene, const char *host)
{
	bool is_up = false;

	if (!read_host(scene, host, &is_up) || is_up)
		return false;
	write_row(scene, write_gone, &scene->host_ids[scene_place(host)]);
	worker_host_given_up(scene->worker);
	LOCK_SCOPE(&scene->mutex);
	scene->is_given_up[scene_place(host)] = true;
	return true;
}

bool scene_shows_waiting(struct scene *scene, const char *host, char *ret_why, unsigned long size)
{
	struct worker_waiting_list waiting = { 0 };
	struct error error = { 0 };
	bool is_shown = false;

	snprintf(ret_why, size, "nothing is shown to wait for host %s", host);
	must(worker_list_waiting(scene->worker, scene->host_ids[scene_place(host)], &waiting, &error), &error,
	     "what waits");
	for (size_t i = 0; i < waiting.count && !is_shown; i++) {
		is_shown = waiting.items[i].job_id == scene->job_id && strstr(waiting.items[i].reason, host);
		snprintf(ret_why, size, "the reason shown does not name host %s: %s", host, waiting.items[i].reason);
	}
	worker_waiting_list_clear(&waiting);
	return is_shown;
}
