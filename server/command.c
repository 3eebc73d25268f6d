/* What the verbs share: options and how problems are told. */
#include "server/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static const struct command_option *find_option(const char *argument, const struct command_option *options,
						int option_count, const char **ret_value)
{
	for (int i = 0; i < option_count; i++) {
		size_t length = strlen(options[i].name);

		if (length == 0 && strncmp(argument, "-", 1) != 0) {
			*ret_value = argument;
			return &options[i];
		}
		if (length == 0)
			continue;
		if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, options[i].name, length) != 0)
			continue;
		if (argument[2 + length] == '=')
			*ret_value = argument + 3 + length;
		else if (argument[2 + length] == '\0')
			*ret_value = NULL;
		else
			continue;
		return &options[i];
	}
	return NULL;
}

static int refuse(const char *verb, const char *argument, const char *why)
{
	fprintf(stderr, "migrationd %s: %s %s; see migrationd --help\n", verb, argument, why);
	return -EINVAL;
}

int command_read_options(const char *verb, char **arguments, const struct command_option *options, int option_count)
{
	int counts[16] = { 0 };

	for (; *arguments; arguments++) {
		const char *argument = *arguments, *value = NULL;
		const struct command_option *option = find_option(argument, options, option_count, &value);

		if (!option)
			return refuse(verb, argument, "is not known here");
		if (option->values_max == 0) {
			if (value)
				return refuse(verb, argument, "takes no value");
			if (option->ret_count)
				(*option->ret_count)++;
			continue;
		}
		if (!value && !(value = *++arguments))
			return refuse(verb, argument, "needs a value");
		int *count = &counts[option - options];
		if (*count == option->values_max)
			return refuse(verb, argument, "is given too often");
		option->values[(*count)++] = value;
		if (option->ret_count)
			*option->ret_count = *count;
	}
	return 0;
}

struct config_source command_source(const struct command_files *files)
{
	static const char *const by_default[] = { "/etc/migrationd/migrationd.yaml" };

	return (struct config_source){
		.paths = files->count > 0 ? files->paths : by_default,
		.count = files->count > 0 ? (size_t)files->count : 1,
	};
}

int command_read_config(const struct command_files *files, bool keeps_origins, struct config *ret_config)
{
	struct config_source source = command_source(files);
	struct error error = { 0 };

	source.keeps_origins = keeps_origins;

	/* What is wrong inside the files or with one of them was told already, line by line. */
	if (config_read(&source, command_report, NULL, ret_config, &error) == 0)
		return 0;
	if (error.code == ENOMEM)
		command_report(NULL, error.text);
	return EXIT_CONFIGURATION;
}

static bool has_role(const char *const *roles, int role_count, const char *role)
{
	for (int i = 0; i < role_count; i++)
		if (text_equal(roles[i], role))
			return true;
	return false;
}

void command_imply_roles(const char **roles, int *role_count)
{
	static const char *const chain[] = { "admin", "manager", "member", "reader" };
	int given = *role_count;

	for (int i = 0; i < given; i++)
		for (size_t place = 0; place + 1 < ARRAY_LENGTH(chain); place++) {
			if (!text_equal(roles[i], chain[place]))
				continue;
			for (size_t implied = place + 1; implied < ARRAY_LENGTH(chain); implied++)
				if (!has_role(roles, *role_count, chain[implied]) && *role_count < CALLER_ROLE_MAX)
					roles[(*role_count)++] = chain[implied];
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
