/* Counting and telling. The one difficulty is to count at no price: each value has a few cells, and a thread uses that of the
 * processor that it runs on, so that threads which count the same thing do not pull one cache line to and fro; whoever tells
 * adds the cells up. A histogram's count is the sum of its buckets, so that both always agree. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define SHARDS         4
#define LINE_BYTES     64
#define CELLS_OF_LINE  (LINE_BYTES / sizeof(atomic_llong))
#define COLLECTORS_MAX 8
#define SERIES_MAX     100000

struct metric_family {
	struct metric_definition definition;
	size_t series_count;
	size_t width; /* cells of one series: 1; of a histogram its buckets, the last one's and the sum */
	size_t shard_cells; /* of one shard, whole cache lines */
	atomic_llong *cells; /* SHARDS of them one after another; a gauge that is set uses the first alone */
	atomic_bool *is_touched; /* by series, of a sparse one; NULL */
	struct metric_family *next;
};

struct collector {
	metrics_collect_fn collect;
	void *context;
};

struct metrics {
	pthread_mutex_t mutex; /* guards the lists; counting needs none */
	struct metric_family *families; /* in the order in which they came */
	struct collector collectors[COLLECTORS_MAX];
	size_t collector_count;
};

struct metrics *metrics_create(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics)
		pthread_mutex_init(&metrics->mutex, NULL);
	return metrics;
}

static void family_destroy(struct metric_family *family)
{
	free(family->cells);
	free(family->is_touched);
	free(family);
}

void metrics_destroy(struct metrics *metrics)
{
	if (!metrics)
		return;
	while (metrics->families) {
		struct metric_family *family = metrics->families;

		metrics->families = family->next;
		family_destroy(family);
	}
	pthread_mutex_destroy(&metrics->mutex);
	free(metrics);
}

static bool is_name(const char *name, bool may_have_colon)
{
	if (!name || !*name || strspn(name, "0123456789"))
		return false;
	return strspn(name, may_have_colon ? "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789:"
					   : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")
	       == strlen(name);
}

static bool are_labels_right(const struct metric_labels *labels)
{
	for (size_t i = 0; i < labels->name_count; i++)
		if (!is_name(labels->names[i], false) || text_equal(labels->names[i], "le"))
			return false;
	return labels->name_count > 0 && labels->count > 0;
}

static bool are_bounds_right(const struct metric_definition *definition)
{
	if (definition->type != METRIC_HISTOGRAM)
		return definition->bound_count == 0;
	for (size_t i = 1; i < definition->bound_count; i++)
		if (definition->bounds[i] <= definition->bounds[i - 1])
			return false;
	return definition->bound_count > 0 && definition->bound_count <= METRIC_BUCKETS_MAX;
}

static int check_definition(const struct metric_definition *definition, size_t *ret_series, struct error *error)
{
	bool is_total = text_ends_with(definition->name, "_total");

	*ret_series = 1;
	if (!is_name(definition->name, true) || !definition->help)
		return error_set(error, EINVAL, "metric %s: it has no proper name or no help", definition->name);
	if (is_total != (definition->type == METRIC_COUNTER))
		return error_set(error, EINVAL, "metric %s: counters, and nothing else, end with _total",
				 definition->name);
	for (size_t i = 0; i < METRIC_AXES_MAX && definition->labels[i]; i++) {
		if (!are_labels_right(definition->labels[i]))
			return error_set(error, EINVAL, "metric %s: its labels are not right", definition->name);
		*ret_series *= definition->labels[i]->count;
	}
	if (!are_bounds_right(definition))
		return error_set(error, EINVAL, "metric %s: a histogram has 1 to %d ascending bounds, others have none",
				 definition->name, METRIC_BUCKETS_MAX);
	return *ret_series <= SERIES_MAX
		       ? 0
		       : error_set(error, EINVAL, "metric %s: more than %d series", definition->name, SERIES_MAX);
}

static int family_create(const struct metric_definition *definition, struct metric_family **ret_family,
			 struct error *error)
{
	size_t series_count;
	int result = check_definition(definition, &series_count, error);

	if (result < 0)
		return result;
	struct metric_family *family = calloc(1, sizeof(*family));
	if (!family)
		return error_no_memory(error);
	family->definition = *definition;
	if (definition->scale == 0)
		family->definition.scale = 1;
	family->series_count = series_count;
	family->width = definition->type == METRIC_HISTOGRAM ? definition->bound_count + 2 : 1;
	family->shard_cells = (series_count * family->width + CELLS_OF_LINE - 1) / CELLS_OF_LINE * CELLS_OF_LINE;
	family->cells = aligned_alloc(LINE_BYTES, family->shard_cells * SHARDS * sizeof(*family->cells));
	if (definition->is_sparse)
		family->is_touched = calloc(series_count, sizeof(*family->is_touched));
	if (!family->cells || (definition->is_sparse && !family->is_touched)) {
		family_destroy(family);
		return error_no_memory(error);
	}
	for (size_t i = 0; i < family->shard_cells * SHARDS; i++)
		atomic_init(&family->cells[i], 0);
	*ret_family = family;
	return 0;
}

int metrics_register(struct metrics *metrics, const struct metric_definition *definition,
		     struct metric_family **ret_family, struct error *error)
{
	*ret_family = NULL;
	if (!metrics)
		return 0;
	LOCK_SCOPE(&metrics->mutex);
	struct metric_family **link = &metrics->families;

	for (; *link; link = &(*link)->next)
		if (text_equal((*link)->definition.name, definition->name)) {
			*ret_family = *link;
			return 0;
		}
	int result = family_create(definition, link, error);
	if (result == 0)
		*ret_family = *link;
	return result;
}

int metrics_register_all(struct metrics *metrics, const struct metric_place *places, struct error *error)
{
	int result = 0;

	for (; places->definition && result == 0; places++)
		result = metrics_register(metrics, places->definition, places->ret_family, error);
	return result;
}

size_t metric_series(const struct metric_family *family, size_t row, size_t second_row)
{
	if (!family || !family->definition.labels[1])
		return row;
	/* A row that is none stays none. */
	return second_row < family->definition.labels[1]->count ? row * family->definition.labels[1]->count + second_row
								: SIZE_MAX;
}

/* A hint is enough: the cells are atomic. */
static size_t shard_here(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (size_t)cpu % SHARDS;
}

static atomic_llong *cells_of(const struct metric_family *family, size_t shard, size_t series)
{
	return family->cells + shard * family->shard_cells + series * family->width;
}

/* NULL: nothing is to be counted. */
static atomic_llong *touch(struct metric_family *family, size_t series, size_t shard)
{
	if (!family || series >= family->series_count)
		return NULL;
	if (family->is_touched && !atomic_load_explicit(&family->is_touched[series], memory_order_relaxed))
		atomic_store_explicit(&family->is_touched[series], true, memory_order_relaxed);
	return cells_of(family, shard, series);
}

void metric_add(struct metric_family *family, size_t series, int64_t by)
{
	atomic_llong *cell = touch(family, series, shard_here());

	if (cell)
		atomic_fetch_add_explicit(cell, by, memory_order_relaxed);
}

void metric_set(struct metric_family *family, size_t series, int64_t value)
{
	atomic_llong *cell = touch(family, series, 0);

	if (cell)
		atomic_store_explicit(cell, value, memory_order_relaxed);
}

void metric_observe(struct metric_family *family, size_t series, int64_t value)
{
	atomic_llong *cells = touch(family, series, shard_here());
	size_t bucket = 0;

	if (!cells)
		return;
	while (bucket < family->definition.bound_count && value > family->definition.bounds[bucket])
		bucket++;
	atomic_fetch_add_explicit(&cells[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&cells[family->width - 1], value, memory_order_relaxed);
}

static int64_t sum_of(const struct metric_family *family, size_t series, size_t cell)
{
	int64_t sum = 0;

	for (size_t shard = 0; shard < SHARDS; shard++)
		sum += atomic_load_explicit(&cells_of(family, shard, series)[cell], memory_order_relaxed);
	return sum;
}

int64_t metric_value(const struct metric_family *family, size_t series)
{
	int64_t value = 0;

	if (!family || series >= family->series_count)
		return 0;
	if (family->definition.type != METRIC_HISTOGRAM)
		return sum_of(family, series, 0);
	for (size_t bucket = 0; bucket <= family->definition.bound_count; bucket++)
		value += sum_of(family, series, bucket);
	return value;
}

int metrics_collect(struct metrics *metrics, metrics_collect_fn collect, void *context, struct error *error)
{
	LOCK_SCOPE(&metrics->mutex);

	if (metrics->collector_count == COLLECTORS_MAX)
		return error_set(error, ENOBUFS, "more than %d collectors of metrics", COLLECTORS_MAX);
	metrics->collectors[metrics->collector_count++] = (struct collector){ collect, context };
	return 0;
}

/* `quote` too, in a label's value. */
static void append_escaped(struct text *text, const char *string, bool has_quotes)
{
	for (;;) {
		size_t plain = strcspn(string, has_quotes ? "\\\n\"" : "\\\n");

		text_append_bytes(text, string, plain);
		string += plain;
		if (!*string)
			return;
		text_append(text, *string == '\n' ? "\\n" : *string == '"' ? "\\\"" : "\\\\");
		string++;
	}
}

/* The format is UTF-8; a name that is none is told by its bytes. */
static void append_label(struct text *text, const char *name, const char *value, bool is_first)
{
	CLEANUP_TEXT struct text readable = TEXT_EMPTY;

	text_append(text, is_first ? "{" : ",");
	text_append(text, name);
	text_append(text, "=\"");
	append_escaped(text, text_as_utf8(value, &readable), true);
	text_append(text, "\"");
	text->failed = text->failed || text_failed(&readable);
}

static void append_number(struct text *text, double value)
{
	if (isnan(value))
		text_append(text, "NaN");
	else if (isinf(value))
		text_append(text, value > 0 ? "+Inf" : "-Inf");
	else if (value == floor(value) && fabs(value) < 1e15)
		text_append_format(text, "%.0f", value);
	else
		text_append_format(text, "%.15g", value);
}

void metric_write_head(struct text *text, const char *name, enum metric_type type, const char *help)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	text_append_format(text, "# HELP %s ", name);
	append_escaped(text, help, false);
	text_append_format(text, "\n# TYPE %s %s\n", name, types[type]);
}

void metric_write(struct text *text, const char *name, const struct metric_label *labels, double value)
{
	bool has_labels = labels && labels->name;

	text_append(text, name);
	for (const struct metric_label *label = labels; label && label->name; label++)
		append_label(text, label->name, label->value, label == labels);
	text_append(text, has_labels ? "} " : " ");
	append_number(text, value);
	text_append(text, "\n");
}

void metric_write_one(struct text *text, const char *name, enum metric_type type, const char *help, double value)
{
	metric_write_head(text, name, type, help);
	metric_write(text, name, NULL, value);
}

/* Name, labels and, in a histogram's bucket, its bound; up to the value. */
static void append_series(struct text *text, const struct metric_family *family, const char *suffix, size_t series,
			  const double *bound)
{
	const struct metric_definition *definition = &family->definition;
	bool is_first = true;

	text_append(text, definition->name);
	text_append(text, suffix);
	for (size_t axis = 0; axis < METRIC_AXES_MAX && definition->labels[axis]; axis++) {
		const struct metric_labels *labels = definition->labels[axis];
		bool has_second = axis == 0 && definition->labels[1];
		size_t row = has_second ? series / definition->labels[1]->count : series % labels->count;

		for (size_t i = 0; i < labels->name_count; i++, is_first = false)
			append_label(text, labels->names[i], labels->values[row * labels->name_count + i], is_first);
	}
	if (bound) {
		text_append(text, is_first ? "{le=\"" : ",le=\"");
		append_number(text, *bound);
		text_append(text, "\"");
		is_first = false;
	}
	text_append(text, is_first ? " " : "} ");
}

static void render_histogram(const struct metric_family *family, size_t series, struct text *text)
{
	const struct metric_definition *definition = &family->definition;
	int64_t count = 0;

	for (size_t bucket = 0; bucket <= definition->bound_count; bucket++) {
		double bound = bucket < definition->bound_count ? (double)definition->bounds[bucket] * definition->scale
								: INFINITY;

		count += sum_of(family, series, bucket);
		append_series(text, family, "_bucket", series, &bound);
		text_append_format(text, "%lld\n", (long long)count);
	}
	append_series(text, family, "_sum", series, NULL);
	append_number(text, (double)sum_of(family, series, family->width - 1) * definition->scale);
	text_append(text, "\n");
	append_series(text, family, "_count", series, NULL);
	text_append_format(text, "%lld\n", (long long)count);
}

static void render_family(const struct metric_family *family, struct text *text)
{
	const struct metric_definition *definition = &family->definition;

	metric_write_head(text, definition->name, definition->type, definition->help);
	for (size_t series = 0; series < family->series_count; series++) {
		if (family->is_touched && !atomic_load_explicit(&family->is_touched[series], memory_order_relaxed))
			continue;
		if (definition->type == METRIC_HISTOGRAM) {
			render_histogram(family, series, text);
			continue;
		}
		append_series(text, family, "", series, NULL);
		append_number(text, (double)sum_of(family, series, 0) * definition->scale);
		text_append(text, "\n");
	}
}

void metrics_render(struct metrics *metrics, struct text *text)
{
	struct collector collectors[COLLECTORS_MAX];

	pthread_mutex_lock(&metrics->mutex);
	size_t count = metrics->collector_count;
	memcpy(collectors, metrics->collectors, sizeof(collectors));
	for (const struct metric_family *family = metrics->families; family; family = family->next)
		render_family(family, text);
	pthread_mutex_unlock(&metrics->mutex);
	for (size_t i = 0; i < count; i++)
		collectors[i].collect(collectors[i].context, text);
}
