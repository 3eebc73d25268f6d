/* migrationd as it is shipped, but held at points of a job's life: for lab.py. `faults_daemon points` lists the points, from
 * the tables of phases; all other words are migrationd's.
 *
 * Files in the folder that FAULTS_FOLDER names say where. `point.1` has a point: "live moving before" (its durable write), or
 * after. The first job that comes there renames it to `reached.1` and is held, until there is a file `go.1`; all other threads
 * go on. `go.1` may hold "clock SECONDS", by which the wall clock is stepped from then on. The same goes for `point.2`. Each
 * point that is passed is added to `trace`.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/command_serve.h"
#include "server/verbs.h"
#include "server/worker/phases.h"
#include "server/worker/worker.h"

#define VERBS_MAX 64
#define LINE_SIZE 256
#define POLL_NS   5000000

static _Atomic int64_t clock_step_s;

/* The library's, but for the step: this program's own name for it comes first. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the library names them as only it may. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	int result = (int)syscall(SYS_clock_gettime, clock, time);

	if (clock == CLOCK_REALTIME)
		time->tv_sec += atomic_load(&clock_step_s);
	return result;
}

static const char *folder(void)
{
	return getenv("FAULTS_FOLDER");
}

static void path_of(const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", folder(), name);
}

/* The file's first line, without its end. False: there is none. */
static bool read_line(const char *name, char line[LINE_SIZE])
{
	char path[PATH_MAX];

	path_of(name, path);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, LINE_SIZE, file))
		line[0] = '\0';
	for (char *end = line; *end; end++)
		if (*end == '\n')
			*end = '\0';
	fclose(file);
	return true;
}

static void add_to_trace(const char *point)
{
	char path[PATH_MAX];

	path_of("trace", path);
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0)
		return;
	dprintf(file, "%s\n", point);
	close(file);
}

/* True: the point is this one, and nobody was there before. */
static bool takes(const char *hold, const char *point)
{
	char name[32], line[LINE_SIZE], path[PATH_MAX], reached[PATH_MAX];

	snprintf(name, sizeof(name), "point.%s", hold);
	if (!read_line(name, line) || !text_equal(line, point))
		return false;
	path_of(name, path);
	snprintf(name, sizeof(name), "reached.%s", hold);
	path_of(name, reached);
	return rename(path, reached) == 0;
}

static void wait_for_go(const char *hold)
{
	char name[32], line[LINE_SIZE], path[PATH_MAX];
	long seconds = 0;

	snprintf(name, sizeof(name), "go.%s", hold);
	while (!read_line(name, line))
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
	path_of(name, path);
	unlink(path);
	if (sscanf(line, "clock %ld", &seconds) == 1)
		atomic_store(&clock_step_s, seconds);
}

static bool on_phase(void *context, const char *kind, const char *phase, bool is_written)
{
	static const char *const holds[] = { "1", "2" };
	char point[LINE_SIZE];

	(void)context;
	snprintf(point, sizeof(point), "%s %s %s", kind, phase, is_written ? "after" : "before");
	add_to_trace(point);
	for (size_t i = 0; i < ARRAY_LENGTH(holds); i++)
		if (takes(holds[i], point))
			wait_for_go(holds[i]);
	return true;
}

static int serve(void *arguments)
{
	static const struct worker_observer observer = { on_phase, NULL };

	return command_serve(arguments, folder() ? &observer : NULL);
}

static int list_points(void)
{
	for (int kind = 0; kind < JOB_KIND_MAX; kind++) {
		size_t count = 0;
		const struct phase *phases = phases_of((enum job_kind)kind, &count);

		for (size_t i = 0; i < count; i++)
			printf("%s %s before\n%s %s after\n", job_kind_name((enum job_kind)kind), phases[i].name,
			       job_kind_name((enum job_kind)kind), phases[i].name);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argument_count, char **arguments)
{
	static struct verb held_serve;
	const struct verb *own[VERBS_MAX] = { NULL };

	if (argument_count == 2 && text_equal(arguments[1], "points"))
		return list_points();
	held_serve = verb_serve;
	held_serve.run = serve;
	for (size_t i = 0; verbs[i] && i + 1 < VERBS_MAX; i++)
		own[i] = verbs[i] == &verb_serve ? &held_serve : verbs[i];
	return verb_run(own, argument_count > 0 ? arguments + 1 : arguments);
}
