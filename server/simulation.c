/* The words of the control socket. The one difficulty is the load: everything that reads the database or the fleet on its own
 * must have ended before the rows change under it, and begins anew afterwards. */
#include "server/simulation.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "db/load.h"
#include "db/servers.h"
#include "server/worker/discover.h"
#include "server/worker/simulated/fleet.h"
#include "server/worker/worker.h"

#define WAIT_MS 10000

struct simulation {
	struct simulation_parts parts;
	bool has_jobs; /* thawed */
	bool has_discovery;
};

int simulation_create(const struct simulation_parts *parts, struct simulation **ret_simulation, struct error *error)
{
	struct simulation *simulation = calloc(1, sizeof(*simulation));

	if (!simulation)
		return error_no_memory(error);
	simulation->parts = *parts;
	*ret_simulation = simulation;
	return 0;
}

void simulation_destroy(struct simulation *simulation)
{
	free(simulation);
}

static int64_t wait_end_ms(void)
{
	return clock_monotonic_ms(clock_system()) + WAIT_MS;
}

/* No thread but the writer looks at the database's rows on its own any more. */
static int stand_still(struct simulation *simulation, struct error *error)
{
	discovery_stop(simulation->parts.discovery);
	simulated_open_all_gates(simulation->parts.fleet);
	worker_stop(simulation->parts.worker);
	return worker_wait_idle(simulation->parts.worker, wait_end_ms())
		       ? 0
		       : error_set(error, ETIMEDOUT, "a move of the simulated fleet does not end");
}

static int go_on(struct simulation *simulation, struct error *error)
{
	int result = 0;

	if (simulation->has_discovery)
		result = discovery_start(simulation->parts.discovery, error);
	if (result == 0 && simulation->has_jobs)
		result = worker_start(simulation->parts.worker, error);
	return result;
}

static int load_row(struct db_session *session, const char *table, json_t *row, struct error *error)
{
	struct db_load_value values[DB_LOAD_VALUES_MAX];
	size_t count = 0;
	const char *column;
	json_t *value;

	json_object_foreach(row, column, value)
	{
		if (count == DB_LOAD_VALUES_MAX)
			return error_set(error, EINVAL, "a row of %s has more than %d columns", table,
					 DB_LOAD_VALUES_MAX);
		struct db_load_value *out = &values[count++];
		*out = (struct db_load_value){ .column = column, .kind = DB_LOAD_NULL };
		if (json_is_string(value)) {
			out->kind = DB_LOAD_TEXT;
			out->text = json_string_value(value);
		} else if (json_is_real(value)) {
			out->kind = DB_LOAD_REAL;
			out->real = json_real_value(value);
		} else if (json_is_integer(value) || json_is_boolean(value)) {
			out->kind = DB_LOAD_NUMBER;
			out->number = json_is_true(value) ? 1 : json_integer_value(value);
		} else if (!json_is_null(value)) {
			return error_set(error, EINVAL, "column %s of %s is neither text nor number", column, table);
		}
	}
	return db_load_row(session, table, values, count, error);
}

static int write_rows(struct db_session *session, void *context, struct error *error)
{
	json_t *state = context, *rows, *row;
	const char *table;
	size_t i;
	int result = db_erase_all(session, error);

	json_object_foreach(state, table, rows)
		json_array_foreach(rows, i, row) if (result == 0 && (result = load_row(session, table, row, error)) < 0)
			error_wrap(error, "row %zu of %s", i + 1, table);
	return result;
}

static enum guest_state state_of(const struct db_server *server)
{
	if (server->power_state == 3)
		return GUEST_PAUSED;
	if (text_equal(server->vm_state, "suspended"))
		return GUEST_SAVED;
	if (text_equal(server->vm_state, "stopped") || server->power_state == 4)
		return GUEST_SHUT_OFF;
	return GUEST_RUNNING;
}

/* The fleet shows what the database says. */
static int fill_fleet(struct simulation *simulation, struct error *error)
{
	struct hypervisor *fleet = simulation->parts.fleet;
	const struct db_server_filter all = { 0 };
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	CLEANUP_DB_SERVERS struct db_server_list servers = { 0 };
	int result = db_read_begin(simulation->parts.database, &session, error);

	simulated_reset(fleet);
	if (result == 0)
		result = db_host_all(session, &hosts, error);
	for (size_t i = 0; i < hosts.count && result == 0; i++) {
		result = simulated_add_host(fleet, hosts.items[i].name, error);
		if (result == -EEXIST) {
			error_clear(error);
			result = 0;
		}
	}
	if (result == 0)
		result = db_server_find(session, &all, &servers, error);
	for (size_t i = 0; i < servers.count && result == 0; i++)
		if (servers.items[i].host[0])
			result = simulated_put_guest(fleet, servers.items[i].host, servers.items[i].uuid,
						     state_of(&servers.items[i]), servers.items[i].flavor.memory_mb,
						     error);
	return result;
}

static int load(struct simulation *simulation, const json_t *state, struct error *error)
{
	struct error later = { 0 };

	if (!json_is_object(state))
		return error_set(error, EINVAL, "\"load\" wants an object of tables");
	int result = stand_still(simulation, error);
	if (result == 0)
		result = db_write(simulation->parts.database, write_rows, (json_t *)state, error);
	discovery_forget_hosts(simulation->parts.discovery);
	if (result == 0)
		result = fill_fleet(simulation, error);
	int started = go_on(simulation, result == 0 ? error : &later);
	return result < 0 ? result : started;
}

static int set_thawed(struct simulation *simulation, const json_t *names, bool is_thawed, struct error *error)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		if (text_equal(json_string_value(name), "jobs"))
			simulation->has_jobs = is_thawed;
		else if (text_equal(json_string_value(name), "discovery"))
			simulation->has_discovery = is_thawed;
		else
			return error_set(error, EINVAL, "only \"jobs\" and \"discovery\" freeze and thaw");
	}
	/* A job that stands at a closed gate would end only when the test opens it. */
	discovery_stop(simulation->parts.discovery);
	worker_stop(simulation->parts.worker);
	return go_on(simulation, error);
}

static int freeze(struct simulation *simulation, const json_t *names, json_t *answer, struct error *error)
{
	(void)answer;
	return set_thawed(simulation, names, false, error);
}

static int thaw(struct simulation *simulation, const json_t *names, json_t *answer, struct error *error)
{
	(void)answer;
	return set_thawed(simulation, names, true, error);
}

static int set_clock(struct simulation *simulation, const json_t *how, json_t *answer, struct error *error)
{
	struct clock *clock = simulation->parts.clock;
	const json_t *set = json_object_get(how, "set_us"), *advance = json_object_get(how, "advance_us");

	if (json_is_integer(set))
		clock_manual_set(clock, json_integer_value(set));
	else if (json_is_integer(advance))
		clock_manual_advance(clock, json_integer_value(advance));
	else if (json_is_true(json_object_get(how, "run")))
		clock_manual_run(clock, true);
	else
		return error_set(error, EINVAL, "\"clock\" wants set_us, advance_us or run");
	json_object_set_new(answer, "now_us", json_integer(clock_now_us(clock)));
	return 0;
}

static int find_gate(const json_t *name, enum simulated_gate *ret_gate, struct error *error)
{
	const char *text = json_string_value(name);

	if (text && simulated_gate_by_name(text, ret_gate))
		return 0;
	return error_set(error, EINVAL, "there is no gate %.64s", text ? text : "of no name");
}

static int close_gate(struct simulation *simulation, const json_t *name, json_t *answer, struct error *error)
{
	enum simulated_gate gate = SIMULATED_GATE_MAX;
	int result = find_gate(name, &gate, error);

	(void)answer;
	if (result == 0)
		simulated_close_gate(simulation->parts.fleet, gate);
	return result;
}

static int open_gate(struct simulation *simulation, const json_t *name, json_t *answer, struct error *error)
{
	enum simulated_gate gate = SIMULATED_GATE_MAX;
	int result = find_gate(name, &gate, error);

	(void)answer;
	if (result == 0)
		simulated_open_gate(simulation->parts.fleet, gate);
	return result;
}

static int wait_at_gate(struct simulation *simulation, const json_t *name, json_t *answer, struct error *error)
{
	enum simulated_gate gate = SIMULATED_GATE_MAX;
	int result = find_gate(name, &gate, error);

	(void)answer;
	if (result < 0 || simulated_wait_at_gate_until(simulation->parts.fleet, gate, wait_end_ms()))
		return result;
	return error_set(error, ETIMEDOUT, "nothing came to the gate %.64s", json_string_value(name));
}

static const char *text_in(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static int script(struct simulation *simulation, const json_t *how, json_t *answer, struct error *error)
{
	enum simulated_outcome outcome;

	(void)answer;
	if (!simulated_outcome_by_name(text_in(how, "outcome"), &outcome))
		return error_set(error, EINVAL, "there is no outcome %.64s", text_in(how, "outcome"));
	if (!simulated_script(simulation->parts.fleet, text_in(how, "host"), outcome,
			      (int)json_integer_value(json_object_get(how, "count"))))
		return error_set(error, ENOENT, "the simulated fleet has no host %.64s", text_in(how, "host"));
	simulated_set_words(simulation->parts.fleet, text_in(how, "host"), text_in(how, "words"));
	return 0;
}

static int set_host(struct simulation *simulation, const json_t *how, json_t *answer, struct error *error)
{
	(void)answer;
	if (!simulated_set_host_up(simulation->parts.fleet, text_in(how, "name"),
				   json_is_true(json_object_get(how, "is_up"))))
		return error_set(error, ENOENT, "the simulated fleet has no host %.64s", text_in(how, "name"));
	return 0;
}

static const char *text_or_null(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int inject(struct simulation *simulation, const json_t *how, json_t *answer, struct error *error)
{
	const struct simulated_place place = { .host = text_or_null(how, "host"),
					       .other = text_or_null(how, "other"),
					       .uuid = text_or_null(how, "uuid") };
	enum simulated_fault fault;

	(void)answer;
	if (!simulated_fault_by_name(text_in(how, "fault"), &fault))
		return error_set(error, EINVAL, "there is no fault %.64s", text_in(how, "fault"));
	return simulated_inject(simulation->parts.fleet, fault, &place, error);
}

static int put_guest(struct simulation *simulation, const json_t *how, json_t *answer, struct error *error)
{
	(void)answer;
	return simulated_put_guest(simulation->parts.fleet, text_in(how, "host"), text_in(how, "uuid"), GUEST_RUNNING,
				   json_integer_value(json_object_get(how, "memory_mb")), error);
}

static int write_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session, (void)context, (void)error;
	return 0;
}

static int wait_idle(struct simulation *simulation, const json_t *how, json_t *answer, struct error *error)
{
	(void)how, (void)answer;
	/* Answers come before watchers hear of their commit: with this one's answer, those of earlier ones have. */
	int result = db_write(simulation->parts.database, write_nothing, NULL, error);

	if (result < 0 || worker_wait_idle(simulation->parts.worker, wait_end_ms()))
		return result;
	return error_set(error, ETIMEDOUT, "jobs still run");
}

static int load_word(struct simulation *simulation, const json_t *state, json_t *answer, struct error *error)
{
	(void)answer;
	return load(simulation, state, error);
}

static const struct {
	const char *word;
	int (*carry_out)(struct simulation *simulation, const json_t *value, json_t *answer, struct error *error);
} words[] = {
	{ "load", load_word },
	{ "freeze", freeze },
	{ "thaw", thaw },
	{ "clock", set_clock },
	{ "close_gate", close_gate },
	{ "open_gate", open_gate },
	{ "wait_at_gate", wait_at_gate },
	{ "script", script },
	{ "host", set_host },
	{ "inject", inject },
	{ "guest", put_guest },
	{ "wait_idle", wait_idle },
};

json_t *simulation_answer(struct simulation *simulation, const json_t *request)
{
	struct error error = { 0 };
	json_t *answer = json_object();
	const json_t *value = NULL;

	for (size_t i = 0; i < ARRAY_LENGTH(words) && !value; i++) {
		value = json_object_get(request, words[i].word);
		if (value)
			words[i].carry_out(simulation, value, answer, &error);
	}
	if (!value)
		error_set(&error, EINVAL, "no known word is in this request");
	if (error.code)
		json_object_set_new(answer, "error", json_string(error.text));
	return answer;
}
