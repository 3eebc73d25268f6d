/* The listener's metrics. */
#include "server/http_measures.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"

struct http_measures {
	struct metric_labels by_route;
	char **values; /* method and route, by turns; owned */
	size_t api_count;
	struct metric_family *requests, *seconds, *in_flight;
};

static const char *const route_names[] = { "method", "route" };
static const char *const code_names[] = { "code" };
/* Those that are answered, in ascending order; the last stands for all others. */
static const int codes[] = { 200, 201, 202, 204, 300, 400, 401, 403, 404, 405, 406,
			     409, 413, 414, 415, 429, 431, 500, 501, 503, 0 };
static const char *const code_values[] = { "200", "201", "202", "204", "300", "400", "401", "403", "404", "405",  "406",
					   "409", "413", "414", "415", "429", "431", "500", "501", "503", "other" };
static const struct metric_labels by_code = { code_names, 1, code_values, ARRAY_LENGTH(code_values) };

static const char *const probe_routes[HTTP_PROBE_MAX] = {
	[HTTP_PROBE_HEALTH] = "/healthz", [HTTP_PROBE_READINESS] = "/readyz", [HTTP_PROBE_METRICS] = "/metrics"
};

static const int64_t bounds_us[] = { 500,    1000,   2500,   5000,    10000,   25000,   50000,
				     100000, 250000, 500000, 1000000, 5000000, 60000000 };

static size_t code_row(int status)
{
	size_t row = 0;

	while (codes[row] && codes[row] != status)
		row++;
	return row;
}

static int fill_routes(struct http_measures *measures, const char *const *methods, const char *const *routes,
		       struct error *error)
{
	size_t count = measures->api_count + HTTP_PROBE_MAX;

	measures->values = calloc(2 * count, sizeof(*measures->values));
	if (!measures->values)
		return error_no_memory(error);
	for (size_t i = 0; i < count; i++) {
		bool is_api = i < measures->api_count;

		measures->values[2 * i] = strdup(is_api ? methods[i] : "GET");
		measures->values[2 * i + 1] = strdup(is_api ? routes[i] : probe_routes[i - measures->api_count]);
		if (!measures->values[2 * i] || !measures->values[2 * i + 1])
			return error_no_memory(error);
	}
	measures->by_route = (struct metric_labels){ route_names, 2, (const char *const *)measures->values, count };
	return 0;
}

static int register_all(struct http_measures *measures, struct metrics *metrics, struct error *error)
{
	const struct metric_definition requests = {
		.name = "migrationd_http_requests_total",
		.help = "Requests that were answered, by the pattern of their path and the code of the answer.",
		.type = METRIC_COUNTER,
		.labels = { &measures->by_route, &by_code },
		.is_sparse = true,
	};
	const struct metric_definition seconds = {
		.name = "migrationd_http_request_duration_seconds",
		.help = "Time from a request's first line until its answer was ready, its waiting included.",
		.type = METRIC_HISTOGRAM,
		.labels = { &measures->by_route },
		.scale = 1e-6,
		.bounds = bounds_us,
		.bound_count = ARRAY_LENGTH(bounds_us),
		.is_sparse = true,
	};
	const struct metric_definition in_flight = {
		.name = "migrationd_http_requests_in_flight",
		.help = "Requests that are under way, the one that asks for this among them.",
		.type = METRIC_GAUGE,
	};
	const struct metric_place places[] = {
		{ &requests, &measures->requests },
		{ &seconds, &measures->seconds },
		{ &in_flight, &measures->in_flight },
		{ 0 },
	};

	return metrics_register_all(metrics, places, error);
}

int http_measures_create(struct metrics *metrics, const char *const *methods, const char *const *routes, size_t count,
			 struct http_measures **ret_measures, struct error *error)
{
	struct http_measures *measures = calloc(1, sizeof(*measures));

	if (!measures)
		return error_no_memory(error);
	measures->api_count = count;
	int result = fill_routes(measures, methods, routes, error);
	if (result == 0)
		result = register_all(measures, metrics, error);
	if (result < 0) {
		http_measures_destroy(measures);
		return result;
	}
	*ret_measures = measures;
	return 0;
}

void http_measures_destroy(struct http_measures *measures)
{
	if (!measures)
		return;
	for (size_t i = 0; measures->values && i < 2 * (measures->api_count + HTTP_PROBE_MAX); i++)
		free(measures->values[i]);
	free(measures->values);
	free(measures);
}

size_t http_measures_probe(const struct http_measures *measures, enum http_probe probe)
{
	return measures ? measures->api_count + (size_t)probe : 0;
}

void http_measures_begin(struct http_measures *measures)
{
	if (measures)
		metric_add(measures->in_flight, 0, 1);
}

void http_measures_answer(struct http_measures *measures, size_t route, int status, int64_t took_us)
{
	if (!measures)
		return;
	metric_add(measures->requests, metric_series(measures->requests, route, code_row(status)), 1);
	metric_observe(measures->seconds, route, took_us);
}

void http_measures_end(struct http_measures *measures)
{
	if (measures)
		metric_add(measures->in_flight, 0, -1);
}
