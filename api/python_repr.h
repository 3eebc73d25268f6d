/* JSON values as Python prints them: what Nova's schema errors are made of. */
#pragma once

#include <jansson.h>

#include "base/text.h"

/* repr(value): texts in quotes with escapes. */
void python_repr(struct text *text, const json_t *value);
/* str(value): a text bare, everything else as by repr. */
void python_str(struct text *text, const json_t *value);
