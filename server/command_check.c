/* `migrationd check FILE…`: reads the configuration as the daemon would, and prints what would be in force and where each
 * value comes from. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "server/config.h"

int command_check(char **arguments)
{
	struct command_files files = { 0 };
	const struct command_option options[] = { COMMAND_CONFIG_OPTION(&files),
						  { "", files.paths, 16, &files.count } };
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	if (command_read_options("check", arguments, options, 2) < 0)
		return EXIT_USAGE;
	int status = command_read_config(&files, true, &config);
	if (status != 0)
		return status;
	command_warn_of_policies(&config);
	config_print(&config, &text);
	if (text_failed(&text))
		return EXIT_FAILURE;
	fputs(text.data ? text.data : "", stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
