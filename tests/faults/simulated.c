/* Every kind of job × every point of its life × every fault, on the simulated fleet: faults_simulated [--all] [--part N/OF]
 * [--seed N] [WORD...]
 *
 * The points are not named here: the phases come from the tables, the operations of the port from an undisturbed run, each
 * before and after. After the fault all is made well again, some time passes, and the verdict is that nothing is lost,
 * doubled, without an end or left behind. It speaks TAP, a point for each kind of job; WORDs choose combinations by their
 * names. Without --all one combination in twenty is tried, others by another seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/faults/scene.h"
#include "tests/faults/verdict.h"

#define PART      20
#define FAULT_S   20 /* what comes back does so after that time */
#define LONG_S    120
#define SETTLE_S  3600
#define MIDWAY_S  10 /* into the copy */
#define SHOWN_MAX 12 /* of the combinations that went wrong, by kind */

/* One fault, on one of the hosts. */
struct fault {
	const char *name;
	enum simulated_fault fault; /* SIMULATED_FAULT_MAX: none of the fleet's */
	const char *host, *other;
	enum simulated_fault undo; /* SIMULATED_FAULT_MAX: it stays until all is made well */
	int undo_after_s;
	unsigned int flags;
	bool kills; /* the daemon, at phases */
	int64_t clock_by_s; /* the wall clock is stepped */
	enum simulated_landing landing; /* of the operation at the point, which does not return */
	bool hangs;
};

#define NEVER SIMULATED_FAULT_MAX
#define ON(where, what, of_it, comes_back, after_s, may)                                                               \
	{                                                                                                              \
		.name = what " (" where ")", .fault = (of_it), .host = (where), .undo = (comes_back),                  \
		.undo_after_s = (after_s), .flags = (may)                                                              \
	}
#define ON_BOTH(what, of_it, comes_back, after_s, may)                                                                 \
	ON("one", what, of_it, comes_back, after_s, may), ON("two", what, of_it, comes_back, after_s, may)

static const struct fault faults[] = {
	{ .name = "nothing", .fault = NEVER, .undo = NEVER },
	{ .name = "daemon killed", .fault = NEVER, .undo = NEVER, .kills = true },
	{ .name = "wall clock a year on", .fault = NEVER, .undo = NEVER, .clock_by_s = 31536000 },
	{ .name = "wall clock a year back", .fault = NEVER, .undo = NEVER, .clock_by_s = -31536000 },
	{ .name = "call never returns, nothing done",
	  .fault = NEVER,
	  .undo = NEVER,
	  .hangs = true,
	  .landing = SIMULATED_LANDS_NEVER },
	{ .name = "call never returns, done",
	  .fault = NEVER,
	  .undo = NEVER,
	  .hangs = true,
	  .landing = SIMULATED_LANDS_BEFORE },
	{ .name = "call lands late",
	  .fault = NEVER,
	  .undo = SIMULATED_LATE_CALLS_LAND,
	  .undo_after_s = 600,
	  .hangs = true,
	  .landing = SIMULATED_LANDS_LATE },
	ON_BOTH("libvirtd killed", SIMULATED_LIBVIRTD_DIES, SIMULATED_LIBVIRTD_STARTS, FAULT_S, 0),
	ON_BOTH("libvirtd killed for long", SIMULATED_LIBVIRTD_DIES, SIMULATED_LIBVIRTD_STARTS, LONG_S, 0),
	ON_BOTH("libvirtd stopped", SIMULATED_LIBVIRTD_STOPS, SIMULATED_LIBVIRTD_GOES_ON, FAULT_S, 0),
	ON_BOTH("libvirtd stopped for long", SIMULATED_LIBVIRTD_STOPS, SIMULATED_LIBVIRTD_GOES_ON, LONG_S, 0),
	ON_BOTH("libvirtd stopped, calls lost", SIMULATED_LIBVIRTD_STOPS_LOSING, SIMULATED_LIBVIRTD_GOES_ON, LONG_S, 0),
	ON_BOTH("libvirtd killed at the hand-over", SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, SIMULATED_LIBVIRTD_STARTS,
		LONG_S, 0),
	ON_BOTH("our link cut", SIMULATED_OUR_LINK_BREAKS, SIMULATED_OUR_LINK_IS_BACK, FAULT_S, 0),
	ON_BOTH("our link cut for long", SIMULATED_OUR_LINK_BREAKS, SIMULATED_OUR_LINK_IS_BACK, LONG_S, 0),
	ON_BOTH("QEMU hung", SIMULATED_QEMU_HANGS, SIMULATED_QEMU_GOES_ON, FAULT_S, 0),
	ON_BOTH("QEMU hung for long", SIMULATED_QEMU_HANGS, SIMULATED_QEMU_GOES_ON, LONG_S, 0),
	ON_BOTH("QEMU killed", SIMULATED_QEMU_DIES, NEVER, 0, 0),
	ON_BOTH("pool read-only", SIMULATED_POOL_IS_READ_ONLY, SIMULATED_POOL_IS_WELL, LONG_S, 0),
	ON_BOTH("pool full", SIMULATED_POOL_IS_FULL, SIMULATED_POOL_IS_WELL, LONG_S, 0),
	ON_BOTH("pool off", SIMULATED_POOL_IS_OFF, SIMULATED_POOL_IS_WELL, LONG_S, 0),
	ON_BOTH("powered off by hand", SIMULATED_GUEST_POWERED_OFF, NEVER, 0, 0),
	ON_BOTH("started by hand", SIMULATED_GUEST_STARTED, NEVER, 0, FAULT_MAY_DOUBLE),
	ON_BOTH("suspended by hand", SIMULATED_GUEST_SUSPENDED, NEVER, 0, 0),
	ON_BOTH("undefined by hand", SIMULATED_GUEST_UNDEFINED, NEVER, 0, FAULT_MAY_END_GUEST),
	{ .name = "link between the hosts cut",
	  .fault = SIMULATED_LINK_BREAKS,
	  .host = "one",
	  .other = "two",
	  .undo = SIMULATED_LINK_IS_BACK,
	  .undo_after_s = FAULT_S },
	{ .name = "link between the hosts cut for long",
	  .fault = SIMULATED_LINK_BREAKS,
	  .host = "one",
	  .other = "two",
	  .undo = SIMULATED_LINK_IS_BACK,
	  .undo_after_s = LONG_S },
	{ .name = "moved away by hand",
	  .fault = SIMULATED_GUEST_MOVED,
	  .host = "one",
	  .other = "three",
	  .undo = NEVER,
	  .flags = FAULT_NEEDS_DISCOVERY },
	{ .name = "moved on by hand",
	  .fault = SIMULATED_GUEST_MOVED,
	  .host = "two",
	  .other = "three",
	  .undo = NEVER,
	  .flags = FAULT_NEEDS_DISCOVERY },
	{ .name = "moved back by hand",
	  .fault = SIMULATED_GUEST_MOVED,
	  .host = "two",
	  .other = "one",
	  .undo = NEVER,
	  .flags = FAULT_NEEDS_DISCOVERY },
};

/* What the fault's act needs. */
struct strike {
	const struct fault *fault;
	const struct scene_point *point;
	bool was_possible;
	int64_t at_ms; /* when it happened, by the scene's clock */
};

static void strike(struct scene *scene, void *context)
{
	struct strike *strike = context;
	const struct fault *fault = strike->fault;

	strike->at_ms = clock_monotonic_ms(scene->clock);
	if (fault->kills || fault->fault == NEVER)
		strike->was_possible = true;
	if (fault->hangs)
		strike->was_possible =
			simulated_hang_next(scene->fleet, strike->point->host, strike->point->name, fault->landing);
	if (fault->clock_by_s)
		clock_manual_set(scene->clock, clock_now_us(scene->clock) + fault->clock_by_s * 1000000);
	if (fault->fault != NEVER)
		strike->was_possible = scene_inject(scene, fault->fault, fault->host, fault->other);
}

/* All is as it should be again, whatever the fault was. */
static void make_well(struct scene *scene)
{
	for (size_t i = 0; i < SCENE_HOSTS; i++) {
		static const enum simulated_fault ends[] = { SIMULATED_LIBVIRTD_GOES_ON, SIMULATED_LIBVIRTD_STARTS,
							     SIMULATED_OUR_LINK_IS_BACK, SIMULATED_QEMU_GOES_ON,
							     SIMULATED_POOL_IS_WELL };

		for (size_t j = 0; j < ARRAY_LENGTH(ends); j++)
			scene_inject(scene, ends[j], scene_hosts[i], NULL);
		simulated_land_late(scene->fleet, scene_hosts[i]);
	}
	scene_inject(scene, SIMULATED_LINK_IS_BACK, "one", "two");
}

/* Whether the combination can be at all. */
static bool fits(const struct fault *fault, const struct scene_point *point)
{
	if (fault->kills)
		return point->is_phase;
	if (fault->hangs)
		return !point->is_phase && !point->is_after;
	return true;
}

enum outcome {
	OUTCOME_GOOD,
	OUTCOME_IMPOSSIBLE, /* the fault could not happen there */
	OUTCOME_BAD,
};

struct combination {
	enum job_kind kind;
	const struct scene_point *point;
	const struct fault *fault;
	int delay_s; /* after the point; into a copy */
};

static void name_of(const struct combination *combination, char *ret_name, size_t size)
{
	const struct scene_point *point = combination->point;

	snprintf(ret_name, size, "%s, %s %s%s%s, %s%s", job_kind_name(combination->kind),
		 point->is_after ? "after" : "before", point->is_phase ? "phase " : "", point->name,
		 point->is_phase                  ? ""
		 : text_equal(point->host, "one") ? " on one"
						  : " on two",
		 combination->delay_s ? "in the copy, " : "", combination->fault->name);
}

static enum outcome try_combination(const struct combination *combination, enum verdict_kind *ret_verdict, char *why,
				    size_t size)
{
	struct scene scene;
	const struct fault *fault = combination->fault;
	struct strike act = { .fault = fault, .point = combination->point };
	enum outcome outcome = OUTCOME_GOOD;

	scene_begin(&scene);
	scene.point = combination->point;
	scene.act = combination->delay_s ? NULL : strike;
	scene.context = &act;
	scene.kills = fault->kills;
	scene_order(&scene, combination->kind);
	if (combination->delay_s) {
		for (int i = 0; i < 200 && !scene.has_happened; i++)
			scene_pass(&scene, 5);
		scene_pass(&scene, combination->delay_s);
		strike(&scene, &act);
	}
	if (fault->undo != NEVER) {
		scene_settle(&scene, fault->undo_after_s);
		if (fault->undo == SIMULATED_LATE_CALLS_LAND)
			simulated_land_late(scene.fleet, combination->point->host);
		else
			scene_inject(&scene, fault->undo, fault->host, fault->other);
	}
	scene_settle(&scene, 600);
	make_well(&scene);
	scene_settle(&scene, SETTLE_S);
	if (!act.was_possible)
		outcome = OUTCOME_IMPOSSIBLE;
	*ret_verdict = verdict_of(&scene, fault->flags, why, size);
	if (outcome == OUTCOME_GOOD && *ret_verdict != VERDICT_GOOD)
		outcome = OUTCOME_BAD;
	scene_end(&scene);
	return outcome;
}

struct tally {
	unsigned int tried, impossible, bad, verdicts[VERDICT_MAX];
};

struct options {
	bool is_all;
	unsigned int seed, part, parts;
	char **words;
	int word_count;
};

static bool is_chosen(const struct options *options, const char *name, unsigned int number)
{
	for (int i = 0; i < options->word_count; i++)
		if (!strstr(name, options->words[i]))
			return false;
	if (options->parts && number % options->parts != options->part - 1)
		return false;
	return options->is_all || options->word_count > 0 || number % PART == options->seed % PART;
}

static void try_one(const struct options *options, const struct combination *combination, unsigned int *number,
		    struct tally *tally)
{
	char name[256], why[512];
	enum verdict_kind verdict = VERDICT_GOOD;

	name_of(combination, name, sizeof(name));
	if (!is_chosen(options, name, (*number)++))
		return;
	enum outcome outcome = try_combination(combination, &verdict, why, sizeof(why));
	tally->tried += outcome != OUTCOME_IMPOSSIBLE;
	tally->impossible += outcome == OUTCOME_IMPOSSIBLE;
	if (outcome != OUTCOME_BAD)
		return;
	tally->bad++;
	tally->verdicts[verdict]++;
	if (tally->bad <= SHOWN_MAX || options->word_count > 0 || options->is_all)
		printf("# %s: %s: %s\n", verdict_name(verdict), name, why);
	fflush(stdout);
}

/* The points of an undisturbed life, and the verdict over that. */
static struct scene_point *find_points(enum job_kind kind, size_t *ret_count)
{
	struct scene scene;
	char why[512] = "it does not come to rest";

	scene_begin(&scene);
	scene.is_recording = true;
	scene_order(&scene, kind);
	if (!scene_settle(&scene, SETTLE_S) || verdict_of(&scene, 0, why, sizeof(why)) != VERDICT_GOOD) {
		fprintf(stderr, "an undisturbed %s does not end well: %s\n", job_kind_name(kind), why);
		abort();
	}
	struct scene_point *points = scene.points;
	*ret_count = scene.point_count;
	scene.points = NULL;
	scene_end(&scene);
	return points;
}

static struct tally try_kind(const struct options *options, enum job_kind kind, unsigned int *number)
{
	struct tally tally = { 0 };
	size_t count = 0;
	CLEANUP_FREE struct scene_point *points = find_points(kind, &count);

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < ARRAY_LENGTH(faults); j++) {
			struct combination combination = { kind, &points[i], &faults[j], 0 };

			if (!fits(&faults[j], &points[i]))
				continue;
			try_one(options, &combination, number, &tally);
			bool is_copy = !points[i].is_phase && !points[i].is_after
				       && (text_equal(points[i].name, "migrate_live")
					   || text_equal(points[i].name, "copy_cold"));
			combination.delay_s = MIDWAY_S;
			if (is_copy && !faults[j].hangs && !faults[j].kills)
				try_one(options, &combination, number, &tally);
		}
	return tally;
}

static bool read_options(int argc, char **argv, struct options *options)
{
	*options = (struct options){ .seed = 1 };
	for (int i = 1; i < argc; i++) {
		if (text_equal(argv[i], "--all"))
			options->is_all = true;
		else if (text_equal(argv[i], "--seed") && i + 1 < argc)
			options->seed = (unsigned int)strtoul(argv[++i], NULL, 10);
		else if (text_equal(argv[i], "--part") && i + 1 < argc) {
			if (sscanf(argv[++i], "%u/%u", &options->part, &options->parts) != 2 || options->part < 1)
				return false;
		} else if (argv[i][0] == '-')
			return false;
		else {
			options->words = argv + i;
			options->word_count = argc - i;
			break;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options options;
	unsigned int number = 0;
	bool is_good = true;

	if (!read_options(argc, argv, &options)) {
		fprintf(stderr, "usage: faults_simulated [--all] [--part N/OF] [--seed N] [WORD...]\n");
		return 2;
	}
	printf("1..%d\n", JOB_KIND_MAX);
	for (int kind = 0; kind < JOB_KIND_MAX; kind++) {
		struct tally tally = try_kind(&options, (enum job_kind)kind, &number);

		printf("%s %d - %s: %u combinations, %u lost, %u doubled, %u without an end, %u leaks, %u wrong "
		       "(%u could not be)\n",
		       tally.bad ? "not ok" : "ok", kind + 1, job_kind_name((enum job_kind)kind), tally.tried,
		       tally.verdicts[VERDICT_LOST], tally.verdicts[VERDICT_DOUBLED], tally.verdicts[VERDICT_ENDLESS],
		       tally.verdicts[VERDICT_LEAK], tally.verdicts[VERDICT_WRONG], tally.impossible);
		fflush(stdout);
		is_good = is_good && !tally.bad;
	}
	return is_good ? 0 : 1;
}
