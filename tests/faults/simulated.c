/* Every kind of job × every point of its life × every fault, on the simulated fleet: faults_simulated [--all] [--part N/OF]
 * [--seed N] [--jobs N] [WORD...]
 *
 * The points are not named here: the phases come from the tables, the operations of the port from an undisturbed run, each
 * before and after; lives that the fleet itself lets fail have the points of their way back. After the fault all is made well
 * again, some time passes, and the verdict is that nothing is lost, doubled, without an end, left behind or without a word. It
 * speaks TAP, a point for each life; WORDs choose combinations by their names. Without --all one combination in so many is
 * tried, others by another seed; each point has some of them. --jobs processes share the work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/faults/faults.h"
#include "tests/faults/scene.h"
#include "tests/faults/threads.h"
#include "tests/faults/verdict.h"

#define PART     10
#define JOBS_MAX 64
#define SETTLE_S 3600
#define MIDWAY_S 10 /* into the copy */

enum outcome {
	OUTCOME_GOOD,
	OUTCOME_IMPOSSIBLE, /* the fault could not happen there */
	OUTCOME_BAD,
};

struct combination {
	const struct scene_life *life;
	const struct scene_point *point;
	const struct fault *fault;
	int delay_s; /* after the point; into a copy */
};

static void name_of(const struct combination *combination, char *ret_name, size_t size)
{
	const struct scene_point *point = combination->point;
	char count[16] = "";

	if (point->number)
		snprintf(count, sizeof(count), " (%d)", point->number + 1);
	snprintf(ret_name, size, "%s, %s %s%s%s%s%s, %s%s", combination->life->name,
		 point->is_after ? "after" : "before", point->is_phase ? "phase " : "", point->name,
		 point->is_phase ? "" : " on ", point->host, count, combination->delay_s ? "in the copy, " : "",
		 combination->fault->name);
}

static struct verdict_case case_of(const struct combination *combination, const struct strike *strike)
{
	const struct fault *fault = combination->fault;
	bool is_scripted = combination->life->scripts[0].host; /* it fails by that as well */

	return (struct verdict_case){
		.flags = fault->flags,
		.has_ended_guest = strike->has_ended_guest,
		.host = is_scripted ? NULL : fault_host(fault, combination->point),
		.other = fault->other,
		.back_host = fault->comes_back ? fault->host : NULL,
		.by_hand_host = fault->fault == SIMULATED_GUEST_MOVED ? fault->other : NULL,
	};
}

static enum outcome try_combination(struct file_faults *files, const struct combination *combination,
				    enum verdict_kind *ret_verdict, char *why, size_t size)
{
	struct scene scene;
	struct strike act = { .fault = combination->fault, .point = combination->point };

	scene_begin(&scene, files);
	scene.point = combination->point;
	scene.act = combination->delay_s ? NULL : fault_strike;
	scene.context = &act;
	scene.kills = combination->fault->kills;
	scene_order(&scene, combination->life);
	for (int i = 0; i < 200 && !scene.has_happened; i++)
		scene_pass(&scene, 5);
	scene_rest(&scene);
	if (combination->delay_s && scene.has_happened) {
		scene_pass(&scene, combination->delay_s);
		fault_strike(&scene, &act);
	}
	*ret_verdict = VERDICT_ENDLESS;
	if (scene.is_restless || (act.is_possible && fault_end(&scene, &act, why, size))) {
		const struct verdict_case verdict_case = case_of(combination, &act);

		scene_settle(&scene, 600);
		fault_make_well(&scene);
		scene_settle(&scene, SETTLE_S);
		if (scene_obey_chores(&scene))
			scene_settle(&scene, SETTLE_S);
		scene_pass(&scene, 2 * SCENE_READ_S);
		*ret_verdict = verdict_of(&scene, &verdict_case, why, size);
	}
	fault_make_well(&scene);
	scene_end(&scene);
	return !act.is_possible ? OUTCOME_IMPOSSIBLE : *ret_verdict == VERDICT_GOOD ? OUTCOME_GOOD : OUTCOME_BAD;
}

struct tally {
	unsigned int tried, impossible, bad, verdicts[VERDICT_MAX];
};

static void add_tally(struct tally *sum, const struct tally *part)
{
	sum->tried += part->tried;
	sum->impossible += part->impossible;
	sum->bad += part->bad;
	for (size_t i = 0; i < VERDICT_MAX; i++)
		sum->verdicts[i] += part->verdicts[i];
}

struct options {
	bool is_all;
	unsigned int seed, part, parts, jobs;
	char **words;
	int word_count;
};

static bool is_chosen(const struct options *options, const char *name, unsigned int number)
{
	for (int i = 0; i < options->word_count; i++)
		if (!strstr(name, options->words[i]))
			return false;
	return options->is_all || options->word_count > 0 || number % PART == options->seed % PART;
}

/* The points of a life, the same for all processes: operations of several threads do not always come in one order. */
struct points {
	struct scene_point *items;
	size_t count;
};

/* One process' share of the work. */
struct share {
	const struct options *options;
	const struct points *points; /* of each life */
	struct file_faults *files;
	unsigned int number; /* of the combination, in the whole */
	unsigned int chosen; /* that were chosen so far, by whichever process */
	unsigned int mine, of;
};

static bool is_mine(struct share *share, const char *name)
{
	const struct options *options = share->options;

	if (!is_chosen(options, name, share->number++))
		return false;
	unsigned int chosen = share->chosen++;
	if (options->parts && chosen % options->parts != options->part - 1)
		return false;
	return chosen / (options->parts ? options->parts : 1) % share->of == share->mine;
}

static void try_one(struct share *share, const struct combination *combination, struct tally *tally)
{
	char name[256], why[1024] = "";
	enum verdict_kind verdict = VERDICT_GOOD;

	name_of(combination, name, sizeof(name));
	if (!is_mine(share, name))
		return;
	enum outcome outcome = try_combination(share->files, combination, &verdict, why, sizeof(why));
	tally->tried += outcome != OUTCOME_IMPOSSIBLE;
	tally->impossible += outcome == OUTCOME_IMPOSSIBLE;
	if (outcome != OUTCOME_BAD)
		return;
	tally->bad++;
	tally->verdicts[verdict]++;
	CLEANUP_FREE char *line = text_format("# %s: %s: %s\n", verdict_name(verdict), name, why);
	if (line && write(STDOUT_FILENO, line, strlen(line)) < 0)
		abort();
}

/* The points of a life that nothing disturbs, and the verdict over that. */
static struct points find_points(struct file_faults *files, const struct scene_life *life)
{
	const struct verdict_case verdict_case = { 0 };
	struct scene scene;
	char why[512] = "it does not come to rest";

	scene_begin(&scene, files);
	scene.is_recording = true;
	scene_order(&scene, life);
	if (!scene_settle(&scene, SETTLE_S) || verdict_of(&scene, &verdict_case, why, sizeof(why)) != VERDICT_GOOD) {
		fprintf(stderr, "an undisturbed %s does not end well: %s\n", life->name, why);
		abort();
	}
	const struct points points = { scene.points, scene.point_count };
	scene.points = NULL;
	scene_end(&scene);
	return points;
}

static bool is_copy(const struct scene_point *point)
{
	return !point->is_phase && !point->is_after
	       && (text_equal(point->name, "migrate_live") || text_equal(point->name, "copy_cold"));
}

static void try_point(struct share *share, const struct scene_life *life, const struct scene_point *point,
		      struct tally *tally)
{
	size_t count = 0;
	const struct fault *faults = faults_table(&count);

	for (size_t i = 0; i < count; i++) {
		struct combination combination = { life, point, &faults[i], 0 };

		if (!fault_fits(&faults[i], point))
			continue;
		try_one(share, &combination, tally);
		combination.delay_s = MIDWAY_S;
		if (is_copy(point) && !faults[i].hangs && !faults[i].kills)
			try_one(share, &combination, tally);
	}
}

static struct tally try_life(struct share *share, size_t life)
{
	const struct points *points = &share->points[life];
	struct tally tally = { 0 };

	for (size_t i = 0; i < points->count; i++)
		try_point(share, &scene_lives[life], &points->items[i], &tally);
	return tally;
}

/* In a process of its own, which writes its tallies. */
static void work(struct share *share, int output)
{
	threads_observe();
	for (size_t i = 0; i < SCENE_LIVES; i++) {
		struct tally tally = try_life(share, i);

		if (write(output, &tally, sizeof(tally)) != sizeof(tally))
			abort();
	}
}

/* The pipe that its tallies come from. */
static int begin_work(struct share *share)
{
	int ends[2];

	if (pipe(ends) < 0)
		abort();
	pid_t process = fork();
	if (process < 0)
		abort();
	if (process == 0) {
		close(ends[0]);
		work(share, ends[1]);
		exit(0); /* and not _exit: what is to be done at the end is done, the counts of a coverage build are written */
	}
	close(ends[1]);
	return ends[0];
}

static void tell(const char *name, const struct tally *tally)
{
	printf("%s: %u combinations, %u lost, %u doubled, %u without an end, %u leaks, %u wrong, %u without a word "
	       "(%u could not be)\n",
	       name, tally->tried, tally->verdicts[VERDICT_LOST], tally->verdicts[VERDICT_DOUBLED],
	       tally->verdicts[VERDICT_ENDLESS], tally->verdicts[VERDICT_LEAK], tally->verdicts[VERDICT_WRONG],
	       tally->verdicts[VERDICT_WORDLESS], tally->impossible);
	fflush(stdout);
}

/* True: every process told all of it, and nothing was bad. */
static bool gather(const int *inputs, unsigned int count)
{
	struct tally sum = { 0 };
	bool is_whole = true;

	for (size_t i = 0; i < SCENE_LIVES; i++) {
		struct tally tally = { 0 }, part;
		bool is_told = true;

		for (unsigned int j = 0; j < count; j++) {
			is_told = is_told && read(inputs[j], &part, sizeof(part)) == sizeof(part);
			if (is_told)
				add_tally(&tally, &part);
		}
		is_whole = is_whole && is_told;
		printf("%s %zu - ", tally.bad || !is_told ? "not ok" : "ok", i + 1);
		tell(scene_lives[i].name, &tally);
		add_tally(&sum, &tally);
	}
	printf("# ");
	tell("all", &sum);
	return is_whole && !sum.bad;
}

static bool take_number(int argc, char **argv, int *place, unsigned int *ret_number)
{
	char *end = NULL;

	if (++*place >= argc)
		return false;
	*ret_number = (unsigned int)strtoul(argv[*place], &end, 10);
	return *end == '\0';
}

static bool read_options(int argc, char **argv, struct options *options)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	*options = (struct options){ .seed = 1, .jobs = processors > 0 ? 2 * (unsigned int)processors : 1 };
	for (int i = 1; i < argc; i++) {
		bool is_right = true;

		if (text_equal(argv[i], "--all")) {
			options->is_all = true;
		} else if (text_equal(argv[i], "--seed")) {
			is_right = take_number(argc, argv, &i, &options->seed);
		} else if (text_equal(argv[i], "--jobs")) {
			is_right = take_number(argc, argv, &i, &options->jobs);
		} else if (text_equal(argv[i], "--part") && i + 1 < argc) {
			is_right = sscanf(argv[++i], "%u/%u", &options->part, &options->parts) == 2
				   && options->part >= 1 && options->part <= options->parts;
		} else if (argv[i][0] == '-') {
			is_right = false;
		} else {
			options->words = argv + i;
			options->word_count = argc - i;
			break;
		}
		if (!is_right)
			return false;
	}
	return options->jobs >= 1 && options->jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
	struct options options;
	struct points points[SCENE_LIVES];
	int inputs[JOBS_MAX];

	if (!read_options(argc, argv, &options)) {
		fprintf(stderr, "usage: faults_simulated [--all] [--part N/OF] [--seed N] [--jobs N] [WORD...]\n");
		return 2;
	}
	printf("1..%d\n", SCENE_LIVES);
	fflush(stdout);
	struct share share = {
		.options = &options, .points = points, .files = file_faults_install(), .of = options.jobs
	};
	threads_observe();
	for (size_t i = 0; i < SCENE_LIVES; i++)
		points[i] = find_points(share.files, &scene_lives[i]);
	for (share.mine = 0; share.mine < options.jobs; share.mine++)
		inputs[share.mine] = begin_work(&share);
	bool is_good = gather(inputs, options.jobs);
	while (wait(NULL) > 0)
		;
	for (size_t i = 0; i < SCENE_LIVES; i++)
		free(points[i].items);
	file_faults_remove(share.files);
	return is_good ? 0 : 1;
}
