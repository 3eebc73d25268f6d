/* Rows of the configuration that stand for many become hosts and servers of the driver. */
#include "server/simulation_fleet.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config.h"
#include "server/worker/simulated/fleet.h"

/* FNV-1a */
static uint64_t digest(const char *text, uint64_t start)
{
	for (; *text; text++)
		start = (start ^ (unsigned char)*text) * 1099511628211ULL;
	return start;
}

void simulation_uuid(const char *name, char ret_uuid[UUID_SIZE])
{
	uint64_t high = digest(name, 14695981039346656037ULL), low = digest(name, high ^ 0x6d696772617465ULL);

	/* Version 8 in the seventh byte, the variant in the ninth. */
	high = (high & ~0xf000ULL) | 0x8000ULL;
	low = (low & ~(3ULL << 62)) | (2ULL << 62);
	snprintf(ret_uuid, UUID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, high >> 32,
		 (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & (uint64_t)0xffffffffffff);
}

static int fill_hosts(struct hypervisor *fleet, const struct config *config, struct error *error)
{
	size_t place = 0;

	for (size_t i = 0; i < config->simulation.host_count; i++)
		for (int64_t number = 0; number < config->simulation.hosts[i].count; number++) {
			const char *name = config->simulated_hosts[place++].name;
			int result = simulated_add_host(fleet, name, error);

			if (result < 0)
				return result;
			simulated_set_size(fleet, name, &config->simulation.hosts[i]);
		}
	return 0;
}

/* `turn`: whose turn it is among the hosts, for a server that names none. */
static int fill_server(struct hypervisor *fleet, const struct config *config,
		       const struct simulated_server_settings *server, int64_t number, size_t turn, struct error *error)
{
	CLEANUP_FREE char *numbered =
		server->count > 1 ? text_format("%s-%" PRId64, server->name, number) : text_format("%s", server->name);
	const char *host = server->host;
	char uuid[UUID_SIZE];

	if (!numbered)
		return error_no_memory(error);
	if (!host)
		host = config->simulated_hosts[turn % config->simulated_host_count].name;
	if (server->id)
		text_copy(uuid, sizeof(uuid), server->id);
	else
		simulation_uuid(numbered, uuid);
	return simulated_put_server(fleet, host, uuid, numbered, server, error);
}

int simulation_fill(struct hypervisor *fleet, const struct config *config, struct error *error)
{
	const struct simulation_settings *settings = &config->simulation;
	int result = fill_hosts(fleet, config, error);
	size_t turn = 0;

	simulated_set_moves(fleet, settings);
	for (size_t i = 0; i < settings->server_count && result == 0; i++)
		for (int64_t number = 1; number <= settings->servers[i].count && result == 0; number++)
			result = fill_server(fleet, config, &settings->servers[i], number, turn++, error);
	return result;
}
