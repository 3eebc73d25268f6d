/* `migrationd doctor`: whether hosts, database and API agree, asked of the running daemon. */
#include "server/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/admin_doctor.h"
#include "server/cli/admin_client.h"
#include "server/cli/table.h"
#include "server/verbs.h"

struct doctor_arguments {
	struct verb_list files;
	bool is_json;
};

static const struct table_column columns[] = {
	{ "FINDING", .key = "invariant" },
	{ "SERVER", .key = "server", .is_left_out_when_empty = true },
	{ "HOST", .key = "host" },
	{ "FOUND", .key = "found" },
};

static const char *text_of(const json_t *finding, const char *key)
{
	const char *text = json_string_value(json_object_get(finding, key));

	return text ? text : "";
}

/* Each once; findings of one kind stand together. */
static void print_advice(const json_t *findings)
{
	const char *before = "";
	const json_t *finding;
	size_t i;

	puts("\nWhat to do:");
	json_array_foreach(findings, i, finding)
	{
		const char *invariant = text_of(finding, "invariant");

		if (!text_equal(invariant, before))
			printf("  %s: %s\n", invariant, text_of(finding, "advice"));
		before = invariant;
	}
	puts("");
}

static int print(const json_t *answer)
{
	const json_t *findings = json_object_get(answer, "findings");
	long long broken = json_integer_value(json_object_get(answer, "broken"));
	long long unseen = (long long)json_array_size(findings) - broken;

	if (json_array_size(findings) > 0) {
		table_print(findings, columns, ARRAY_LENGTH(columns), false);
		print_advice(findings);
	}
	printf("%lld servers, %lld hosts: ", (long long)json_integer_value(json_object_get(answer, "servers")),
	       (long long)json_integer_value(json_object_get(answer, "hosts")));
	if (broken > 0)
		printf("%lld broken", broken);
	else
		printf("nothing is broken");
	if (unseen > 0)
		printf(", %lld could not be looked at", unseen);
	puts("");
	return verb_output_status();
}

static int doctor(void *context)
{
	const struct doctor_arguments *arguments = context;
	json_t *answer = NULL;
	int status = admin_client_ask_within("doctor", &arguments->files, json_pack("{s:s}", "verb", "doctor"),
					     ADMIN_DOCTOR_LIMIT_S, &answer);

	if (status != 0)
		return status;
	status = arguments->is_json ? table_print_json(answer) : print(answer);
	if (status == EXIT_SUCCESS && json_integer_value(json_object_get(answer, "broken")) > 0)
		status = EXIT_FAILURE;
	json_decref(answer);
	return status;
}

static const struct verb_argument options[] = {
	VERB_OPTION_JSON(struct doctor_arguments, is_json),
	VERB_OPTION_CONFIG(struct doctor_arguments, files),
};

static const char *const description[] = {
	"The running daemon reads all hosts and its database, and says what contradicts: a guest that runs twice, a "
	"disk without a whole copy, a server that is shown where it is not, a record that nothing will ever end. It "
	"changes nothing. What contradicts is read again after a moment, and counts only when it is still so; "
	"servers that are being moved are left out.",
	"The exit status is 0 when nothing is broken, and 1 when something is. A host that does not answer is named, "
	"and is not broken. It takes at most 75 seconds.",
	"With --json an object: findings, a list of objects (invariant, is_broken, server, host, found, advice; "
	"server and host may be null), broken, hosts (that answered), servers.",
	NULL,
};

const struct verb verb_doctor = {
	.name = "doctor",
	.summary = "says whether hosts, database and API agree",
	.description = description,
	.options = VERB_ROWS(options),
	.arguments_size = sizeof(struct doctor_arguments),
	.run = doctor,
};
