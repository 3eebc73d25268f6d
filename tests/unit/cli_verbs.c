/* A made-up table of verbs. */
#include "cli_verbs.h"

struct words {
	const char *host, *colour, *duration, *role, *server, *policy, *migration;
	struct verb_list places, files;
	int64_t times;
	bool is_quiet;
};

#define AT(member) .offset = offsetof(struct words, member)

static int run_nothing(void *arguments)
{
	(void)arguments;
	return 0;
}

static const char *const colours[] = { "red", "blue", NULL };

static const struct verb_argument look_operands[] = {
	{ "HOST", NULL, "where to look", VERB_TEXT, AT(host), .is_required = true, .completes = VERB_COMPLETES_HOST },
	{ "PLACE", NULL, "what to look at", VERB_TEXTS, AT(places), .values_max = 3 },
};

static const struct verb_argument look_options[] = {
	{ "FILE", "list", "a file [its rows: one each], that's read", VERB_TEXTS, AT(files), .values_max = 3,
	  .by_default = "/etc/list", .completes = VERB_COMPLETES_FILE },
	{ "COLOUR", "colour", "of the lamp", VERB_TEXT, AT(colour), .is_required = true,
	  .completes = VERB_COMPLETES_WORDS, .words = colours },
	{ "N", "times", "how often", VERB_NUMBER, AT(times), .low = -1, .high = 9, .by_default = "2" },
	{ NULL, "quiet", "say nothing", VERB_SWITCH, AT(is_quiet) },
	{ "MILLISECONDS", "how-long-to-wait", "for what", VERB_TEXT, AT(duration) },
	{ "ROLE", "role", "as whom", VERB_TEXT, AT(role), .completes = VERB_COMPLETES_ROLE },
};

static const char *const look_description[] = {
	"It looks, and says what it sees; what there is to be seen there is said in one line for each of the places.",
	"A second paragraph.",
	NULL,
};

static const struct verb_example look_examples[] = {
	{ "migrationd look h --colour red", "once" },
	{ "migrationd look h p q --colour blue", "at two" },
	{ 0 },
};

static const struct verb look = {
	.name = "look",
	.summary = "looks at what's there: all of it",
	.description = look_description,
	.operands = VERB_ROWS(look_operands),
	.options = VERB_ROWS(look_options),
	.examples = look_examples,
	.arguments_size = sizeof(struct words),
	.run = run_nothing,
};

static const struct verb_argument move_operands[] = {
	{ "SERVER", NULL, "its name", VERB_TEXT, AT(server), .is_required = true, .completes = VERB_COMPLETES_SERVER },
	{ "POLICY", NULL, "a rule", VERB_TEXT, AT(policy), .completes = VERB_COMPLETES_POLICY },
};

static const struct verb_argument stop_options[] = {
	{ "ID", "migration", "which one", VERB_TEXT, AT(migration), .completes = VERB_COMPLETES_MIGRATION },
};

static const struct verb guest_move = {
	.name = "move",
	.summary = "moves it",
	.operands = VERB_ROWS(move_operands),
	.arguments_size = sizeof(struct words),
	.run = run_nothing,
};

static const struct verb guest_stop = {
	.name = "stop",
	.summary = "stops it",
	.options = VERB_ROWS(stop_options),
	.arguments_size = sizeof(struct words),
	.run = run_nothing,
};

static const struct verb *const guest_verbs[] = { &guest_move, &guest_stop, NULL };

static const struct verb guest = { .name = "guest", .summary = "moves or stops a guest", .verbs = guest_verbs };

static const struct verb disk = { .name = "disk", .summary = "tells of disks", .verbs = guest_verbs };

const struct verb *const cli_verbs[] = { &look, &guest, &disk, NULL };
