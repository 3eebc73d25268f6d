/* What the verbs share: options and how problems are told. */
#include "server/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

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
