/* `migrationd host …`: asks the running daemon over its admin socket. */
#include "server/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "server/cli/admin_client.h"
#include "server/cli/table.h"
#include "server/verbs.h"

struct host_arguments {
	struct verb_list files;
	const char *name;
	const char *uri;
	const char *migration_address;
	const char *user_name;
	const char *password_file;
	const char *reason;
	const char *confirmation;
	int64_t wait_s;
	bool is_gone;
	bool is_json;
};

static const struct table_column columns[] = {
	{ "NAME", .key = "name" },   { "STATUS", .key = "status" },
	{ "STATE", .key = "state" }, { "MIGRATION ADDRESS", .key = "migration_address" },
	{ "URI", .key = "uri" },     { "REASON", "disabled_reason", .is_left_out_when_empty = true },
};

/* Takes the request. */
static int ask(const struct host_arguments *arguments, json_t *request)
{
	json_t *answer = NULL;
	int status = admin_client_ask("host", &arguments->files, request, &answer);
	const json_t *hosts = json_object_get(answer, "hosts");

	if (hosts)
		status = table_print(hosts, columns, ARRAY_LENGTH(columns), arguments->is_json);
	json_decref(answer);
	return status;
}

static int list(void *context)
{
	return ask(context, json_pack("{s:s}", "verb", "host list"));
}

static int add(void *context)
{
	const struct host_arguments *arguments = context;

	return ask(arguments,
		   json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "verb", "host add", "name", arguments->name, "uri",
			     arguments->uri, "migration_address", arguments->migration_address, "username",
			     arguments->user_name, "password_file", arguments->password_file));
}

static int of_name(const char *verb, const struct host_arguments *arguments)
{
	return ask(arguments,
		   json_pack("{s:s, s:s, s:s*}", "verb", verb, "name", arguments->name, "reason", arguments->reason));
}

/* The host as it is now; with `may_be_missing` NULL when there is none by that name. The caller's. */
static int ask_for_host(const struct host_arguments *arguments, bool may_be_missing, json_t **ret_host)
{
	json_t *answer = NULL;
	int status = admin_client_ask("host", &arguments->files,
				      json_pack("{s:s, s:s, s:b}", "verb", "host show", "name", arguments->name,
						"may_be_missing", may_be_missing),
				      &answer);
	json_t *host = json_object_get(answer, "host");

	*ret_host = json_is_object(host) ? json_incref(host) : NULL;
	json_decref(answer);
	return status;
}

static int print_host(const json_t *host)
{
	static const struct table_column chore_columns[] = {
		{ "CHORE", .key = "kind" },
		{ "SERVER", .key = "server" },
		{ "VOLUME", .key = "volume" },
		{ "TRIES", .key = "tries" },
		{ "AGE (S)", .key = "age_s" },
		{ "WHY", .key = "reason" },
		{ "LAST ERROR", "last_error", .is_left_out_when_empty = true },
	};
	static const struct table_column job_columns[] = {
		{ "WAITING JOB", .key = "kind" },    { "PHASE", .key = "phase" },
		{ "SERVER", .key = "server" },       { "MIGRATION", .key = "migration" },
		{ "SINCE (S)", .key = "waiting_s" }, { "WAITS FOR", .key = "reason" },
	};
	static const struct table_column bound_columns[] = {
		{ "SERVERS", .key = "servers" }, { "UNFINISHED JOBS", .key = "jobs" },
		{ "CLAIMS", .key = "claims" },   { "SAVED DEFINITIONS", .key = "saved_definitions" },
		{ "VOLUMES", .key = "volumes" },
	};
	const json_t *chores = json_object_get(host, "chores"), *jobs = json_object_get(host, "waiting_jobs");
	json_t *rows = json_pack("[O]", host);
	int status = table_print(rows, columns, ARRAY_LENGTH(columns), false);

	printf("\n");
	if (status == 0)
		status = table_print(rows, bound_columns, ARRAY_LENGTH(bound_columns), false);
	json_decref(rows);
	if (status == 0 && json_array_size(chores) > 0) {
		printf("\n");
		status = table_print(chores, chore_columns, ARRAY_LENGTH(chore_columns), false);
	}
	if (status == 0 && json_array_size(jobs) > 0) {
		printf("\n");
		status = table_print(jobs, job_columns, ARRAY_LENGTH(job_columns), false);
	}
	return status;
}

static long long count_of(const json_t *host, const char *key)
{
	const json_t *member = json_object_get(host, key);

	return json_is_array(member) ? (long long)json_array_size(member) : (long long)json_integer_value(member);
}

static void print_losses(const char *name, const json_t *host)
{
	printf("Giving up host %s for good gives up what is bound to it:\n"
	       "  %lld servers, which go to ERROR where they cannot be brought back\n"
	       "  %lld unfinished jobs, which end by what their other host shows\n"
	       "  %lld saved definitions and %lld volumes of cold migrations that are not confirmed\n"
	       "  %lld chores\n"
	       "Make sure that it is off and stays off: what can be brought back is started elsewhere.\n",
	       name, count_of(host, "servers"), count_of(host, "jobs"), count_of(host, "saved_definitions"),
	       count_of(host, "volumes"), count_of(host, "chores"));
}

/* True: the host's name was typed, and nothing else. */
static bool is_typed(const char *question, const char *name)
{
	char line[512];

	printf("%s ", question);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return false;
	line[strcspn(line, "\n")] = '\0';
	return text_equal(line, name);
}

static bool is_confirmed(const struct host_arguments *arguments)
{
	if (arguments->confirmation)
		return text_equal(arguments->confirmation, arguments->name);
	return isatty(STDIN_FILENO) && is_typed("Its name, to give it up:", arguments->name)
	       && is_typed("Once more:", arguments->name);
}

static void print_waiting(const char *name, const json_t *host)
{
	const json_t *jobs = json_object_get(host, "waiting_jobs"), *job;
	size_t i;

	fprintf(stderr,
		"migrationd host: host %s is given up, and goes by itself when its %lld unfinished jobs have ended\n",
		name, count_of(host, "jobs"));
	json_array_foreach(jobs, i, job) fprintf(
		stderr, "migrationd host: %s of server %s waits: %s\n", json_string_value(json_object_get(job, "kind")),
		json_string_value(json_object_get(job, "server")), json_string_value(json_object_get(job, "reason")));
}

static int wait_removed(const struct host_arguments *arguments)
{
	int64_t deadline_ms = clock_monotonic_ms(clock_system()) + arguments->wait_s * 1000;

	for (;;) {
		json_t *host = NULL;
		int status = ask_for_host(arguments, true, &host);

		if (status != 0)
			return status;
		if (!host) {
			printf("Host %s is gone.\n", arguments->name);
			return 0;
		}
		bool is_late = clock_monotonic_ms(clock_system()) >= deadline_ms;
		if (is_late)
			print_waiting(arguments->name, host);
		json_decref(host);
		if (is_late)
			return EXIT_FAILURE;
		nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	}
}

static int give_up(const struct host_arguments *arguments)
{
	json_t *host = NULL;
	int status = ask_for_host(arguments, false, &host);

	if (status != 0)
		return status;
	print_losses(arguments->name, host);
	json_decref(host);
	if (!is_confirmed(arguments)) {
		fprintf(stderr,
			"migrationd host: host %s is not given up: its name must be typed twice, or repeated with "
			"--confirm\n",
			arguments->name);
		return EXIT_FAILURE;
	}
	status = ask(arguments,
		     json_pack("{s:s, s:s, s:b}", "verb", "host remove", "name", arguments->name, "is_gone", true));
	return status == 0 ? wait_removed(arguments) : status;
}

static int show(void *context)
{
	const struct host_arguments *arguments = context;
	json_t *host = NULL;
	int status = ask_for_host(arguments, false, &host);

	if (status == 0)
		status = arguments->is_json ? table_print_json(host) : print_host(host);
	json_decref(host);
	return status;
}

static int take_away(void *context)
{
	const struct host_arguments *arguments = context;

	if (arguments->is_gone)
		return give_up(arguments);
	if (arguments->confirmation)
		return verb_refuse("host remove", "--confirm goes with --gone");
	return of_name("host remove", arguments);
}

static int disable(void *context)
{
	return of_name("host disable", context);
}

static int enable(void *context)
{
	return of_name("host enable", context);
}

#define AT(member) .offset = offsetof(struct host_arguments, member)

static const struct verb_argument known_name[] = {
	{ "NAME", NULL, "the host's name", VERB_TEXT, AT(name), .is_required = true, .completes = VERB_COMPLETES_HOST },
};

static const struct verb_argument list_options[] = {
	VERB_OPTION_JSON(struct host_arguments, is_json),
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const char *const list_description[] = {
	"With --json a list of objects: name, uri, migration_address (or null), state (\"up\", \"down\"), status "
	"(\"enabled\", "
	"\"disabled\"), disabled_reason (or null).",
	NULL,
};

static const struct verb host_list = {
	.name = "list",
	.summary = "lists the hosts",
	.description = list_description,
	.options = VERB_ROWS(list_options),
	.arguments_size = sizeof(struct host_arguments),
	.run = list,
};

static const struct verb_argument add_operands[] = {
	{ "NAME", NULL, "the host's name in the API", VERB_TEXT, AT(name), .is_required = true },
	{ "URI", NULL, "the libvirt URI of its control connection", VERB_TEXT, AT(uri), .is_required = true },
};

static const struct verb_argument add_options[] = {
	{ "ADDRESS", "migration-address", "where migrations to this host go to", VERB_TEXT, AT(migration_address) },
	{ "USER", "username", "the SASL user of the connection", VERB_TEXT, AT(user_name) },
	{ "FILE", "password-file", "a file with the SASL password", VERB_TEXT, AT(password_file),
	  .completes = VERB_COMPLETES_FILE },
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const struct verb_example add_examples[] = {
	{ "migrationd host add compute-4 qemu+tls://compute-4/system --migration-address 198.51.100.14",
	  "a host with a network of its own for migrations" },
	{ 0 },
};

static const struct verb host_add = {
	.name = "add",
	.summary = "registers a host, which is watched from then on",
	.operands = VERB_ROWS(add_operands),
	.options = VERB_ROWS(add_options),
	.examples = add_examples,
	.arguments_size = sizeof(struct host_arguments),
	.run = add,
};

static const struct verb_argument name_options[] = { VERB_OPTION_CONFIG(struct host_arguments, files) };

static const struct verb_argument show_options[] = {
	VERB_OPTION_JSON(struct host_arguments, is_json),
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const char *const show_description[] = {
	"Chores are what is left to be done there after moves; a job that waits is told with its reason.",
	"With --json an object: name, uri, migration_address (or null), state (\"up\", \"down\", or \"gone\" when it "
	"was given up), status, disabled_reason (or null); the numbers of servers, jobs (unfinished ones), claims, "
	"saved_definitions and volumes; chores (id, kind, server, pool, volume, reason, tries, last_error, age_s) and "
	"waiting_jobs (id, kind, phase, server, migration, reason, waiting_s).",
	NULL,
};

static const struct verb host_show = {
	.name = "show",
	.summary = "shows a host, its chores, and the jobs that wait",
	.description = show_description,
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(show_options),
	.arguments_size = sizeof(struct host_arguments),
	.run = show,
};

static const struct verb_argument remove_options[] = {
	{ NULL, "gone", "give up a host that will never come back, with all that is bound to it", VERB_SWITCH,
	  AT(is_gone) },
	{ "NAME", "confirm", "the host's name once more, instead of typing it twice on a terminal", VERB_TEXT,
	  AT(confirmation) },
	{ "SECONDS", "wait", "with --gone: how long to wait until the host is gone", VERB_NUMBER, AT(wait_s), .low = 0,
	  .high = 86400, .by_default = "60" },
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const char *const remove_description[] = {
	"A host that servers stand on, or that moves touch, is not taken away. A host of the configuration comes back "
	"at the next "
	"start unless it is taken out there too.",
	"With --gone a host that is down, and will never come back, is given up. Unfinished moves end by what their "
	"other host shows; a server that waited there for its confirm goes back to its source; servers that cannot be "
	"saved go to ERROR, on no host. Make sure before that the host is off and stays off: a guest that still ran "
	"there would run twice. What is not done when the time of --wait is over goes on by itself; the exit status "
	"is 1 then.",
	NULL,
};

static const struct verb_example remove_examples[] = {
	{ "migrationd host remove --gone compute-3 --confirm compute-3", "compute-3 burned; from a script" },
	{ 0 },
};

static const struct verb host_remove = {
	.name = "remove",
	.summary = "takes a host away",
	.description = remove_description,
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(remove_options),
	.examples = remove_examples,
	.arguments_size = sizeof(struct host_arguments),
	.run = take_away,
};

static const struct verb_argument disable_options[] = {
	{ "TEXT", "reason", "why, for those who look at it later", VERB_TEXT, AT(reason) },
	VERB_OPTION_CONFIG(struct host_arguments, files),
};

static const char *const disable_description[] = {
	"What stands there stays and can move away; the scheduler gives it nothing new. It is what Nova's \"compute "
	"service set "
	"--disable\" does, and holds over restarts.",
	NULL,
};

static const struct verb_example disable_examples[] = {
	{ "migrationd host disable compute-2 --reason \"new memory on Friday\"", "no server is moved there any more" },
	{ 0 },
};

static const struct verb host_disable = {
	.name = "disable",
	.summary = "has the scheduler leave a host out",
	.description = disable_description,
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(disable_options),
	.examples = disable_examples,
	.arguments_size = sizeof(struct host_arguments),
	.run = disable,
};

static const struct verb host_enable = {
	.name = "enable",
	.summary = "has the scheduler take a host into account again",
	.operands = VERB_ROWS(known_name),
	.options = VERB_ROWS(name_options),
	.arguments_size = sizeof(struct host_arguments),
	.run = enable,
};

static const struct verb *const inner[] = { &host_list,    &host_show,   &host_add, &host_remove,
					    &host_disable, &host_enable, NULL };

const struct verb verb_host = {
	.name = "host",
	.summary = "lists, shows, registers, takes away, disables or enables hosts of the running daemon, over its "
		   "admin socket",
	.verbs = inner,
};
