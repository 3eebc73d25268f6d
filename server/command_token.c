/* `migrationd token`: a signed token for trying out, made with the first configured key that can sign. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/config.h"
#include "server/verbs.h"

#define LIFETIME_MAX_S (10 * 365 * 86400LL)

static void destroy_verifier(struct token_verifier **verifier)
{
	token_verifier_destroy(*verifier);
}

static int make(const struct config *config, const struct caller *bearer, const char *kid, int64_t lifetime_s,
		char **ret_token, struct error *error)
{
	CLEANUP(destroy_verifier) struct token_verifier *verifier = NULL;
	int result = token_verifier_create(&config->token, &verifier, error);

	if (result < 0)
		return result;
	return token_make(verifier, bearer, kid, clock_now_us(clock_system()), lifetime_s, ret_token, error);
}

struct token_arguments {
	struct verb_list files;
	struct verb_list roles;
	const char *project;
	const char *user;
	int64_t lifetime_s;
	const char *kid;
	bool is_exact;
};

static int token(void *context)
{
	struct token_arguments *arguments = context;
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *made = NULL;
	struct error error = { 0 };

	if (!arguments->is_exact)
		command_imply_roles(&arguments->roles);

	struct caller bearer = { .user_id = arguments->user,
				 .project_id = arguments->project,
				 .roles = arguments->roles.items,
				 .role_count = (size_t)arguments->roles.count,
				 .is_admin_project = true };
	int status = command_read_config(&arguments->files, false, &config);
	if (status != 0)
		return status;
	if (make(&config, &bearer, arguments->kid, arguments->lifetime_s, &made, &error) < 0) {
		fprintf(stderr, "migrationd token: %s\n", error.text);
		return EXIT_CONFIGURATION;
	}
	puts(made);
	return verb_output_status();
}

static const struct verb_argument options[] = {
	{ "ROLE", "role", "a role of the bearer", VERB_TEXTS, .offset = offsetof(struct token_arguments, roles),
	  .is_required = true, .values_max = VERB_LIST_MAX, .completes = VERB_COMPLETES_ROLE },
	{ "ID", "project", "the bearer's project", VERB_TEXT, .offset = offsetof(struct token_arguments, project),
	  .is_required = true },
	{ "ID", "user", "the bearer", VERB_TEXT, .offset = offsetof(struct token_arguments, user),
	  .by_default = "cli" },
	{ "SECONDS", "lifetime", "until it expires, ten years at most", VERB_NUMBER,
	  .offset = offsetof(struct token_arguments, lifetime_s), .low = 1, .high = LIFETIME_MAX_S,
	  .by_default = "86400" },
	{ "KID", "kid", "the key that signs; the first that can, without it", VERB_TEXT,
	  .offset = offsetof(struct token_arguments, kid) },
	{ NULL, "exact-roles", "the roles as they are given, and none that they imply", VERB_SWITCH,
	  .offset = offsetof(struct token_arguments, is_exact) },
	VERB_OPTION_CONFIG(struct token_arguments, files),
};

static const char *const description[] = {
	"The key is one of auth.keys. Roles bring those that Keystone implies by them (admin, manager, member, reader: "
	"each the ones "
	"behind it) unless --exact-roles is given.",
	NULL,
};

static const struct verb_example examples[] = {
	{ "migrationd token --role member --project 6f70656e737461636b20342065766572",
	  "a token of a member for a day" },
	{ "migrationd token --role admin --project admin --lifetime 600", "a token of an admin for ten minutes" },
	{ 0 },
};

const struct verb verb_token = {
	.name = "token",
	.summary = "prints a token for trying out, signed by a key of the configuration",
	.description = description,
	.options = VERB_ROWS(options),
	.examples = examples,
	.arguments_size = sizeof(struct token_arguments),
	.run = token,
};
