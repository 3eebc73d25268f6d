/* The API as the listener drives it: the reply may come on another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "base/cleanup.h"
#include "base/text.h"

#define WAIT_MAX_S 20

const struct api_who api_admin = { .user = "admin-user", .project = "admin-project", .role = "admin" };
const struct api_who api_member = { .user = "user", .project = "project", .role = "member" };
const struct api_who api_stranger = { .user = "stranger", .project = "other-project", .role = "member" };

/* The request under way; one at a time. */
struct sent {
	char token[2048];
	char version[64];
	char path[32768]; /* as much as the listener takes */
	char body[1024];
	const struct api_header *headers;
	struct api_request request;
};

static struct sent sent;

static const char *find_header(const void *context, const char *name)
{
	const struct sent *request = context;

	for (const struct api_header *header = request->headers; header->name; header++)
		if (strcasecmp(name, header->name) == 0)
			return header->value;
	if (strcasecmp(name, "Authorization") == 0)
		return request->token[0] ? request->token : NULL;
	if (strcasecmp(name, "OpenStack-API-Version") == 0)
		return request->version[0] ? request->version : NULL;
	if (strcasecmp(name, "Content-Type") == 0)
		return "application/json";
	return NULL;
}

const char *api_answer_header(const struct api_answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->header_count; i++)
		if (strcmp(answer->headers[i].name, name) == 0)
			return answer->headers[i].value;
	return NULL;
}

static void take_reply(void *context, struct api_reply *reply)
{
	struct api_fixture *fixture = context;
	struct api_answer *answer = &fixture->answer;
	const char *name;
	json_t *fault;

	LOCK_SCOPE(&fixture->mutex);
	answer->status = reply->status;
	answer->document = reply->body ? json_loadb(reply->body, reply->body_size, JSON_ALLOW_NUL, NULL) : NULL;
	if (reply->status >= 400)
		json_object_foreach(answer->document, name, fault)
			TEXT_COPY(answer->message, json_string_value(json_object_get(fault, "message")));
	memcpy(answer->headers, reply->headers, reply->header_count * sizeof(reply->headers[0]));
	answer->header_count = reply->header_count;
	answer->route = reply->route;
	const char *version = api_answer_header(answer, "OpenStack-API-Version");
	TEXT_COPY(answer->version, version ? version : "");
	answer->has_come = true;
	pthread_cond_signal(&fixture->came);
}

static void make_token(struct api_fixture *fixture, const struct api_who *who)
{
	const char *roles[] = { who->role };
	struct caller caller = { .user_id = who->user,
				 .project_id = who->project,
				 .domain_id = who->domain,
				 .system_scope = who->system_scope,
				 .roles = roles,
				 .role_count = who->role ? 1 : 0,
				 .is_admin_project = true };
	CLEANUP_FREE char *token = NULL;
	struct error error = { 0 };

	if (token_make(fixture->tokens, &caller, NULL, clock_now_us(fixture->db->clock), 3600, &token, &error) < 0)
		fail_msg("%s", error.text);
	snprintf(sent.token, sizeof(sent.token), "Bearer %s", token);
}

void api_fixture_start(struct api_fixture *fixture, const struct api_who *who, const char *version, const char *method,
		       const char *path, const char *body)
{
	json_decref(fixture->answer.document);
	fixture->answer = (struct api_answer){ 0 };
	sent = (struct sent){ 0 };
	if (who)
		make_token(fixture, who);
	TEXT_COPY(sent.version, version ? version : "");
	TEXT_COPY(sent.path, path);
	TEXT_COPY(sent.body, body ? body : "");
	sent.headers = fixture->sent_headers;
	sent.request = (struct api_request){ .method = method,
					     .target = sent.path,
					     .body = body ? sent.body : NULL,
					     .body_size = strlen(sent.body),
					     .remote = "127.0.0.1",
					     .header = find_header,
					     .header_context = &sent };
	api_handle(fixture->api, &sent.request, take_reply, fixture);
}

bool api_fixture_has_answer(struct api_fixture *fixture)
{
	LOCK_SCOPE(&fixture->mutex);
	return fixture->answer.has_come;
}

const struct api_answer *api_fixture_wait(struct api_fixture *fixture)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MAX_S;
	pthread_mutex_lock(&fixture->mutex);
	while (!fixture->answer.has_come)
		if (pthread_cond_timedwait(&fixture->came, &fixture->mutex, &until) != 0)
			break;
	bool has_come = fixture->answer.has_come;
	pthread_mutex_unlock(&fixture->mutex);
	if (!has_come)
		fail_msg("no answer within %d s", WAIT_MAX_S);
	return &fixture->answer;
}

const struct api_answer *api_fixture_ask(struct api_fixture *fixture, const struct api_who *who, const char *version,
					 const char *method, const char *path, const char *body)
{
	api_fixture_start(fixture, who, version, method, path, body);
	return api_fixture_wait(fixture);
}

int api_fixture_setup(void **state)
{
	static const struct token_key key = { .algorithm = "HS256", .secret = "0123456789abcdef0123456789abcdef" };
	struct token_settings tokens = { .keys = &key, .key_count = 1 };
	struct policy_settings policies = { 0 };
	struct api_fixture *fixture = calloc(1, sizeof(*fixture));
	void *db = NULL;
	struct error error = { 0 };

	if (!fixture || db_fixture_setup(&db) < 0)
		return -1;
	fixture->db = db;
	pthread_mutex_init(&fixture->mutex, NULL);
	pthread_cond_init(&fixture->came, NULL);
	if (token_verifier_create(&tokens, &fixture->tokens, &error) < 0
	    || policy_create(&policies, &fixture->policy, &error) < 0)
		fail_msg("%s", error.text);
	fixture->settings = (struct api_settings){ .database = fixture->db->database,
						   .policy = fixture->policy,
						   .tokens = fixture->tokens,
						   .clock = fixture->db->clock,
						   .public_endpoint = "http://nova.example:8774",
						   .node = "node-1",
						   .max_limit = 1000,
						   .wait_timeout_s = 60,
						   .max_body_bytes = 114688 };
	if (api_create(&fixture->settings, &fixture->api, &error) < 0)
		fail_msg("%s", error.text);
	*state = fixture;
	return 0;
}

void api_fixture_renew(struct api_fixture *fixture)
{
	struct error error = { 0 };

	if (api_renew(fixture->api, &fixture->settings, &error) < 0)
		fail_msg("%s", error.text);
}

void api_fixture_set_policy(struct api_fixture *fixture, const struct policy_settings *settings)
{
	struct policy *before = fixture->policy;
	struct error error = { 0 };

	if (policy_create(settings, &fixture->policy, &error) < 0)
		fail_msg("%s", error.text);
	fixture->settings.policy = fixture->policy;
	api_fixture_renew(fixture);
	policy_destroy(before);
}

void api_fixture_allow_all_but(struct api_fixture *fixture, const char *policy, const char *rule)
{
	size_t count;
	const struct policy_default *all = policy_defaults(&count);
	CLEANUP_FREE struct policy_override *rules = calloc(count, sizeof(*rules));
	struct policy_settings settings = { .overrides = rules, .ignores_scope = true };
	json_t *everybody = json_string("@"), *others = json_string(rule ? rule : "@");

	/* Base rules have no colon in their names. */
	for (size_t i = 0; i < count; i++)
		if (strchr(all[i].name, ':'))
			rules[settings.override_count++] =
				(struct policy_override){ .name = all[i].name,
							  .value = text_equal(all[i].name, policy) ? others : everybody,
							  .file = "rules" };
	api_fixture_set_policy(fixture, &settings);
	json_decref(everybody);
	json_decref(others);
}

int api_fixture_teardown(void **state)
{
	struct api_fixture *fixture = *state;
	void *db = fixture->db;

	api_stop_waiting(fixture->api); /* who waits does it by the database's clock */
	int result = db_fixture_teardown(&db);
	api_destroy(fixture->api);
	token_verifier_destroy(fixture->tokens);
	policy_destroy(fixture->policy);
	json_decref(fixture->answer.document);
	pthread_cond_destroy(&fixture->came);
	pthread_mutex_destroy(&fixture->mutex);
	free(fixture);
	return result;
}

int api_fixture_setup_within(void **state, size_t size)
{
	struct api_fixture **own = calloc(1, size);
	void *fixture = NULL;

	if (!own || api_fixture_setup(&fixture) < 0)
		return -1;
	*own = fixture;
	*state = own;
	return 0;
}

int api_fixture_teardown_within(void **state)
{
	struct api_fixture **own = *state;
	void *fixture = *own;

	free(own);
	return api_fixture_teardown(&fixture);
}
