/* Changes of a configuration. Values are compared as they are printed, so that no key can be forgotten here; a secret prints
 * alike whatever it is, and is told by its file's change alone. */
#include "server/config_changes.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config_table.h"

/* FNV-1a */
static uint64_t mix(uint64_t digest, const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < size; i++)
		digest = (digest ^ byte[i]) * 1099511628211ULL;
	return digest;
}

static uint64_t mix_file(uint64_t digest, const char *path)
{
	struct stat status;
	uint64_t facts[5] = { 0 };

	if (stat(path, &status) == 0) {
		facts[0] = (uint64_t)status.st_dev;
		facts[1] = (uint64_t)status.st_ino;
		facts[2] = (uint64_t)status.st_size;
		facts[3] = (uint64_t)status.st_mtim.tv_sec;
		facts[4] = (uint64_t)status.st_mtim.tv_nsec;
	}
	return mix(digest, facts, sizeof(facts));
}

/* The order in which a directory tells its files is its own: they are added up. */
static uint64_t mix_directory(uint64_t digest, const char *path)
{
	DIR *directory = opendir(path);
	uint64_t sum = directory != NULL;

	for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;) {
		CLEANUP_FREE char *file = text_format("%s/%s", path, entry->d_name);

		if (file && entry->d_name[0] != '.')
			sum += mix_file(mix(14695981039346656037ULL, entry->d_name, strlen(entry->d_name)), file);
	}
	if (directory)
		closedir(directory);
	return mix(digest, &sum, sizeof(sum));
}

uint64_t config_fingerprint(const struct config *config)
{
	uint64_t digest = 14695981039346656037ULL;

	for (size_t i = 0; i < config->memory->watched_count; i++)
		digest = mix_file(digest, config->memory->watched[i]);
	for (size_t i = 0; i < config->policy_dir_count; i++)
		if (config->policy_dirs[i])
			digest = mix_directory(digest, config->policy_dirs[i]);
	return digest;
}

/* Keys that are read once, at the start. A certificate can be exchanged, but TLS not begun or ended. */
static bool needs_restart(const char *key, const char *before, const char *after)
{
	static const char *const fixed[] = { "node",        "database",  "admin_socket", "log.",
					     "hypervisor.", "listener.", "metrics.",     "simulation." };
	static const char *const changeable[] = { "listener.certificate_file", "listener.key_file",
						  "simulation.tokens." };

	for (size_t i = 0; i < ARRAY_LENGTH(changeable); i++)
		if (strcmp(key, changeable[i]) == 0
		    || (text_ends_with(changeable[i], ".") && text_starts_with(key, changeable[i])))
			return text_equal(before, "null") != text_equal(after, "null");
	for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++)
		if (strcmp(key, fixed[i]) == 0 || (text_ends_with(fixed[i], ".") && text_starts_with(key, fixed[i])))
			return true;
	return false;
}

/* Lines "key: value" of both; what stands in one alone has no value in the other. */
struct lines {
	char *text;
	char **rows;
	size_t count;
};

static void lines_clear(struct lines *lines)
{
	free(lines->text);
	free(lines->rows);
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int split(const struct config *config, struct lines *lines, struct error *error)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	size_t count = 0;

	config_print_values(config, &text);
	if (text_failed(&text))
		return error_no_memory(error);
	lines->text = text_take(&text);
	for (const char *at = lines->text; at && *at; at++)
		count += *at == '\n';
	lines->rows = calloc(count + 1, sizeof(*lines->rows));
	if (!lines->rows)
		return error_no_memory(error);
	char *rest = lines->text;
	for (char *row; lines->count < count && (row = strsep(&rest, "\n")) != NULL;)
		lines->rows[lines->count++] = row;
	for (size_t i = 0; i < lines->count; i++) {
		char *colon = strstr(lines->rows[i], ": ");

		if (colon)
			*colon = '\0';
	}
	qsort(lines->rows, lines->count, sizeof(*lines->rows), compare_rows); /* by key */
	return 0;
}

static const char *value_of(const char *row)
{
	return row + strlen(row) + 2;
}

int config_compare(const struct config *before, const struct config *after, config_change_fn on_change, void *context,
		   struct error *error)
{
	__attribute__((cleanup(lines_clear))) struct lines old = { 0 };
	__attribute__((cleanup(lines_clear))) struct lines new = { 0 };
	size_t i = 0, j = 0;
	int result = split(before, &old, error);

	if (result == 0)
		result = split(after, &new, error);
	if (result < 0)
		return result;
	while (i < old.count || j < new.count) {
		int order = i == old.count ? 1 : j == new.count ? -1 : strcmp(old.rows[i], new.rows[j]);
		const char *key = order <= 0 ? old.rows[i] : new.rows[j];
		const char *was = order <= 0 ? value_of(old.rows[i++]) : "";
		const char *is = order >= 0 ? value_of(new.rows[j++]) : "";

		if (strcmp(was, is) != 0)
			on_change(context, key, was, is, needs_restart(key, was, is));
	}
	return 0;
}
