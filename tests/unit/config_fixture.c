/* Files of a configuration for one test. */
#include "tests/unit/config_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"

int config_fixture_setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->directory, "/tmp/migrationd-config-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	*state = place;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

int config_fixture_teardown(void **state)
{
	struct place *place = *state;

	assert_int_equal(nftw(place->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(place);
	return 0;
}

char *write_bytes(const struct place *place, const char *name, const void *content, size_t length)
{
	char *path = text_format("%s/%s", place->directory, name);
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, length, file), length);
	return path;
}

char *write_file(const struct place *place, const char *name, const char *content)
{
	return write_bytes(place, name, content, strlen(content));
}

void gather(void *context, const char *words)
{
	struct gathered *gathered = context;
	size_t length = strlen(gathered->place->directory);
	const char *found;

	while ((found = strstr(words, gathered->place->directory)) != NULL) {
		text_append_bytes(&gathered->text, words, (size_t)(found - words));
		words = found + length + 1;
	}
	text_append_format(&gathered->text, "%s\n", words);
}

int config_fixture_read(const char *path, config_report *report, void *context, struct config *ret_config,
			struct error *error)
{
	const struct config_source source = { .paths = &path, .count = 1, .keeps_origins = true };

	return config_read(&source, report, context, ret_config, error);
}

void expect_problems(const struct place *place, const char *content, const char *problems)
{
	CLEANUP_FREE char *path = write_file(place, "c.yaml", content);
	CLEANUP_CONFIG struct config config = { 0 };
	struct gathered gathered = { .place = place };
	struct error error = { 0 };

	text_append(&gathered.text, "");
	assert_true(config_fixture_read(path, gather, &gathered, &config, &error) < 0);
	assert_string_equal(gathered.text.data, problems);
	assert_null(config.memory);
	text_clear(&gathered.text);
	gather(&gathered, error.text);
	gathered.text.data[strlen(gathered.text.data) - 1] = '\0';
	assert_true(text_starts_with(problems, gathered.text.data)); /* the first of them */
	text_clear(&gathered.text);
}

void read_good(const struct place *place, const char *content, struct config *ret_config)
{
	CLEANUP_FREE char *path = write_file(place, "c.yaml", content);
	struct error error = { 0 };
	int result = config_fixture_read(path, NULL, NULL, ret_config, &error);

	assert_string_equal(error.text, "");
	assert_int_equal(result, 0);
}
