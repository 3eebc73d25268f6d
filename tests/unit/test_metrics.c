/* Metrics: what a set counts, also by many threads at once, and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"

#define THREADS 4
#define TIMES   20000

static const char *const result_names[] = { "result" };
static const char *const result_values[] = { "ok", "failed" };
static const struct metric_labels by_result = { result_names, 1, result_values, 2 };
static const char *const route_names[] = { "method", "route" };
static const char *const route_values[] = { "GET", "/a", "PUT", "/a/{id}" };
static const struct metric_labels by_route = { route_names, 2, route_values, 2 };
static const int64_t bounds_us[] = { 1000, 50000, 2000000 };

static const struct metric_definition things = { .name = "things_total", .help = "Things.", .type = METRIC_COUNTER };
static const struct metric_definition answers = { .name = "answers_total",
						  .help = "Answers\\ by route,\nand how.",
						  .type = METRIC_COUNTER,
						  .labels = { &by_route, &by_result },
						  .is_sparse = true };
static const struct metric_definition level = {
	.name = "level_seconds", .help = "Level.", .type = METRIC_GAUGE, .labels = { &by_result }, .scale = 1e-6
};
static const struct metric_definition waits = { .name = "wait_seconds",
						.help = "Waits.",
						.type = METRIC_HISTOGRAM,
						.labels = { &by_result },
						.scale = 1e-6,
						.bounds = bounds_us,
						.bound_count = ARRAY_LENGTH(bounds_us) };

struct fixture {
	struct metrics *metrics;
	struct metric_family *things, *answers, *level, *waits;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error error = { 0 };

	fixture->metrics = metrics_create();
	assert_non_null(fixture->metrics);
	assert_int_equal(metrics_register(fixture->metrics, &things, &fixture->things, &error), 0);
	assert_int_equal(metrics_register(fixture->metrics, &answers, &fixture->answers, &error), 0);
	assert_int_equal(metrics_register(fixture->metrics, &level, &fixture->level, &error), 0);
	assert_int_equal(metrics_register(fixture->metrics, &waits, &fixture->waits, &error), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	metrics_destroy(fixture->metrics);
	free(fixture);
	return 0;
}

static void assert_text(struct metrics *metrics, const char *wanted)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	metrics_render(metrics, &text);
	assert_false(text_failed(&text));
	assert_string_equal(text.data, wanted);
}

static void a_set_that_counted_nothing_tells_zeros_but_no_sparse_series(void **state)
{
	struct fixture *fixture = *state;

	assert_text(fixture->metrics,
		    "# HELP things_total Things.\n# TYPE things_total counter\nthings_total 0\n"
		    "# HELP answers_total Answers\\\\ by route,\\nand how.\n"
		    "# TYPE answers_total counter\n"
		    "# HELP level_seconds Level.\n# TYPE level_seconds gauge\n"
		    "level_seconds{result=\"ok\"} 0\nlevel_seconds{result=\"failed\"} 0\n"
		    "# HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n"
		    "wait_seconds_bucket{result=\"ok\",le=\"0.001\"} 0\n"
		    "wait_seconds_bucket{result=\"ok\",le=\"0.05\"} 0\n"
		    "wait_seconds_bucket{result=\"ok\",le=\"2\"} 0\n"
		    "wait_seconds_bucket{result=\"ok\",le=\"+Inf\"} 0\n"
		    "wait_seconds_sum{result=\"ok\"} 0\nwait_seconds_count{result=\"ok\"} 0\n"
		    "wait_seconds_bucket{result=\"failed\",le=\"0.001\"} 0\n"
		    "wait_seconds_bucket{result=\"failed\",le=\"0.05\"} 0\n"
		    "wait_seconds_bucket{result=\"failed\",le=\"2\"} 0\n"
		    "wait_seconds_bucket{result=\"failed\",le=\"+Inf\"} 0\n"
		    "wait_seconds_sum{result=\"failed\"} 0\nwait_seconds_count{result=\"failed\"} 0\n");
}

static void both_axes_of_labels_are_told_with_their_own_values(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	metric_add(fixture->answers, metric_series(fixture->answers, 1, 0), 3);
	metric_add(fixture->answers, metric_series(fixture->answers, 0, 1), 1);
	metrics_render(fixture->metrics, &text);
	assert_non_null(strstr(text.data, "# TYPE answers_total counter\n"
					  "answers_total{method=\"GET\",route=\"/a\",result=\"failed\"} 1\n"
					  "answers_total{method=\"PUT\",route=\"/a/{id}\",result=\"ok\"} 3\n"
					  "# HELP level_seconds"));
}

static void a_histogram_counts_a_value_in_its_bucket_and_all_above(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	static const int64_t values_us[] = { 0, 1000, 1001, 50000, 1999999, 2000001, 7000000 };

	for (size_t i = 0; i < ARRAY_LENGTH(values_us); i++)
		metric_observe(fixture->waits, 1, values_us[i]);
	metrics_render(fixture->metrics, &text);
	assert_non_null(strstr(text.data, "wait_seconds_bucket{result=\"failed\",le=\"0.001\"} 2\n"
					  "wait_seconds_bucket{result=\"failed\",le=\"0.05\"} 4\n"
					  "wait_seconds_bucket{result=\"failed\",le=\"2\"} 5\n"
					  "wait_seconds_bucket{result=\"failed\",le=\"+Inf\"} 7\n"
					  "wait_seconds_sum{result=\"failed\"} 11.052001\n"
					  "wait_seconds_count{result=\"failed\"} 7\n"));
	assert_int_equal(metric_value(fixture->waits, 1), 7);
	assert_int_equal(metric_value(fixture->waits, 0), 0);
}

static void a_gauge_is_set_or_goes_both_ways(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	metric_set(fixture->level, 0, 1764106237123456); /* a time of day, to the microsecond */
	metric_add(fixture->level, 1, 1500000);
	metric_add(fixture->level, 1, -2000000);
	metrics_render(fixture->metrics, &text);
	assert_non_null(strstr(text.data, "level_seconds{result=\"ok\"} 1764106237.12346\n"
					  "level_seconds{result=\"failed\"} -0.5\n"));
}

static void a_series_that_is_none_and_a_family_that_is_none_count_nothing(void **state)
{
	struct fixture *fixture = *state;

	metric_add(fixture->answers, metric_series(fixture->answers, 2, 0), 1);
	metric_add(fixture->answers, metric_series(fixture->answers, 0, 2), 1);
	metric_add(fixture->things, 1, 1);
	metric_observe(fixture->waits, 2, 1);
	metric_add(NULL, 0, 1);
	metric_set(NULL, 0, 1);
	metric_observe(NULL, 0, 1);
	for (size_t series = 0; series < 4; series++)
		assert_int_equal(metric_value(fixture->answers, series), 0);
	assert_int_equal(metric_value(fixture->things, 0), 0);
	assert_int_equal(metric_value(NULL, 0), 0);
}

static void a_name_that_is_registered_again_counts_on(void **state)
{
	struct fixture *fixture = *state;
	struct metric_family *again = NULL, *none = fixture->things;
	struct error error = { 0 };

	metric_add(fixture->things, 0, 2);
	assert_int_equal(metrics_register(fixture->metrics, &things, &again, &error), 0);
	assert_ptr_equal(again, fixture->things);
	assert_int_equal(metric_value(again, 0), 2);
	assert_int_equal(metrics_register(NULL, &things, &none, &error), 0);
	assert_null(none);
}

#define LABELS(label, rows)                                                                                            \
	{                                                                                                              \
		(const char *const[]){ label }, 1, result_values, rows                                                 \
	}
#define MOST_SERIES 100000

static void a_definition_against_the_rules_is_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct metric_labels by_bound = LABELS("le", 2), by_digit = LABELS("1st", 2), by_colon = LABELS("a:b", 2),
				   by_dash = LABELS("a-b", 2), by_nothing = LABELS("", 2),
				   without_rows = LABELS("a", 0), without_names = { NULL, 0, result_values, 2 },
				   too_many = LABELS("a", MOST_SERIES / 2 + 1);
	static const int64_t ascending[METRIC_BUCKETS_MAX + 1] = { 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
								   12, 13, 14, 15, 16, 17, 18, 19, 20, 21 };
	const struct metric_definition wrong[] = {
		{ .name = "", .help = "", .type = METRIC_GAUGE },
		{ .name = "a-b", .help = "", .type = METRIC_GAUGE },
		{ .name = "_total_", .help = "", .type = METRIC_COUNTER },
		{ .name = "wait_total", .help = "", .type = METRIC_HISTOGRAM, .bounds = bounds_us, .bound_count = 3 },
		{ .name = "digit", .help = "", .type = METRIC_GAUGE, .labels = { &by_digit } },
		{ .name = "colon", .help = "", .type = METRIC_GAUGE, .labels = { &by_colon } },
		{ .name = "dash", .help = "", .type = METRIC_GAUGE, .labels = { &by_dash } },
		{ .name = "no_label", .help = "", .type = METRIC_GAUGE, .labels = { &by_nothing } },
		{ .name = "no_rows", .help = "", .type = METRIC_GAUGE, .labels = { &without_rows } },
		{ .name = "no_names", .help = "", .type = METRIC_GAUGE, .labels = { &without_names } },
		{ .name = "second", .help = "", .type = METRIC_GAUGE, .labels = { &by_result, &by_bound } },
		{ .name = "too_many", .help = "", .type = METRIC_GAUGE, .labels = { &by_result, &too_many } },
		{ .name = "falling_bounds",
		  .help = "",
		  .type = METRIC_HISTOGRAM,
		  .bounds = (const int64_t[]){ 5, 6, 4 },
		  .bound_count = 3 },
		{ .name = "many_bounds",
		  .help = "",
		  .type = METRIC_HISTOGRAM,
		  .bounds = ascending,
		  .bound_count = METRIC_BUCKETS_MAX + 1 },
		{ .name = "no name_total", .help = "", .type = METRIC_COUNTER },
		{ .name = "1_total", .help = "", .type = METRIC_COUNTER },
		{ .name = "counter", .help = "A counter without its end.", .type = METRIC_COUNTER },
		{ .name = "gauge_total", .help = "A gauge with a counter's.", .type = METRIC_GAUGE },
		{ .name = "no_help", .type = METRIC_GAUGE },
		{ .name = "no_bounds", .help = "", .type = METRIC_HISTOGRAM },
		{ .name = "bounds", .help = "", .type = METRIC_GAUGE, .bounds = bounds_us, .bound_count = 1 },
		{ .name = "equal_bounds",
		  .help = "",
		  .type = METRIC_HISTOGRAM,
		  .bounds = (const int64_t[]){ 5, 5 },
		  .bound_count = 2 },
		{ .name = "own_le", .help = "", .type = METRIC_GAUGE, .labels = { &by_bound } },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		struct metric_family *family = fixture->things;
		struct error error = { 0 };

		assert_int_equal(metrics_register(fixture->metrics, &wrong[i], &family, &error), -EINVAL);
		assert_non_null(strstr(error.text, wrong[i].name));
		assert_null(family);
	}
}

/* The first that is refused is reported, and what stands behind it is not registered. */
static void a_list_of_definitions_ends_at_one_that_is_refused(void **state)
{
	static const struct metric_definition first = { .name = "first_total", .help = "F.", .type = METRIC_COUNTER };
	static const struct metric_definition wrong = { .name = "wrong", .help = "W.", .type = METRIC_COUNTER };
	static const struct metric_definition last = { .name = "last_total", .help = "L.", .type = METRIC_COUNTER };
	struct fixture *fixture = *state;
	struct metric_family *families[3] = { NULL };
	const struct metric_place places[] = {
		{ &first, &families[0] }, { &wrong, &families[1] }, { &last, &families[2] }, { 0 }
	};
	struct error error = { 0 };

	assert_int_equal(metrics_register_all(fixture->metrics, places, &error), -EINVAL);
	assert_non_null(strstr(error.text, "metric wrong: "));
	assert_non_null(families[0]);
	assert_null(families[1]);
	assert_null(families[2]);
}

static void a_definition_at_the_edges_of_the_rules_is_taken(void **state)
{
	struct fixture *fixture = *state;
	const struct metric_labels most = LABELS("_a1", MOST_SERIES / 2);
	static const int64_t ascending[METRIC_BUCKETS_MAX] = { 1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
							       11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
	const struct metric_definition right[] = {
		{ .name = "a:b_1", .help = "", .type = METRIC_GAUGE },
		{ .name = "_9", .help = "", .type = METRIC_GAUGE },
		{ .name = "most_series", .help = "", .type = METRIC_GAUGE, .labels = { &by_result, &most } },
		{ .name = "most_bounds",
		  .help = "",
		  .type = METRIC_HISTOGRAM,
		  .bounds = ascending,
		  .bound_count = METRIC_BUCKETS_MAX },
		{ .name = "one_bound", .help = "", .type = METRIC_HISTOGRAM, .bounds = ascending, .bound_count = 1 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(right); i++) {
		struct metric_family *family = NULL;
		struct error error = { 0 };

		if (metrics_register(fixture->metrics, &right[i], &family, &error) < 0)
			fail_msg("%s", error.text);
		assert_non_null(family);
	}
}

/* One below the first bound, one beyond the last, and one that is negative. */
static void a_histogram_has_a_bucket_for_any_value(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	metric_observe(fixture->waits, 0, -5);
	metric_observe(fixture->waits, 0, 2000000);
	metric_observe(fixture->waits, 0, INT64_C(3000000000000));
	metrics_render(fixture->metrics, &text);
	assert_non_null(strstr(text.data, "wait_seconds_bucket{result=\"ok\",le=\"0.001\"} 1\n"
					  "wait_seconds_bucket{result=\"ok\",le=\"0.05\"} 1\n"
					  "wait_seconds_bucket{result=\"ok\",le=\"2\"} 2\n"
					  "wait_seconds_bucket{result=\"ok\",le=\"+Inf\"} 3\n"
					  "wait_seconds_sum{result=\"ok\"} 3000001.999995\n"
					  "wait_seconds_count{result=\"ok\"} 3\n"));
}

static void collect_nothing(void *context, struct text *text)
{
	(void)context;
	(void)text;
}

static void more_collectors_than_there_is_place_for_are_refused(void **state)
{
	struct metrics *metrics = metrics_create();
	struct error error = { 0 };

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(metrics_collect(metrics, collect_nothing, NULL, &error), 0);
	assert_int_equal(metrics_collect(metrics, collect_nothing, NULL, &error), -ENOBUFS);
	metrics_destroy(metrics);
}

static void collect_numbers(void *context, struct text *text)
{
	static const double numbers[] = { 0, -1, 999999999999999, 1e15, 1e300, 0.1, -0.5, INFINITY };
	const struct metric_label empty[] = { { "empty", "" }, { 0 } };

	(void)context;
	metric_write_head(text, "numbers", METRIC_GAUGE, "a \"quoted\" \\ help\n");
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		metric_write(text, "numbers", i == 0 ? empty : NULL, numbers[i]);
}

static void numbers_are_written_whole_where_they_are(void **state)
{
	struct metrics *metrics = metrics_create();
	struct error error = { 0 };

	(void)state;
	assert_int_equal(metrics_collect(metrics, collect_numbers, NULL, &error), 0);
	assert_text(metrics, "# HELP numbers a \"quoted\" \\\\ help\\n\n# TYPE numbers gauge\n"
			     "numbers{empty=\"\"} 0\nnumbers -1\nnumbers 999999999999999\nnumbers 1e+15\n"
			     "numbers 1e+300\nnumbers 0.1\nnumbers -0.5\nnumbers +Inf\n");
	metrics_destroy(metrics);
}

static void collect_hosts(void *context, struct text *text)
{
	const struct metric_label quoted[] = { { "host", context }, { "state", "up" }, { 0 } };
	const struct metric_label bytes[] = { { "host", "caf\xe9" }, { 0 } };

	metric_write_head(text, "hosts", METRIC_GAUGE, "Hosts.");
	metric_write(text, "hosts", quoted, 1.5);
	metric_write(text, "hosts", bytes, NAN);
	metric_write(text, "hosts", NULL, -INFINITY);
}

static void what_is_collected_comes_last_with_any_text_escaped(void **state)
{
	struct metrics *metrics = metrics_create();
	char name[] = "a\"b\\c\nd";
	struct error error = { 0 };

	(void)state;
	assert_int_equal(metrics_collect(metrics, collect_hosts, name, &error), 0);
	assert_text(metrics, "# HELP hosts Hosts.\n# TYPE hosts gauge\n"
			     "hosts{host=\"a\\\"b\\\\c\\nd\",state=\"up\"} 1.5\n"
			     "hosts{host=\"caf\xc3\xa9\"} NaN\nhosts -Inf\n");
	metrics_destroy(metrics);
}

static void *count_much(void *context)
{
	struct fixture *fixture = context;

	for (int64_t i = 0; i < TIMES; i++) {
		metric_add(fixture->things, 0, 1);
		metric_add(fixture->answers, (size_t)i % 4, 1);
		metric_add(fixture->level, 1, i % 2 ? 1 : -1);
		metric_observe(fixture->waits, 0, i);
	}
	return NULL;
}

/* Also told meanwhile: a count that was told never goes back, and a histogram agrees with itself. */
static void threads_that_count_at_once_lose_nothing(void **state)
{
	struct fixture *fixture = *state;
	pthread_t threads[THREADS];
	int64_t before = 0;

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_much, fixture), 0);
	for (int i = 0; i < 50; i++) {
		CLEANUP_TEXT struct text text = TEXT_EMPTY;
		long long last_bucket, count;

		metrics_render(fixture->metrics, &text);
		assert_int_equal(sscanf(strstr(text.data, "\"+Inf\"} "), "\"+Inf\"} %lld", &last_bucket), 1);
		assert_int_equal(sscanf(strstr(text.data, "_count{"), "_count{result=\"ok\"} %lld", &count), 1);
		assert_int_equal(last_bucket, count);
		int64_t now = metric_value(fixture->things, 0);
		assert_true(now >= before);
		before = now;
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_value(fixture->things, 0), THREADS * TIMES);
	for (size_t series = 0; series < 4; series++)
		assert_int_equal(metric_value(fixture->answers, series), THREADS * TIMES / 4);
	assert_int_equal(metric_value(fixture->level, 1), 0);
	assert_int_equal(metric_value(fixture->waits, 0), THREADS * TIMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_set_that_counted_nothing_tells_zeros_but_no_sparse_series, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(both_axes_of_labels_are_told_with_their_own_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_histogram_counts_a_value_in_its_bucket_and_all_above, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_gauge_is_set_or_goes_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_series_that_is_none_and_a_family_that_is_none_count_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_name_that_is_registered_again_counts_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_definition_against_the_rules_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_list_of_definitions_ends_at_one_that_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_definition_at_the_edges_of_the_rules_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_histogram_has_a_bucket_for_any_value, set_up, tear_down),
		cmocka_unit_test(more_collectors_than_there_is_place_for_are_refused),
		cmocka_unit_test(numbers_are_written_whole_where_they_are),
		cmocka_unit_test(what_is_collected_comes_last_with_any_text_escaped),
		cmocka_unit_test_setup_teardown(threads_that_count_at_once_lose_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
