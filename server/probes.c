/* The answers to monitors. Who reads metrics learns of hosts by name: at the listener's address they are for this machine and
 * for networks that the operator has named. */
#include "server/probes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"
#include "server/forwarded.h"
#include "server/readiness.h"
#include "server/settings.h"

struct probes {
	struct probes_parts parts;
	struct proxies *near; /* networks */
};

int probes_create(const struct probes_parts *parts, struct probes **ret_probes, struct error *error)
{
	const struct metrics_settings *settings = parts->settings;
	struct probes *probes = calloc(1, sizeof(*probes));
	CLEANUP_FREE const char **networks = calloc(settings->allowed_network_count + 2, sizeof(*networks));

	if (!probes || !networks) {
		free(probes);
		return error_no_memory(error);
	}
	networks[0] = "127.0.0.0/8";
	networks[1] = "::1";
	for (size_t i = 0; i < settings->allowed_network_count; i++)
		networks[i + 2] = settings->allowed_networks[i];
	probes->parts = *parts;
	int result = proxies_create(networks, settings->allowed_network_count + 2, &probes->near, error);
	if (result < 0) {
		free(probes);
		return result;
	}
	*ret_probes = probes;
	return 0;
}

void probes_destroy(struct probes *probes)
{
	if (!probes)
		return;
	proxies_destroy(probes->near);
	free(probes);
}

bool probes_are_for(const struct probes *probes, const char *address)
{
	return probes && proxies_have(probes->near, address);
}

static void add_header(struct api_reply *reply, const char *name, const char *value)
{
	struct api_header *header = &reply->headers[reply->header_count++];

	header->name = name;
	TEXT_COPY(header->value, value);
}

/* Takes the text. */
static void fill(struct api_reply *reply, int status, const char *content_type, struct text *text)
{
	*reply = (struct api_reply){ .status = status };
	reply->body_size = text->length;
	reply->body = text_take(text);
	if (!reply->body) { /* out of memory */
		reply->status = 503;
		reply->body_size = 0;
	}
	add_header(reply, "Content-Type", content_type);
	add_header(reply, "Cache-Control", "no-store");
}

static bool answer_health(const struct probes *probes, const struct probe_request *request, struct api_reply *ret_reply)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	(void)probes;
	(void)request;
	text_append(&text, "{\"status\": \"ok\"}\n");
	fill(ret_reply, 200, "application/json", &text);
	return true;
}

static bool answer_readiness(const struct probes *probes, const struct probe_request *request,
			     struct api_reply *ret_reply)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	struct readiness_found found;

	(void)request;
	if (!probes)
		return false;
	bool is_ready = readiness_ask(probes->parts.readiness, &found);
	readiness_tell(&found, &text);
	fill(ret_reply, is_ready ? 200 : 503, "application/json", &text);
	if (!is_ready)
		add_header(ret_reply, "Retry-After", "5");
	return true;
}

static bool answer_metrics(const struct probes *probes, const struct probe_request *request,
			   struct api_reply *ret_reply)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	if (!probes || !probes->parts.settings->is_enabled
	    || (probes->parts.settings->address && !request->is_own_door))
		return false;
	if (!request->is_near) {
		text_append(&text, "Metrics are told to this machine and to metrics.allowed_networks alone.\n");
		fill(ret_reply, 403, "text/plain; charset=utf-8", &text);
		return true;
	}
	metrics_render(probes->parts.metrics, &text);
	fill(ret_reply, 200, METRICS_CONTENT_TYPE, &text);
	return true;
}

static const struct {
	const char *path;
	bool (*answer)(const struct probes *probes, const struct probe_request *request, struct api_reply *ret_reply);
} rows[HTTP_PROBE_MAX] = {
	[HTTP_PROBE_HEALTH] = { "/healthz", answer_health },
	[HTTP_PROBE_READINESS] = { "/readyz", answer_readiness },
	[HTTP_PROBE_METRICS] = { "/metrics", answer_metrics },
};

bool probes_answer(const struct probes *probes, const struct probe_request *request, struct api_reply *ret_reply,
		   enum http_probe *ret_probe)
{
	size_t length = strcspn(request->target, "?");

	if (!text_equal(request->method, "GET") && !text_equal(request->method, "HEAD"))
		return false;
	for (size_t i = 0; i < HTTP_PROBE_MAX; i++) {
		if (strlen(rows[i].path) != length || strncmp(rows[i].path, request->target, length) != 0)
			continue;
		*ret_probe = (enum http_probe)i;
		return rows[i].answer(probes, request, ret_reply);
	}
	return false;
}
