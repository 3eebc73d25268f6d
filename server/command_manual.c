/* `migrationd manual 8|5`: the manual's pages, which are made of the tables in this very program. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "server/cli/manual.h"
#include "server/verbs.h"

struct manual_arguments {
	const char *page;
};

static int manual(void *context)
{
	const struct manual_arguments *arguments = context;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	if (text_equal(arguments->page, "5"))
		config_manual(&text);
	else
		verb_manual(verbs, &text);
	if (text_failed(&text))
		return EXIT_FAILURE;
	fputs(text.data, stdout);
	return verb_output_status();
}

static const char *const pages[] = { "8", "5", NULL };

static const struct verb_argument operands[] = {
	{ "PAGE", NULL, "which section's", VERB_TEXT, .offset = offsetof(struct manual_arguments, page),
	  .is_required = true, .completes = VERB_COMPLETES_WORDS, .words = pages },
};

static const struct verb_example examples[] = {
	{ "migrationd manual 5 | man -l -", "the configuration's page, where the manual is not installed" },
	{ 0 },
};

const struct verb verb_manual_page = {
	.name = "manual",
	.summary = "prints a page of the manual, migrationd(8) or migrationd.yaml(5), as roff",
	.operands = VERB_ROWS(operands),
	.examples = examples,
	.arguments_size = sizeof(struct manual_arguments),
	.run = manual,
};
