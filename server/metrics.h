/* What the daemon tells of itself beside what each room counts: the process, the database, jobs, hosts and their room. All of it
 * is read when it is asked for. */
#pragma once

struct database;
struct error;
struct http_measures;
struct metrics;
struct metrics_settings;
struct readiness;
struct service_metrics;
struct worker;

/* All borrowed: until service_metrics_destroy. */
struct service_metrics_parts {
	struct metrics *metrics;
	struct database *database;
	struct worker *worker;
	struct readiness *readiness;
	const struct metrics_settings *settings;
	const char *node;
	const char *driver; /* of the hypervisor: libvirt, simulated */
};

/* Nobody may ask for the metrics any more when it is destroyed. */
int service_metrics_create(const struct service_metrics_parts *parts, struct service_metrics **ret_service,
			   struct error *error);
/* Its families for the listener, by the API's routes. */
struct http_measures *service_metrics_http(struct service_metrics *service);
void service_metrics_destroy(struct service_metrics *service); /* NULL is fine */
