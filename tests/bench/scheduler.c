/* How long a choice among hosts in memory takes: median and 99th percentile of many, for a usual request (a fleet of a few kinds
 * of hosts) and for a hard one (each host with storage of its own, a group, hosts left out).
 *
 *     bench_scheduler          among 10,000 hosts; ends with 1 when a 99th percentile is over 2 ms
 *     bench_scheduler HOSTS    a usual request among so many: each number on standard input is that of choices to make, and is
 *                              answered with {"median_us": …, "p99_us": …, "fit": …} */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/scheduler/scheduler.h"

#define HOSTS         10000
#define ROUNDS        1000
#define LIMIT_US      2000.0

#define CLEANUP_TABLE __attribute__((cleanup(cleanup_table)))

static void cleanup_table(struct host_table **table)
{
	host_table_destroy(*table);
}

/* Numbers that are spread but the same in each run. */
static int64_t spread(int64_t seed, int64_t below)
{
	return (int64_t)(((uint64_t)seed * 2654435761U >> 7) % (uint64_t)below);
}

static int put_host(struct host_table *table, int64_t id, bool has_own_storage, struct error *error)
{
	static const char *const old_machines[] = { "x86_64/pc-i440fx-7.2", "x86_64/pc-q35-7.2", "x86_64/q35" };
	static const char *const new_machines[] = { "x86_64/pc-i440fx-8.2", "x86_64/pc-q35-7.2", "x86_64/pc-q35-8.2" };
	static const char *const guest_types[] = { "x86_64/kvm", "x86_64/qemu" };
	static const char *const networks[] = { "bridge/br-ex", "bridge/br-int" };
	static const char *const host_cpus[] = { "Intel/Skylake-Server-IBRS" };
	char name[32];
	char pool[32];
	const char *pools[] = { has_own_storage ? pool : "pool-shared", "pool-all" };
	struct host_state state = HOST_STATE_DEFAULT;
	struct host_offers facts = { 0 };
	bool is_old = id % 3 == 0;

	snprintf(name, sizeof(name), "compute-%lld", (long long)id);
	snprintf(pool, sizeof(pool), "pool-%lld", (long long)id);
	state.id = id;
	state.name = name;
	state.is_up = id % 97 != 0;
	state.is_disabled = id % 89 == 0;
	state.hypervisor_version = is_old ? 7002000 : 8002000;
	state.vcpus_total = 64;
	state.vcpus_used = spread(id, 250);
	state.memory_mb_total = 524288;
	state.memory_mb_used = spread(id + 1, 520000);
	state.disk_mb_total = 4000000;
	state.disk_mb_used = spread(id + 2, 3900000);
	state.num_io_ops = spread(id + 3, 4);
	state.num_instances = spread(id + 4, 60);
	state.failed_migrations = id % 101 == 0;
	facts.sets[HOST_SET_GUEST_TYPES] = (struct name_list){ guest_types, 2, true };
	facts.sets[HOST_SET_MACHINES] = (struct name_list){ is_old ? old_machines : new_machines, 3, true };
	facts.sets[HOST_SET_NETWORKS] = (struct name_list){ networks, 2, true };
	facts.sets[HOST_SET_HOST_CPU] = (struct name_list){ host_cpus, 1, true };
	facts.sets[HOST_SET_POOLS] = (struct name_list){ pools, 2, true };
	return host_table_put(table, &state, &facts, error);
}

static int compare_times(const void *a, const void *b)
{
	double first = *(const double *)a;
	double second = *(const double *)b;

	return first < second ? -1 : first > second;
}

static double now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

struct timing {
	double median_us;
	double p99_us;
	size_t candidates; /* hosts that fit */
};

static int time_choices(struct host_table *table, struct schedule_request *request, size_t rounds,
			struct timing *ret_timing)
{
	static double times[ROUNDS];
	struct error error = { 0 };
	size_t candidates = 0;

	for (size_t i = 0; i < rounds; i++) {
		CLEANUP_SCHEDULE struct schedule_result result = { 0 };
		double start = now_us();

		request->random_seed = i;
		if (scheduler_select(table, &scheduler_settings_default, request, &result, &error) < 0) {
			fprintf(stderr, "bench_scheduler: %s\n", error.text);
			return -error.code;
		}
		times[i] = now_us() - start;
		candidates = result.candidate_count;
	}
	qsort(times, rounds, sizeof(*times), compare_times);
	*ret_timing = (struct timing){ times[rounds / 2], times[rounds * 99 / 100], candidates };
	return 0;
}

/* 1 when the promise is broken. */
static int measure(const char *what, struct host_table *table, struct schedule_request *request)
{
	struct timing timing;

	if (time_choices(table, request, ROUNDS, &timing) < 0)
		return 1;
	printf("%s: %d hosts, %zu fit: median %.0f us, p99 %.0f us (limit %.0f us)\n", what, HOSTS, timing.candidates,
	       timing.median_us, timing.p99_us, LIMIT_US);
	return timing.candidates == 0 || timing.p99_us > LIMIT_US;
}

static struct schedule_request usual_request(void)
{
	static const char *const type[] = { "x86_64/kvm" };
	static const char *const machine[] = { "x86_64/pc-q35-7.2" };
	static const char *const network[] = { "bridge/br-int" };
	static const char *const host_cpu[] = { "Intel/Skylake-Server-IBRS" };
	static const char *const pool[] = { "pool-all" };
	struct schedule_request request = SCHEDULE_REQUEST_DEFAULT;

	request.is_live = true;
	request.source_host_id = 1;
	request.source_hypervisor_version = 7002000;
	request.vcpus = 4;
	request.memory_mb = 8192;
	request.disk_mb = 40960;
	request.needs[HOST_SET_GUEST_TYPES] = (struct name_list){ type, 1, true };
	request.needs[HOST_SET_MACHINES] = (struct name_list){ machine, 1, true };
	request.needs[HOST_SET_NETWORKS] = (struct name_list){ network, 1, true };
	request.needs[HOST_SET_HOST_CPU] = (struct name_list){ host_cpu, 1, true };
	request.needs[HOST_SET_POOLS] = (struct name_list){ pool, 1, true };
	return request;
}

/* NULL, and told why, when there is no memory. */
static struct host_table *make_table(int64_t hosts, bool is_hard)
{
	struct host_table *table = host_table_create();
	struct error error = { 0 };

	for (int64_t id = 1; table && id <= hosts; id++)
		if (put_host(table, id, is_hard, &error) < 0) {
			fprintf(stderr, "bench_scheduler: %s\n", error.text);
			host_table_destroy(table);
			return NULL;
		}
	return table;
}

static int measure_fleet(const char *what, bool is_hard)
{
	static struct schedule_left_out left_out[100];
	static struct schedule_group_place places[100];
	CLEANUP_TABLE struct host_table *table = make_table(HOSTS, is_hard);
	struct schedule_request request = usual_request();

	if (!table)
		return 1;
	for (int64_t i = 0; i < 100; i++) {
		left_out[i].host_id = i * 7 + 2;
		places[i] = (struct schedule_group_place){ .host_id = i * 11 + 3, .members = i % 3 };
	}
	if (is_hard) {
		request.left_out = left_out;
		request.left_out_count = ARRAY_LENGTH(left_out);
		request.group = SCHEDULE_GROUP_SOFT_AFFINITY;
		request.group_places = places;
		request.group_place_count = ARRAY_LENGTH(places);
	}
	return measure(what, table, &request);
}

static int serve(int64_t hosts)
{
	CLEANUP_TABLE struct host_table *table = make_table(hosts, false);
	struct schedule_request request = usual_request();
	struct timing timing = { 0 };
	size_t rounds;

	while (table && scanf("%zu", &rounds) == 1 && rounds > 0 && rounds <= ROUNDS) {
		if (time_choices(table, &request, rounds, &timing) < 0)
			return 1;
		printf("{\"median_us\": %.2f, \"p99_us\": %.2f, \"fit\": %zu}\n", timing.median_us, timing.p99_us,
		       timing.candidates);
		fflush(stdout);
	}
	return table ? 0 : 1;
}

int main(int count, char **words)
{
	int64_t hosts;

	if (count == 2 && text_to_int64(words[1], 1, 10000000, &hosts))
		return serve(hosts);
	if (count > 1) {
		fprintf(stderr, "usage: %s [HOSTS]\n", words[0]);
		return 2;
	}
	int usual = measure_fleet("usual", false);

	return usual | measure_fleet("hard", true);
}
