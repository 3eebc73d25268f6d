/* `migrationd check FILE…`: reads the configuration as the daemon would, and prints what would be in force and where each
 * value comes from. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "server/config.h"
#include "server/verbs.h"

struct check_arguments {
	struct verb_list files;
	const char *simulation;
};

static int check(void *context)
{
	const struct check_arguments *arguments = context;
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	struct config_source source = command_source_of_simulation(&arguments->files, arguments->simulation);

	source.keeps_origins = true;
	int status = command_read_source(&source, &config);

	if (status != 0)
		return status;
	command_warn_of_policies(&config);
	config_print(&config, &text);
	if (text_failed(&text))
		return EXIT_FAILURE;
	fputs(text.data ? text.data : "", stdout);
	return verb_output_status();
}

static const struct verb_argument operands[] = {
	{ "FILE", NULL, "the configuration, like --config", VERB_TEXTS,
	  .offset = offsetof(struct check_arguments, files), .values_max = VERB_CONFIG_FILES_MAX,
	  .completes = VERB_COMPLETES_FILE },
};

static const struct verb_argument options[] = {
	VERB_OPTION_CONFIG(struct check_arguments, files),
	{ "FILE", "simulate", "a simulated fleet, as `migrationd serve` takes it", VERB_TEXT,
	  .offset = offsetof(struct check_arguments, simulation), .completes = VERB_COMPLETES_FILE },
};

static const char *const description[] = {
	"Each key is printed with its value and, behind a #, the file and line that it comes from. What is wrong is "
	"told as "
	"FILE:LINE: with the right name beside a slip; the exit status is 78 then. What is taken though it is odd is "
	"told as a "
	"warning.",
	NULL,
};

static const struct verb_example examples[] = {
	{ "migrationd check /etc/migrationd/migrationd.yaml", "what the daemon would go by" },
	{ 0 },
};

const struct verb verb_check = {
	.name = "check",
	.summary = "reads the configuration and prints what would be in force, and where each value comes from",
	.description = description,
	.operands = VERB_ROWS(operands),
	.options = VERB_ROWS(options),
	.examples = examples,
	.arguments_size = sizeof(struct check_arguments),
	.run = check,
};
