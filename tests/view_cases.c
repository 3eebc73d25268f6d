/* Holds the server document against recorded answers of Nova: one server in many states, for many askers and microversions.
 * A line: {id, minor, is_admin, server: {vm_state, task_state, locked, host}, hosts: {name: up|down|disabled}, answer}. */
#include "api/view.h"
#include "base/clock.h"
#include "base/text.h"
#include "tests/case_lines.h"

#include <stdio.h>
#include <stdlib.h>

static const char *text_of(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value ? value : "";
}

static int64_t time_of(const char *string)
{
	int64_t time_us = 0;

	return time_parse(string, &time_us) ? time_us : 0;
}

/* The fixture's server; its power state is an input that the recording tells only in its answer. */
static void fill_server(const json_t *state, const json_t *answer, struct db_server *server)
{
	TEXT_COPY(server->uuid, "{server}");
	TEXT_COPY(server->name, "vm-one");
	TEXT_COPY(server->hostname, "vm-one");
	TEXT_COPY(server->instance_name, "instance-00000001");
	TEXT_COPY(server->project_id, "{project}");
	TEXT_COPY(server->user_id, "member-user");
	TEXT_COPY(server->host, text_of(state, "host"));
	TEXT_COPY(server->vm_state, text_of(state, "vm_state"));
	TEXT_COPY(server->task_state, text_of(state, "task_state"));
	TEXT_COPY(server->locked_by, text_of(state, "locked"));
	TEXT_COPY(server->image_id, "155d900f-4e14-4e4c-a73d-069cbf4541e6");
	TEXT_COPY(server->reservation_id, "{reservation_id}");
	TEXT_COPY(server->root_device_name, "/dev/sda");
	TEXT_COPY(server->flavor.flavor_id, "oracle-small");
	TEXT_COPY(server->flavor.name, "oracle.small");
	server->flavor.vcpus = 1;
	server->flavor.memory_mb = 512;
	server->flavor.disk_gb = 1;
	server->power_state = (int)json_integer_value(json_object_get(answer, "OS-EXT-STS:power_state"));
	server->system_metadata = text_format("{\"image_architecture\": \"x86_64\"}");
	server->created_us = time_of("2026-01-01T00:00:00Z");
	server->updated_us = time_of("2026-01-01T00:01:00Z");
	server->launched_us = time_of("2026-01-01T00:00:30Z");
}

static void fill_host(const char *name, const char *state, struct db_host *host)
{
	TEXT_COPY(host->name, name);
	host->service.is_up = true;
	host->service.is_forced_down = text_equal(state, "down");
	host->service.is_disabled = text_equal(state, "disabled");
}

static int compare(const json_t *test, json_t *expected, json_t *actual)
{
	const char *id = text_of(test, "id");
	int differs = !json_equal(expected, actual);
	const char *name;
	json_t *value;

	json_object_foreach(expected, name, value)
	{
		if (!json_equal(value, json_object_get(actual, name)))
			printf("%s: %s differs from the recorded one\n", id, name);
	}
	json_object_foreach(actual, name, value)
	{
		if (!json_object_get(expected, name))
			printf("%s: %s was not recorded\n", id, name);
	}
	return differs;
}

static int run(const char *line, size_t number)
{
	json_t *test = json_loads(line, 0, NULL);
	json_t *answer = json_object_get(json_object_get(test, "answer"), "server");
	bool is_admin = json_is_true(json_object_get(test, "is_admin"));
	struct db_server server = { 0 };
	struct db_host host = { 0 };
	struct view_server_scope scope = { .base = { .url = "http://nova.example:8774", .project_path = "" },
					   .has_host_attributes = is_admin,
					   .has_host_status = is_admin,
					   .has_fault_details = is_admin,
					   .has_extra_specs = true,
					   .host = &host };
	json_t *actual;
	int differs;

	if (!answer) {
		printf("line %zu is no case\n", number);
		json_decref(test);
		return 1;
	}
	scope.minor = (int)json_integer_value(json_object_get(test, "minor"));
	fill_server(json_object_get(test, "server"), answer, &server);
	fill_host(server.host, text_of(json_object_get(test, "hosts"), server.host), &host);
	actual = view_server(&server, &scope);
	differs = compare(test, answer, actual);
	json_decref(actual);
	json_decref(test);
	db_server_clear(&server);
	return differs;
}

int main(int argument_count, char **arguments)
{
	return case_lines_run(argument_count, arguments, run);
}
