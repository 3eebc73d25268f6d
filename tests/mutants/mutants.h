/* The switches of planted faults: MUTANT(n) holds for the one that MUTANTS_STATE names. Each question is marked there, too, so
 * that a run tells which faults it came by. Included first in every planted file; never in the shipped ones. */
#ifndef MUTANTS_H
#define MUTANTS_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUTANTS_MAX 16384

struct mutants_state {
	volatile int32_t active;
	volatile uint8_t is_reached[MUTANTS_MAX];
};

__attribute__((weak)) struct mutants_state mutants_nowhere;
__attribute__((weak)) struct mutants_state *mutants_state = &mutants_nowhere;

static __attribute__((constructor(101), unused)) void mutants_attach(void)
{
	const char *path = getenv("MUTANTS_STATE");

	if (!path || mutants_state != &mutants_nowhere)
		return;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *mapped = fd < 0 ? MAP_FAILED
			      : mmap(NULL, sizeof(struct mutants_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (mapped != MAP_FAILED)
		mutants_state = (struct mutants_state *)mapped;
}

static inline __attribute__((unused)) int mutants_is_on(int number)
{
	mutants_state->is_reached[number] = 1;
	return mutants_state->active == number;
}

#define MUTANT(number) mutants_is_on(number)

#ifdef MUTANTS_OF_SQL
#include <sqlite3.h>

/* The text that is prepared: the changed one, where MUTANTS_SQL (original, NUL, changed, NUL, and so on) says so. With MUTANTS_SQL_SEEN
 * each text is written there. */
static __attribute__((unused)) const char *mutants_sql(const char *sql)
{
	const char *path = getenv("MUTANTS_SQL"), *seen = getenv("MUTANTS_SQL_SEEN");

	if (seen) {
		int fd = open(seen, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

		if (fd >= 0) {
			(void)!write(fd, sql, strlen(sql) + 1);
			close(fd);
		}
	}
	if (!path)
		return sql;
	/* It stays mapped: few faults are of SQL, and the statement may be used for as long as the process lives. */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;
	void *mapped = fd < 0 || fstat(fd, &about) < 0 || about.st_size == 0
			       ? MAP_FAILED
			       : mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (fd >= 0)
		close(fd);
	if (mapped == MAP_FAILED)
		return sql;
	const char *end = (const char *)mapped + about.st_size;
	for (const char *place = mapped; place < end;) {
		const char *changed = place + strlen(place) + 1;

		if (strcmp(place, sql) == 0)
			return changed;
		place = changed + strlen(changed) + 1;
	}
	munmap(mapped, (size_t)about.st_size);
	return sql;
}

#define sqlite3_prepare_v2(connection, sql, ...) sqlite3_prepare_v2(connection, mutants_sql(sql), __VA_ARGS__)
#define sqlite3_prepare_v3(connection, sql, ...) sqlite3_prepare_v3(connection, mutants_sql(sql), __VA_ARGS__)
#define sqlite3_exec(connection, sql, ...)       sqlite3_exec(connection, mutants_sql(sql), __VA_ARGS__)
#endif

#endif
