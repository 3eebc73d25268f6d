/* `migrationd check --config FILE`: reads the configuration as the daemon would, and prints what would be in force. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "server/config.h"

int command_check(char **arguments)
{
	const char *path = "/etc/migrationd/migrationd.yaml";
	const struct command_option options[] = { { "config", &path, 1, NULL } };
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	struct error error = { 0 };

	if (command_read_options("check", arguments, options, 1) < 0)
		return EXIT_USAGE;
	if (config_read(path, command_report, NULL, &config, &error) < 0) {
		if (error.code != EINVAL) /* problems inside the file were reported one by one */
			command_report(NULL, error.text);
		return EXIT_CONFIGURATION;
	}
	config_print(&config, &text);
	if (text_failed(&text))
		return EXIT_FAILURE;
	fputs(text.data ? text.data : "", stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
