/* Verdicts and choices in words. Admins read each host with its figures; others which filters refused and why, since neither
 * names nor sizes nor the number of hosts are theirs to see. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/scheduler/filters.h"
#include "server/scheduler/weighers.h"

/* Hosts that are named in one text; the rest is counted. */
#define NAMED_HOSTS_MAX 100

/* What is asked for by name: for admins, and without the name for others. */
static const struct {
	const char *noun;
	const char *without_name;
} set_words[HOST_SET_COUNT] = {
	[HOST_SET_HYPERVISORS] = { "hypervisor", "another hypervisor" },
	[HOST_SET_GUEST_TYPES] = { "guest type", "another architecture or virtualisation" },
	[HOST_SET_MACHINES] = { "machine type", "machine type not offered" },
	[HOST_SET_HOST_CPU] = { "host CPU", "another CPU" },
	[HOST_SET_NETWORKS] = { "network", "network missing" },
	[HOST_SET_POOLS] = { "shared storage", "storage out of reach" },
};

/* What is counted, by filter. */
static const struct {
	const char *unit;
	const char *too_little;
} resource_words[SCHEDULER_FILTER_COUNT] = {
	[SCHEDULER_FILTER_CORE] = { "vCPUs", "not enough vCPUs" },
	[SCHEDULER_FILTER_RAM] = { "MiB of memory", "not enough memory" },
	[SCHEDULER_FILTER_DISK] = { "MiB of disk", "not enough disk" },
	[SCHEDULER_FILTER_NUM_INSTANCES] = { "servers", "too many servers" },
	[SCHEDULER_FILTER_IO_OPS] = { "moves under way", "too many moves under way" },
};

/* For others than admins; NULL: by set or resource. */
static const char *const cause_words[CAUSE_COUNT] = {
	[CAUSE_IS_SOURCE] = "where the server is now",
	[CAUSE_LEFT_OUT] = "tried already",
	[CAUSE_FORCED_DOWN] = "down",
	[CAUSE_DOWN] = "down",
	[CAUSE_DISABLED] = "disabled",
	[CAUSE_OLDER_HYPERVISOR] = "older hypervisor",
	[CAUSE_NO_MIGRATION_ADDRESS] = "no address for migrations",
	[CAUSE_CPU_NUMBER] = "pinned CPUs missing",
};

static const char *short_words(const struct schedule_verdict *verdict)
{
	if (cause_words[verdict->cause])
		return cause_words[verdict->cause];
	if (verdict->cause == CAUSE_MISSING_NAME)
		return set_words[verdict->set].without_name;
	return resource_words[verdict->filter].too_little;
}

static void append_version(struct text *text, int64_t version)
{
	text_append_format(text, "%" PRId64 ".%" PRId64 ".%" PRId64, version / 1000000, version / 1000 % 1000,
			   version % 1000);
}

static void append_left_out(const struct schedule_request *request, const struct schedule_verdict *verdict,
			    struct text *text)
{
	const char *reason = verdict->name < request->left_out_count ? request->left_out[verdict->name].reason : NULL;

	text_append(text, reason ? reason : "was tried already");
}

static void append_missing_name(const struct schedule_request *request, const struct schedule_verdict *verdict,
				struct text *text)
{
	const struct name_list *needs = &request->needs[verdict->set];

	text_append_format(text, "%s %s is not there", set_words[verdict->set].noun,
			   verdict->name < needs->count ? needs->names[verdict->name] : "?");
}

static void append_too_little(const struct schedule_verdict *verdict, struct text *text)
{
	int64_t left = verdict->limit > verdict->used ? verdict->limit - verdict->used : 0;

	text_append_format(text, "%" PRId64 " %s are needed, %" PRId64 " of %" PRId64 " are free", verdict->needed,
			   resource_words[verdict->filter].unit, left, verdict->limit);
	if (verdict->used > verdict->limit)
		text_append_format(text, " (%" PRId64 " are used)", verdict->used);
}

static void append_cause(const struct schedule_request *request, const struct schedule_verdict *verdict,
			 struct text *text)
{
	switch ((enum verdict_cause)verdict->cause) {
	case CAUSE_LEFT_OUT:
		append_left_out(request, verdict, text);
		break;
	case CAUSE_MISSING_NAME:
		append_missing_name(request, verdict, text);
		break;
	case CAUSE_OLDER_HYPERVISOR:
		text_append(text, "version ");
		append_version(text, verdict->total);
		text_append(text, " is older than the source's ");
		append_version(text, verdict->needed);
		break;
	case CAUSE_CPU_NUMBER:
		text_append_format(text, "CPU number %" PRId64 " is pinned to, the host has %" PRId64 " CPUs",
				   verdict->needed, verdict->total);
		break;
	case CAUSE_HOST_TOO_SMALL:
		text_append_format(text, "%" PRId64 " %s are needed, the host has %" PRId64, verdict->needed,
				   resource_words[verdict->filter].unit, verdict->total);
		break;
	case CAUSE_TOO_LITTLE_FREE:
		append_too_little(verdict, text);
		break;
	case CAUSE_LIMIT_REACHED:
		text_append_format(text, "%" PRId64 " %s, the limit is %" PRId64, verdict->used,
				   resource_words[verdict->filter].unit, verdict->limit);
		break;
	case CAUSE_FORCED_DOWN:
		text_append(text, "forced down");
		break;
	case CAUSE_NONE:
	case CAUSE_IS_SOURCE:
	case CAUSE_DOWN:
	case CAUSE_DISABLED:
	case CAUSE_NO_MIGRATION_ADDRESS:
	case CAUSE_COUNT:
		text_append(text, short_words(verdict));
		break;
	}
}

/* What the host itself says about the cause, behind it. */
static void append_own_words(const struct schedule_verdict *verdict, const struct host_state *host, struct text *text)
{
	const char *words = !host                                          ? NULL
			    : verdict->cause == CAUSE_DISABLED             ? host->disabled_reason
			    : verdict->cause == CAUSE_NO_MIGRATION_ADDRESS ? host->no_address_reason
									   : NULL;

	if (words)
		text_append_format(text, " (%s)", words);
}

void schedule_explain_verdict(const struct schedule_request *request, const struct schedule_verdict *verdict,
			      const struct host_state *host, struct text *text)
{
	if (verdict->filter == SCHEDULER_FILTER_NONE) {
		text_append(text, "fits");
		return;
	}
	text_append_format(text, "%s: ", scheduler_filters[verdict->filter].name);
	append_cause(request, verdict, text);
	append_own_words(verdict, host, text);
}

static const char *name_of(const struct host_table *table, int64_t id)
{
	const struct host_state *host = host_table_by_id(table, id);

	return host ? host->name : "a removed host";
}

static void append_hosts(const struct host_table *table, const struct schedule_request *request,
			 const struct schedule_result *result, struct text *text)
{
	size_t named = 0;

	for (size_t i = 0; i < result->verdict_count && named < NAMED_HOSTS_MAX; i++) {
		const struct schedule_verdict *verdict = &result->verdicts[i];
		const struct host_state *host = host_table_by_id(table, verdict->host_id);

		if (verdict->filter == SCHEDULER_FILTER_NONE)
			continue;
		text_append_format(text, "%s%s: ", named++ > 0 ? "; " : " ", name_of(table, verdict->host_id));
		schedule_explain_verdict(request, verdict, host, text);
	}
}

/* All refusals by one filter that read alike. */
struct tally {
	enum scheduler_filter filter;
	const char *words;
	size_t count;
};

static int compare_counts(const void *a, const void *b)
{
	const struct tally *first = a;
	const struct tally *second = b;

	if (first->count != second->count)
		return first->count > second->count ? -1 : 1;
	return strcmp(first->words, second->words);
}

/* By name alone: an order by count would tell how many hosts there are. */
static int compare_names(const void *a, const void *b)
{
	const struct tally *first = a;
	const struct tally *second = b;
	int order = strcmp(scheduler_filters[first->filter].name, scheduler_filters[second->filter].name);

	return order != 0 ? order : strcmp(first->words, second->words);
}

/* Every cause, every set and every resource that a refusal can read as. */
#define TALLIES_MAX (CAUSE_COUNT + HOST_SET_COUNT + SCHEDULER_FILTER_COUNT)

/* Counts refusals, without the first `skipped` of them. `tallies` holds TALLIES_MAX. */
static size_t count_refusals(const struct schedule_result *result, size_t skipped, struct tally *tallies)
{
	size_t count = 0;

	for (size_t i = 0; i < result->verdict_count; i++) {
		const struct schedule_verdict *verdict = &result->verdicts[i];
		size_t j = 0;

		if (verdict->filter == SCHEDULER_FILTER_NONE)
			continue;
		if (skipped > 0) {
			skipped--;
			continue;
		}
		while (j < count && strcmp(tallies[j].words, short_words(verdict)) != 0)
			j++;
		if (j == count)
			tallies[count++] = (struct tally){ .filter = verdict->filter, .words = short_words(verdict) };
		tallies[j].count++;
	}
	return count;
}

/* The hosts behind the last one that is named, for admins. */
static void append_counts(const struct schedule_result *result, struct text *text)
{
	struct tally tallies[TALLIES_MAX];
	size_t count = count_refusals(result, NAMED_HOSTS_MAX, tallies);

	qsort(tallies, count, sizeof(*tallies), compare_counts);
	for (size_t i = 0; i < count; i++)
		text_append_format(text, "; %zu more %s: %s", tallies[i].count,
				   tallies[i].count == 1 ? "host" : "hosts", tallies[i].words);
}

/* Which filters refused, for others. */
static void append_filters(const struct schedule_result *result, struct text *text)
{
	struct tally tallies[TALLIES_MAX];
	size_t count = count_refusals(result, 0, tallies);

	qsort(tallies, count, sizeof(*tallies), compare_names);
	for (size_t i = 0; i < count; i++)
		text_append_format(text, "%s%s: %s", i == 0 ? " " : "; ", scheduler_filters[tallies[i].filter].name,
				   tallies[i].words);
}

void schedule_explain_refusal(const struct host_table *table, const struct schedule_request *request,
			      const struct schedule_result *result, const char *sentence,
			      enum schedule_audience audience, struct text *text)
{
	text_append_format(text, "No valid host was found. %s", sentence);
	if (result->verdict_count == 0)
		text_append(text, request->requested_host_id != 0 ? " The requested host is not registered."
								  : " No host is registered.");
	else if (audience == SCHEDULE_FOR_ADMINS) {
		append_hosts(table, request, result, text);
		append_counts(result, text);
	} else {
		append_filters(result, text);
	}
}

void schedule_explain_choice(const struct host_table *table, const struct schedule_result *result, size_t choice,
			     struct text *text)
{
	const struct schedule_choice *chosen = &result->choices[choice];
	size_t named = 0;

	text_append(text, name_of(table, chosen->host_id));
	if (result->candidate_count == 1) {
		text_append(text, result->verdict_count == 1 ? ", the requested host" : ", the only host that fits");
		return;
	}
	text_append_format(text, ", weight %.4g (", chosen->weight);
	for (int i = 0; i < SCHEDULER_WEIGHER_COUNT; i++)
		if (chosen->shares[i] > 0 || chosen->shares[i] < 0)
			text_append_format(text, "%s%s %.4g", named++ > 0 ? ", " : "", scheduler_weighers[i].name,
					   chosen->shares[i]);
	text_append_format(text, "%s), one of %zu that fit", named == 0 ? "all equal" : "", result->candidate_count);
}
