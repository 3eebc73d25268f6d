/* `migrationd completion bash|zsh|…`: what a shell completes by, and the names that it offers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/auth/policy.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/admin_client.h"
#include "server/cli/api_client.h"
#include "server/verbs.h"

#define VERB "completion"

struct completion_arguments {
	struct api_options api;
	const char *what;
};

static void print_member(const json_t *rows, const char *key)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const json_t *value = json_object_get(row, key);

		if (json_is_string(value))
			puts(json_string_value(value));
		else if (json_is_integer(value))
			printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	}
}

/* Of the operator's own socket, unless the line names an endpoint. */
static int print_hosts(const struct completion_arguments *arguments)
{
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	const char *variable = getenv("OS_ENDPOINT");
	json_t *answer = NULL;
	int status;

	if (!arguments->api.endpoint && !(variable && *variable)) {
		status =
			admin_client_ask(VERB, &arguments->api.files, json_pack("{s:s}", "verb", "host list"), &answer);
		print_member(json_object_get(answer, "hosts"), "name");
		json_decref(answer);
		return status;
	}
	status = api_client_create(VERB, &arguments->api, &client);
	if (status == 0)
		status = api_client_list(client, "/os-services?binary=nova-compute", "services", 0, &answer);
	print_member(answer, "host");
	json_decref(answer);
	return status;
}

static int print_rows(const struct completion_arguments *arguments, const char *path, const char *local_path,
		      const char *rows_key, const char *key)
{
	CLEANUP_API_CLIENT struct api_client *client = NULL;
	json_t *rows = NULL;
	int status = api_client_create(VERB, &arguments->api, &client);

	if (status == 0)
		status =
			api_client_list(client, api_client_is_local(client) ? local_path : path, rows_key, 1000, &rows);
	print_member(rows, key);
	json_decref(rows);
	return status;
}

static int print_policies(void)
{
	static const struct policy_settings defaults;
	struct policy *policy = NULL;
	const char *name;

	if (policy_create(&defaults, &policy, NULL) < 0)
		return EXIT_FAILURE;
	for (size_t i = 0; (name = policy_name(policy, i)) != NULL; i++)
		puts(name);
	policy_destroy(policy);
	return EXIT_SUCCESS;
}

static int print_script(void (*complete)(const struct verb *const *verbs, struct text *text))
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	complete(verbs, &text);
	if (text_failed(&text))
		return EXIT_FAILURE;
	fputs(text.data, stdout);
	return EXIT_SUCCESS;
}

static int completion(void *context)
{
	const struct completion_arguments *arguments = context;
	const char *what = arguments->what;
	int status;

	if (text_equal(what, "bash"))
		status = print_script(verb_complete_bash);
	else if (text_equal(what, "zsh"))
		status = print_script(verb_complete_zsh);
	else if (text_equal(what, "hosts"))
		status = print_hosts(arguments);
	else if (text_equal(what, "servers"))
		status = print_rows(arguments, "/servers", "/servers?all_tenants=1", "servers", "name");
	else if (text_equal(what, "migrations"))
		status = print_rows(arguments, "/os-migrations?status=running", "/os-migrations?status=running",
				    "migrations", "id");
	else
		status = print_policies();
	return verb_output_status() == EXIT_SUCCESS ? status : EXIT_FAILURE;
}

static const char *const whats[] = { "bash", "zsh", "hosts", "servers", "migrations", "policies", NULL };

static const struct verb_argument operands[] = {
	{ "WHAT", NULL, "a shell, whose script is printed, or what its script asks for when names are wanted",
	  VERB_TEXT, .offset = offsetof(struct completion_arguments, what), .is_required = true,
	  .completes = VERB_COMPLETES_WORDS, .words = whats },
};

static const struct verb_argument options[] = { VERB_OPTIONS_API(struct completion_arguments, api) };

static const struct verb_example examples[] = {
	{ "source <(migrationd completion bash)", "for this shell alone, where the package has not installed it" },
	{ 0 },
};

const struct verb verb_completion_script = {
	.name = "completion",
	.summary = "prints what bash or zsh completes by",
	.operands = VERB_ROWS(operands),
	.options = VERB_ROWS(options),
	.examples = examples,
	.arguments_size = sizeof(struct completion_arguments),
	.run = completion,
};
