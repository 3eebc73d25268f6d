/* Finding the address. A NIC's own table in the configuration is the operator's word and goes before what libvirt tells. */
#include "server/worker/migration_address.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/settings.h"

/* The interface of Tungsten Fabric; MOSK's word for Neutron's tunnel interface, too. */
#define VHOST "vhost0"

static void release_json(json_t **json)
{
	json_decref(*json);
}

/* The first address in figures, IPv4 before IPv6; link-local ones lead nowhere. */
static const char *choose_address(const json_t *addresses)
{
	const char *found = NULL;

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));

		if (address && !strchr(address, ':'))
			return address;
		if (address && !found && !text_starts_with(address, "fe80:"))
			found = address;
	}
	return found;
}

/* What is known of the host's NICs: their addresses by the configuration, and by libvirt. */
struct nics {
	const json_t *configured; /* name: address */
	const json_t *told; /* name: [address]; NULL: libvirt does not list them */
};

static bool has_nic(const struct nics *nics, const char *name)
{
	return json_object_get(nics->configured, name) || json_object_get(nics->told, name);
}

static const char *address_of(const struct nics *nics, const char *name)
{
	const char *address = json_string_value(json_object_get(nics->configured, name));

	return address ? address : choose_address(json_object_get(nics->told, name));
}

static int refuse(const struct nics *nics, const char *name, struct error *error)
{
	CLEANUP_TEXT struct text known = TEXT_EMPTY;
	const char *nic;
	json_t *unused;

	if (has_nic(nics, name))
		return error_set(error, ENODEV,
				 "libvirt does not tell the address of its NIC %s: give it in the host's `interfaces`",
				 name);
	if (!nics->told)
		return error_set(error, ENODEV,
				 "libvirt does not list its NICs: give the address of %s in the host's `interfaces`",
				 name);
	json_object_foreach((json_t *)nics->told, nic, unused)
		text_append_format(&known, "%s%s", known.length > 0 ? ", " : "", nic);
	return error_set(error, ENODEV, "no NIC %s for live migrations; it has %.200s", name,
			 known.length > 0 ? known.data : "none");
}

static int find_by_nic(const struct db_host *host, char **ret_address, struct error *error)
{
	CLEANUP(release_json) json_t *facts = host->facts ? json_loads(host->facts, 0, NULL) : NULL;
	CLEANUP(release_json) json_t *configured = host->interfaces ? json_loads(host->interfaces, 0, NULL) : NULL;
	const struct nics nics = { configured, json_object_get(facts, "nics") };
	const char *name = host->migration_interface;
	const char *address;

	if (!host->facts)
		return error_set(error, ENODEV, "its NICs are not known yet");
	if (text_equal(name, VHOST) && !has_nic(&nics, name) && host->tunnel_interface)
		name = host->tunnel_interface;
	address = address_of(&nics, name);
	if (!address)
		return refuse(&nics, name, error);
	*ret_address = strdup(address);
	return *ret_address ? 0 : error_no_memory(error);
}

int migration_address_find(const struct db_host *host, const struct worker_settings *settings, char **ret_address,
			   struct error *error)
{
	const char *pattern = settings->live_migration_inbound_addr;
	const char *mark = pattern ? strstr(pattern, "%s") : NULL;

	*ret_address = NULL;
	if (host->migration_interface)
		return find_by_nic(host, ret_address, error);
	if (host->migration_address)
		*ret_address = strdup(host->migration_address);
	else if (mark)
		*ret_address = text_format("%.*s%s%s", (int)(mark - pattern), pattern, host->name, mark + 2);
	else if (pattern)
		*ret_address = strdup(pattern);
	return *ret_address || (!host->migration_address && !pattern) ? 0 : error_no_memory(error);
}
