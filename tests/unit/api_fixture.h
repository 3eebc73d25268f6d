/* The API over a database of its own, with real tokens, and one request at a time. */
#pragma once

#include "api/api.h"
#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "db_fixture.h"

#include <jansson.h>

struct api_answer {
	int status;
	char message[1024]; /* of a fault; "" otherwise */
	char version[64]; /* OpenStack-API-Version; "" when there is none */
	struct api_header headers[API_REPLY_HEADERS_MAX];
	size_t header_count;
	size_t route; /* api_route_at's number */
	json_t *document; /* owned by the fixture until the next request */
	bool has_come;
};

struct api_fixture {
	struct db_fixture *db;
	struct policy *policy;
	struct token_verifier *tokens;
	struct api *api;
	struct api_settings settings; /* api_fixture_renew puts them in force */
	struct api_header sent_headers[4]; /* that requests bring besides; the first without a name ends them */
	struct api_answer answer;
	pthread_mutex_t mutex;
	pthread_cond_t came;
};

/* Whose token a request brings. NULL: it does not say. */
struct api_who {
	const char *user;
	const char *project;
	const char *role;
	const char *domain; /* that the token is scoped to */
	const char *system_scope;
};

extern const struct api_who api_admin;
extern const struct api_who api_member; /* of the project of db_fixture_server */
extern const struct api_who api_stranger; /* member of another project */

int api_fixture_setup(void **state);
int api_fixture_teardown(void **state);
/* The same for a test's own struct of `size` bytes, zeroed, which begins with a pointer to the fixture. */
int api_fixture_setup_within(void **state, size_t size);
int api_fixture_teardown_within(void **state);
/* New requests are answered by fixture->settings as they are now. */
void api_fixture_renew(struct api_fixture *fixture);
/* Other policies, in force for new requests. */
void api_fixture_set_policy(struct api_fixture *fixture, const struct policy_settings *settings);
/* Every policy admits everybody, but for `policy` (NULL: none), whose rule is that one. The base rules stay. */
void api_fixture_allow_all_but(struct api_fixture *fixture, const char *policy, const char *rule);
/* Asks and returns at once; `who` NULL: without a token; `version` NULL: without a header; `body` NULL: none. */
void api_fixture_start(struct api_fixture *fixture, const struct api_who *who, const char *version, const char *method,
		       const char *path, const char *body);
/* Waits for the answer of the request that was started. */
const struct api_answer *api_fixture_wait(struct api_fixture *fixture);
bool api_fixture_has_answer(struct api_fixture *fixture);
const struct api_answer *api_fixture_ask(struct api_fixture *fixture, const struct api_who *who, const char *version,
					 const char *method, const char *path, const char *body);
/* NULL when the answer does not have it. */
const char *api_answer_header(const struct api_answer *answer, const char *name);
