/* Requests as metrics: each code that the service answers is counted by itself, and nothing else makes a series. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "server/http_measures.h"

static const char *const methods[] = { "other", "GET", "POST" };
static const char *const routes[] = { "other", "/servers", "/servers/{id}/action" };

struct fixture {
	struct metrics *metrics;
	struct http_measures *measures;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error error = { 0 };

	assert_non_null(fixture);
	fixture->metrics = metrics_create();
	assert_int_equal(http_measures_create(fixture->metrics, methods, routes, ARRAY_LENGTH(routes),
					      &fixture->measures, &error),
			 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	metrics_destroy(fixture->metrics);
	http_measures_destroy(fixture->measures);
	free(fixture);
	return 0;
}

static void assert_page(struct fixture *fixture, const char *part, bool has)
{
	CLEANUP_TEXT struct text page = TEXT_EMPTY;

	metrics_render(fixture->metrics, &page);
	if ((strstr(page.data, part) != NULL) != has)
		fail_msg("the page %s %s:\n%s", has ? "lacks" : "has", part, page.data);
}

static void each_code_that_is_answered_is_counted_by_itself_and_all_others_together(void **state)
{
	static const int codes[] = { 200, 201, 202, 204, 300, 400, 401, 403, 404, 405,
				     406, 409, 413, 414, 415, 429, 431, 500, 501, 503 };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(codes); i++)
		for (size_t times = 0; times <= i; times++)
			http_measures_answer(fixture->measures, 1, codes[i], 100);
	for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
		CLEANUP_FREE char *row = text_format(
			"migrationd_http_requests_total{method=\"GET\",route=\"/servers\",code=\"%d\"} %zu\n", codes[i],
			i + 1);

		assert_page(fixture, row, true);
	}
	assert_page(fixture, "code=\"other\"", false);
	http_measures_answer(fixture->measures, 2, 418, 100);
	http_measures_answer(fixture->measures, 2, 599, 100);
	http_measures_answer(fixture->measures, 2, 0, 100);
	assert_page(fixture,
		    "migrationd_http_requests_total{method=\"POST\",route=\"/servers/{id}/action\",code=\"other\"} 3\n",
		    true);
}

static void what_is_asked_of_the_listener_stands_under_its_own_path(void **state)
{
	static const struct {
		enum http_probe probe;
		const char *row;
	} rows[] = {
		{ HTTP_PROBE_HEALTH, "{method=\"GET\",route=\"/healthz\",code=\"200\"} 1\n" },
		{ HTTP_PROBE_READINESS, "{method=\"GET\",route=\"/readyz\",code=\"200\"} 1\n" },
		{ HTTP_PROBE_METRICS, "{method=\"GET\",route=\"/metrics\",code=\"200\"} 1\n" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		http_measures_answer(fixture->measures, http_measures_probe(fixture->measures, rows[i].probe), 200, 1);
		assert_page(fixture, rows[i].row, true);
	}
	assert_page(fixture, "route=\"/servers\"", false);
}

static void times_are_told_in_seconds(void **state)
{
	struct fixture *fixture = *state;

	http_measures_answer(fixture->measures, 1, 200, 500);
	http_measures_answer(fixture->measures, 1, 404, 2500000);
	assert_page(
		fixture,
		"migrationd_http_request_duration_seconds_bucket{method=\"GET\",route=\"/servers\",le=\"0.0005\"} 1\n",
		true);
	assert_page(fixture,
		    "migrationd_http_request_duration_seconds_bucket{method=\"GET\",route=\"/servers\",le=\"1\"} 1\n",
		    true);
	assert_page(fixture,
		    "migrationd_http_request_duration_seconds_bucket{method=\"GET\",route=\"/servers\",le=\"5\"} 2\n",
		    true);
	assert_page(fixture, "migrationd_http_request_duration_seconds_sum{method=\"GET\",route=\"/servers\"} 2.5005\n",
		    true);
}

static void requests_under_way_are_counted_until_they_are_over(void **state)
{
	struct fixture *fixture = *state;

	http_measures_begin(fixture->measures);
	http_measures_begin(fixture->measures);
	assert_page(fixture, "migrationd_http_requests_in_flight 2\n", true);
	http_measures_end(fixture->measures);
	http_measures_end(fixture->measures);
	assert_page(fixture, "migrationd_http_requests_in_flight 0\n", true);
}

static void where_nobody_measures_nothing_happens(void **state)
{
	(void)state;
	http_measures_begin(NULL);
	http_measures_answer(NULL, 1, 200, 1);
	http_measures_end(NULL);
	http_measures_destroy(NULL);
	assert_int_equal(http_measures_probe(NULL, HTTP_PROBE_METRICS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_code_that_is_answered_is_counted_by_itself_and_all_others_together,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_asked_of_the_listener_stands_under_its_own_path, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(times_are_told_in_seconds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_under_way_are_counted_until_they_are_over, set_up, tear_down),
		cmocka_unit_test(where_nobody_measures_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
