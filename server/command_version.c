/* `migrationd version`. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "server/verbs.h"
#include "server/version.h"

struct version_arguments {
	bool is_json;
};

static int version(void *context)
{
	const struct version_arguments *arguments = context;

	if (!arguments->is_json) {
		puts("migrationd " MIGRATIOND_VERSION);
		return verb_output_status();
	}
	json_t *document = json_pack("{s:s}", "version", MIGRATIOND_VERSION);
	int result = json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
	return result == 0 ? verb_output_status() : EXIT_FAILURE;
}

static const struct verb_argument options[] = { VERB_OPTION_JSON(struct version_arguments, is_json) };

const struct verb verb_version = {
	.name = "version",
	.summary = "prints the version",
	.options = VERB_ROWS(options),
	.arguments_size = sizeof(struct version_arguments),
	.run = version,
};
