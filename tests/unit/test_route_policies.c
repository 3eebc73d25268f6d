/* Who may ask what: each route and each action asks the policies that stand in this table, all of them and no other, about the
 * right target. What is not in the table fails the test, so that no route comes without its policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/microversion.h"
#include "api/route_table.h"
#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define OS         "os_compute_api:"
#define REQUEST_ID "req-11111111-2222-4333-8444-555555555555"
#define ASKED_MAX  8

/* A policy that a request asks. Without `seen` it decides between 403 and an answer; else it decides whether the answer has what
 * stands there ("server/host_status"), or, behind an exclamation mark, lacks it. */
#define NO_MATTER "" /* it is asked, but decides over nothing that this answer has */

struct asked {
	const char *policy;
	const char *seen;
};

/* A request, and how it ends for one who may. */
struct row {
	const char *method, *pattern, *action;
	const char *body; /* of an action: its value */
	const char *query;
	const char *locked_by;
	int status;
	int minor; /* 0: the newest */
	struct asked asked[ASKED_MAX]; /* ends with NULL */
};

#define DOCUMENT(prefix)                                                                                               \
	{ OS "os-extended-server-attributes", prefix "OS-EXT-SRV-ATTR:host" },                                         \
		{ OS "servers:show:host_status", prefix "host_status" },                                               \
	{                                                                                                              \
		OS "servers:show:flavor-extra-specs", prefix "flavor/extra_specs"                                      \
	}
#define ALL_FILTERS                                                                                                    \
	{                                                                                                              \
		OS "servers:allow_all_filters", "!servers/0"                                                           \
	}
#define ACTION(name, value, a_status, ...)                                                                             \
	{                                                                                                              \
		.method = "POST", .pattern = "/servers/{id}/action", .action = (name), .body = (value),                \
		.status = (a_status), .asked = {                                                                       \
			{ __VA_ARGS__ }                                                                                \
		}                                                                                                      \
	}
#define GET(a_pattern, a_status, ...)                                                                                  \
	{                                                                                                              \
		.method = "GET", .pattern = (a_pattern), .status = (a_status), .asked = { __VA_ARGS__ }                \
	}
#define OLD_GET(a_pattern, a_minor, a_status, ...)                                                                     \
	{                                                                                                              \
		.method = "GET", .pattern = (a_pattern), .minor = (a_minor), .status = (a_status), .asked = {          \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

/* The server is in a state in which every action is refused that looks at it: 409 says that the policy let it pass. */
static const struct row rows[] = {
	GET("/", 200, { NULL }),

	ACTION("migrate", "null", 409, OS "os-migrate-server:migrate"),
	ACTION("migrate", "{\"host\": \"host2\"}", 409, OS "os-migrate-server:migrate:host"),
	ACTION("os-migrateLive", "{\"host\": null, \"block_migration\": \"auto\"}", 409,
	       OS "os-migrate-server:migrate_live"),
	ACTION("os-migrateLive", "{\"host\": \"host2\", \"block_migration\": \"auto\"}", 409,
	       OS "os-migrate-server:migrate_live:host"),
	ACTION("confirmResize", "null", 409, OS "servers:confirm_resize"),
	ACTION("revertResize", "null", 409, OS "servers:revert_resize"),
	ACTION("lock", "null", 202, OS "os-lock-server:lock"),
	ACTION("unlock", "null", 202, OS "os-lock-server:unlock"),
	{ .method = "POST",
	  .pattern = "/servers/{id}/action",
	  .action = "unlock",
	  .body = "null",
	  .locked_by = "admin",
	  .status = 202,
	  .asked = { { OS "os-lock-server:unlock", NULL }, { OS "os-lock-server:unlock:unlock_override", NULL } } },
	ACTION("os-start", "null", 409, OS "servers:start"),
	ACTION("os-stop", "null", 409, OS "servers:stop"),
	ACTION("pause", "null", 409, OS "os-pause-server:pause"),
	ACTION("unpause", "null", 409, OS "os-pause-server:unpause"),
	ACTION("suspend", "null", 409, OS "os-suspend-server:suspend"),
	ACTION("resume", "null", 409, OS "os-suspend-server:resume"),
	ACTION("reboot", "{\"type\": \"SOFT\"}", 409, OS "servers:reboot"),
	ACTION("reboot", "{\"type\": \"HARD\"}", 409, OS "servers:reboot"),
	ACTION("os-resetState", "{\"state\": \"active\"}", 202, OS "os-admin-actions:reset_state"),
	ACTION("resetNetwork", "null", 410, NULL), /* gone, for everybody */
	ACTION("injectNetworkInfo", "null", 202, OS "os-admin-actions:inject_network_info"),

	GET("/servers", 200, { OS "servers:index", NULL }, { OS "servers:allow_all_filters", NO_MATTER }),
	{ .method = "GET",
	  .pattern = "/servers",
	  .query = "?user_id=nobody",
	  .status = 200,
	  .asked = { { OS "servers:index", NULL }, ALL_FILTERS } },
	{ .method = "GET",
	  .pattern = "/servers",
	  .query = "?all_tenants=1&user_id=nobody",
	  .status = 200,
	  .asked = { { OS "servers:index", NULL }, { OS "servers:index:get_all_tenants", NULL }, ALL_FILTERS } },
	{ .method = "GET",
	  .pattern = "/servers/detail",
	  .query = "?user_id=user",
	  .status = 200,
	  .asked = { { OS "servers:detail", NULL },
		     { OS "servers:allow_all_filters", NO_MATTER },
		     DOCUMENT("servers/0/") } },
	{ .method = "GET",
	  .pattern = "/servers/detail",
	  .query = "?all_tenants=1",
	  .status = 200,
	  .asked = { { OS "servers:detail", NULL },
		     { OS "servers:allow_all_filters", NO_MATTER },
		     { OS "servers:detail:get_all_tenants", NULL },
		     DOCUMENT("servers/0/") } },
	GET("/servers/{id}", 200, { OS "servers:show", NULL }, DOCUMENT("server/")),
	/* Not done here, for everybody. */
	{ .method = "POST", .pattern = "/servers", .body = "{\"server\": {}}", .status = 501 },
	{ .method = "PUT", .pattern = "/servers/{id}", .body = "{\"server\": {}}", .status = 501 },
	{ .method = "DELETE", .pattern = "/servers/{id}", .status = 501 },

	GET("/servers/{id}/migrations", 200, { OS "servers:migrations:index", NULL },
	    { OS "servers:migrations:index:host", "migrations/0/source_compute" }),
	GET("/servers/{id}/migrations/{id2}", 200, { OS "servers:migrations:show", NULL }),
	{ .method = "DELETE",
	  .pattern = "/servers/{id}/migrations/{id2}",
	  .status = 409,
	  .asked = { { OS "servers:migrations:delete", NULL } } },
	{ .method = "POST",
	  .pattern = "/servers/{id}/migrations/{id2}/action",
	  .action = "force_complete",
	  .body = "null",
	  .status = 409,
	  .asked = { { OS "servers:migrations:force_complete", NULL } } },
	GET("/os-migrations", 200, { OS "os-migrations:index", NULL }, { OS "os-migrations:index:all_projects", NULL },
	    { OS "os-migrations:index:host", "migrations/0/source_compute" }),
	{ .method = "GET",
	  .pattern = "/os-migrations",
	  .query = "?project_id=project",
	  .status = 200,
	  .asked = { { OS "os-migrations:index", NULL },
		     { OS "os-migrations:index:host", "migrations/0/source_compute" } } },
	{ .method = "GET",
	  .pattern = "/os-migrations",
	  .query = "?project_id=other-project",
	  .status = 200,
	  .asked = { { OS "os-migrations:index", NULL },
		     { OS "os-migrations:index:all_projects", NULL },
		     { OS "os-migrations:index:host", NO_MATTER } } },

	GET("/servers/{id}/os-instance-actions", 200, { OS "os-instance-actions:list", NULL }),
	GET("/servers/{id}/os-instance-actions/{id2}", 200, { OS "os-instance-actions:show", NULL },
	    { OS "os-instance-actions:events", "instanceAction/events/0/traceback" },
	    { OS "os-instance-actions:events:details", "instanceAction/events/0/details" }),
	OLD_GET("/servers/{id}/os-instance-actions/{id2}", 83, 200, { OS "os-instance-actions:show", NULL },
		{ OS "os-instance-actions:events", "instanceAction/events/0/host" }),
	OLD_GET("/servers/{id}/os-instance-actions/{id2}", 50, 200, { OS "os-instance-actions:show", NULL },
		{ OS "os-instance-actions:events", "instanceAction/events" }),

	GET("/os-services", 200, { OS "os-services:list", NULL }),
	{ .method = "DELETE",
	  .pattern = "/os-services/{id}",
	  .status = 404,
	  .asked = { { OS "os-services:delete", NULL } } },
	{ .method = "DELETE",
	  .pattern = "/os-services/{id}",
	  .minor = 52,
	  .status = 400,
	  .asked = { { OS "os-services:delete", NULL } } },
	{ .method = "PUT",
	  .pattern = "/os-services/{id}",
	  .body = "{\"status\": \"enabled\"}",
	  .status = 404,
	  .asked = { { OS "os-services:update", NULL } } },
	{ .method = "PUT",
	  .pattern = "/os-services/{id}",
	  .minor = 52,
	  .body = "{\"host\": \"host1\", \"binary\": \"nova-compute\"}",
	  .status = 200,
	  .asked = { { OS "os-services:update", NULL } } },

	GET("/os-hypervisors", 200, { OS "os-hypervisors:list", NULL }),
	GET("/os-hypervisors/detail", 200, { OS "os-hypervisors:list-detail", NULL }),
	OLD_GET("/os-hypervisors/statistics", 87, 200, { OS "os-hypervisors:statistics", NULL }),
	OLD_GET("/os-hypervisors/{id}/uptime", 52, 501, { OS "os-hypervisors:uptime", NULL }),
	OLD_GET("/os-hypervisors/{id}/search", 52, 200, { OS "os-hypervisors:search", NULL }),
	OLD_GET("/os-hypervisors/{id}/servers", 52, 200, { OS "os-hypervisors:servers", NULL }),
	OLD_GET("/os-hypervisors/{id}", 52, 200, { OS "os-hypervisors:show", NULL }),

	/* Everybody's, but for their extra specs. */
	GET("/flavors", 200, { OS "os-flavor-extra-specs:index", NO_MATTER }),
	GET("/flavors/detail", 200, { OS "os-flavor-extra-specs:index", "flavors/0/extra_specs" }),
	GET("/flavors/{id}", 200, { OS "os-flavor-extra-specs:index", "flavor/extra_specs" }),
	GET("/flavors/{id}/os-extra_specs", 200, { OS "os-flavor-extra-specs:index", NULL }),

	GET("/os-aggregates", 200, { OS "os-aggregates:index", NULL }),
	GET("/extensions", 200, { NULL }),
	GET("/extensions/{id}", 404, { NULL }),
};

/* The roles that each default admits to one's own project, each for itself: Keystone puts those that a role implies into the token.
 * To another's project it admits an admin alone, and a token of a system or a domain to nothing. */
static const struct {
	const char *policy;
	const char *roles;
} defaults[] = {
	{ OS "os-migrate-server:migrate", "admin member" },
	{ OS "os-migrate-server:migrate:host", "admin" },
	{ OS "os-migrate-server:migrate_live", "admin member" },
	{ OS "os-migrate-server:migrate_live:host", "admin" },
	{ OS "servers:confirm_resize", "admin member" },
	{ OS "servers:revert_resize", "admin member" },
	{ OS "os-lock-server:lock", "admin member" },
	{ OS "os-lock-server:unlock", "admin member" },
	{ OS "os-lock-server:unlock:unlock_override", "admin" },
	{ OS "servers:start", "admin member" },
	{ OS "servers:stop", "admin member" },
	{ OS "servers:reboot", "admin member" },
	{ OS "os-pause-server:pause", "admin member" },
	{ OS "os-pause-server:unpause", "admin member" },
	{ OS "os-suspend-server:suspend", "admin member" },
	{ OS "os-suspend-server:resume", "admin member" },
	{ OS "os-admin-actions:reset_state", "admin" },
	{ OS "os-admin-actions:inject_network_info", "admin" },
	{ OS "servers:index", "admin reader" },
	{ OS "servers:detail", "admin reader" },
	{ OS "servers:show", "admin reader" },
	{ OS "servers:index:get_all_tenants", "admin" },
	{ OS "servers:detail:get_all_tenants", "admin" },
	{ OS "servers:allow_all_filters", "admin" },
	{ OS "servers:show:host_status", "admin" },
	{ OS "servers:show:flavor-extra-specs", "admin reader" },
	{ OS "os-extended-server-attributes", "admin" },
	{ OS "os-migrations:index", "admin manager" },
	{ OS "os-migrations:index:all_projects", "admin" },
	{ OS "os-migrations:index:host", "admin" },
	{ OS "servers:migrations:index", "admin manager" },
	{ OS "servers:migrations:index:host", "admin" },
	{ OS "servers:migrations:show", "admin" },
	{ OS "servers:migrations:delete", "admin manager" },
	{ OS "servers:migrations:force_complete", "admin manager" },
	{ OS "os-instance-actions:list", "admin reader" },
	{ OS "os-instance-actions:show", "admin reader" },
	{ OS "os-instance-actions:events", "admin" },
	{ OS "os-instance-actions:events:details", "admin" },
	{ OS "os-services:list", "admin" },
	{ OS "os-services:update", "admin" },
	{ OS "os-services:delete", "admin" },
	{ OS "os-hypervisors:list", "admin" },
	{ OS "os-hypervisors:list-detail", "admin" },
	{ OS "os-hypervisors:statistics", "admin" },
	{ OS "os-hypervisors:uptime", "admin" },
	{ OS "os-hypervisors:search", "admin" },
	{ OS "os-hypervisors:servers", "admin" },
	{ OS "os-hypervisors:show", "admin" },
	{ OS "os-flavor-extra-specs:index", "admin reader" },
	{ OS "os-aggregates:index", "admin" },
};

/* What the request under way has asked so far, on whatever thread. */
static struct {
	pthread_mutex_t mutex;
	struct {
		char policy[128];
		char project[64], user[64]; /* of the target; "-": it has none */
	} items[64];
	size_t count;
} heard = { .mutex = PTHREAD_MUTEX_INITIALIZER };

enum policy_verdict __real_policy_check(const struct policy *policy, const char *name, const struct caller *caller,
					const struct policy_target *target, struct error *error);
enum policy_verdict __wrap_policy_check(const struct policy *policy, const char *name, const struct caller *caller,
					const struct policy_target *target, struct error *error);

/* The linker puts it before the real one. */
enum policy_verdict __wrap_policy_check(const struct policy *policy, const char *name, const struct caller *caller,
					const struct policy_target *target, struct error *error)
{
	pthread_mutex_lock(&heard.mutex);
	if (heard.count < ARRAY_LENGTH(heard.items)) {
		TEXT_COPY(heard.items[heard.count].policy, name);
		TEXT_COPY(heard.items[heard.count].project, target->has_project_id ? target->project_id : "-");
		TEXT_COPY(heard.items[heard.count].user, target->has_user_id ? target->user_id : "-");
		heard.count++;
	}
	pthread_mutex_unlock(&heard.mutex);
	return __real_policy_check(policy, name, caller, target, error);
}

struct world {
	struct api_fixture *fixture;
	int64_t host;
	int64_t migration;
	char server[UUID_SIZE];
};

static int write_action(struct db_session *session, void *context, struct error *error)
{
	struct world *world = context;
	struct db_action action = { .action = "migrate", .request_id = REQUEST_ID };
	struct db_event event = { .event = "cold_migrate", .host = "host1" };

	TEXT_COPY(action.server_uuid, world->server);
	int result = db_migration_set_status(session, world->migration, "running", error);

	if (result == 0)
		result = db_action_insert(session, &action, error);
	event.action_id = action.id;
	if (result == 0)
		result = db_event_insert(session, &event, error);
	return result < 0 ? result : db_event_finish(session, event.id, "Error", "a trace", "what happened", error);
}

static int set_up(void **state)
{
	if (api_fixture_setup_within(state, sizeof(struct world)) < 0)
		return -1;
	struct world *world = *state;
	world->host = db_fixture_host(world->fixture->db, "host1");
	db_fixture_host(world->fixture->db, "host2");
	db_fixture_server(world->fixture->db, "vm", world->host, world->server);
	world->migration = db_fixture_migration(world->fixture->db, world->server, "host1", "host2");
	db_fixture_write(world->fixture->db, write_action, world);
	return 0;
}

struct change {
	const char *server;
	const char *locked_by;
};

static int set_state(struct db_session *session, void *context, struct error *error)
{
	const struct change *change = context;
	int result = db_server_set_lock(session, change->server, change->locked_by, NULL, error);

	return result < 0 ? result : db_server_set_state(session, change->server, "building", "", error);
}

/* What stands for {id} and {id2}. */
static char *path_of(const struct world *world, const struct row *row)
{
	CLEANUP_FREE char *migration = text_format("%" PRId64, world->migration);
	CLEANUP_FREE char *host = text_format("%" PRId64, world->host);
	const char *id = world->server, *id2 = strstr(row->pattern, "/os-instance-actions/") ? REQUEST_ID : migration;
	struct text path = TEXT_EMPTY;

	if (text_starts_with(row->pattern, "/os-services/"))
		id = row->minor ? "enable" : "11111111-2222-4333-8444-555555555555";
	else if (text_ends_with(row->pattern, "/search") || text_ends_with(row->pattern, "}/servers"))
		id = "host1";
	else if (text_starts_with(row->pattern, "/os-hypervisors/"))
		id = host;
	else if (text_starts_with(row->pattern, "/flavors/"))
		id = "small";
	text_append(&path, text_equal(row->pattern, "/") ? "/v2.1/abc0" : "/v2.1");
	for (const char *place = row->pattern; *place;) {
		bool is_id = text_starts_with(place, "{id}"), is_id2 = text_starts_with(place, "{id2}");

		if (is_id || is_id2)
			text_append(&path, is_id ? id : id2);
		else
			text_append_bytes(&path, place, 1);
		place += is_id ? strlen("{id}") : is_id2 ? strlen("{id2}") : 1;
	}
	text_append(&path, row->query ? row->query : "");
	return text_take(&path);
}

static const struct api_answer *ask(struct world *world, const struct row *row, const struct api_who *who)
{
	struct change change = { world->server, row->locked_by ? row->locked_by : "" };
	CLEANUP_FREE char *path = path_of(world, row);
	CLEANUP_FREE char *version = text_format("compute 2.%d", row->minor ? row->minor : MICROVERSION_MINOR_MAX);
	CLEANUP_FREE char *body = !row->action ? NULL : text_format("{\"%s\": %s}", row->action, row->body);
	struct api_who other = *who;

	if (text_equal(row->pattern, "/"))
		other.project = "abc0"; /* only a path that may be a project's id reaches it */
	db_fixture_write(world->fixture->db, set_state, &change);
	pthread_mutex_lock(&heard.mutex);
	heard.count = 0;
	pthread_mutex_unlock(&heard.mutex);
	return api_fixture_ask(world->fixture, &other, version, row->method, path, body ? body : row->body);
}

static bool is_asked(const struct row *row, const char *policy)
{
	for (const struct asked *asked = row->asked; asked->policy; asked++)
		if (text_equal(asked->policy, policy))
			return true;
	return false;
}

static bool was_heard(const char *policy)
{
	for (size_t i = 0; i < heard.count; i++)
		if (text_equal(heard.items[i].policy, policy))
			return true;
	return false;
}

/* NULL: it is not there, or null. */
static const json_t *find(const json_t *document, const char *path)
{
	while (document && *path) {
		CLEANUP_FREE char *name = strndup(path, strcspn(path, "/"));

		document = json_is_array(document) ? json_array_get(document, strtoul(name, NULL, 10))
						   : json_object_get(document, name);
		path += strlen(name);
		path += *path == '/';
	}
	return document && !json_is_null(document) ? document : NULL;
}

static void fail_row(const struct row *row, const struct api_answer *answer, const char *words, const char *policy)
{
	fail_msg("%s %s%s %s: %s %s; answered %d %s", row->method, row->pattern, row->query ? row->query : "",
		 row->action ? row->action : "", words, policy, answer->status, answer->message);
}

static const struct api_who somebody = { .user = "user", .project = "project", .role = "nothing" };
static const struct api_who wanted = { .user = "user", .project = "project", .role = "wanted" };

static void every_route_and_action_stands_in_the_table(void **state)
{
	size_t count;
	const struct route *routes = route_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct server_action *const none[] = { NULL };
		const struct server_action *const *action = routes[i].actions ? routes[i].actions : none;

		do {
			const char *name = *action ? (*action)->name : NULL;
			bool is_here = false;

			for (size_t r = 0; r < ARRAY_LENGTH(rows) && !is_here; r++)
				is_here = text_equal(rows[r].method, routes[i].method)
					  && text_equal(rows[r].pattern, routes[i].pattern)
					  && text_equal(rows[r].action, name);
			if (!is_here)
				fail_msg("no row says which policies %s %s %s asks", routes[i].method,
					 routes[i].pattern, name ? name : "");
		} while (*action && *++action);
	}
}

static void a_request_asks_the_policies_of_its_row_and_no_other(void **state)
{
	struct world *world = *state;

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	for (size_t r = 0; r < ARRAY_LENGTH(rows); r++) {
		const struct row *row = &rows[r];
		const struct api_answer *answer = ask(world, row, &somebody);

		if (answer->status != row->status)
			fail_row(row, answer, "another status was expected, with", "every policy");
		for (const struct asked *asked = row->asked; asked->policy; asked++)
			if (!was_heard(asked->policy))
				fail_row(row, answer, "does not ask", asked->policy);
		for (size_t i = 0; i < heard.count; i++)
			if (!is_asked(row, heard.items[i].policy))
				fail_row(row, answer, "asks, and the row does not say so,", heard.items[i].policy);
	}
}

static void check_refusal(struct world *world, const struct row *row, const struct asked *asked)
{
	const struct api_answer *answer = ask(world, row, &somebody);
	CLEANUP_FREE char *words = text_format("Policy doesn't allow %s to be performed.", asked->policy);

	if (!asked->seen) {
		if (answer->status != 403 || !text_equal(answer->message, words))
			fail_row(row, answer, "does not refuse without", asked->policy);
		return;
	}
	if (!asked->seen[0])
		return;
	bool is_there = find(answer->document, asked->seen + (asked->seen[0] == '!')) != NULL;

	if (answer->status != row->status || is_there != (asked->seen[0] == '!'))
		fail_row(row, answer, "does not hide by", asked->policy);
}

static void who_lacks_a_policy_is_refused_or_sees_less_and_who_has_it_does_not(void **state)
{
	struct world *world = *state;

	for (size_t r = 0; r < ARRAY_LENGTH(rows); r++)
		for (const struct asked *asked = rows[r].asked; asked->policy; asked++) {
			api_fixture_allow_all_but(world->fixture, asked->policy, "role:wanted");
			check_refusal(world, &rows[r], asked);
			const struct api_answer *answer = ask(world, &rows[r], &wanted);

			if (answer->status != rows[r].status)
				fail_row(&rows[r], answer, "does not admit with", asked->policy);
			if (!asked->seen || !asked->seen[0])
				continue;
			bool is_there = find(answer->document, asked->seen + (asked->seen[0] == '!')) != NULL;
			if (is_there == (asked->seen[0] == '!'))
				fail_row(&rows[r], answer, "does not show by", asked->policy);
		}
}

/* As in Nova: of one server its project, of services and hosts nothing, of the rest whoever asks. */
static void a_policy_is_asked_about_the_servers_project_and_not_the_callers(void **state)
{
	struct world *world = *state;

	api_fixture_allow_all_but(world->fixture, NULL, NULL);
	for (size_t r = 0; r < ARRAY_LENGTH(rows); r++) {
		const struct row *row = &rows[r];
		bool is_of_server = text_starts_with(row->pattern, "/servers/{id}");
		bool is_of_nothing = text_starts_with(row->pattern, "/os-services")
				     || text_starts_with(row->pattern, "/os-hypervisors")
				     || text_starts_with(row->pattern, "/os-aggregates");
		const char *project = is_of_server ? "project" : is_of_nothing ? "-" : "admin-project";
		const char *user = is_of_server || is_of_nothing ? "-" : "admin-user";

		if (row->query && strstr(row->query, "all_tenants"))
			continue;
		const struct api_answer *answer = ask(world, row, &api_admin);
		for (size_t i = 0; i < heard.count; i++)
			if (!text_equal(heard.items[i].project, project) || !text_equal(heard.items[i].user, user))
				fail_row(row, answer, "asks about another target", heard.items[i].policy);
	}
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *place = words; length && (place = strstr(place, word)); place++)
		if ((place == words || place[-1] == ' ') && (place[length] == ' ' || !place[length]))
			return true;
	return false;
}

static void each_default_admits_the_roles_that_are_listed_and_no_other(void **state)
{
	static const char *const roles[] = { "admin", "manager", "member", "reader", "service", "wanted", "" };
	struct world *world = *state;
	const struct policy_target target = policy_target_owner("project", "user");

	for (size_t i = 0; i < ARRAY_LENGTH(defaults) * ARRAY_LENGTH(roles); i++) {
		const char *policy = defaults[i / ARRAY_LENGTH(roles)].policy;
		const char *role = roles[i % ARRAY_LENGTH(roles)];
		bool is_admin = text_equal(role, "admin");
		const struct {
			struct caller caller;
			bool may;
		} cases[] = {
			{ { .project_id = "project" }, has_word(defaults[i / ARRAY_LENGTH(roles)].roles, role) },
			{ { .project_id = "other-project" }, is_admin },
			{ { .project_id = NULL }, is_admin },
			{ { .domain_id = "default" }, false },
			{ { .system_scope = "all" }, false },
		};

		for (size_t c = 0; c < ARRAY_LENGTH(cases); c++) {
			struct caller caller = cases[c].caller;

			caller.user_id = "user";
			caller.roles = &role;
			caller.role_count = role[0] ? 1 : 0;
			bool may =
				policy_check(world->fixture->policy, policy, &caller, &target, NULL) == POLICY_ALLOWED;
			if (may != cases[c].may)
				fail_msg("%s, role \"%s\", case %zu: %s", policy, role, c,
					 may ? "admitted" : "refused");
		}
	}
}

static void every_policy_that_is_asked_has_its_roles_listed(void **state)
{
	(void)state;
	for (size_t r = 0; r < ARRAY_LENGTH(rows); r++)
		for (const struct asked *asked = rows[r].asked; asked->policy; asked++) {
			bool is_listed = false;

			for (size_t i = 0; i < ARRAY_LENGTH(defaults) && !is_listed; i++)
				is_listed = text_equal(defaults[i].policy, asked->policy);
			if (!is_listed)
				fail_msg("whom %s admits by default is not listed", asked->policy);
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, api_fixture_teardown_within)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_and_action_stands_in_the_table),
		cmocka_unit_test(every_policy_that_is_asked_has_its_roles_listed),
		TEST(a_request_asks_the_policies_of_its_row_and_no_other),
		TEST(who_lacks_a_policy_is_refused_or_sees_less_and_who_has_it_does_not),
		TEST(a_policy_is_asked_about_the_servers_project_and_not_the_callers),
		TEST(each_default_admits_the_roles_that_are_listed_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
