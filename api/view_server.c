/* A server as Nova shows it. The difficulty: which fields are there depends on the microversion and on what the asker may
 * see, and they stand in the order in which Nova's extensions once added them. */
#include "api/view.h"

#include "base/clock.h"
#include "base/text.h"

/* A copy of a JSON text of the database; an empty value of the wanted kind where it is none. */
static json_t *stored(const char *json_text, bool is_array)
{
	json_t *value = json_text ? json_loads(json_text, 0, NULL) : NULL;

	if (value && (is_array ? json_is_array(value) : json_is_object(value)))
		return value;
	json_decref(value);
	return is_array ? json_array() : json_object();
}

json_t *view_links(const struct view_base *base, const char *collection, const char *id)
{
	return json_pack("[{s:s, s:s++++++}, {s:s, s:s+++++}]", "rel", "self", "href", base->url, "/v2.1",
			 base->project_path, "/", collection, "/", id, "rel", "bookmark", "href", base->url,
			 base->project_path, "/", collection, "/", id);
}

static json_t *bookmark(const struct view_base *base, const char *collection, const char *id)
{
	return json_pack("[{s:s, s:s+++++}]", "rel", "bookmark", "href", base->url, base->project_path, "/", collection,
			 "/", id);
}

json_t *view_stored_object(const char *json_text)
{
	return stored(json_text, false);
}

static json_t *seconds(int64_t time_us)
{
	char time[TIME_TEXT_SIZE];

	time_format_seconds(time_us, time);
	return json_string(time);
}

static json_t *view_server_flavor(const struct db_server *server, const struct view_server_scope *scope)
{
	const struct db_flavor *flavor = &server->flavor;
	json_t *document;

	if (scope->minor < 47)
		return json_pack("{s:s, s:o}", "id", flavor->flavor_id, "links",
				 bookmark(&scope->base, "flavors", flavor->flavor_id));
	document = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "vcpus", (json_int_t)flavor->vcpus, "ram",
			     (json_int_t)flavor->memory_mb, "disk", (json_int_t)flavor->disk_gb, "ephemeral",
			     (json_int_t)flavor->ephemeral_gb, "swap", (json_int_t)flavor->swap_mb, "original_name",
			     flavor->name);
	if (document && scope->has_extra_specs)
		json_object_set_new(document, "extra_specs", stored(flavor->extra_specs, false));
	return document;
}

/* From the server's own memory of its image: Nova keeps image properties there under this prefix. */
static json_t *image_properties(const json_t *system_metadata)
{
	static const char prefix[] = "image_";
	json_t *properties = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)system_metadata, name, value)
	{
		if (text_starts_with(name, prefix))
			json_object_set(properties, name + sizeof(prefix) - 1, value);
	}
	return properties;
}

static json_t *view_image(const struct db_server *server, const struct view_server_scope *scope,
			  const json_t *system_metadata)
{
	json_t *image;

	if (!server->image_id[0])
		return json_string("");
	image = json_pack("{s:s, s:o}", "id", server->image_id, "links",
			  bookmark(&scope->base, "images", server->image_id));
	if (image && scope->minor >= 98)
		json_object_set_new(image, "properties", image_properties(system_metadata));
	return image;
}

/* host_status of the server's host (Nova API 2.16). */
static const char *host_status(const struct db_server *server, const struct db_host *host)
{
	if (!server->host[0])
		return "";
	if (!host)
		return "UNKNOWN";
	if (host->service.is_forced_down)
		return "DOWN";
	if (!db_service_is_up(&host->service))
		return "UNKNOWN";
	return host->service.is_disabled ? "MAINTENANCE" : "UP";
}

static bool has_progress(const char *status)
{
	return text_equal(status, "ACTIVE") || text_equal(status, "BUILD") || text_equal(status, "REBUILD")
	       || text_equal(status, "RESIZE") || text_equal(status, "VERIFY_RESIZE")
	       || text_equal(status, "MIGRATING");
}

static json_t *view_fault(const struct db_server *server, const struct view_server_scope *scope)
{
	const struct db_fault *fault = &server->fault;
	json_t *document = json_pack("{s:i, s:o, s:s}", "code", fault->code, "created", seconds(fault->created_us),
				     "message", fault->message ? fault->message : "");

	/* Nova tells a trace only to admins, or when the fault is no fault of its own. */
	if (document && fault->details && (scope->has_fault_details || fault->code != 500))
		json_object_set_new(document, "details", json_string(fault->details));
	return document;
}

static void set(json_t *document, const char *name, json_t *value)
{
	json_object_set_new(document, name, value);
}

static void add_base(json_t *document, const struct db_server *server, const struct view_server_scope *scope,
		     const json_t *system_metadata, const char *host_id)
{
	const char *status = view_server_status(server->vm_state, server->task_state);

	set(document, "accessIPv4", json_string(""));
	set(document, "accessIPv6", json_string(""));
	set(document, "addresses", stored(server->addresses, false));
	set(document, "created", seconds(server->created_us));
	set(document, "flavor", view_server_flavor(server, scope));
	set(document, "hostId", json_string(host_id));
	set(document, "id", json_string(server->uuid));
	set(document, "image", view_image(server, scope, system_metadata));
	set(document, "links", view_links(&scope->base, "servers", server->uuid));
	set(document, "metadata", stored(server->metadata, false));
	set(document, "name", json_string(server->name));
	set(document, "status", json_string(status));
	set(document, "tenant_id", json_string(server->project_id));
	set(document, "user_id", json_string(server->user_id));
	set(document, "updated", seconds(server->updated_us ? server->updated_us : server->created_us));
	set(document, "OS-DCF:diskConfig", json_string("MANUAL"));
	if (server->fault.code && (text_equal(status, "ERROR") || text_equal(status, "DELETED")))
		set(document, "fault", view_fault(server, scope));
	if (has_progress(status))
		set(document, "progress", json_integer(server->progress));
}

static void add_host_attributes(json_t *document, const struct db_server *server, int minor)
{
	set(document, "OS-EXT-SRV-ATTR:host", view_text_or_null(server->host));
	set(document, "OS-EXT-SRV-ATTR:instance_name", json_string(server->instance_name));
	set(document, "OS-EXT-SRV-ATTR:hypervisor_hostname", view_text_or_null(server->host));
	if (minor < 3)
		return;
	set(document, "OS-EXT-SRV-ATTR:hostname", json_string(server->hostname));
	set(document, "OS-EXT-SRV-ATTR:kernel_id", json_string(""));
	set(document, "OS-EXT-SRV-ATTR:launch_index", json_integer(0));
	set(document, "OS-EXT-SRV-ATTR:ramdisk_id", json_string(""));
	set(document, "OS-EXT-SRV-ATTR:reservation_id", json_string(server->reservation_id));
	set(document, "OS-EXT-SRV-ATTR:root_device_name", view_text_or_null(server->root_device_name));
	set(document, "OS-EXT-SRV-ATTR:user_data", server->user_data ? json_string(server->user_data) : json_null());
}

/* Of a volume only its id before delete_on_termination came (Nova API 2.3). */
static json_t *view_volumes(const struct db_server *server, int minor)
{
	json_t *volumes = stored(server->volumes, true);
	json_t *volume;
	size_t index;

	json_array_foreach(volumes, index, volume)
	{
		if (minor < 3)
			json_object_del(volume, "delete_on_termination");
	}
	return volumes;
}

static void add_states(json_t *document, const struct db_server *server, const struct view_server_scope *scope)
{
	const char *zone = server->availability_zone[0] ? server->availability_zone : server->host[0] ? "nova" : "";

	set(document, "OS-EXT-AZ:availability_zone", json_string(zone));
	set(document, "config_drive", json_string(server->config_drive));
	set(document, "key_name", view_text_or_null(server->key_name));
	set(document, "OS-SRV-USG:launched_at", view_time(server->launched_us));
	set(document, "OS-SRV-USG:terminated_at", view_time(server->terminated_us));
	if (scope->has_host_attributes)
		add_host_attributes(document, server, scope->minor);
	set(document, "OS-EXT-STS:task_state", view_text_or_null(server->task_state));
	set(document, "OS-EXT-STS:vm_state", json_string(server->vm_state));
	set(document, "OS-EXT-STS:power_state", json_integer(server->power_state));
	set(document, "os-extended-volumes:volumes_attached", view_volumes(server, scope->minor));
}

static json_t *member_or(const json_t *object, const char *name, json_t *otherwise)
{
	json_t *value = json_object_get(object, name);

	if (!value)
		return otherwise;
	json_decref(otherwise);
	return json_incref(value);
}

static void add_newer(json_t *document, const struct db_server *server, const struct view_server_scope *scope,
		      const json_t *system_metadata)
{
	const int minor = scope->minor;
	const bool has_status = minor >= 16 && scope->has_host_status;
	const char *reason = server->locked_reason;

	if (minor >= 9)
		set(document, "locked", json_boolean(server->locked_by[0] != '\0'));
	if (has_status && !scope->is_detail)
		set(document, "host_status", json_string(host_status(server, scope->host)));
	if (minor >= 19)
		set(document, "description", server->description ? json_string(server->description) : json_null());
	if (minor >= 26)
		set(document, "tags", stored(server->tags, true));
	if (minor >= 63)
		set(document, "trusted_image_certificates",
		    member_or(system_metadata, "trusted_image_certificates", json_null()));
	if (minor >= 71 && !scope->is_detail)
		set(document, "server_groups", member_or(system_metadata, "server_groups", json_array()));
	if (minor >= 73)
		set(document, "locked_reason", server->locked_by[0] && reason ? json_string(reason) : json_null());
	if (minor >= 90 && !scope->has_host_attributes)
		set(document, "OS-EXT-SRV-ATTR:hostname", json_string(server->hostname));
	if (minor >= 96)
		set(document, "pinned_availability_zone",
		    member_or(system_metadata, "pinned_availability_zone", json_null()));
	if (minor >= 100)
		set(document, "scheduler_hints", member_or(system_metadata, "scheduler_hints", json_object()));
	if (has_status && scope->is_detail)
		set(document, "host_status", json_string(host_status(server, scope->host)));
}

json_t *view_server(const struct db_server *server, const struct view_server_scope *scope)
{
	char host_id[VIEW_HOST_ID_SIZE];
	json_t *document = json_object();
	json_t *system_metadata = stored(server->system_metadata, false);

	if (document && system_metadata && view_host_id(server->project_id, server->host, host_id)) {
		add_base(document, server, scope, system_metadata, host_id);
		add_states(document, server, scope);
		add_newer(document, server, scope, system_metadata);
	} else {
		json_decref(document);
		document = NULL;
	}
	json_decref(system_metadata);
	return document;
}

json_t *view_server_brief(const struct db_server *server, const struct view_base *base)
{
	return json_pack("{s:s, s:s, s:o}", "id", server->uuid, "name", server->name, "links",
			 view_links(base, "servers", server->uuid));
}
