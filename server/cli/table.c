/* Tables on a terminal. The one difficulty: where the terminal is too narrow the widest columns are cut, so that a line stays a
 * line; a pipe gets all. */
#include "server/cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/cli/verb.h"

#define COLUMNS_MAX 16
#define WIDTH_MIN   4 /* of a column that is cut */
#define GAP         2

size_t table_terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

static bool begins_character(char byte)
{
	return ((unsigned char)byte & 0xC0) != 0x80;
}

size_t table_text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += begins_character(*text);
	return width;
}

/* The value as text; what an answer holds must not steer the terminal. */
static char *cell(const json_t *row, const char *key)
{
	CLEANUP_FREE char *path = strdup(key);
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	const json_t *value = json_object_get(row, key);
	char *rest = NULL;

	if (!value && path) {
		value = row;
		for (const char *part = strtok_r(path, ".", &rest); part; part = strtok_r(NULL, ".", &rest))
			value = json_object_get(value, part);
	}
	if (json_is_string(value)) {
		for (const char *byte = json_string_value(value); *byte; byte++)
			text_append_bytes(&text, (unsigned char)*byte < ' ' || *byte == 0x7F ? "?" : byte, 1);
	} else if (value && !json_is_null(value)) {
		CLEANUP_FREE char *printed = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

		text_append(&text, printed ? printed : "?");
	}
	if (text.length == 0)
		text_append(&text, "-");
	return text_take(&text);
}

/* The widest give first, so that all together fit. */
static void narrow(size_t *widths, size_t count, size_t available)
{
	for (;;) {
		size_t sum = count > 0 ? (count - 1) * GAP : 0, widest = 0;

		for (size_t i = 0; i < count; i++) {
			sum += widths[i];
			if (widths[i] > widths[widest])
				widest = i;
		}
		if (sum <= available || widths[widest] <= WIDTH_MIN)
			return;
		widths[widest]--;
	}
}

static void print_cell(const char *text, size_t width, bool is_last, bool is_cut)
{
	size_t has = table_text_width(text), taken = 0;
	const char *end = text;

	if (is_cut && has > width) {
		for (; *end; end++)
			if (begins_character(*end) && ++taken == width)
				break;
		printf("%.*s…", (int)(end - text), text);
		has = width;
	} else {
		fputs(text, stdout);
	}
	if (!is_last)
		printf("%*s", (int)((width > has ? width - has : 0) + GAP), "");
}

struct grid {
	char **cells; /* row by row, the titles first; NULL is one that could not be made */
	size_t row_count;
	size_t column_count;
};

static void free_grid(struct grid *grid)
{
	for (size_t i = 0; grid->cells && i < grid->row_count * grid->column_count; i++)
		free(grid->cells[i]);
	free(grid->cells);
}

static bool is_empty(const json_t *rows, const struct table_column *column)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		CLEANUP_FREE char *text = cell(row, column->key);

		if (!text_equal(text, "-"))
			return false;
	}
	return true;
}

static void print_grid(const struct grid *grid)
{
	size_t widths[COLUMNS_MAX] = { 0 };
	size_t terminal = table_terminal_width();

	for (size_t i = 0; i < grid->row_count * grid->column_count; i++) {
		size_t width = table_text_width(grid->cells[i]), column = i % grid->column_count;

		if (width > widths[column])
			widths[column] = width;
	}
	if (terminal > 0)
		narrow(widths, grid->column_count, terminal);
	for (size_t i = 0; i < grid->row_count * grid->column_count; i++) {
		size_t column = i % grid->column_count;
		bool is_last = column + 1 == grid->column_count;

		print_cell(grid->cells[i], widths[column], is_last, terminal > 0);
		if (is_last)
			putchar('\n');
	}
}

int table_print_json(const json_t *document)
{
	int result = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);

	putchar('\n');
	return result == 0 ? verb_output_status() : EXIT_FAILURE;
}

int table_print(const json_t *rows, const struct table_column *columns, size_t column_count, bool is_json)
{
	const struct table_column *shown[COLUMNS_MAX];
	CLEANUP(free_grid) struct grid grid = { .row_count = json_array_size(rows) + 1 };
	bool is_good = true;

	if (is_json)
		return table_print_json(rows);
	for (size_t i = 0; i < column_count && grid.column_count < COLUMNS_MAX; i++)
		if (!columns[i].is_left_out_when_empty || !is_empty(rows, &columns[i]))
			shown[grid.column_count++] = &columns[i];
	grid.cells = calloc(grid.row_count * grid.column_count + 1, sizeof(*grid.cells));
	for (size_t i = 0; grid.cells && i < grid.row_count * grid.column_count; i++) {
		size_t row = i / grid.column_count;
		const struct table_column *column = shown[i % grid.column_count];

		grid.cells[i] = row == 0 ? strdup(column->title) : cell(json_array_get(rows, row - 1), column->key);
		is_good = is_good && grid.cells[i];
	}
	if (!grid.cells || !is_good)
		return EXIT_FAILURE;
	print_grid(&grid);
	return verb_output_status();
}
