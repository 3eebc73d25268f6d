/* What the verbs share: the configuration, roles, and how problems are told. */
#include "server/command.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "api/auth/caller.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"

void command_report(void *context, const char *text)
{
	(void)context;
	fprintf(stderr, "%s\n", text);
}

static_assert(VERB_CONFIG_FILES_MAX <= CONFIG_FILES_MAX && VERB_LIST_MAX <= CALLER_ROLE_MAX, "what can be given fits");

struct config_source command_source(const struct verb_list *files)
{
	static const char *const by_default[] = { VERB_CONFIG_DEFAULT };

	return (struct config_source){
		.paths = files->count > 0 ? files->items : by_default,
		.count = files->count > 0 ? (size_t)files->count : 1,
	};
}

struct config_source command_source_of_simulation(const struct verb_list *files, const char *simulation)
{
	if (!simulation)
		return command_source(files);
	return (struct config_source){
		.paths = files->items,
		.count = (size_t)files->count,
		.simulation = simulation,
	};
}

int command_read_source(const struct config_source *source, struct config *ret_config)
{
	struct error error = { 0 };

	/* What is wrong inside the files or with one of them was told already, line by line. */
	if (config_read(source, command_report, NULL, ret_config, &error) == 0)
		return 0;
	if (error.code == ENOMEM)
		command_report(NULL, error.text);
	return EXIT_CONFIGURATION;
}

int command_read_config(const struct verb_list *files, bool keeps_origins, struct config *ret_config)
{
	struct config_source source = command_source(files);

	source.keeps_origins = keeps_origins;
	return command_read_source(&source, ret_config);
}

static bool has_role(const struct verb_list *roles, const char *role)
{
	for (int i = 0; i < roles->count; i++)
		if (text_equal(roles->items[i], role))
			return true;
	return false;
}

void command_imply_roles(struct verb_list *roles)
{
	static const char *const chain[] = { "admin", "manager", "member", "reader" };
	int given = roles->count;

	for (int i = 0; i < given; i++)
		for (size_t place = 0; place + 1 < ARRAY_LENGTH(chain); place++) {
			if (!text_equal(roles->items[i], chain[place]))
				continue;
			for (size_t implied = place + 1; implied < ARRAY_LENGTH(chain); implied++)
				if (!has_role(roles, chain[implied]) && roles->count < VERB_LIST_MAX)
					roles->items[roles->count++] = chain[implied];
		}
}

static void warn(void *context, const char *text)
{
	(void)context;
	fprintf(stderr, "warning: %s\n", text);
}

void command_warn_of_policies(struct config *config)
{
	struct policy *policy = NULL;

	config->policy.report = warn;
	if (policy_create(&config->policy, &policy, NULL) == 0)
		policy_destroy(policy);
	config->policy.report = NULL;
}
