/* Nova's documents of rows: which fields each microversion has, and what stands in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/microversion.h"
#include "api/view.h"
#include "base/cleanup.h"
#include "base/text.h"

#define OLDEST   MICROVERSION_MINOR_MIN
#define NEWEST   MICROVERSION_MINOR_MAX
#define TIME_US  INT64_C(1767312000000000) /* 2026-01-02T00:00:00Z */
#define SECOND   INT64_C(1000000)
#define ENDPOINT "http://nova.example"
#define UUID     "11111111-0000-4000-8000-000000000001"
#define FIELDS   40

/* A text where rows own one. */
#define OWNED(text) ((char[]){ text })

static const struct view_base base = { ENDPOINT, "/abc0" };

#define FLAVOR_SMALL                                                                                                   \
	{                                                                                                              \
		.id = 5, .flavor_id = "small-id", .name = "small", .vcpus = 2, .memory_mb = 1024, .disk_gb = 10,       \
		.ephemeral_gb = 3, .swap_mb = 512, .extra_specs = OWNED("{\"hw:cpu_policy\": \"dedicated\"}"),         \
	}

static const struct db_flavor flavor = FLAVOR_SMALL;

static const struct db_server server = {
	.uuid = UUID,
	.name = "vm",
	.instance_name = "instance-00000001",
	.project_id = "project",
	.user_id = "user",
	.host_id = 1,
	.host = "host1",
	.vm_state = "active",
	.power_state = 1,
	.locked_by = "owner",
	.locked_reason = OWNED("work"),
	.flavor = FLAVOR_SMALL,
	.image_id = "image",
	.hostname = "vm-hostname",
	.key_name = "key",
	.config_drive = "True",
	.availability_zone = "zone",
	.reservation_id = "r-12345678",
	.root_device_name = "/dev/vda",
	.description = OWNED("what it is for"),
	.user_data = OWNED("data"),
	.metadata = OWNED("{\"role\": \"web\"}"),
	.system_metadata = OWNED("{\"image_os\": \"linux\", \"other\": 1, \"trusted_image_certificates\": [\"c\"],"
				 " \"server_groups\": [\"g\"], \"pinned_availability_zone\": \"pinned\","
				 " \"scheduler_hints\": {\"group\": [\"g\"]}}"),
	.tags = OWNED("[\"tag\"]"),
	.addresses = OWNED("{\"net\": [{\"addr\": \"192.0.2.1\"}]}"),
	.volumes = OWNED("[{\"id\": \"volume\", \"delete_on_termination\": true}]"),
	.progress = 40,
	.created_us = TIME_US,
	.updated_us = TIME_US + SECOND,
	.launched_us = TIME_US + 2 * SECOND,
	.terminated_us = TIME_US + 3 * SECOND,
};

static const struct db_host host = {
	.id = 7,
	.uuid = UUID,
	.name = "host1",
	.service = { .id = 8,
		     .uuid = UUID,
		     .binary = "nova-compute",
		     .host = "host1",
		     .zone = "nova",
		     .is_up = true,
		     .is_disabled = true,
		     .disabled_reason = OWNED("work"),
		     .updated_us = TIME_US },
	.hypervisor_type = OWNED("QEMU"),
	.hypervisor_version = 7002000,
	.host_ip = OWNED("192.0.2.7"),
	.vcpus = 8,
	.memory_mb = 8192,
	.disk_gb = 100,
	.reserved_memory_mb = 500,
	.reserved_disk_gb = 4,
	.cpu_info = OWNED("{\"arch\": \"x86_64\"}"),
	.facts = OWNED("{\"booted_us\": 1767312000000000}"),
};

static json_t *server_with(int minor, bool has_rights, bool is_detail)
{
	struct db_host up = host;
	struct view_server_scope scope = { .minor = minor,
					   .base = base,
					   .is_detail = is_detail,
					   .has_host_attributes = has_rights,
					   .has_host_status = has_rights,
					   .has_extra_specs = has_rights,
					   .host = &up };

	up.service.is_disabled = false;
	return view_server(&server, &scope);
}

static json_t *admins_server(int minor)
{
	return server_with(minor, true, false);
}

static json_t *admins_server_in_a_list(int minor)
{
	return server_with(minor, true, true);
}

static json_t *owners_server(int minor)
{
	return server_with(minor, false, false);
}

/* A member of another document, for its own fields. */
static json_t *member_of(json_t *document, const char *name)
{
	json_t *member = json_incref(json_object_get(document, name));

	json_decref(document);
	return member;
}

static json_t *servers_flavor(int minor)
{
	return member_of(admins_server(minor), "flavor");
}

static json_t *owners_flavor(int minor)
{
	return member_of(owners_server(minor), "flavor");
}

static json_t *servers_image(int minor)
{
	return member_of(owners_server(minor), "image");
}

static json_t *servers_volume(int minor)
{
	json_t *volumes = member_of(owners_server(minor), "os-extended-volumes:volumes_attached");
	json_t *volume = json_incref(json_array_get(volumes, 0));

	json_decref(volumes);
	return volume;
}

static json_t *flavor_in_detail(int minor)
{
	return view_flavor(&flavor, minor, &base, true, true);
}

static json_t *flavor_for_others(int minor)
{
	return view_flavor(&flavor, minor, &base, true, false);
}

static json_t *flavor_in_brief(int minor)
{
	return view_flavor(&flavor, minor, &base, false, true);
}

static struct db_migration migration_of(const char *type, const char *status)
{
	struct db_migration migration = {
		.id = 3,
		.uuid = UUID,
		.server_uuid = "22222222-0000-4000-8000-000000000002",
		.source_compute = "host1",
		.dest_compute = "host2",
		.source_node = "node1",
		.dest_node = "node2",
		.dest_host = "192.0.2.2",
		.old_flavor_id = 5,
		.new_flavor_id = 6,
		.user_id = "user",
		.project_id = "project",
		.memory = { .processed = 1, .remaining = 2, .total = 3 },
		.disk = { .processed = 4, .remaining = 5, .total = 9 },
		.created_us = TIME_US,
		.updated_us = TIME_US + SECOND,
	};

	TEXT_COPY(migration.type, type);
	TEXT_COPY(migration.status, status);
	return migration;
}

static json_t *live_migration(int minor)
{
	struct db_migration migration = migration_of("live-migration", "running");

	return view_migration(&migration, minor, &base, true);
}

static json_t *cold_migration(int minor)
{
	struct db_migration migration = migration_of("migration", "running");

	return view_migration(&migration, minor, &base, true);
}

static json_t *server_migration(int minor)
{
	struct db_migration migration = migration_of("live-migration", "running");

	return view_server_migration(&migration, minor, true);
}

static json_t *action(int minor)
{
	const struct db_action action = { .action = "migrate",
					  .server_uuid = UUID,
					  .request_id = "req-1",
					  .user_id = "user",
					  .project_id = "project",
					  .start_us = TIME_US,
					  .updated_us = TIME_US + SECOND,
					  .message = OWNED("Error") };

	return view_action(&action, minor);
}

static json_t *event_with(int minor, bool has_rights)
{
	const struct db_event event = { .event = "compute_live_migration",
					.host = "host1",
					.start_us = TIME_US,
					.finish_us = TIME_US + SECOND,
					.result = "Error",
					.traceback = OWNED("trace"),
					.details = OWNED("why") };
	const struct view_event_scope scope = { minor, "project", has_rights, has_rights };

	return view_event(&event, &scope);
}

static json_t *admins_event(int minor)
{
	return event_with(minor, true);
}

static json_t *owners_event(int minor)
{
	return event_with(minor, false);
}

static json_t *service(int minor)
{
	return view_service(&host.service, minor);
}

static const struct db_host_usage usage = { .vcpus = 3, .memory_mb = 2048, .disk_gb = 20, .servers = 2 };

static json_t *hypervisor(int minor)
{
	return view_hypervisor(&host, &usage, minor, true, TIME_US + 3 * 86400 * SECOND);
}

static json_t *hypervisor_in_brief(int minor)
{
	return view_hypervisor(&host, &usage, minor, false, TIME_US);
}

/* A field and its microversions: "" for all, "23" for those from 2.23 on, "-87" for those up to 2.87. */
struct field {
	const char *name, *minors;
};

#define SERVER                                                                                                         \
	{ "accessIPv4", "" }, { "accessIPv6", "" }, { "addresses", "" }, { "created", "" }, { "flavor", "" },          \
		{ "hostId", "" }, { "id", "" }, { "image", "" }, { "links", "" }, { "metadata", "" }, { "name", "" },  \
		{ "status", "" }, { "tenant_id", "" }, { "user_id", "" }, { "updated", "" },                           \
		{ "OS-DCF:diskConfig", "" }, { "progress", "" }, { "OS-EXT-AZ:availability_zone", "" },                \
		{ "config_drive", "" }, { "key_name", "" }, { "OS-SRV-USG:launched_at", "" },                          \
		{ "OS-SRV-USG:terminated_at", "" }, { "OS-EXT-STS:task_state", "" }, { "OS-EXT-STS:vm_state", "" },    \
		{ "OS-EXT-STS:power_state", "" }, { "os-extended-volumes:volumes_attached", "" }, { "locked", "9" },   \
		{ "description", "19" }, { "tags", "26" }, { "trusted_image_certificates", "63" },                     \
		{ "locked_reason", "73" }, { "pinned_availability_zone", "96" },                                       \
	{                                                                                                              \
		"scheduler_hints", "100"                                                                               \
	}
#define HOST_ATTRIBUTES                                                                                                \
	{ "OS-EXT-SRV-ATTR:host", "" }, { "OS-EXT-SRV-ATTR:instance_name", "" },                                       \
		{ "OS-EXT-SRV-ATTR:hypervisor_hostname", "" }, { "OS-EXT-SRV-ATTR:hostname", "3" },                    \
		{ "OS-EXT-SRV-ATTR:kernel_id", "3" }, { "OS-EXT-SRV-ATTR:launch_index", "3" },                         \
		{ "OS-EXT-SRV-ATTR:ramdisk_id", "3" }, { "OS-EXT-SRV-ATTR:reservation_id", "3" },                      \
		{ "OS-EXT-SRV-ATTR:root_device_name", "3" }, { "OS-EXT-SRV-ATTR:user_data", "3" },                     \
	{                                                                                                              \
		"host_status", "16"                                                                                    \
	}
#define FLAVOR_IN_SERVER                                                                                               \
	{ "id", "-46" }, { "links", "-46" }, { "vcpus", "47" }, { "ram", "47" }, { "disk", "47" },                     \
		{ "ephemeral", "47" }, { "swap", "47" },                                                               \
	{                                                                                                              \
		"original_name", "47"                                                                                  \
	}
#define FLAVOR                                                                                                         \
	{ "id", "" }, { "name", "" }, { "ram", "" }, { "disk", "" }, { "swap", "" },                                   \
		{ "OS-FLV-EXT-DATA:ephemeral", "" }, { "OS-FLV-DISABLED:disabled", "" }, { "vcpus", "" },              \
		{ "os-flavor-access:is_public", "" }, { "rxtx_factor", "" }, { "links", "" },                          \
	{                                                                                                              \
		"description", "55"                                                                                    \
	}
#define MIGRATION                                                                                                      \
	{ "id", "" }, { "uuid", "59" }, { "source_compute", "" }, { "dest_compute", "" }, { "source_node", "" },       \
		{ "dest_node", "" }, { "dest_host", "" }, { "old_instance_type_id", "" },                              \
		{ "new_instance_type_id", "" }, { "instance_uuid", "" }, { "status", "" }, { "migration_type", "23" }, \
		{ "user_id", "80" }, { "project_id", "80" }, { "created_at", "" },                                     \
	{                                                                                                              \
		"updated_at", ""                                                                                       \
	}
#define EVENT                                                                                                          \
	{ "event", "" }, { "start_time", "" }, { "finish_time", "" }, { "result", "" },                                \
	{                                                                                                              \
		"hostId", "62"                                                                                         \
	}
#define HYPERVISOR                                                                                                     \
	{ "id", "" }, { "hypervisor_hostname", "" }, { "state", "" },                                                  \
	{                                                                                                              \
		"status", ""                                                                                           \
	}

static const struct kind {
	json_t *(*view)(int minor);
	const char *name;
	struct field fields[FIELDS + 10];
} kinds[] = {
	{ admins_server, "an admin's server", { SERVER, HOST_ATTRIBUTES, { "server_groups", "71" } } },
	{ admins_server_in_a_list, "an admin's server in a list", { SERVER, HOST_ATTRIBUTES } },
	{ owners_server,
	  "an owner's server",
	  { SERVER, { "server_groups", "71" }, { "OS-EXT-SRV-ATTR:hostname", "90" } } },
	{ servers_flavor, "an admin's server's flavor", { FLAVOR_IN_SERVER, { "extra_specs", "47" } } },
	{ owners_flavor, "an owner's server's flavor", { FLAVOR_IN_SERVER } },
	{ servers_image, "a server's image", { { "id", "" }, { "links", "" }, { "properties", "98" } } },
	{ servers_volume, "a server's volume", { { "id", "" }, { "delete_on_termination", "3" } } },
	{ flavor_in_detail, "a flavor", { FLAVOR, { "extra_specs", "61" } } },
	{ flavor_for_others, "a flavor without its extra specs", { FLAVOR } },
	{ flavor_in_brief,
	  "a flavor in brief",
	  { { "id", "" }, { "name", "" }, { "links", "" }, { "description", "55" } } },
	{ live_migration, "a live migration", { MIGRATION, { "links", "23" } } },
	{ cold_migration, "a cold migration", { MIGRATION } },
	{ server_migration,
	  "a server's migration",
	  { { "created_at", "" },
	    { "dest_compute", "" },
	    { "dest_host", "" },
	    { "dest_node", "" },
	    { "disk_processed_bytes", "" },
	    { "disk_remaining_bytes", "" },
	    { "disk_total_bytes", "" },
	    { "id", "" },
	    { "memory_processed_bytes", "" },
	    { "memory_remaining_bytes", "" },
	    { "memory_total_bytes", "" },
	    { "server_uuid", "" },
	    { "source_compute", "" },
	    { "source_node", "" },
	    { "status", "" },
	    { "updated_at", "" },
	    { "uuid", "59" },
	    { "user_id", "80" },
	    { "project_id", "80" } } },
	{ action,
	  "an action",
	  { { "action", "" },
	    { "instance_uuid", "" },
	    { "request_id", "" },
	    { "user_id", "" },
	    { "project_id", "" },
	    { "start_time", "" },
	    { "message", "" },
	    { "updated_at", "58" } } },
	{ admins_event, "an admin's event", { EVENT, { "traceback", "" }, { "host", "62" }, { "details", "84" } } },
	{ owners_event, "an owner's event", { EVENT } },
	{ service,
	  "a service",
	  { { "binary", "" },
	    { "host", "" },
	    { "id", "" },
	    { "zone", "" },
	    { "status", "" },
	    { "state", "" },
	    { "updated_at", "" },
	    { "disabled_reason", "" },
	    { "forced_down", "11" } } },
	{ hypervisor,
	  "a hypervisor",
	  { HYPERVISOR,
	    { "hypervisor_type", "" },
	    { "hypervisor_version", "" },
	    { "host_ip", "" },
	    { "service", "" },
	    { "vcpus", "-87" },
	    { "memory_mb", "-87" },
	    { "local_gb", "-87" },
	    { "vcpus_used", "-87" },
	    { "memory_mb_used", "-87" },
	    { "local_gb_used", "-87" },
	    { "free_ram_mb", "-87" },
	    { "free_disk_gb", "-87" },
	    { "current_workload", "-87" },
	    { "running_vms", "-87" },
	    { "disk_available_least", "-87" },
	    { "cpu_info", "-87" },
	    { "uptime", "88" } } },
	{ hypervisor_in_brief, "a hypervisor in brief", { HYPERVISOR } },
};

static bool has_field(const struct field *field, int minor)
{
	int bound = atoi(field->minors);

	return !field->minors[0] || (bound < 0 ? minor <= -bound : minor >= bound);
}

static void each_microversion_has_its_fields_and_no_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		for (int minor = OLDEST; minor <= NEWEST; minor++) {
			json_t *document = kinds[i].view(minor);
			size_t count = 0;

			for (const struct field *field = kinds[i].fields; field->name; field++) {
				if (has_field(field, minor) != (json_object_get(document, field->name) != NULL))
					fail_msg("%s at 2.%d: %s", kinds[i].name, minor, field->name);
				count += has_field(field, minor);
			}
			if (json_object_size(document) != count)
				fail_msg("%s at 2.%d has %zu fields", kinds[i].name, minor, json_object_size(document));
			json_decref(document);
		}
}

#define LINKS(collection, id)                                                                                          \
	"[{\"rel\": \"self\", \"href\": \"" ENDPOINT "/v2.1/abc0/" collection "/" id "\"},"                            \
	" {\"rel\": \"bookmark\", \"href\": \"" ENDPOINT "/abc0/" collection "/" id "\"}]"
#define BOOKMARK(collection, id) "[{\"rel\": \"bookmark\", \"href\": \"" ENDPOINT "/abc0/" collection "/" id "\"}]"

/* The fields that are named here have these values. */
static const struct {
	json_t *(*view)(int minor);
	int minor;
	const char *values;
} shown[] = {
	{ admins_server, NEWEST,
	  "{\"accessIPv4\": \"\", \"accessIPv6\": \"\", \"addresses\": {\"net\": [{\"addr\": \"192.0.2.1\"}]},"
	  " \"created\": \"2026-01-02T00:00:00Z\", \"id\": \"" UUID "\", \"links\": " LINKS(
		  "servers",
		  UUID) ","
			" \"metadata\": {\"role\": \"web\"}, \"name\": \"vm\", \"status\": \"ACTIVE\", \"tenant_id\": "
			"\"project\","
			" \"user_id\": \"user\", \"updated\": \"2026-01-02T00:00:01Z\", \"OS-DCF:diskConfig\": "
			"\"MANUAL\","
			" \"progress\": 40, \"OS-EXT-AZ:availability_zone\": \"zone\", \"config_drive\": \"True\","
			" \"key_name\": \"key\", \"OS-SRV-USG:launched_at\": \"2026-01-02T00:00:02.000000\","
			" \"OS-SRV-USG:terminated_at\": \"2026-01-02T00:00:03.000000\", \"OS-EXT-STS:task_state\": "
			"null,"
			" \"OS-EXT-STS:vm_state\": \"active\", \"OS-EXT-STS:power_state\": 1, \"locked\": true,"
			" \"os-extended-volumes:volumes_attached\": [{\"id\": \"volume\", \"delete_on_termination\": "
			"true}],"
			" \"OS-EXT-SRV-ATTR:host\": \"host1\", \"OS-EXT-SRV-ATTR:instance_name\": "
			"\"instance-00000001\","
			" \"OS-EXT-SRV-ATTR:hypervisor_hostname\": \"host1\", \"OS-EXT-SRV-ATTR:hostname\": "
			"\"vm-hostname\","
			" \"OS-EXT-SRV-ATTR:kernel_id\": \"\", \"OS-EXT-SRV-ATTR:launch_index\": 0,"
			" \"OS-EXT-SRV-ATTR:ramdisk_id\": \"\", \"OS-EXT-SRV-ATTR:reservation_id\": \"r-12345678\","
			" \"OS-EXT-SRV-ATTR:root_device_name\": \"/dev/vda\", \"OS-EXT-SRV-ATTR:user_data\": \"data\","
			" \"host_status\": \"UP\", \"description\": \"what it is for\", \"tags\": [\"tag\"],"
			" \"trusted_image_certificates\": [\"c\"], \"server_groups\": [\"g\"], \"locked_reason\": "
			"\"work\","
			" \"pinned_availability_zone\": \"pinned\", \"scheduler_hints\": {\"group\": [\"g\"]}}" },
	{ servers_flavor, NEWEST,
	  "{\"vcpus\": 2, \"ram\": 1024, \"disk\": 10, \"ephemeral\": 3, \"swap\": 512, \"original_name\": \"small\","
	  " \"extra_specs\": {\"hw:cpu_policy\": \"dedicated\"}}" },
	{ servers_flavor, OLDEST, "{\"id\": \"small-id\", \"links\": " BOOKMARK("flavors", "small-id") "}" },
	{ servers_image, NEWEST,
	  "{\"id\": \"image\", \"links\": " BOOKMARK("images", "image") ", \"properties\": {\"os\": \"linux\"}}" },
	{ flavor_in_detail, NEWEST,
	  "{\"id\": \"small-id\", \"name\": \"small\", \"ram\": 1024, \"disk\": 10, \"swap\": 512, \"vcpus\": 2,"
	  " \"OS-FLV-EXT-DATA:ephemeral\": 3, \"OS-FLV-DISABLED:disabled\": false, \"rxtx_factor\": 1.0,"
	  " \"os-flavor-access:is_public\": true, \"description\": null, \"links\": " LINKS(
		  "flavors", "small-id") ","
					 " \"extra_specs\": {\"hw:cpu_policy\": \"dedicated\"}}" },
	{ live_migration, NEWEST,
	  "{\"id\": 3, \"uuid\": \"" UUID "\", \"source_compute\": \"host1\", \"dest_compute\": \"host2\","
	  " \"source_node\": \"node1\", \"dest_node\": \"node2\", \"dest_host\": \"192.0.2.2\","
	  " \"old_instance_type_id\": 5, \"new_instance_type_id\": 6, \"status\": \"running\","
	  " \"instance_uuid\": \"22222222-0000-4000-8000-000000000002\", \"migration_type\": \"live-migration\","
	  " \"user_id\": \"user\", \"project_id\": \"project\", \"created_at\": \"2026-01-02T00:00:00.000000\","
	  " \"updated_at\": \"2026-01-02T00:00:01.000000\", \"links\": " LINKS(
		  "servers", "22222222-0000-4000-8000-000000000002/migrations/3") "}" },
	{ server_migration, NEWEST,
	  "{\"created_at\": \"2026-01-02T00:00:00.000000\", \"dest_compute\": \"host2\", \"dest_host\": \"192.0.2.2\","
	  " \"dest_node\": \"node2\", \"disk_processed_bytes\": 4, \"disk_remaining_bytes\": 5,"
	  " \"disk_total_bytes\": 9, \"id\": 3, \"memory_processed_bytes\": 1, \"memory_remaining_bytes\": 2,"
	  " \"memory_total_bytes\": 3, \"server_uuid\": \"22222222-0000-4000-8000-000000000002\","
	  " \"source_compute\": \"host1\", \"source_node\": \"node1\", \"status\": \"running\","
	  " \"updated_at\": \"2026-01-02T00:00:01.000000\", \"uuid\": \"" UUID "\", \"user_id\": \"user\","
	  " \"project_id\": \"project\"}" },
	{ action, NEWEST,
	  "{\"action\": \"migrate\", \"instance_uuid\": \"" UUID "\", \"request_id\": \"req-1\", \"user_id\": \"user\","
	  " \"project_id\": \"project\", \"start_time\": \"2026-01-02T00:00:00.000000\", \"message\": \"Error\","
	  " \"updated_at\": \"2026-01-02T00:00:01.000000\"}" },
	{ admins_event, NEWEST,
	  "{\"event\": \"compute_live_migration\", \"start_time\": \"2026-01-02T00:00:00.000000\","
	  " \"finish_time\": \"2026-01-02T00:00:01.000000\", \"result\": \"Error\", \"traceback\": \"trace\","
	  " \"host\": \"host1\", \"details\": \"why\"}" },
	{ service, OLDEST,
	  "{\"binary\": \"nova-compute\", \"host\": \"host1\", \"id\": 8, \"zone\": \"nova\","
	  " \"status\": \"disabled\", \"state\": \"up\", \"updated_at\": \"2026-01-02T00:00:00.000000\","
	  " \"disabled_reason\": \"work\"}" },
	{ service, 52, "{\"id\": 8, \"forced_down\": false}" },
	{ service, 53, "{\"id\": \"" UUID "\"}" },
	{ hypervisor, OLDEST,
	  "{\"id\": 7, \"hypervisor_hostname\": \"host1\", \"state\": \"up\", \"status\": \"disabled\","
	  " \"hypervisor_type\": \"QEMU\", \"hypervisor_version\": 7002000, \"host_ip\": \"192.0.2.7\","
	  " \"service\": {\"id\": 8, \"host\": \"host1\", \"disabled_reason\": \"work\"}, \"vcpus\": 8,"
	  " \"memory_mb\": 8192, \"local_gb\": 100, \"vcpus_used\": 3, \"memory_mb_used\": 2548, \"local_gb_used\": 24,"
	  " \"free_ram_mb\": 5644, \"free_disk_gb\": 76, \"current_workload\": 0, \"running_vms\": 2,"
	  " \"disk_available_least\": 0}" },
	{ hypervisor, 27, "{\"cpu_info\": \"{\\\"arch\\\": \\\"x86_64\\\"}\"}" },
	{ hypervisor, 28, "{\"cpu_info\": {\"arch\": \"x86_64\"}}" },
	{ hypervisor, 52, "{\"id\": 7}" },
	{ hypervisor, 53,
	  "{\"id\": \"" UUID "\", \"service\": {\"id\": \"" UUID "\", \"host\": \"host1\","
	  " \"disabled_reason\": \"work\"}}" },
	{ hypervisor, 88, "{\"uptime\": \"up 3 days, 0 hours, 0 minutes\"}" },
};

static void fields_have_their_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(shown); i++) {
		json_t *document = shown[i].view(shown[i].minor);
		json_t *values = json_loads(shown[i].values, 0, NULL);
		const char *name;
		json_t *value;

		assert_non_null(values);
		json_object_foreach(values, name, value)
		{
			CLEANUP_FREE char *found = json_dumps(json_object_get(document, name), JSON_ENCODE_ANY);

			if (!json_equal(json_object_get(document, name), value))
				fail_msg("%s of document %zu is %s", name, i, found);
		}
		json_decref(values);
		json_decref(document);
	}
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_microversion_has_its_fields_and_no_others),
		TEST(fields_have_their_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
