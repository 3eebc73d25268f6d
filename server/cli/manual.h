/* What the manual's pages share. */
#pragma once

#include "server/cli/verb.h"

#define MANUAL_DATE "2026-11-25" /* of the texts; not of the build, which is to come out alike each time */

void manual_title(const char *name, const char *section, struct text *text);
/* The first goes on where the page is. */
void manual_paragraphs(const char *const *paragraphs, struct text *text);
/* migrationd.yaml(5). */
void config_manual(struct text *text);
