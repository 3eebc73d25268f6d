/* Rows of JSON objects for people: columns as wide as what stands in them, cut where a terminal ends; whole in a pipe. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct table_column {
	const char *title;
	const char *key; /* of the row's object; dots go into objects; a missing value or null is "-" */
	bool is_left_out_when_empty; /* no row has it: no column */
};

/* The rows by columns, or with `is_json` as they are. The exit status. */
int table_print(const json_t *rows, const struct table_column *columns, size_t column_count, bool is_json);
/* JSON on standard output, indented; the exit status. */
int table_print_json(const json_t *document);
/* Characters of the terminal's line; 0: standard output is none. */
size_t table_terminal_width(void);
/* Places that UTF-8 text takes on a line, at one for each character. */
size_t table_text_width(const char *text);
