/* Hosts from the configuration and the operator into the database. The one difficulty: what an operator set over the API
 * (disabled, forced down) and what discovery learnt must survive each start. */
#include "server/registry.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/fleet.h"

#define REGISTRY_PLAIN_SCHEME "qemu+tcp:"

/* A copy of `text` in *member, whose old one is released; NULL is NULL. */
static int set_text(char **member, const char *text, struct error *error)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return error_no_memory(error);
	free(*member);
	*member = copy;
	return 0;
}

/* NICs and addresses as a JSON object; NULL where none are configured. */
static int set_interfaces(struct db_host *host, const struct host_settings *settings, struct error *error)
{
	json_t *interfaces = settings->interface_count > 0 ? json_object() : NULL;
	CLEANUP_FREE char *text = NULL;
	int result = 0;

	for (size_t i = 0; result == 0 && i < settings->interface_count; i++)
		result = json_object_set_new(interfaces, settings->interfaces[i].name,
					     json_string(settings->interfaces[i].value));
	if (interfaces && result == 0)
		text = json_dumps(interfaces, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(interfaces);
	if (settings->interface_count > 0 && !text)
		return error_no_memory(error);
	return set_text(&host->interfaces, text, error);
}

static int apply(struct db_host *host, const struct host_settings *settings, struct error *error)
{
	int result = set_text(&host->uri, settings->uri, error);

	if (result == 0)
		result = set_text(&host->user_name, settings->user_name, error);
	if (result == 0)
		result = set_text(&host->password_file, settings->password_file, error);
	if (result == 0)
		result = set_text(&host->migration_address, settings->migration_address, error);
	if (result == 0)
		result = set_text(&host->migration_interface, settings->live_migration_interface, error);
	if (result == 0)
		result = set_text(&host->tunnel_interface, settings->tunnel_interface, error);
	if (result == 0)
		result = set_interfaces(host, settings, error);
	host->cpu_allocation_ratio = settings->cpu_allocation_ratio;
	host->ram_allocation_ratio = settings->ram_allocation_ratio;
	host->disk_allocation_ratio = settings->disk_allocation_ratio;
	host->reserved_memory_mb = settings->reserved_memory_mb;
	/* Claims count whole GiB; a part of one that is reserved keeps all of it free. */
	host->reserved_disk_gb = settings->reserved_disk_mb < 0 ? -1 : (settings->reserved_disk_mb + 1023) / 1024;
	return result;
}

static int insert(struct db_session *session, const struct host_settings *settings, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result;

	if (!TEXT_COPY(host.name, settings->name))
		return error_set(error, EINVAL, "the name of host %.40s… is longer than %d bytes", settings->name,
				 DB_NAME_SIZE - 1);
	result = apply(&host, settings, error);
	return result < 0 ? result : db_host_insert(session, &host, error);
}

static int load_host(struct db_session *session, const struct host_settings *settings, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, settings->name, &host, error);

	if (result == -ENOENT)
		return insert(session, settings, error);
	if (result == 0)
		result = apply(&host, settings, error);
	return result < 0 ? result : db_host_update(session, &host, error);
}

static int ensure_service(struct db_session *session, const char *binary, const char *node, struct error *error)
{
	CLEANUP_DB_SERVICES struct db_service_list services = { 0 };
	int result = db_service_all(session, &services, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < services.count; i++)
		if (text_equal(services.items[i].binary, binary) && text_equal(services.items[i].host, node))
			return 0;

	CLEANUP_DB_SERVICE struct db_service service = { .is_up = true, .updated_us = db_now_us(session) };
	TEXT_COPY(service.binary, binary);
	TEXT_COPY(service.host, node);
	TEXT_COPY(service.zone, "internal");
	return db_service_insert(session, &service, error);
}

static const struct host_settings *find_configured(const struct registry_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->host_count; i++)
		if (text_equal(settings->hosts[i].name, name))
			return &settings->hosts[i];
	return NULL;
}

/* A host that an operator registered while running: its interface and ratios are what the fleet says of it now. */
static int load_other(struct db_session *session, const struct registry_settings *settings, struct db_host *host,
		      struct error *error)
{
	struct host_settings filled = { .name = host->name };
	int result;

	if (settings->demands_tls && host->uri && text_starts_with(host->uri, REGISTRY_PLAIN_SCHEME))
		return error_set(error, EINVAL,
				 "host %s was registered with %s, which is not encrypted, and TLS is demanded now: "
				 "remove it, or add "
				 "it to the configuration with qemu+tls",
				 host->name, host->uri);
	fleet_fill_host(settings->fleet, &filled, NULL);
	bool is_same = text_equal(host->migration_interface, filled.live_migration_interface)
		       && text_equal(host->tunnel_interface, filled.tunnel_interface);
	if (is_same)
		return 0;
	result = set_text(&host->migration_interface, filled.live_migration_interface, error);
	if (result == 0)
		result = set_text(&host->tunnel_interface, filled.tunnel_interface, error);
	return result < 0 ? result : db_host_update(session, host, error);
}

static int load_others(struct db_session *session, const struct registry_settings *settings, struct error *error)
{
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	int result = db_host_all(session, &hosts, error);

	for (size_t i = 0; result == 0 && i < hosts.count; i++)
		if (!find_configured(settings, hosts.items[i].name))
			result = load_other(session, settings, &hosts.items[i], error);
	return result;
}

static int load(struct db_session *session, void *context, struct error *error)
{
	const struct registry_settings *load = context;
	int result = ensure_service(session, "nova-conductor", load->node, error);

	if (result == 0)
		result = ensure_service(session, "nova-scheduler", load->node, error);
	for (size_t i = 0; i < load->host_count && result == 0; i++) {
		result = load_host(session, &load->hosts[i], error);
		if (result < 0)
			error_wrap(error, "host %s of the configuration", load->hosts[i].name);
	}
	return result < 0 ? result : load_others(session, load, error);
}

int registry_load(struct database *database, const struct registry_settings *settings, struct error *error)
{
	struct registry_settings context = *settings;

	return db_write(database, load, &context, error);
}

static int add(struct db_session *session, void *context, struct error *error)
{
	return insert(session, context, error);
}

int registry_add(struct database *database, const struct host_settings *host, const struct registry_settings *settings,
		 struct error *error)
{
	struct host_settings copy = *host;

	if (settings->demands_tls && text_starts_with(copy.uri, REGISTRY_PLAIN_SCHEME))
		return error_set(error, EINVAL, "TLS is demanded, but %s is not encrypted: use qemu+tls", copy.uri);
	fleet_fill_host(settings->fleet, &copy, NULL);
	if (copy.migration_address && copy.live_migration_interface)
		return error_set(
			error, EINVAL,
			"live migrations to host %s go to the address of its NIC %s, as the configuration says: "
			"leave the migration address out",
			copy.name, copy.live_migration_interface);

	return db_write(database, add, &copy, error);
}

static int remove_host(struct db_session *session, void *context, struct error *error)
{
	const char *const *name = context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, *name, &host, error);

	return result < 0 ? result : db_host_remove(session, host.id, error);
}

int registry_remove(struct database *database, const char *name, struct error *error)
{
	return db_write(database, remove_host, &name, error);
}
