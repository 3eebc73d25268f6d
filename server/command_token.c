/* `migrationd token`: a signed token for trying out, made with the first configured key that can sign. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"

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

int command_token(char **arguments)
{
	const char *project = NULL, *user = "cli", *kid = NULL;
	const char *lifetime = "86400";
	const char *roles[CALLER_ROLE_MAX];
	int role_count = 0, is_exact = 0;
	int64_t lifetime_s;
	struct command_files files = { 0 };
	CLEANUP_CONFIG struct config config = { 0 };
	const struct command_option options[] = {
		COMMAND_CONFIG_OPTION(&files),         { "role", roles, CALLER_ROLE_MAX, &role_count },
		{ "project", &project, 1, NULL },      { "user", &user, 1, NULL },
		{ "lifetime", &lifetime, 1, NULL },    { "kid", &kid, 1, NULL },
		{ "exact-roles", NULL, 0, &is_exact },
	};
	CLEANUP_FREE char *token = NULL;
	struct error error = { 0 };

	if (command_read_options("token", arguments, options, ARRAY_LENGTH(options)) < 0)
		return EXIT_USAGE;
	if (role_count == 0 || !project) {
		command_report(NULL, "migrationd token: --role and --project are needed; see migrationd --help");
		return EXIT_USAGE;
	}
	if (!text_to_int64(lifetime, 1, LIFETIME_MAX_S, &lifetime_s)) {
		command_report(NULL, "migrationd token: --lifetime takes whole seconds, from 1 to ten years");
		return EXIT_USAGE;
	}
	if (!is_exact)
		command_imply_roles(roles, &role_count);

	struct caller bearer = { .user_id = user,
				 .project_id = project,
				 .roles = roles,
				 .role_count = (size_t)role_count,
				 .is_admin_project = true };
	int status = command_read_config(&files, false, &config);
	if (status != 0)
		return status;
	if (make(&config, &bearer, kid, lifetime_s, &token, &error) < 0) {
		fprintf(stderr, "migrationd token: %s\n", error.text);
		return EXIT_CONFIGURATION;
	}
	puts(token);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
