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

/* A row that is brought up to date: writing it though nothing changed would wake everybody who follows the hosts. */
struct update {
	struct db_host *host;
	bool has_changed;
};

/* A copy of `text` in *member, whose old one is released; NULL is NULL. */
static int set_text(struct update *update, char **member, const char *text, struct error *error)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return error_no_memory(error);
	update->has_changed = update->has_changed || !text_equal(*member, text);
	free(*member);
	*member = copy;
	return 0;
}

static void set_decimal(struct update *update, double *member, double value)
{
	update->has_changed = update->has_changed || *member < value || *member > value;
	*member = value;
}

static void set_number(struct update *update, int64_t *member, int64_t value)
{
	update->has_changed = update->has_changed || *member != value;
	*member = value;
}

/* NICs and addresses as a JSON object; NULL where none are configured. */
static int set_interfaces(struct update *update, const struct host_settings *settings, struct error *error)
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
	return set_text(update, &update->host->interfaces, text, error);
}

static int apply(struct update *update, const struct host_settings *settings, struct error *error)
{
	struct db_host *host = update->host;
	const struct {
		char **member;
		const char *text;
	} texts[] = {
		{ &host->uri, settings->uri },
		{ &host->user_name, settings->user_name },
		{ &host->password_file, settings->password_file },
		{ &host->migration_address, settings->migration_address },
		{ &host->migration_interface, settings->live_migration_interface },
		{ &host->tunnel_interface, settings->tunnel_interface },
	};
	int result = set_interfaces(update, settings, error);

	for (size_t i = 0; i < ARRAY_LENGTH(texts) && result == 0; i++)
		result = set_text(update, texts[i].member, texts[i].text, error);
	set_decimal(update, &host->cpu_allocation_ratio, settings->cpu_allocation_ratio);
	set_decimal(update, &host->ram_allocation_ratio, settings->ram_allocation_ratio);
	set_decimal(update, &host->disk_allocation_ratio, settings->disk_allocation_ratio);
	set_number(update, &host->reserved_memory_mb, settings->reserved_memory_mb);
	/* Claims count whole GiB; a part of one that is reserved keeps all of it free. */
	set_number(update, &host->reserved_disk_gb,
		   settings->reserved_disk_mb < 0 ? -1 : (settings->reserved_disk_mb + 1023) / 1024);
	return result;
}

static int insert(struct db_session *session, const struct host_settings *settings, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result;

	if (!TEXT_COPY(host.name, settings->name))
		return error_set(error, EINVAL, "the name of host %.40s… is longer than %d bytes", settings->name,
				 DB_NAME_SIZE - 1);
	struct update update = { .host = &host };
	result = apply(&update, settings, error);
	return result < 0 ? result : db_host_insert(session, &host, error);
}

static int load_host(struct db_session *session, const struct host_settings *settings, struct error *error)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, settings->name, &host, error);

	if (result == -ENOENT)
		return insert(session, settings, error);
	struct update update = { .host = &host };
	if (result == 0)
		result = apply(&update, settings, error);
	return result < 0 || !update.has_changed ? result : db_host_update(session, &host, error);
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

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
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
				 "remove it, or configure it with qemu+tls",
				 host->name, host->uri);
	fleet_fill_host(settings->fleet, &filled, NULL);
	struct update update = { .host = host };
	result = set_text(&update, &host->migration_interface, filled.live_migration_interface, error);
	if (result == 0)
		result = set_text(&update, &host->tunnel_interface, filled.tunnel_interface, error);
	return result < 0 || !update.has_changed ? result : db_host_update(session, host, error);
}

static int load_others(struct db_session *session, const struct registry_settings *settings, struct error *error)
{
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	CLEANUP_FREE const char **names = calloc(settings->host_count + 1, sizeof(*names));
	int result = names ? db_host_all(session, &hosts, error) : error_no_memory(error);

	for (size_t i = 0; names && i < settings->host_count; i++)
		names[i] = settings->hosts[i].name;
	if (names)
		qsort(names, settings->host_count, sizeof(*names), compare_names);
	for (size_t i = 0; result == 0 && i < hosts.count; i++) {
		const char *name = hosts.items[i].name;

		if (!bsearch(&name, names, settings->host_count, sizeof(*names), compare_names))
			result = load_other(session, settings, &hosts.items[i], error);
	}
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

/* One that answers may run guests, which would be started a second time elsewhere. */
static int give_up_host(struct db_session *session, void *context, struct error *error)
{
	const char *const *name = context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, *name, &host, error);

	if (result < 0 || host.is_gone)
		return result;
	if (db_service_is_up(&host.service))
		return error_set(error, EBUSY,
				 "host %s answers, so that guests may run there: it is not given up. Switch it off "
				 "first, or force its service down",
				 host.name);
	return db_host_set_gone(session, host.id, true, error);
}

int registry_give_up(struct database *database, const char *name, struct error *error)
{
	return db_write(database, give_up_host, &name, error);
}

struct service_switch {
	const char *name;
	bool is_disabled;
	const char *reason;
};

static int switch_service(struct db_session *session, void *context, struct error *error)
{
	const struct service_switch *wish = context;
	CLEANUP_DB_HOST struct db_host host = { 0 };
	int result = db_host_by_name(session, wish->name, &host, error);

	if (result < 0)
		return result;
	free(host.service.disabled_reason);
	host.service.disabled_reason = wish->reason ? strdup(wish->reason) : NULL;
	if (wish->reason && !host.service.disabled_reason)
		return error_no_memory(error);
	host.service.is_disabled = wish->is_disabled;
	return db_service_update(session, &host.service, error);
}

int registry_disable(struct database *database, const char *name, bool is_disabled, const char *reason,
		     struct error *error)
{
	struct service_switch wish = { name, is_disabled, reason };

	return db_write(database, switch_service, &wish, error);
}
