/* Reading the configuration anew. What can fail is done before anything is in force: reading, judging, making policies and
 * keys, writing the hosts. */
#include "server/reload.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/admin_socket.h"
#include "server/certificate.h"
#include "server/config_changes.h"
#include "server/generation.h"
#include "server/notify.h"
#include "server/registry.h"
#include "server/worker/discover.h"
#include "server/worker/worker.h"

struct kept {
	struct generation *generation;
	struct kept *next;
};

struct reload {
	struct reload_parts parts;
	struct generation *newest;
	struct kept *kept; /* all but the first, the newest in front: requests may still use them */
	uint64_t seen; /* the files as they were at the last look */
	uint64_t read; /* the files as they were when they were read last, whatever came of it */
	size_t changes;
	struct {
		struct metric_family *reloads, *is_good, *last_good;
	} measures;
};

/* How a reading ends, to be counted. */
enum { RELOAD_OK, RELOAD_REFUSED };

static int measure(struct reload *reload, struct error *error)
{
	static const char *const names[] = { "result" };
	static const char *const values[] = { [RELOAD_OK] = "ok", [RELOAD_REFUSED] = "refused" };
	static const struct metric_labels by_result = { names, 1, values, ARRAY_LENGTH(values) };
	static const struct metric_definition reloads = {
		.name = "migrationd_config_reloads_total",
		.help = "Configurations that were read anew: in force, or refused whole since something was wrong.",
		.type = METRIC_COUNTER,
		.labels = { &by_result },
	};
	static const struct metric_definition is_good = {
		.name = "migrationd_config_last_reload_successful",
		.help = "1 where the configuration that was read last is in force; 0 where it was refused.",
		.type = METRIC_GAUGE,
	};
	static const struct metric_definition last_good = {
		.name = "migrationd_config_last_reload_success_timestamp_seconds",
		.help = "When the configuration that is in force was read.",
		.type = METRIC_GAUGE,
		.scale = 1e-6,
	};
	const struct metric_place places[] = {
		{ &reloads, &reload->measures.reloads },
		{ &is_good, &reload->measures.is_good },
		{ &last_good, &reload->measures.last_good },
		{ 0 },
	};

	return metrics_register_all(reload->parts.metrics, places, error);
}

static void measure_state(struct reload *reload, bool is_good)
{
	metric_set(reload->measures.is_good, 0, is_good);
	if (is_good)
		metric_set(reload->measures.last_good, 0, clock_now_us(clock_system()));
}

int reload_create(const struct reload_parts *parts, struct reload **ret_reload, struct error *error)
{
	struct reload *reload = calloc(1, sizeof(*reload));

	if (!reload)
		return error_no_memory(error);
	reload->parts = *parts;
	reload->newest = parts->first;
	int result = measure(reload, error);
	if (result < 0) {
		free(reload);
		return result;
	}
	measure_state(reload, true);
	reload->seen = reload->read = config_fingerprint(generation_config(parts->first));
	*ret_reload = reload;
	return 0;
}

/* Frees those that no request uses any more. */
static void sweep(struct reload *reload)
{
	for (struct kept **link = &reload->kept; *link;) {
		struct kept *kept = *link;

		if (kept->generation == reload->newest || !generation_is_unused(kept->generation)) {
			link = &kept->next;
			continue;
		}
		*link = kept->next;
		generation_destroy(kept->generation);
		free(kept);
	}
}

static void on_problem(void *context, const char *text)
{
	const struct reload *reload = context;

	log_event(reload->parts.log, LOG_LEVEL_ERROR, NULL, "the new configuration is wrong", LOG_TEXT("reason", text));
}

static void on_change(void *context, const char *key, const char *before, const char *after, bool needs_restart)
{
	struct reload *reload = context;

	reload->changes++;
	log_event(reload->parts.log, needs_restart ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, NULL,
		  needs_restart ? "configuration changed, which takes effect at the next start"
				: "configuration changed",
		  LOG_TEXT("key", key), LOG_TEXT("before", before), LOG_TEXT("after", after));
}

/* From here on the new one is in force; only memory could run out, and then what was done already stays, which is whole in
 * itself. */
static int put_in_force(struct reload *reload, struct generation *generation, struct error *error)
{
	const struct reload_parts *parts = &reload->parts;
	const struct config *config = generation_config(generation), *first = generation_config(parts->first);
	/* A simulated fleet was made once, of the first. */
	const struct registry_settings hosts = config_registry(first->simulated_host_count > 0 ? first : config);
	int result = registry_load(parts->database, &hosts, error);

	if (result == 0)
		result = worker_set_limits(parts->worker, &config->worker, &config->scheduler, error);
	if (result == 0)
		result = api_renew(parts->api, generation_api_settings(generation), error);
	if (result < 0)
		return result;
	admin_socket_renew(parts->admin, &hosts);
	discovery_list_hosts(parts->discovery);
	return 0;
}

/* The listener began with TLS or without it, and stays so. The pair was judged a moment ago; should it be gone now, the one before
 * stays. */
static void renew_certificate(const struct reload *reload, const struct config *config)
{
	const struct config *first = generation_config(reload->parts.first);
	struct error error = { 0 };

	if (first->listener.certificate_file && config->listener.certificate_file
	    && certificate_use(config->listener.certificate_file, config->listener.key_file, &error) < 0)
		log_error(reload->parts.log, NULL, "the certificate stays as it was", &error);
}

static int read_anew(struct reload *reload, struct error *error)
{
	const struct reload_parts *parts = &reload->parts;
	const struct generation_parts generation_parts = { parts->database, parts->clock, parts->log, parts->metrics };
	CLEANUP_CONFIG struct config config = { 0 };
	struct kept *kept = calloc(1, sizeof(*kept));
	int result = kept ? config_read(&parts->source, on_problem, reload, &config, error) : error_no_memory(error);

	if (result == 0)
		result = config_compare(generation_config(reload->newest), &config, on_change, reload, error);
	if (result == 0)
		result = generation_create(&config, &generation_parts, &kept->generation, error);
	if (result < 0) {
		free(kept);
		return result;
	}
	result = put_in_force(reload, kept->generation, error);
	if (result < 0) {
		generation_destroy(kept->generation);
		free(kept);
		return result;
	}
	renew_certificate(reload, generation_config(kept->generation));
	kept->next = reload->kept;
	reload->kept = kept;
	reload->newest = kept->generation;
	return 0;
}

void reload_now(struct reload *reload)
{
	struct error error = { 0 };

	notify_reloading(reload->parts.log);
	notify_alive(reload->parts.log); /* who publishes keys may be slow to answer: from here on is time for it */
	reload->changes = 0;
	reload->read = config_fingerprint(generation_config(reload->newest));
	if (read_anew(reload, &error) < 0) {
		metric_add(reload->measures.reloads, RELOAD_REFUSED, 1);
		measure_state(reload, false);
		notify_ready(reload->parts.log, "Serving by the old configuration: the new one is wrong, see the log");
		log_event(reload->parts.log, LOG_LEVEL_ERROR, NULL,
			  "the new configuration is refused, the old one stays in force",
			  LOG_TEXT("reason", error.text));
		return;
	}
	metric_add(reload->measures.reloads, RELOAD_OK, 1);
	measure_state(reload, true);
	reload->seen = reload->read = config_fingerprint(generation_config(reload->newest));
	log_event(reload->parts.log, LOG_LEVEL_INFO, NULL, "the new configuration is in force",
		  LOG_NUMBER("changed_keys", (int64_t)reload->changes));
	notify_ready(reload->parts.log, "Serving by a configuration that was read anew");
	sweep(reload);
}

void reload_look(struct reload *reload)
{
	uint64_t now = config_fingerprint(generation_config(reload->newest));
	bool is_at_rest = now == reload->seen; /* a file is seldom written in one piece */

	reload->seen = now;
	sweep(reload);
	if (is_at_rest && now != reload->read)
		reload_now(reload);
}

const struct config *reload_config(const struct reload *reload)
{
	return generation_config(reload->newest);
}

void reload_stop_waiting(struct reload *reload)
{
	generation_stop(reload->parts.first);
	for (const struct kept *kept = reload->kept; kept; kept = kept->next)
		generation_stop(kept->generation);
}

void reload_destroy(struct reload *reload)
{
	if (!reload)
		return;
	while (reload->kept) {
		struct kept *kept = reload->kept;

		reload->kept = kept->next;
		generation_destroy(kept->generation);
		free(kept);
	}
	free(reload);
}
