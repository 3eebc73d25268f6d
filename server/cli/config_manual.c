/* migrationd.yaml(5), from the tables of the configuration. */
#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/manual.h"
#include "server/cli/roff.h"
#include "server/config_table.h"

static const char *const about[] = {
	"The configuration is one YAML file, " VERB_CONFIG_DEFAULT
	" unless --config names others. Where several are named, of a key "
	"that stands in two the later file's counts, lists as a whole. Relative paths are relative to the directory of "
	"the file that "
	"they stand in.",
	"A file holds documents: settings as they are described here, and documents of the kind OpenStackDeployment, "
	"as operators of "
	"Mirantis OpenStack for Kubernetes have them, which are taken as they are.",
	"What Nova has is called as it is there, with Nova's sections; what Nova has in [DEFAULT] stands at the top.",
	"migrationd check prints every key with the value that would be in force, and the file and line that it comes "
	"from. What is "
	"wrong is told as FILE:LINE:, and nothing starts with it. The files are read anew on SIGHUP and when one of "
	"them changes; "
	"what is wrong then is refused as a whole, and what was in force stays so. Keys that are read at the start "
	"alone are named in "
	"the log when they change.",
	"A file that holds a secret should be readable for the daemon's user alone.",
	NULL,
};

static const char example[][64] = {
	"node: controller",
	"auth:",
	"  keys:",
	"    - {kid: first, algorithm: HS256,",
	"       secret_file: /etc/migrationd/token.key}",
	"hosts:",
	"  - {name: compute-1, uri: \"qemu+tls://compute-1/system\",",
	"     migration_address: 198.51.100.11}",
	"libvirt:",
	"  live_migration_with_native_tls: true",
};

static void append_key(const struct config_key *key, const char *prefix, struct text *text)
{
	CLEANUP_FREE char *name = text_format("%s%s", prefix, key->name);
	CLEANUP_TEXT struct text kind = TEXT_EMPTY;
	CLEANUP_TEXT struct text meaning = TEXT_EMPTY;

	config_describe_type(key, &kind);
	text_append_format(&meaning, "%s.", key->meaning ? key->meaning : "");
	if (key->is_required)
		text_append(&meaning, " It is required.");
	if (key->by_default)
		text_append_format(&meaning, " Default: %s", key->by_default);
	roff_entry(name ? name : "", NULL, meaning.data ? meaning.data : "", text);
	text_append(text, ".br\n");
	roff_paragraph(kind.data ? kind.data : "", text);
	text->failed = text->failed || text_failed(&kind) || text_failed(&meaning);
}

static void append_section(const struct config_section *section, const char *prefix, struct text *text);

/* Plain keys first, then what has keys of its own under a heading of its own. */
static void append_inner(const struct config_key *key, const char *prefix, struct text *text)
{
	bool is_list = key->type == CONFIG_ITEMS;
	CLEANUP_FREE char *inner = text_format("%s%s%s.", prefix, key->name,
					       is_list                           ? "[]"
					       : key->type == CONFIG_NAMED_ITEMS ? ".NAME"
										 : "");
	CLEANUP_FREE char *title = inner ? text_format("%.*s", (int)strlen(inner) - 1, inner) : NULL;

	if (!title) {
		text->failed = true;
		return;
	}
	roff_macro("SS", title, text);
	if (key->type != CONFIG_SECTION && key->meaning) {
		CLEANUP_FREE char *sentence = text_format("%s: %s.", is_list ? "A list" : "A mapping", key->meaning);

		roff_paragraph(sentence ? sentence : "", text);
	}
	append_section(key->section, inner, text);
}

static void append_section(const struct config_section *section, const char *prefix, struct text *text)
{
	for (size_t i = 0; i < section->count; i++)
		if (!section->keys[i].section)
			append_key(&section->keys[i], prefix, text);
	for (size_t i = 0; i < section->count; i++)
		if (section->keys[i].section)
			append_inner(&section->keys[i], prefix, text);
}

void config_manual(struct text *text)
{
	manual_title("MIGRATIOND.YAML", "5", text);
	roff_macro("SH", "NAME", text);
	text_append(text, "migrationd.yaml \\- the configuration of migrationd\n");
	roff_macro("SH", "DESCRIPTION", text);
	manual_paragraphs(about, text);
	roff_macro("SH", "KEYS", text);
	append_section(&config_root, "", text);
	roff_macro("SH", "EXAMPLES", text);
	text_append(text, ".nf\n");
	for (size_t i = 0; i < ARRAY_LENGTH(example); i++)
		roff_verbatim(example[i], text);
	text_append(text, ".fi\n");
	roff_macro("SH", "SEE ALSO", text);
	text_append(text, ".BR migrationd (8)\n");
}
