/* Migrations, instance actions, services and hypervisors as Nova's documents. */
#include "api/view.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

json_t *view_text_or_null(const char *string)
{
	return string && string[0] ? json_string(string) : json_null();
}

json_t *view_time(int64_t time_us)
{
	char time[TIME_TEXT_SIZE];

	if (!time_us)
		return json_null();
	time_format_micros(time_us, time);
	return json_string(time);
}

static json_t *host_text(const char *name, bool has_hosts)
{
	return has_hosts ? view_text_or_null(name) : json_null();
}

static json_t *migration_links(const struct db_migration *migration, const struct view_base *base)
{
	char id[24];

	snprintf(id, sizeof(id), "%" PRId64, migration->id);
	return json_pack("[{s:s, s:s++++++}, {s:s, s:s+++++}]", "rel", "self", "href", base->url, "/v2.1",
			 base->project_path, "/servers/", migration->server_uuid, "/migrations/", id, "rel", "bookmark",
			 "href", base->url, base->project_path, "/servers/", migration->server_uuid, "/migrations/",
			 id);
}

/* Live ones under way have a resource of their own to link to. */
static bool is_live_in_progress(const struct db_migration *migration)
{
	static const char *const statuses[] = { "queued", "preparing", "running", "post-migrating" };

	if (strcmp(migration->type, "live-migration") != 0)
		return false;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (strcmp(migration->status, statuses[i]) == 0)
			return true;
	}
	return false;
}

json_t *view_migration(const struct db_migration *migration, int minor, const struct view_base *base, bool has_hosts)
{
	json_t *document = json_pack("{s:I}", "id", (json_int_t)migration->id);

	if (!document)
		return NULL;
	if (minor >= 59)
		json_object_set_new(document, "uuid", json_string(migration->uuid));
	json_object_set_new(document, "source_compute", host_text(migration->source_compute, has_hosts));
	json_object_set_new(document, "dest_compute", host_text(migration->dest_compute, has_hosts));
	json_object_set_new(document, "source_node", host_text(migration->source_node, has_hosts));
	json_object_set_new(document, "dest_node", host_text(migration->dest_node, has_hosts));
	json_object_set_new(document, "dest_host", host_text(migration->dest_host, has_hosts));
	json_object_set_new(document, "old_instance_type_id", json_integer(migration->old_flavor_id));
	json_object_set_new(document, "new_instance_type_id", json_integer(migration->new_flavor_id));
	json_object_set_new(document, "instance_uuid", json_string(migration->server_uuid));
	json_object_set_new(document, "status", json_string(migration->status));
	if (minor >= 23)
		json_object_set_new(document, "migration_type", json_string(migration->type));
	if (minor >= 80) {
		json_object_set_new(document, "user_id", view_text_or_null(migration->user_id));
		json_object_set_new(document, "project_id", view_text_or_null(migration->project_id));
	}
	json_object_set_new(document, "created_at", view_time(migration->created_us));
	json_object_set_new(document, "updated_at", view_time(migration->updated_us));
	if (minor >= 23 && is_live_in_progress(migration))
		json_object_set_new(document, "links", migration_links(migration, base));
	return document;
}

static void set_progress(json_t *document, const char *kind, const struct db_progress *progress)
{
	const struct {
		const char *name;
		int64_t bytes;
	} fields[] = {
		{ "processed", progress->processed },
		{ "remaining", progress->remaining },
		{ "total", progress->total },
	};
	char name[48];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		snprintf(name, sizeof(name), "%s_%s_bytes", kind, fields[i].name);
		json_object_set_new(document, name, progress->total < 0 ? json_null() : json_integer(fields[i].bytes));
	}
}

json_t *view_server_migration(const struct db_migration *migration, int minor, bool has_hosts)
{
	json_t *document = json_object();

	if (!document)
		return NULL;
	json_object_set_new(document, "created_at", view_time(migration->created_us));
	json_object_set_new(document, "dest_compute", host_text(migration->dest_compute, has_hosts));
	json_object_set_new(document, "dest_host", host_text(migration->dest_host, has_hosts));
	json_object_set_new(document, "dest_node", host_text(migration->dest_node, has_hosts));
	set_progress(document, "disk", &migration->disk);
	json_object_set_new(document, "id", json_integer(migration->id));
	set_progress(document, "memory", &migration->memory);
	json_object_set_new(document, "server_uuid", json_string(migration->server_uuid));
	json_object_set_new(document, "source_compute", host_text(migration->source_compute, has_hosts));
	json_object_set_new(document, "source_node", host_text(migration->source_node, has_hosts));
	json_object_set_new(document, "status", json_string(migration->status));
	json_object_set_new(document, "updated_at", view_time(migration->updated_us));
	if (minor >= 59)
		json_object_set_new(document, "uuid", json_string(migration->uuid));
	if (minor >= 80) {
		json_object_set_new(document, "user_id", view_text_or_null(migration->user_id));
		json_object_set_new(document, "project_id", view_text_or_null(migration->project_id));
	}
	return document;
}

json_t *view_action(const struct db_action *action, int minor)
{
	json_t *document =
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "action", action->action, "instance_uuid",
			  action->server_uuid, "request_id", action->request_id, "user_id",
			  view_text_or_null(action->user_id), "project_id", view_text_or_null(action->project_id),
			  "start_time", view_time(action->start_us), "message", view_text_or_null(action->message));

	if (document && minor >= 58)
		json_object_set_new(document, "updated_at", view_time(action->updated_us));
	return document;
}

json_t *view_event(const struct db_event *event, const struct view_event_scope *scope)
{
	char host_id[VIEW_HOST_ID_SIZE];
	json_t *document =
		json_pack("{s:s, s:o, s:o, s:o}", "event", event->event, "start_time", view_time(event->start_us),
			  "finish_time", view_time(event->finish_us), "result", view_text_or_null(event->result));

	if (!document)
		return NULL;
	if (scope->has_traceback)
		json_object_set_new(document, "traceback", view_text_or_null(event->traceback));
	if (scope->minor >= 62) {
		if (!view_host_id(scope->project_id, event->host, host_id)) {
			json_decref(document);
			return NULL;
		}
		if (scope->has_traceback)
			json_object_set_new(document, "host", view_text_or_null(event->host));
		json_object_set_new(document, "hostId", json_string(host_id));
	}
	if (scope->minor >= 84 && scope->has_details)
		json_object_set_new(document, "details", view_text_or_null(event->details));
	return document;
}

static json_t *service_id(const struct db_service *service, int minor)
{
	return minor >= 53 ? json_string(service->uuid) : json_integer(service->id);
}

json_t *view_service(const struct db_service *service, int minor)
{
	json_t *document =
		json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o}", "binary", service->binary, "host", service->host,
			  "id", service_id(service, minor), "zone", service->zone, "status",
			  service->is_disabled ? "disabled" : "enabled", "state",
			  db_service_is_up(service) ? "up" : "down", "updated_at", view_time(service->updated_us),
			  "disabled_reason", view_text_or_null(service->disabled_reason));

	if (document && minor >= 11)
		json_object_set_new(document, "forced_down", json_boolean(service->is_forced_down));
	return document;
}

/* Figures that left for Placement (until Nova API 2.87). */
static void add_figures(json_t *document, const struct db_host *host, const struct db_host_usage *usage, int minor)
{
	/* Nova counts what is kept for the host itself as used; for -1 the caller has added it. */
	const int64_t memory_used_mb = usage->memory_mb + (host->reserved_memory_mb > 0 ? host->reserved_memory_mb : 0);
	const int64_t disk_used_gb = usage->disk_gb + (host->reserved_disk_gb > 0 ? host->reserved_disk_gb : 0);
	const struct {
		const char *name;
		int64_t number;
	} figures[] = {
		{ "vcpus", host->vcpus },
		{ "memory_mb", host->memory_mb },
		{ "local_gb", host->disk_gb },
		{ "vcpus_used", usage->vcpus },
		{ "memory_mb_used", memory_used_mb },
		{ "local_gb_used", disk_used_gb },
		{ "free_ram_mb", host->memory_mb - memory_used_mb },
		{ "free_disk_gb", host->disk_gb - disk_used_gb },
		{ "current_workload", 0 },
		{ "running_vms", usage->servers },
		{ "disk_available_least", 0 },
	};
	json_t *cpu_info = host->cpu_info ? json_loads(host->cpu_info, 0, NULL) : NULL;

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		json_object_set_new(document, figures[i].name, json_integer(figures[i].number));
	if (minor >= 28)
		json_object_set_new(document, "cpu_info", cpu_info ? cpu_info : json_object());
	else {
		json_object_set_new(document, "cpu_info", json_string(host->cpu_info ? host->cpu_info : ""));
		json_decref(cpu_info);
	}
}

json_t *view_uptime(const struct db_host *host, int64_t now_us)
{
	json_t *facts = host->facts ? json_loads(host->facts, 0, NULL) : NULL;
	int64_t booted_us = json_integer_value(json_object_get(facts, "booted_us"));
	int64_t minutes = (now_us - booted_us) / (60 * 1000000LL);
	char text[96];

	json_decref(facts);
	if (booted_us <= 0 || minutes < 0 || !db_service_is_up(&host->service))
		return json_null();
	snprintf(text, sizeof(text), "up %" PRId64 " days, %" PRId64 " hours, %" PRId64 " minutes", minutes / 1440,
		 minutes / 60 % 24, minutes % 60);
	return json_string(text);
}

json_t *view_hypervisor(const struct db_host *host, const struct db_host_usage *usage, int minor, bool is_detail,
			int64_t now_us)
{
	json_t *document =
		json_pack("{s:o, s:s, s:s, s:s}", "id", minor >= 53 ? json_string(host->uuid) : json_integer(host->id),
			  "hypervisor_hostname", host->name, "state", db_service_is_up(&host->service) ? "up" : "down",
			  "status", host->service.is_disabled ? "disabled" : "enabled");

	if (!document || !is_detail)
		return document;
	json_object_set_new(document, "hypervisor_type", view_text_or_null(host->hypervisor_type));
	json_object_set_new(document, "hypervisor_version", json_integer(host->hypervisor_version));
	json_object_set_new(document, "host_ip", view_text_or_null(host->host_ip));
	json_object_set_new(document, "service",
			    json_pack("{s:o, s:s, s:o}", "id", service_id(&host->service, minor), "host", host->name,
				      "disabled_reason", view_text_or_null(host->service.disabled_reason)));
	if (minor < 88)
		add_figures(document, host, usage, minor);
	else
		json_object_set_new(document, "uptime", view_uptime(host, now_us));
	return document;
}
