/* The daemon's own collectors: each writes the families of one subject. */
#include "server/metrics.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/chores.h"
#include "db/summary.h"
#include "server/certificate.h"
#include "server/fleet_metrics.h"
#include "server/http_measures.h"
#include "server/process_metrics.h"
#include "server/readiness.h"
#include "server/settings.h"
#include "server/version.h"
#include "server/worker/phases.h"
#include "server/worker/worker.h"

struct service_metrics {
	struct service_metrics_parts parts;
	struct http_measures *http;
};

static void collect_build(void *context, struct text *text)
{
	const struct service_metrics *service = context;
	const struct metric_label labels[] = { { "version", MIGRATIOND_VERSION },
					       { "node", service->parts.node },
					       { "driver", service->parts.driver },
					       { 0 } };

	metric_write_head(text, "migrationd_build_info", METRIC_GAUGE,
			  "Always 1; the version, the node's name and the hypervisor's driver stand in the labels.");
	metric_write(text, "migrationd_build_info", labels, 1);
}

static void collect_process(void *context, struct text *text)
{
	(void)context;
	process_metrics_write(text);
}

/* As /readyz tells it, asked as seldom. */
static void collect_readiness(void *context, struct text *text)
{
	const struct service_metrics *service = context;
	struct readiness_found found;

	readiness_ask(service->parts.readiness, &found);
	metric_write_head(text, "migrationd_ready", METRIC_GAUGE,
			  "1 where the check of /readyz is good, 0 where it is not.");
	for (size_t i = 0; i < found.count; i++) {
		const struct metric_label labels[] = { { "check", readiness_check_name((enum readiness_check)i) },
						       { 0 } };

		metric_write(text, "migrationd_ready", labels, found.reasons[i] ? 0 : 1);
	}
}

static void collect_certificate(void *context, struct text *text)
{
	int64_t expires_s;

	(void)context;
	if (certificate_in_use(&expires_s))
		metric_write_one(text, "migrationd_certificate_expiry_timestamp_seconds", METRIC_GAUGE,
				 "When the certificate ends that the listener shows.", (double)expires_s);
}

/* Each family whole, one after another, from the same counts. */
struct job_family {
	const char *name;
	const char *help;
	double (*value)(const struct db_job_counts *counts, int64_t now_us);
};

static double waiting(const struct db_job_counts *counts, int64_t now_us)
{
	(void)now_us;
	return (double)counts->waiting;
}

static double under_way(const struct db_job_counts *counts, int64_t now_us)
{
	(void)now_us;
	return (double)counts->under_way;
}

static double age_s(int64_t since_us, int64_t now_us)
{
	return since_us && now_us > since_us ? (double)(now_us - since_us) / 1e6 : 0;
}

static double oldest_age(const struct db_job_counts *counts, int64_t now_us)
{
	return age_s(counts->oldest_us, now_us);
}

static double oldest_age_under_way(const struct db_job_counts *counts, int64_t now_us)
{
	return age_s(counts->oldest_under_way_us, now_us);
}

static const struct job_family job_families[] = {
	{ "migrationd_jobs_waiting", "Jobs that wait for their turn: no host was touched for them yet.", waiting },
	{ "migrationd_jobs_under_way", "Jobs that were begun and have not ended.", under_way },
	{ "migrationd_job_oldest_age_seconds", "Age of the oldest job that has not ended; 0 where there is none.",
	  oldest_age },
	{ "migrationd_job_oldest_under_way_age_seconds",
	  "Age of the oldest job that was begun and has not ended; 0 where there is none.", oldest_age_under_way },
};

/* Every kind has its series, also while it has no job. */
static void write_jobs(struct text *text, const struct db_job_counts *counts, size_t count, int64_t now_us)
{
	for (size_t i = 0; i < ARRAY_LENGTH(job_families); i++) {
		const struct job_family *family = &job_families[i];

		metric_write_head(text, family->name, METRIC_GAUGE, family->help);
		for (size_t kind = 0; kind < JOB_KIND_MAX; kind++) {
			const struct metric_label labels[] = { { "kind", job_kind_name((enum job_kind)kind) }, { 0 } };
			double value = 0;

			for (size_t j = 0; j < count; j++)
				if (text_equal(counts[j].kind, labels[0].value))
					value = family->value(&counts[j], now_us);
			metric_write(text, family->name, labels, value);
		}
	}
}

static const char *const chore_kinds[] = { DB_CHORE_REMOVE_GUEST, DB_CHORE_REMOVE_VOLUME, DB_CHORE_END_CONFLICT,
					   DB_CHORE_AWAIT_LIBVIRTD, DB_CHORE_GIVE_BACK_DEFINITION };

/* As of jobs: every kind has its series. */
static void write_chores(struct text *text, const struct db_chore_counts *counts, size_t count, int64_t now_us)
{
	static const struct {
		const char *name, *help;
		bool is_age;
	} families[] = {
		{ "migrationd_chores", "What is left to be done on hosts after moves.", false },
		{ "migrationd_chores_oldest_age_seconds", "Age of the oldest chore; 0 where there is none.", true },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		metric_write_head(text, families[i].name, METRIC_GAUGE, families[i].help);
		for (size_t kind = 0; kind < ARRAY_LENGTH(chore_kinds); kind++) {
			const struct metric_label labels[] = { { "kind", chore_kinds[kind] }, { 0 } };
			double value = 0;

			for (size_t j = 0; j < count; j++)
				if (text_equal(counts[j].kind, chore_kinds[kind]))
					value = families[i].is_age ? age_s(counts[j].oldest_us, now_us)
								   : (double)counts[j].count;
			metric_write(text, families[i].name, labels, value);
		}
	}
}

static void write_hosts(struct text *text, const struct db_host_counts *counts)
{
	const struct {
		const char *state;
		int64_t count;
	} rows[] = { { "up", counts->up }, { "down", counts->down }, { "disabled", counts->disabled } };

	metric_write_head(text, "migrationd_hosts", METRIC_GAUGE,
			  "Hosts by state; one that is disabled counts as such whether it answers or not.");
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct metric_label labels[] = { { "state", rows[i].state }, { 0 } };

		metric_write(text, "migrationd_hosts", labels, (double)rows[i].count);
	}
}

static void write_sizes(struct text *text, const struct database *database)
{
	static const struct metric_label of_database[] = { { "file", "database" }, { 0 } };
	static const struct metric_label of_log[] = { { "file", "log" }, { 0 } };
	int64_t size, log;

	db_file_sizes(database, &size, &log);
	metric_write_head(text, "migrationd_database_size_bytes", METRIC_GAUGE,
			  "Size of the database's file and of its write-ahead log.");
	metric_write(text, "migrationd_database_size_bytes", of_database, (double)size);
	metric_write(text, "migrationd_database_size_bytes", of_log, (double)log);
}

/* What cannot be read now is left out: its series go stale, and an alert on their absence tells. */
static void collect_database(void *context, struct text *text)
{
	const struct service_metrics *service = context;
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct db_job_counts jobs[DB_JOB_COUNTS_MAX];
	struct db_chore_counts chores[DB_CHORE_COUNTS_MAX];
	struct db_host_counts hosts = { 0 };
	struct error ignored = { 0 };
	size_t count = 0;

	write_sizes(text, service->parts.database);
	if (db_read_begin(service->parts.database, &session, &ignored) < 0)
		return;
	if (db_host_counts(session, &hosts, &ignored) == 0)
		write_hosts(text, &hosts);
	if (db_job_counts(session, jobs, &count, &ignored) == 0)
		write_jobs(text, jobs, count, db_now_us(session));
	if (db_chore_counts(session, chores, &count, &ignored) == 0)
		write_chores(text, chores, count, db_now_us(session));
}

static void collect_worker(void *context, struct text *text)
{
	const struct service_metrics *service = context;
	int64_t running, limit;

	worker_count_running(service->parts.worker, &running, &limit);
	metric_write_one(text, "migrationd_worker_threads_busy", METRIC_GAUGE,
			 "Jobs that a thread of the worker has in hand.", (double)running);
	metric_write_one(text, "migrationd_worker_threads", METRIC_GAUGE,
			 "Threads that the worker may have (worker.threads).", (double)limit);
}

static void collect_fleet(void *context, struct text *text)
{
	const struct service_metrics *service = context;

	fleet_metrics_write(service->parts.worker, service->parts.settings->hosts_max, text);
}

static int open_http(struct service_metrics *service, struct error *error)
{
	size_t count = api_route_count();
	CLEANUP_FREE const char **methods = calloc(count, sizeof(*methods));
	CLEANUP_FREE char **routes = calloc(count, sizeof(*routes));
	int result = methods && routes ? 0 : error_no_memory(error);

	for (size_t i = 0; i < count && result == 0; i++) {
		const char *version, *pattern;

		api_route_at(i, &methods[i], &version, &pattern);
		routes[i] = text_format("%s%s", version, pattern);
		if (!routes[i])
			result = error_no_memory(error);
	}
	if (result == 0)
		result = http_measures_create(service->parts.metrics, methods, (const char *const *)routes, count,
					      &service->http, error);
	for (size_t i = 0; routes && i < count; i++)
		free(routes[i]);
	return result;
}

int service_metrics_create(const struct service_metrics_parts *parts, struct service_metrics **ret_service,
			   struct error *error)
{
	static const metrics_collect_fn collectors[] = { collect_build,       collect_readiness, collect_process,
							 collect_certificate, collect_database,  collect_worker,
							 collect_fleet };
	struct service_metrics *service = calloc(1, sizeof(*service));

	if (!service)
		return error_no_memory(error);
	service->parts = *parts;
	int result = open_http(service, error);
	for (size_t i = 0; i < ARRAY_LENGTH(collectors) && result == 0; i++)
		result = metrics_collect(parts->metrics, collectors[i], service, error);
	if (result < 0) {
		service_metrics_destroy(service);
		return result;
	}
	*ret_service = service;
	return 0;
}

struct http_measures *service_metrics_http(struct service_metrics *service)
{
	return service->http;
}

void service_metrics_destroy(struct service_metrics *service)
{
	if (!service)
		return;
	http_measures_destroy(service->http);
	free(service);
}
