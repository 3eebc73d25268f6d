/* One choice: verdicts for all hosts, weights for those that pass, the best of them in order. The difficulty is its cost:
 * what depends only on the request or on a collection of names is worked out before the loop over the hosts, and only as
 * many hosts are put in order as somebody wants. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/scheduler/filters.h"
#include "server/scheduler/weighers.h"

/* Up to so many wanted hosts are kept in order while the candidates pass by; more are sorted. */
#define INSERTION_MAX 64

/* A candidate's rank: by weight, then by order. */
struct ranked {
	double weight;
	uint64_t order; /* among equals the lower one wins */
	uint32_t host; /* place in the table */
};

/* All memory of one choice beside its result. */
struct scratch {
	uint32_t *left_out; /* by place */
	int64_t *members; /* by place */
	uint32_t *missing[HOST_SET_COUNT]; /* by number of a collection */
	uint32_t *candidates; /* places of the hosts that pass */
	double *figures;
	double *weights;
	struct ranked *ranked;
};

static void scratch_clear(struct scratch *scratch)
{
	free(scratch->left_out);
	free(scratch->members);
	for (int set = 0; set < HOST_SET_COUNT; set++)
		free(scratch->missing[set]);
	free(scratch->candidates);
	free(scratch->figures);
	free(scratch->weights);
	free(scratch->ranked);
}
#define CLEANUP_SCRATCH __attribute__((cleanup(scratch_clear)))

void schedule_result_clear(struct schedule_result *result)
{
	free(result->choices);
	free(result->verdicts);
	*result = (struct schedule_result){ 0 };
}

/* SplitMix64: an even spread over all bits from any seed. */
static uint64_t scramble(uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15ULL;
	seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ULL;
	seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebULL;
	return seed ^ (seed >> 31);
}

static bool mark_left_out(const struct host_table *table, const struct schedule_request *request, size_t count,
			  struct scratch *scratch)
{
	size_t unused;
	const struct host_state *hosts = host_table_states(table, &unused);

	if (request->left_out_count == 0)
		return true;
	scratch->left_out = malloc((count + 1) * sizeof(*scratch->left_out));
	if (!scratch->left_out)
		return false;
	for (size_t i = 0; i < count; i++)
		scratch->left_out[i] = NOT_LEFT_OUT;
	for (size_t i = 0; i < request->left_out_count; i++) {
		const struct host_state *host = host_table_by_id(table, request->left_out[i].host_id);

		if (host)
			scratch->left_out[host - hosts] = (uint32_t)i;
	}
	return true;
}

static bool mark_members(const struct host_table *table, const struct schedule_request *request, size_t count,
			 struct scratch *scratch)
{
	size_t unused;
	const struct host_state *hosts = host_table_states(table, &unused);

	if (request->group == SCHEDULE_GROUP_NONE || request->group_place_count == 0)
		return true;
	scratch->members = calloc(count + 1, sizeof(*scratch->members));
	if (!scratch->members)
		return false;
	for (size_t i = 0; i < request->group_place_count; i++) {
		const struct host_state *host = host_table_by_id(table, request->group_places[i].host_id);

		if (host)
			scratch->members[host - hosts] = request->group_places[i].members;
	}
	return true;
}

/* Each collection is held against what the request needs once. */
static bool mark_missing(const struct host_table *table, const struct schedule_request *request,
			 struct scratch *scratch)
{
	for (int set = 0; set < HOST_SET_COUNT; set++) {
		size_t count = host_table_set_count(table, (enum host_set)set);

		if (request->needs[set].count == 0)
			continue;
		scratch->missing[set] = malloc(count * sizeof(*scratch->missing[set]));
		if (!scratch->missing[set])
			return false;
		for (size_t i = 0; i < count; i++)
			scratch->missing[set][i] = filter_missing_name(
				&request->needs[set], host_table_set(table, (enum host_set)set, (uint32_t)i));
	}
	return true;
}

static struct filter_context make_context(const struct host_table *table, const struct scheduler_settings *settings,
					  const struct schedule_request *request, const struct scratch *scratch)
{
	size_t unused;
	struct filter_context context = {
		.table = table,
		.hosts = host_table_states(table, &unused),
		.settings = settings,
		.request = request,
		.left_out = scratch->left_out,
	};

	for (int set = 0; set < HOST_SET_COUNT; set++)
		context.missing[set] = scratch->missing[set];
	return context;
}

/* The filters that are asked, in order. */
static size_t enabled_filters(const struct scheduler_settings *settings, uint8_t ret_filters[SCHEDULER_FILTER_COUNT])
{
	size_t count = 0;

	for (int filter = SCHEDULER_FILTER_NONE + 1; filter < SCHEDULER_FILTER_COUNT; filter++)
		if (scheduler_filters[filter].is_always_on || (settings->enabled_filters & (1U << filter)))
			ret_filters[count++] = (uint8_t)filter;
	return count;
}

static void judge(const struct filter_context *context, const struct host_state *host, const uint8_t *filters,
		  size_t filter_count, struct schedule_verdict *ret_verdict)
{
	*ret_verdict = (struct schedule_verdict){ .host_id = host->id };
	for (size_t i = 0; i < filter_count; i++)
		if (!scheduler_filters[filters[i]].passes(context, host, ret_verdict)) {
			ret_verdict->filter = filters[i];
			return;
		}
}

/* Verdicts of hosts [first, first + count), and the places of those that pass. */
static size_t judge_all(const struct filter_context *context, size_t first, size_t count,
			struct schedule_verdict *verdicts, uint32_t *ret_candidates)
{
	uint8_t filters[SCHEDULER_FILTER_COUNT];
	size_t filter_count = enabled_filters(context->settings, filters);
	size_t passed = 0;

	for (size_t i = 0; i < count; i++) {
		judge(context, &context->hosts[first + i], filters, filter_count, &verdicts[i]);
		if (verdicts[i].filter == SCHEDULER_FILTER_NONE)
			ret_candidates[passed++] = (uint32_t)(first + i);
	}
	return passed;
}

static bool is_better(const struct ranked *a, const struct ranked *b)
{
	if (a->weight > b->weight || a->weight < b->weight)
		return a->weight > b->weight;
	return a->order < b->order;
}

static int compare_ranked(const void *a, const void *b)
{
	return is_better(a, b) ? -1 : 1;
}

/* The best `wanted` of the candidates, in order. */
static void rank(const struct scratch *scratch, const struct filter_context *context, size_t count, size_t wanted)
{
	struct ranked *best = scratch->ranked;
	bool is_shuffling = context->settings->is_shuffling_equals;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t place = scratch->candidates[i];
		uint64_t id = (uint64_t)context->hosts[place].id;
		struct ranked candidate = {
			.weight = scratch->weights[i],
			.order = is_shuffling ? scramble(context->request->random_seed ^ scramble(id)) : i,
			.host = place,
		};
		size_t at = kept;

		if (wanted > INSERTION_MAX) {
			best[i] = candidate;
			continue;
		}
		if (kept == wanted && !is_better(&candidate, &best[kept - 1]))
			continue;
		at = kept < wanted ? kept++ : kept - 1;
		for (; at > 0 && is_better(&candidate, &best[at - 1]); at--)
			best[at] = best[at - 1];
		best[at] = candidate;
	}
	if (wanted > INSERTION_MAX)
		qsort(best, count, sizeof(*best), compare_ranked);
}

/* One of the `subset` best goes first, the others keep their order. */
static void pick_from_subset(struct ranked *ranked, size_t subset, uint64_t seed)
{
	size_t picked = subset > 1 ? (size_t)(scramble(seed) % subset) : 0;
	struct ranked first = ranked[picked];

	memmove(&ranked[1], &ranked[0], picked * sizeof(*ranked));
	ranked[0] = first;
}

/* Weights, order and shares of `count` candidates; false when out of memory. One alone is not weighed. */
static bool weigh(const struct filter_context *context, struct scratch *scratch, size_t count,
		  struct schedule_result *result)
{
	const struct weigher_context weighing = {
		.hosts = context->hosts,
		.settings = context->settings,
		.request = context->request,
		.members = scratch->members,
	};
	struct weigher_scale scales[SCHEDULER_WEIGHER_COUNT] = { 0 };
	size_t wanted = context->request->choices_max;
	size_t subset = context->settings->host_subset_size > 1 ? (size_t)context->settings->host_subset_size : 1;

	wanted = wanted == 0 || wanted > count ? count : wanted;
	subset = subset > count ? count : subset;
	scratch->figures = malloc(count * sizeof(*scratch->figures));
	scratch->weights = calloc(count, sizeof(*scratch->weights));
	scratch->ranked = malloc(count * sizeof(*scratch->ranked));
	result->choices = calloc(wanted, sizeof(*result->choices));
	if (!scratch->figures || !scratch->weights || !scratch->ranked || !result->choices)
		return false;
	for (int i = 0; count > 1 && i < SCHEDULER_WEIGHER_COUNT; i++)
		scales[i] = weigher_add((enum scheduler_weigher)i, &weighing, scratch->candidates, count,
					scratch->figures, scratch->weights);
	rank(scratch, context, count, wanted > subset ? wanted : subset);
	pick_from_subset(scratch->ranked, subset, context->request->random_seed);
	for (size_t i = 0; i < wanted; i++) {
		const struct host_state *host = &context->hosts[scratch->ranked[i].host];

		result->choices[i].host_id = host->id;
		result->choices[i].weight = scratch->ranked[i].weight;
		for (int j = 0; j < SCHEDULER_WEIGHER_COUNT; j++)
			result->choices[i].shares[j] =
				scales[j].range > 0
					? weigher_share(&scales[j], scheduler_weighers[j].figure(&weighing, host))
					: 0;
	}
	result->choice_count = wanted;
	return true;
}

int scheduler_select(const struct host_table *table, const struct scheduler_settings *settings,
		     const struct schedule_request *request, struct schedule_result *ret_result, struct error *error)
{
	CLEANUP_SCRATCH struct scratch scratch = { 0 };
	CLEANUP_SCHEDULE struct schedule_result result = { 0 };
	struct filter_context context;
	size_t total;
	size_t first = 0;
	const struct host_state *hosts = host_table_states(table, &total);

	if (!mark_left_out(table, request, total, &scratch) || !mark_members(table, request, total, &scratch)
	    || !mark_missing(table, request, &scratch))
		return error_no_memory(error);
	if (request->requested_host_id != 0) {
		const struct host_state *host = host_table_by_id(table, request->requested_host_id);

		first = host ? (size_t)(host - hosts) : 0;
		total = host ? 1 : 0;
	}
	result.verdicts = malloc((total + 1) * sizeof(*result.verdicts));
	scratch.candidates = malloc((total + 1) * sizeof(*scratch.candidates));
	if (!result.verdicts || !scratch.candidates)
		return error_no_memory(error);
	context = make_context(table, settings, request, &scratch);
	result.verdict_count = total;
	result.candidate_count = judge_all(&context, first, total, result.verdicts, scratch.candidates);
	if (result.candidate_count > 0 && !weigh(&context, &scratch, result.candidate_count, &result))
		return error_no_memory(error);
	*ret_result = result;
	result = (struct schedule_result){ 0 };
	return 0;
}

struct schedule_verdict scheduler_check_forced(const struct host_table *table,
					       const struct scheduler_settings *settings,
					       const struct schedule_request *request, const struct host_state *host)
{
	const struct scratch nothing = { 0 };
	const struct filter_context context = make_context(table, settings, request, &nothing);
	struct schedule_verdict verdict = { .host_id = host->id };

	for (int i = SCHEDULER_FILTER_NONE + 1; i < SCHEDULER_FILTER_COUNT; i++) {
		const struct filter *filter = &scheduler_filters[i];

		if (filter->is_for_forced
		    && !(filter->passes_forced ? filter->passes_forced : filter->passes)(&context, host, &verdict)) {
			verdict.filter = (uint8_t)i;
			break;
		}
	}
	return verdict;
}
