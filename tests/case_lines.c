/* Running over a file of recorded cases. */
#include "tests/case_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int case_lines_run(int argument_count, char **arguments, int (*run)(const char *line, size_t number))
{
	CLEANUP_FCLOSE FILE *file = NULL;
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	size_t number = 0;
	size_t cases = 0;
	size_t differing = 0;

	if (argument_count != 2) {
		fprintf(stderr, "usage: %s FILE|-\n", arguments[0]);
		return 2;
	}
	file = strcmp(arguments[1], "-") == 0 ? stdin : fopen(arguments[1], "re");
	if (!file) {
		fprintf(stderr, "%s: cannot read %s: %s\n", arguments[0], arguments[1], strerror(errno));
		return 2;
	}
	while (getline(&line, &size, file) >= 0) {
		number++;
		if (line[strspn(line, " \t\r\n")] == '\0')
			continue;
		cases++;
		differing += (size_t)run(line, number);
	}
	printf("%zu cases, %zu differ\n", cases, differing);
	return cases > 0 && differing == 0 ? 0 : 1;
}
