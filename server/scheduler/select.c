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

/* What one choice works with beside its result; all of it lies in the table's scratch memory. */
struct scratch {
	int64_t *members; /* by place; NULL: no members anywhere */
	uint32_t *left_out; /* by place; NULL: nobody is left out */
	uint32_t *missing[HOST_SET_COUNT]; /* by number of a collection; NULL: nothing of that sort is needed */
	uint32_t *candidates; /* places of the hosts that pass */
	double *figures;
	double *weights;
	struct ranked *ranked;
};

/* `count` items of `size` bytes at *place, which moves behind them, to the next multiple of 8. */
static void *take(size_t *place, void *block, size_t count, size_t size)
{
	void *items = block ? (char *)block + *place : NULL;

	*place += (count * size + 7) & ~(size_t)7;
	return items;
}

/* Lays the parts out in `block`, and counts its bytes; with NULL it only counts. */
static size_t lay_out(void *block, const struct host_table *table, const struct schedule_request *request,
		      struct scratch *ret_scratch)
{
	size_t count;
	size_t bytes = 0;

	host_table_states(table, &count);
	*ret_scratch = (struct scratch){ 0 };
	if (request->group != SCHEDULE_GROUP_NONE && request->group_place_count > 0)
		ret_scratch->members = take(&bytes, block, count, sizeof(int64_t));
	if (request->left_out_count > 0)
		ret_scratch->left_out = take(&bytes, block, count, sizeof(uint32_t));
	for (int set = 0; set < HOST_SET_COUNT; set++)
		if (request->needs[set].count > 0)
			ret_scratch->missing[set] =
				take(&bytes, block, host_table_set_count(table, (enum host_set)set), sizeof(uint32_t));
	ret_scratch->candidates = take(&bytes, block, count, sizeof(uint32_t));
	ret_scratch->figures = take(&bytes, block, count, sizeof(double));
	ret_scratch->weights = take(&bytes, block, count, sizeof(double));
	ret_scratch->ranked = take(&bytes, block, count, sizeof(struct ranked));
	return bytes;
}

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

static void mark_left_out(const struct host_table *table, const struct schedule_request *request,
			  const struct scratch *scratch)
{
	size_t count;
	const struct host_state *hosts = host_table_states(table, &count);

	if (!scratch->left_out)
		return;
	for (size_t i = 0; i < count; i++)
		scratch->left_out[i] = NOT_LEFT_OUT;
	for (size_t i = 0; i < request->left_out_count; i++) {
		const struct host_state *host = host_table_by_id(table, request->left_out[i].host_id);

		if (host)
			scratch->left_out[host - hosts] = (uint32_t)i;
	}
}

static void mark_members(const struct host_table *table, const struct schedule_request *request,
			 const struct scratch *scratch)
{
	size_t count;
	const struct host_state *hosts = host_table_states(table, &count);

	if (!scratch->members)
		return;
	memset(scratch->members, 0, count * sizeof(*scratch->members));
	for (size_t i = 0; i < request->group_place_count; i++) {
		const struct host_state *host = host_table_by_id(table, request->group_places[i].host_id);

		if (host)
			scratch->members[host - hosts] = request->group_places[i].members;
	}
}

/* Each collection is held against what the request needs once. */
static void mark_missing(const struct host_table *table, const struct schedule_request *request,
			 const struct scratch *scratch)
{
	for (int set = 0; set < HOST_SET_COUNT; set++) {
		size_t count = scratch->missing[set] ? host_table_set_count(table, (enum host_set)set) : 0;

		for (size_t i = 0; i < count; i++)
			scratch->missing[set][i] = filter_missing_name(
				&request->needs[set], host_table_set(table, (enum host_set)set, (uint32_t)i));
	}
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
static bool weigh(const struct filter_context *context, const struct scratch *scratch, size_t count,
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
	result->choices = calloc(wanted, sizeof(*result->choices));
	if (!result->choices)
		return false;
	memset(scratch->weights, 0, count * sizeof(*scratch->weights));
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

int scheduler_select(struct host_table *table, const struct scheduler_settings *settings,
		     const struct schedule_request *request, struct schedule_result *ret_result, struct error *error)
{
	CLEANUP_SCHEDULE struct schedule_result result = { 0 };
	struct scratch scratch;
	struct filter_context context;
	size_t first = 0;
	const struct host_state *hosts = host_table_states(table, &result.verdict_count);
	void *block = host_table_scratch(table, lay_out(NULL, table, request, &scratch));

	if (request->requested_host_id != 0) {
		const struct host_state *host = host_table_by_id(table, request->requested_host_id);

		if (host)
			first = (size_t)(host - hosts);
		result.verdict_count = host ? 1 : 0;
	}
	result.verdicts = malloc((result.verdict_count + 1) * sizeof(*result.verdicts));
	if (!result.verdicts || (!block && result.verdict_count > 0))
		return error_no_memory(error);
	lay_out(block, table, request, &scratch);
	mark_left_out(table, request, &scratch);
	mark_members(table, request, &scratch);
	mark_missing(table, request, &scratch);
	context = make_context(table, settings, request, &scratch);
	result.candidate_count = judge_all(&context, first, result.verdict_count, result.verdicts, scratch.candidates);
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
