/* What a verb of the command line is: a row of data that is read alike by what parses the words (arguments.c), what helps
 * (help.c), what writes the manual (manual.c) and what completes in a shell (completion.c). There is no second list.
 *
 *     struct host_arguments { struct verb_list files; const char *name; };
 *
 *     static const struct verb_argument names[] = {
 *             { "NAME", NULL, "the host", VERB_TEXT, .offset = offsetof(struct host_arguments, name), .is_required = true,
 *               .completes = VERB_COMPLETES_HOST } };
 *     static const struct verb_argument options[] = { VERB_OPTION_CONFIG(struct host_arguments, files) };
 *     static const struct verb remove = { .name = "remove", .summary = "takes a host away", .operands = VERB_ROWS(names),
 *             .options = VERB_ROWS(options), .arguments_size = sizeof(struct host_arguments), .run = remove_host };
 *
 * A verb stands in its own file, command_*.c, and by its name in the table of server/verbs.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;

/* The exit status of every verb, after sysexits(3); their meanings stand in exits.c. */
#define EXIT_USAGE         64
#define EXIT_UNAVAILABLE   69
#define EXIT_FORBIDDEN     77
#define EXIT_CONFIGURATION 78
#define EXIT_INTERRUPTED   130

struct verb_exit {
	int status;
	const char *meaning;
};
extern const struct verb_exit verb_exits[];
extern const size_t verb_exit_count;

/* EXIT_FAILURE when something that was printed to standard output could not be written. */
int verb_output_status(void);

#define VERB_LIST_MAX 256

/* What was given to an option that may come several times, in order. */
struct verb_list {
	const char *items[VERB_LIST_MAX];
	int count;
};

enum verb_argument_type {
	VERB_TEXT, /* const char * */
	VERB_TEXTS, /* struct verb_list */
	VERB_NUMBER, /* int64_t within the range */
	VERB_SWITCH, /* bool; options alone */
};

/* What a shell offers for a value. */
enum verb_completion {
	VERB_COMPLETES_NOTHING,
	VERB_COMPLETES_FILE,
	VERB_COMPLETES_HOST, /* asked of the daemon */
	VERB_COMPLETES_SERVER, /* asked of the daemon */
	VERB_COMPLETES_MIGRATION, /* those that are under way; asked of the daemon */
	VERB_COMPLETES_POLICY,
	VERB_COMPLETES_ROLE,
	VERB_COMPLETES_WORDS, /* those of the row */
};

/* An option (`--name VALUE`, `--name=VALUE`), or an operand, which stands by its place and is named by its value. */
struct verb_argument {
	const char *value; /* what the value is called: "FILE"; NULL: a switch */
	const char *name; /* without the dashes; NULL: an operand */
	const char *meaning;
	enum verb_argument_type type;
	size_t offset; /* in the verb's arguments */
	bool is_required;
	int values_max; /* VERB_TEXTS: how many at most */
	int64_t low; /* VERB_NUMBER: the range */
	int64_t high;
	const char *by_default; /* as it would be given; NULL: nothing, 0, false */
	enum verb_completion completes;
	const char *const *words; /* VERB_COMPLETES_WORDS, which are also all that are taken; ends with NULL */
};

struct verb_arguments {
	const struct verb_argument *items;
	size_t count;
};
#define VERB_ROWS(rows)                                                                                                \
	{                                                                                                              \
		(rows), sizeof(rows) / sizeof((rows)[0])                                                               \
	}

struct verb_example {
	const char *command;
	const char *meaning;
};

struct verb {
	const char *name;
	const char *summary; /* what it does, in a line */
	const char *const *description; /* paragraphs for the manual and `--help`; ends with NULL */
	struct verb_arguments operands;
	struct verb_arguments options;
	const struct verb *const *verbs; /* of a verb that is only the first word of others; ends with NULL */
	const struct verb_example *examples; /* ends with a NULL command */
	size_t arguments_size; /* of what the rows' offsets are in; zeroed before it is filled */
	int (*run)(void *arguments); /* gives the exit status */
};

/* `--config FILE…`, in every verb that reads the configuration. */
#define VERB_CONFIG_FILES_MAX 16
#define VERB_OPTION_CONFIG(type, member)                                                                               \
	{                                                                                                              \
		"FILE", "config", "the configuration; of a key in two files the later one's counts", VERB_TEXTS,       \
			.offset = offsetof(type, member), .values_max = VERB_CONFIG_FILES_MAX,                         \
			.by_default = VERB_CONFIG_DEFAULT, .completes = VERB_COMPLETES_FILE                            \
	}
#define VERB_CONFIG_DEFAULT "/etc/migrationd/migrationd.yaml"

/* `--json`, in every verb that lists or shows. */
#define VERB_OPTION_JSON(type, member)                                                                                 \
	{                                                                                                              \
		NULL, "json", "for programs: JSON on standard output", VERB_SWITCH, .offset = offsetof(type, member)   \
	}

/* Reads the words behind a verb into its arguments, of its size. `path` is what was called ("host add"); what is wrong is told on
 * stderr and answered with -EINVAL. */
int verb_read(const struct verb *verb, const char *path, char **words, void *ret_arguments);
/* Finds the verb that the words name among `verbs`, and runs it or helps; the exit status. */
int verb_run(const struct verb *const *verbs, char **words);
/* Told on stderr: what is wrong with a call, and where it is written how it goes. Returns EXIT_USAGE. */
int verb_refuse(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the row means, with its words, range and default. */
void verb_argument_meaning(const struct verb_argument *row, struct text *text);
/* One line: "migrationd host add NAME URI [--migration-address ADDRESS] …". */
void verb_synopsis(const struct verb *verb, const char *path, struct text *text);
/* `migrationd --help`: the verbs with a line each. */
void verb_help_all(const struct verb *const *verbs, struct text *text);
/* `migrationd VERB --help`. */
void verb_help(const struct verb *verb, const char *path, struct text *text);
/* migrationd(8). */
void verb_manual(const struct verb *const *verbs, struct text *text);
/* The completion of a shell, "bash" or "zsh". */
void verb_complete_bash(const struct verb *const *verbs, struct text *text);
void verb_complete_zsh(const struct verb *const *verbs, struct text *text);
