/* What the checkers of recorded cases share: one case a line, each told when it differs, and the count last. */
#pragma once

#include <stddef.h>

/* `run` gets a line and its number (from 1), prints what differs, and returns 1 when something did, else 0. Reads the file
 * that is the only argument (- is the standard input) and prints last `N cases, M differ`. Returns main's status: 0 only
 * when there were cases and none differs, 2 when the file cannot be read. */
int case_lines_run(int argument_count, char **arguments, int (*run)(const char *line, size_t number));
