/* Completion for bash and zsh, from the rows of the verbs. Names of hosts, servers and migrations are asked of the daemon when
 * they are wanted, by `migrationd completion WHAT` with the options of the line that say which daemon. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/verb.h"

static const char *const roles[] = { "admin", "manager", "member", "reader", NULL };

static const char *asked_of(enum verb_completion completes)
{
	switch (completes) {
	case VERB_COMPLETES_HOST:
		return "hosts";
	case VERB_COMPLETES_SERVER:
		return "servers";
	case VERB_COMPLETES_MIGRATION:
		return "migrations";
	case VERB_COMPLETES_POLICY:
		return "policies";
	default:
		return NULL;
	}
}

static const char *const *words_of(const struct verb_argument *row)
{
	return row->completes == VERB_COMPLETES_ROLE ? roles : row->words;
}

/* In single quotes, as both shells read them. */
static void append_quoted(const char *words, struct text *text)
{
	text_append(text, "'");
	for (; *words; words++)
		if (*words == '\'')
			text_append(text, "'\\''");
		else
			text_append_bytes(text, words, 1);
	text_append(text, "'");
}

/* ---- bash */

/* "file", "nothing", "asked hosts", "words auto true false". */
static void append_kind(const struct verb_argument *row, struct text *text)
{
	CLEANUP_TEXT struct text kind = TEXT_EMPTY;

	if (asked_of(row->completes))
		text_append_format(&kind, "asked %s", asked_of(row->completes));
	else if (words_of(row))
		text_append(&kind, "words");
	else
		text_append(&kind, row->completes == VERB_COMPLETES_FILE ? "file" : "nothing");
	for (const char *const *word = words_of(row); word && *word; word++)
		text_append_format(&kind, " %s", *word);
	append_quoted(kind.data ? kind.data : "", text);
	text->failed = text->failed || text_failed(&kind);
}

/* A case of `_migrationd_about PATH`: its options, those that take a value with its kind, and the kinds of its operands. */
static void append_bash_verb(const struct verb *verb, const char *path, struct text *text)
{
	text_append_format(text, "\t'%s')\n\t\toptions='--help", path);
	for (size_t i = 0; i < verb->options.count; i++)
		text_append_format(text, " --%s", verb->options.items[i].name);
	text_append(text, "'\n");
	for (size_t i = 0; i < verb->options.count; i++) {
		if (!verb->options.items[i].value)
			continue;
		text_append_format(text, "\t\tvalues[--%s]=", verb->options.items[i].name);
		append_kind(&verb->options.items[i], text);
		text_append(text, "\n");
	}
	for (size_t i = 0; i < verb->operands.count; i++) {
		text_append(text, "\t\toperands+=(");
		append_kind(&verb->operands.items[i], text);
		text_append(text, ")\n");
		if (verb->operands.items[i].type == VERB_TEXTS)
			text_append(text, "\t\trepeats=1\n");
	}
	for (const struct verb *const *inner = verb->verbs; inner && *inner; inner++)
		text_append_format(text, "%s%s%s", inner == verb->verbs ? "\t\tverbs='" : " ", (*inner)->name,
				   inner[1] ? "" : "'\n");
	text_append(text, "\t\t;;\n");
	for (const struct verb *const *inner = verb->verbs; inner && *inner; inner++) {
		CLEANUP_FREE char *whole = text_format("%s %s", path, (*inner)->name);

		append_bash_verb(*inner, whole ? whole : "", text);
	}
}

static const char bash_rest[] =
	"\tesac\n"
	"}\n"
	"\n"
	"# What may stand in the current word, by its kind.\n"
	"_migrationd_offer() {\n"
	"\tlocal kind=$1 word=$2 line\n"
	"\tcase \"$kind\" in\n"
	"\tfile)\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\twhile IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- \"$word\") ;;\n"
	"\tasked\\ *)\n"
	"\t\twhile IFS= read -r line; do\n"
	"\t\t\t[[ $line == \"$word\"* ]] && COMPREPLY+=(\"$(printf '%q' \"$line\")\")\n"
	"\t\tdone < <(\"${COMP_WORDS[0]}\" completion \"${kind#asked }\" \"${daemon[@]}\" 2>/dev/null) ;;\n"
	"\twords\\ *)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"${kind#words }\" -- \"$word\") ;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"_migrationd() {\n"
	"\tlocal options verbs path word previous='' value='' i glue=0 place=0 repeats=0\n"
	"\tlocal -A values\n"
	"\tlocal -a operands=() daemon=() words=()\n"
	"\tCOMPREPLY=()\n"
	"\t# Bash takes --option=value and a:b for three words.\n"
	"\tfor ((i = 1; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $word == = && ${#words[@]} -gt 0 && ${words[-1]} == --* ]]; then\n"
	"\t\t\t((i == COMP_CWORD)) && words+=('')\n"
	"\t\telif [[ $word == [:=]* && ${#words[@]} -gt 0 ]]; then\n"
	"\t\t\twords[-1]+=$word\n"
	"\t\t\tglue=1\n"
	"\t\telif ((glue)); then\n"
	"\t\t\twords[-1]+=$word\n"
	"\t\t\tglue=0\n"
	"\t\telse\n"
	"\t\t\twords+=(\"$word\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tpath=''\n"
	"\t_migrationd_about \"$path\"\n"
	"\tfor ((i = 0; i < ${#words[@]} - 1; i++)); do\n"
	"\t\tword=${words[i]}\n"
	"\t\tif [[ -n $verbs ]]; then\n"
	"\t\t\tpath=${path:+$path }$word\n"
	"\t\t\tverbs='' options='' values=() operands=()\n"
	"\t\t\t_migrationd_about \"$path\"\n"
	"\t\telif [[ $word == --* && -n ${values[$word]-} ]]; then\n"
	"\t\t\tprevious=$word\n"
	"\t\t\t((i++))\n"
	"\t\t\tcase \"$word\" in\n"
	"\t\t\t--config | --endpoint | --token | --cacert) ((i < ${#words[@]} - 1)) && daemon+=(\"$word\" "
	"\"${words[i]}\") ;;\n"
	"\t\t\tesac\n"
	"\t\t\t((i == ${#words[@]} - 1)) && value=$previous\n"
	"\t\telif [[ $word != -* ]]; then\n"
	"\t\t\t((place++))\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tword=${words[-1]}\n"
	"\t((repeats && place >= ${#operands[@]})) && place=$((${#operands[@]} - 1))\n"
	"\tif [[ -n $verbs ]]; then\n"
	"\t\t_migrationd_offer \"words $verbs\" \"$word\"\n"
	"\telif [[ -n $value ]]; then\n"
	"\t\t_migrationd_offer \"${values[$value]}\" \"$word\"\n"
	"\telif [[ $word == -* || place -ge ${#operands[@]} ]]; then\n"
	"\t\t_migrationd_offer \"words $options\" \"$word\"\n"
	"\telse\n"
	"\t\t_migrationd_offer \"${operands[place]}\" \"$word\"\n"
	"\tfi\n"
	"\t# And puts what it gets behind the last colon.\n"
	"\tif [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	"\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"${word%\"${word##*:}\"}\"}\")\n"
	"\tfi\n"
	"}\n"
	"\n"
	"complete -F _migrationd migrationd\n";

void verb_complete_bash(const struct verb *const *verbs, struct text *text)
{
	text_append(text, "# bash completion for migrationd, made of its table of verbs: migrationd completion bash\n\n"
			  "# Sets what the verb is about: options, values, operands, repeats, verbs.\n"
			  "_migrationd_about() {\n\tcase \"$1\" in\n\t'')\n\t\tverbs='");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		text_append_format(text, "%s%s", verb == verbs ? "" : " ", (*verb)->name);
	text_append(text, "'\n\t\t;;\n");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		append_bash_verb(*verb, (*verb)->name, text);
	text_append(text, bash_rest);
}

/* ---- zsh */

/* Within a specification of _arguments, where colons and brackets have a meaning. */
static void append_zsh_words(const char *words, const char *special, struct text *text)
{
	for (; *words; words++) {
		if (strchr(special, *words))
			text_append(text, "\\");
		if (*words == '\'')
			text_append(text, "'\\''");
		else
			text_append_bytes(text, words, 1);
	}
}

static void append_zsh_action(const struct verb_argument *row, struct text *text)
{
	const char *const *words = words_of(row);

	if (asked_of(row->completes))
		text_append_format(text, "{_migrationd_asked %s}", asked_of(row->completes));
	else if (row->completes == VERB_COMPLETES_FILE)
		text_append(text, "_files");
	else if (words)
		text_append(text, "(");
	else
		text_append(text, " ");
	for (const char *const *word = words; word && *word; word++)
		text_append_format(text, "%s%s", word == words ? "" : " ", *word);
	if (words)
		text_append(text, ")");
}

static void append_zsh_rows(const struct verb *verb, struct text *text)
{
	for (size_t i = 0; i < verb->operands.count; i++) {
		const struct verb_argument *row = &verb->operands.items[i];

		text_append(text, " \\\n\t\t\t'");
		if (row->type == VERB_TEXTS)
			text_append(text, "*");
		else
			text_append_format(text, "%zu", i + 1);
		text_append_format(text, ":%s:", row->value);
		append_zsh_action(row, text);
		text_append(text, "'");
	}
	for (size_t i = 0; i < verb->options.count; i++) {
		const struct verb_argument *row = &verb->options.items[i];

		text_append_format(text, " \\\n\t\t\t'%s--%s%s[", row->type == VERB_TEXTS ? "*" : "", row->name,
				   row->value ? "=" : "");
		append_zsh_words(row->meaning, "[]:\\", text);
		text_append(text, "]");
		if (row->value) {
			text_append_format(text, ":%s:", row->value);
			append_zsh_action(row, text);
		}
		text_append(text, "'");
	}
}

/* "name:what it does" of each, for _describe. */
static void append_zsh_list(const struct verb *const *verbs, struct text *text)
{
	for (; *verbs; verbs++) {
		text_append_format(text, " '%s:", (*verbs)->name);
		append_zsh_words((*verbs)->summary, ":\\", text);
		text_append(text, "'");
	}
}

static void append_zsh_verb(const struct verb *verb, const char *path, struct text *text)
{
	text_append_format(text, "\t'%s')\n", path);
	if (verb->verbs) {
		text_append(text, "\t\tverbs=(");
		append_zsh_list(verb->verbs, text);
		text_append(text, ")\n\t\t_describe -t verbs verb verbs\n\t\t;;\n");
	} else {
		text_append(text, "\t\t_arguments -S '--help[tells how it is called]'");
		append_zsh_rows(verb, text);
		text_append(text, "\n\t\t;;\n");
	}
	for (const struct verb *const *inner = verb->verbs; inner && *inner; inner++) {
		CLEANUP_FREE char *whole = text_format("%s %s", path, (*inner)->name);

		append_zsh_verb(*inner, whole ? whole : "", text);
	}
}

static const char zsh_asked[] =
	"_migrationd_asked() {\n"
	"\tlocal -a daemon=() found\n"
	"\tlocal i\n"
	"\tfor ((i = 2; i <= $#words; i++)); do\n"
	"\t\tcase $words[i] in\n"
	"\t\t--config|--endpoint|--token|--cacert) daemon+=(\"$words[i]\" \"$words[i+1]\") ;;\n"
	"\t\t--config=*|--endpoint=*|--token=*|--cacert=*) daemon+=(\"$words[i]\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tfound=(${(f)\"$(_call_program migrationd-$1 $migrationd completion $1 ${(q)daemon} 2>/dev/null)\"})\n"
	"\tcompadd -a found\n"
	"}\n\n";

static const char zsh_begin[] = "_migrationd() {\n"
				"\tlocal called migrationd=$words[1]\n"
				"\tlocal -a verbs\n"
				"\tif ((CURRENT == 2)); then\n"
				"\t\tverbs=(";

static const char zsh_choice[] = ")\n"
				 "\t\t_describe -t verbs verb verbs\n"
				 "\t\treturn\n"
				 "\tfi\n"
				 "\tcase $words[2] in\n\t";

void verb_complete_zsh(const struct verb *const *verbs, struct text *text)
{
	size_t count = 0;

	text_append(text,
		    "#compdef migrationd\n# zsh completion for migrationd, made of its table of verbs: migrationd "
		    "completion zsh\n\n");
	text_append(text, zsh_asked);
	text_append(text, zsh_begin);
	append_zsh_list(verbs, text);
	text_append(text, zsh_choice);
	for (const struct verb *const *verb = verbs; *verb; verb++)
		if ((*verb)->verbs)
			text_append_format(text, "%s%s", count++ > 0 ? "|" : "", (*verb)->name);
	text_append(text, ")\n"
			  "\t\tif ((CURRENT == 3)); then\n"
			  "\t\t\tcalled=$words[2]\n"
			  "\t\telse\n"
			  "\t\t\tcalled=\"$words[2] $words[3]\"\n"
			  "\t\t\tshift 2 words\n"
			  "\t\t\t((CURRENT -= 2))\n"
			  "\t\tfi\n"
			  "\t\t;;\n"
			  "\t*)\n"
			  "\t\tcalled=$words[2]\n"
			  "\t\tshift 1 words\n"
			  "\t\t((CURRENT -= 1))\n"
			  "\t\t;;\n"
			  "\tesac\n"
			  "\tcase $called in\n");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		append_zsh_verb(*verb, (*verb)->name, text);
	text_append(text, "\tesac\n}\n\n_migrationd \"$@\"\n");
}
