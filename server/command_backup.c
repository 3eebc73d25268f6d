/* `migrationd backup FILE` and `migrationd restore FILE`: copies of the database, also while the daemon runs, and their way back. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "db/backup.h"

/* 0: the file that was named and the configuration were read. */
static int begin(const char *verb, char **arguments, const char **ret_file, int *ret_forced, struct config *ret_config)
{
	struct command_files files = { 0 };
	const struct command_option options[] = {
		COMMAND_CONFIG_OPTION(&files),
		{ "", ret_file, 1, NULL },
		{ "force", NULL, 0, ret_forced },
	};

	/* Only a backup has something that could be forced. */
	if (command_read_options(verb, arguments, options, ret_forced ? 3 : 2) < 0)
		return EXIT_USAGE;
	if (!*ret_file) {
		fprintf(stderr, "migrationd %s: which file? See migrationd --help\n", verb);
		return EXIT_USAGE;
	}
	return command_read_config(&files, false, ret_config);
}

int command_backup(char **arguments)
{
	CLEANUP_CONFIG struct config config = { 0 };
	const char *file = NULL;
	int is_forced = 0;
	struct error error = { 0 };
	int status = begin("backup", arguments, &file, &is_forced, &config);

	if (status != 0)
		return status;
	if (db_backup(config.database, file, is_forced > 0, &error) < 0) {
		fprintf(stderr, "migrationd backup: %s\n", error.text);
		return EXIT_FAILURE;
	}
	printf("%s is a copy of %s\n", file, config.database);
	return EXIT_SUCCESS;
}

int command_restore(char **arguments)
{
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *kept = NULL;
	const char *file = NULL;
	struct error error = { 0 };
	int status = begin("restore", arguments, &file, NULL, &config);

	if (status != 0)
		return status;
	if (db_restore(file, config.database, &kept, &error) < 0) {
		fprintf(stderr, "migrationd restore: %s\n", error.text);
		return EXIT_FAILURE;
	}
	printf("%s is a copy of %s now", config.database, file);
	if (kept)
		printf("; what was there before is %s", kept);
	putchar('\n');
	return EXIT_SUCCESS;
}
