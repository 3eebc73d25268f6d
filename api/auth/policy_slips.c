/* What somebody probably meant who wrote a rule that is not understood: words for the person who has to set it right. Nothing
 * is decided here; the parser has decided already. */
#include <string.h>
#include <strings.h>

#include "api/auth/policy_tree.h"
#include "base/cleanup.h"
#include "base/text.h"

/* A word of the rule between its brackets. */
struct word {
	const char *start;
	int length;
	size_t opened; /* brackets before it */
	size_t closed; /* behind it */
};

/* The next word from *place on; false at the end. A word may be of brackets alone. */
static bool next_word(const char **place, struct word *ret_word)
{
	const char *start = *place + policy_word_length(*place, true);
	size_t length = policy_word_length(start, false);
	struct word word = { .opened = strspn(start, "(") };

	if (length == 0)
		return false;
	*place = start + length;
	start += word.opened;
	length -= word.opened;
	for (; length > 0 && start[length - 1] == ')'; length--)
		word.closed++;
	word.start = start;
	word.length = (int)length;
	*ret_word = word;
	return true;
}

static bool is_word(const struct word *word, const char *text)
{
	return (size_t)word->length == strlen(text) && strncasecmp(word->start, text, strlen(text)) == 0;
}

static bool joins(const struct word *word)
{
	return is_word(word, "and") || is_word(word, "or");
}

static bool is_quoted(const struct word *word)
{
	char first = word->length > 1 ? word->start[0] : '\0';

	return (first == '"' || first == '\'') && word->start[word->length - 1] == first;
}

bool policy_hides_bracket(const char *word, size_t length)
{
	for (size_t i = 1; i < length; i++)
		if (word[i] == '(' && word[i - 1] != '%')
			return true;
	return false;
}

/* What is wrong with the word itself. */
static bool tell_word(const struct word *word, const struct word *next, struct text *words)
{
	bool has_next = next->length > 0 && !joins(next);

	if (is_word(word, ":") || is_word(next, ":"))
		text_append(words, "the colon stands between blanks: write KIND:MATCH in one, like \"role:admin\"");
	else if (word->start[word->length - 1] == ':' && has_next)
		text_append_format(words, "behind \"%.*s\" stands a blank: write \"%.*s%.*s\"", word->length,
				   word->start, word->length, word->start, next->length, next->start);
	else if (has_next && next->start[0] == ':' && !memchr(word->start, ':', (size_t)word->length))
		text_append_format(words, "before \"%.*s\" stands a blank: write \"%.*s%.*s\"", next->length,
				   next->start, word->length, word->start, next->length, next->start);
	else if (is_quoted(word))
		text_append_format(words, "quotes around a check are not taken: write %.*s without them",
				   word->length - 2, word->start + 1);
	else if (policy_hides_bracket(word->start, (size_t)word->length))
		text_append_format(words, "in \"%.*s\" a bracket opens in the midst of a word: write a blank before it",
				   word->length, word->start);
	else
		return false;
	return true;
}

/* What is wrong between two words; `before` or `after` is empty at the rule's ends. */
static bool tell_neighbours(const struct word *before, const struct word *after, struct text *words)
{
	bool waits = before->length == 0 || joins(before) || is_word(before, "not");

	if (before->length == 0 && after->length == 0)
		text_append(words, "there is no check in it");
	else if (waits && after->length == 0)
		text_append_format(words, "behind \"%.*s\" a check is missing", before->length, before->start);
	else if (waits && joins(after))
		text_append_format(words, "before \"%.*s\" a check is missing", after->length, after->start);
	else if (!waits && after->length > 0 && !joins(after))
		text_append_format(words, "between \"%.*s\" and \"%.*s\" an \"and\" or an \"or\" is missing",
				   before->length, before->start, after->length, after->start);
	else
		return false;
	return true;
}

void policy_describe_slip(const char *source, struct text *words)
{
	struct word word = { 0 }, next = { 0 }, before = { 0 };
	size_t opened = 0, closed = 0;
	const char *place = source;

	for (bool has_word = next_word(&place, &word); has_word; word = next) {
		next = (struct word){ 0 };
		has_word = next_word(&place, &next);
		opened += word.opened;
		closed += word.closed;
		if (word.length == 0)
			continue;
		if (tell_word(&word, &next, words) || tell_neighbours(&before, &word, words))
			return;
		before = word;
	}
	if (tell_neighbours(&before, &(struct word){ 0 }, words))
		return;
	if (opened != closed)
		text_append_format(words, "of its brackets %zu open and %zu close", opened, closed);
	else
		text_append(words, "operators, brackets or blanks are out of place");
}
