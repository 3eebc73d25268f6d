/* migrationd(8), from the rows of the verbs. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/manual.h"
#include "server/cli/roff.h"
#include "server/config_table.h"
#include "server/version.h"

static const char *const about[] = {
	"migrationd speaks OpenStack Nova's migrate-server API and really moves libvirt guests, with nothing on the "
	"hosts but "
	"libvirtd. The verb serve is the daemon; the others are for its operator and its users.",
	"Some verbs ask the running daemon over its admin socket (host), which is for root alone. Others ask the API "
	"over HTTP "
	"(server, migrate, migration), with a token, as any client of Nova does. Without --endpoint and --token, and "
	"without "
	"OS_ENDPOINT and OS_TOKEN, these ask the daemon of this machine, where the configuration says that it listens, "
	"with a token "
	"of an admin that holds for a minute and is signed by the configuration's first key that can; so whoever may "
	"read the "
	"configuration's keys needs no token. It is sent to a daemon alone that answers on the admin socket.",
	"Tables are as wide as the terminal; what has no room is cut, and ends with an ellipsis. In a pipe they are "
	"whole. With "
	"--json the verbs that list or show print JSON, whose members are named at each of them.",
	NULL,
};

static const struct {
	const char *name;
	const char *meaning;
} variables[] = {
	{ "OS_ENDPOINT",
	  "where the API is, with its version, as OpenStack's clients have it with OS_AUTH_TYPE=admin_token" },
	{ "OS_TOKEN", "the token that goes with each request" },
	{ "OS_CACERT", "a file with the certificates that the endpoint's is checked by, PEM" },
	{ "https_proxy, http_proxy, no_proxy",
	  "the way to the endpoint; the daemon of this machine is asked directly" },
	{ "TMPDIR", "where serve --simulate has its folder; /tmp without it" },
};

void manual_title(const char *name, const char *section, struct text *text)
{
	/* Neither words nor spaces are stretched: options are to be found as they are written. */
	text_append_format(text,
			   ".TH \"%s\" \"%s\" \"" MANUAL_DATE "\" \"migrationd " MIGRATIOND_VERSION "\"\n.nh\n.ad l\n",
			   name, section);
}

void manual_paragraphs(const char *const *paragraphs, struct text *text)
{
	for (const char *const *paragraph = paragraphs; paragraph && *paragraph; paragraph++) {
		if (paragraph > paragraphs)
			text_append(text, ".PP\n");
		roff_paragraph(*paragraph, text);
	}
}

static void append_argument(const struct verb_argument *row, struct text *text)
{
	text_append(text, row->is_required ? "" : "[");
	if (row->name) {
		text_append(text, "\\fB\\-\\-");
		roff_append(row->name, text);
		text_append_format(text, "\\fR%s", row->value ? "\\~" : "");
	}
	if (row->value) {
		text_append(text, "\\fI");
		roff_append(row->value, text);
		text_append(text, "\\fR");
	}
	text_append_format(text, "%s%s\n", row->type == VERB_TEXTS ? "\\[u2026]" : "", row->is_required ? "" : "]");
}

static void append_call(const struct verb *verb, const char *path, struct text *text)
{
	text_append(text, ".HP\n\\fBmigrationd ");
	roff_append(path, text);
	text_append(text, "\\fR\n");
	for (size_t i = 0; i < verb->operands.count; i++)
		append_argument(&verb->operands.items[i], text);
	for (size_t i = 0; i < verb->options.count; i++)
		append_argument(&verb->options.items[i], text);
}

static void append_rows(const struct verb_arguments *rows, struct text *text)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct verb_argument *row = &rows->items[i];
		CLEANUP_FREE char *option = row->name ? text_format("--%s", row->name) : NULL;
		CLEANUP_TEXT struct text meaning = TEXT_EMPTY;

		verb_argument_meaning(row, &meaning);
		text_append(&meaning, ".");
		roff_entry(option ? option : row->value, option ? row->value : NULL, meaning.data ? meaning.data : "",
			   text);
		text->failed = text->failed || text_failed(&meaning);
	}
}

static void append_examples(const struct verb_example *examples, struct text *text)
{
	for (; examples && examples->command; examples++) {
		CLEANUP_FREE char *meaning = text_format("Example, %s:", examples->meaning);

		text_append(text, ".PP\n");
		roff_paragraph(meaning ? meaning : "", text);
		text_append(text, ".PP\n.RS 4\n.nf\n");
		roff_verbatim(examples->command, text);
		text_append(text, ".fi\n.RE\n");
	}
}

/* A sentence of the summary, which is none. */
static void append_summary(const char *summary, struct text *text)
{
	CLEANUP_FREE char *sentence = text_format("%s.", summary);

	if (sentence && *sentence >= 'a' && *sentence <= 'z')
		*sentence = (char)(*sentence - 'a' + 'A');
	roff_paragraph(sentence ? sentence : "", text);
}

static void append_verb(const struct verb *verb, const char *path, struct text *text)
{
	CLEANUP_FREE char *title = text_format("migrationd %s", path);

	roff_macro("SS", title ? title : "", text);
	append_summary(verb->summary, text);
	if (verb->description) {
		text_append(text, ".PP\n");
		manual_paragraphs(verb->description, text);
	}
	append_rows(&verb->operands, text);
	append_rows(&verb->options, text);
	append_examples(verb->examples, text);
}

static void each_verb(const struct verb *const *verbs, const char *prefix,
		      void (*append)(const struct verb *verb, const char *path, struct text *text), struct text *text)
{
	for (; *verbs; verbs++) {
		CLEANUP_FREE char *path = text_format("%s%s", prefix, (*verbs)->name);
		CLEANUP_FREE char *inner = path ? text_format("%s ", path) : NULL;

		if (!path || !inner)
			text->failed = true;
		else if ((*verbs)->verbs)
			each_verb((*verbs)->verbs, inner, append, text);
		else
			append(*verbs, path, text);
	}
}

static const char *default_of(const char *name)
{
	for (size_t i = 0; i < config_root.count; i++)
		if (text_equal(config_root.keys[i].name, name))
			return config_root.keys[i].by_default;
	return "";
}

static void append_files(struct text *text)
{
	roff_macro("SH", "FILES", text);
	roff_entry(VERB_CONFIG_DEFAULT, NULL, "The configuration, where --config does not name another.", text);
	roff_entry(default_of("database"), NULL, "The database, where the configuration does not name another.", text);
	roff_entry(default_of("admin_socket"), NULL, "The admin socket, likewise.", text);
}

static void append_statuses(struct text *text)
{
	roff_macro("SH", "EXIT STATUS", text);
	for (size_t i = 0; i < verb_exit_count; i++) {
		CLEANUP_FREE char *status = text_format("%d", verb_exits[i].status);
		CLEANUP_FREE char *meaning = text_format("%s.", verb_exits[i].meaning);

		roff_entry(status ? status : "", NULL, meaning ? meaning : "", text);
	}
}

void verb_manual(const struct verb *const *verbs, struct text *text)
{
	manual_title("MIGRATIOND", "8", text);
	roff_macro("SH", "NAME", text);
	text_append(text, "migrationd \\- moves libvirt guests for OpenStack's clients\n");
	roff_macro("SH", "SYNOPSIS", text);
	each_verb(verbs, "", append_call, text);
	roff_macro("SH", "DESCRIPTION", text);
	manual_paragraphs(about, text);
	roff_macro("SH", "VERBS", text);
	each_verb(verbs, "", append_verb, text);
	append_statuses(text);
	roff_macro("SH", "ENVIRONMENT", text);
	for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
		CLEANUP_FREE char *meaning = text_format("%s.", variables[i].meaning);

		roff_entry(variables[i].name, NULL, meaning ? meaning : "", text);
	}
	append_files(text);
	roff_macro("SH", "SEE ALSO", text);
	text_append(text, ".BR migrationd.yaml (5),\n.BR openstack (1),\n.BR libvirtd (8)\n");
}
