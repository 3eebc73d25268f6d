/* `migrationd backup FILE` and `migrationd restore FILE`: copies of the database, also while the daemon runs, and their way back. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "db/backup.h"
#include "server/verbs.h"

struct backup_arguments {
	struct verb_list files;
	const char *file;
	bool is_forced;
};

static int backup(void *context)
{
	const struct backup_arguments *arguments = context;
	CLEANUP_CONFIG struct config config = { 0 };
	struct error error = { 0 };
	int status = command_read_config(&arguments->files, false, &config);

	if (status != 0)
		return status;
	if (db_backup(config.database, arguments->file, arguments->is_forced, &error) < 0) {
		fprintf(stderr, "migrationd backup: %s\n", error.text);
		return EXIT_FAILURE;
	}
	printf("%s is a copy of %s\n", arguments->file, config.database);
	return verb_output_status();
}

static int restore(void *context)
{
	const struct backup_arguments *arguments = context;
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *kept = NULL;
	struct error error = { 0 };
	int status = command_read_config(&arguments->files, false, &config);

	if (status != 0)
		return status;
	if (db_restore(arguments->file, config.database, &kept, &error) < 0) {
		fprintf(stderr, "migrationd restore: %s\n", error.text);
		return EXIT_FAILURE;
	}
	printf("%s is a copy of %s now", config.database, arguments->file);
	if (kept)
		printf("; what was there before is %s", kept);
	putchar('\n');
	return verb_output_status();
}

static const struct verb_argument target[] = {
	{ "FILE", NULL, "where the copy goes", VERB_TEXT, .offset = offsetof(struct backup_arguments, file),
	  .is_required = true, .completes = VERB_COMPLETES_FILE },
};

static const struct verb_argument backup_options[] = {
	{ NULL, "force", "over a file that is there already", VERB_SWITCH,
	  .offset = offsetof(struct backup_arguments, is_forced) },
	VERB_OPTION_CONFIG(struct backup_arguments, files),
};

static const struct verb_example backup_examples[] = {
	{ "migrationd backup /var/backups/migrationd.db --force", "a copy of tonight over that of last night" },
	{ 0 },
};

const struct verb verb_backup = {
	.name = "backup",
	.summary = "copies the database, also while the daemon runs",
	.operands = VERB_ROWS(target),
	.options = VERB_ROWS(backup_options),
	.examples = backup_examples,
	.arguments_size = sizeof(struct backup_arguments),
	.run = backup,
};

static const struct verb_argument source[] = {
	{ "FILE", NULL, "a copy that backup made", VERB_TEXT, .offset = offsetof(struct backup_arguments, file),
	  .is_required = true, .completes = VERB_COMPLETES_FILE },
};

static const struct verb_argument restore_options[] = { VERB_OPTION_CONFIG(struct backup_arguments, files) };

static const char *const restore_description[] = {
	"What was there before is kept beside it under a dated name, and what is no whole database of ours changes "
	"nothing. At the "
	"next start libvirt is asked where each guest is, so that moves made since the copy lose nobody.",
	NULL,
};

const struct verb verb_restore = {
	.name = "restore",
	.summary = "puts a copy in the database's place, while no daemon runs",
	.description = restore_description,
	.operands = VERB_ROWS(source),
	.options = VERB_ROWS(restore_options),
	.arguments_size = sizeof(struct backup_arguments),
	.run = restore,
};
