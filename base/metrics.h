/* Figures of the running process: counters, gauges and histograms, and their text for Prometheus (format 0.0.4).
 *
 * A set is made once and passed to those who measure. Each registers its families before its first work, counts without a
 * lock, and needs no care where nothing is measured: a family that is NULL takes every call and does nothing.
 *
 *     static const char *const names[] = { "result" }, *const values[] = { "ok", "failed" };
 *     static const struct metric_labels by_result = { names, 1, values, 2 };
 *     static const struct metric_definition commits = {
 *         .name = "migrationd_database_commits_total", .help = "Commits of the database.", .type = METRIC_COUNTER,
 *         .labels = { &by_result },
 *     };
 *     int result = metrics_register(metrics, &commits, &family, error);
 *     …
 *     metric_add(family, 0, 1);                                        the row "ok"
 *
 * Labels are fixed when a family is registered, so that no input can make series without end. What lies in a database or in
 * somebody's memory is not counted a second time but read when it is asked for: metrics_collect.
 *
 * Values are whole numbers in the unit that is measured (microseconds, bytes); `scale` makes Prometheus' base unit of them.
 * Names are Prometheus': `_total` for counters, `_seconds`, `_bytes`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct metric_family;
struct metrics;
struct text;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* One axis of a family: rows of values for one name or for several that go together (a method and its route). */
struct metric_labels {
	const char *const *names;
	size_t name_count;
	const char *const *values; /* row by row */
	size_t count; /* rows */
};

#define METRIC_AXES_MAX    2
#define METRIC_BUCKETS_MAX 20

/* Its texts, and those of its labels, outlive the set. */
struct metric_definition {
	const char *name;
	const char *help;
	enum metric_type type;
	const struct metric_labels *labels[METRIC_AXES_MAX]; /* NULL from the first that is not needed */
	double scale; /* what a value is multiplied with; 0: 1 */
	const int64_t *bounds; /* of a histogram's buckets, ascending, in the value's unit */
	size_t bound_count;
	bool is_sparse; /* series that were never touched are left out: where most of them never come */
};

struct metrics *metrics_create(void); /* NULL when out of memory */
/* Nobody may count any more. NULL is fine. */
void metrics_destroy(struct metrics *metrics);

/* A name that is registered already gives the family that it has: for those who come anew while the daemon runs. `metrics`
 * NULL: *ret_family is NULL, and 0. -EINVAL: the definition breaks the format's rules; -ENOMEM. Thread-safe. */
int metrics_register(struct metrics *metrics, const struct metric_definition *definition,
		     struct metric_family **ret_family, struct error *error);

/* Several, up to the row without a definition. */
struct metric_place {
	const struct metric_definition *definition;
	struct metric_family **ret_family;
};
int metrics_register_all(struct metrics *metrics, const struct metric_place *places, struct error *error);

/* The series of the first axis' row, or of both axes' rows. */
size_t metric_series(const struct metric_family *family, size_t row, size_t second_row);

/* All of these: lock-free, thread-safe, `family` may be NULL. A series that is none is not counted. */
void metric_add(struct metric_family *family, size_t series, int64_t by); /* counters only upwards; gauges either way */
void metric_set(struct metric_family *family, size_t series, int64_t value); /* gauges; not together with metric_add */
void metric_observe(struct metric_family *family, size_t series, int64_t value); /* histograms */
int64_t metric_value(const struct metric_family *family, size_t series); /* a histogram: how often it was observed */

/* What is read at the time of asking. It writes whole families: metric_write_head once, then their samples. */
typedef void (*metrics_collect_fn)(void *context, struct text *text);
/* Collectors are called in the order in which they came, behind the families. -ENOBUFS, -ENOMEM. */
int metrics_collect(struct metrics *metrics, metrics_collect_fn collect, void *context, struct error *error);

struct metric_label {
	const char *name;
	const char *value; /* any text */
};

void metric_write_head(struct text *text, const char *name, enum metric_type type, const char *help);
/* `labels` ends with a name that is NULL; NULL: none. */
void metric_write(struct text *text, const char *name, const struct metric_label *labels, double value);

/* A family of one sample. */
void metric_write_one(struct text *text, const char *name, enum metric_type type, const char *help, double value);

/* The whole set. A text that has failed is not to be used. Thread-safe. */
void metrics_render(struct metrics *metrics, struct text *text);

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
