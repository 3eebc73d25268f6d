/* A directory with configuration files for one test, and what reading them tells. */
#pragma once

#include <stddef.h>

#include "base/text.h"
#include "server/config.h"

/* A whole key section on one line, so that other lines keep their numbers. */
#define AUTH "auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}\n"

struct place {
	char directory[64];
};

/* Problems, one a line, the directory of the test taken off; the caller clears the text. */
struct gathered {
	const struct place *place;
	struct text text;
};

int config_fixture_setup(void **state);
int config_fixture_teardown(void **state);

/* The path of a new file of the test's directory; the caller owns it. */
char *write_bytes(const struct place *place, const char *name, const void *content, size_t length);
char *write_file(const struct place *place, const char *name, const char *content);

void gather(void *context, const char *words);
int config_fixture_read(const char *path, config_report *report, void *context, struct config *ret_config,
			struct error *error);
/* The content as c.yaml is refused with exactly these lines. */
void expect_problems(const struct place *place, const char *content, const char *problems);
void read_good(const struct place *place, const char *content, struct config *ret_config);
