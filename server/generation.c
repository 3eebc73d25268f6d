/* A configuration and what was made of it: policies, keys, and those who are asked about tokens. */
#include "server/generation.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/auth/policy.h"
#include "api/auth/token.h"
#include "base/error.h"
#include "base/log.h"
#include "server/config.h"
#include "server/identity/identity.h"
#include "server/simulation_tokens.h"

struct generation {
	struct config config;
	struct policy *policy;
	struct token_verifier *tokens;
	struct identity *identity; /* NULL: nobody else is asked */
	struct token_authority simulated; /* in its place, where the configuration has tokens of a simulation */
	struct api_settings settings;
	atomic_bool is_unused;
};

static void log_policy(void *context, const char *text)
{
	log_event(context, LOG_LEVEL_WARNING, NULL, "policy", LOG_TEXT("reason", text));
}

static void on_released(void *context)
{
	struct generation *generation = context;

	atomic_store(&generation->is_unused, true);
}

/* Those who are asked about tokens that no key of ours has made. */
static int open_identity(struct generation *generation, const struct generation_parts *parts, struct error *error)
{
	const struct identity_settings *settings = &generation->config.identity;
	const struct identity_parts identity = { settings, generation->tokens, parts->clock, parts->log,
						 parts->metrics };

	if (!settings->keystone.url && !settings->key_set_count)
		return 0;
	return identity_create(&identity, &generation->identity, error);
}

/* NULL: there is none. */
static const struct token_authority *authority_of(struct generation *generation)
{
	if (generation->identity)
		return identity_authority(generation->identity);
	if (generation->config.simulation.token_count == 0)
		return NULL;
	generation->simulated = simulation_tokens(&generation->config.simulation);
	return &generation->simulated;
}

static void fill_settings(struct generation *generation, const struct generation_parts *parts)
{
	const struct config *config = &generation->config;

	generation->settings = (struct api_settings){
		.database = parts->database,
		.policy = generation->policy,
		.tokens = generation->tokens,
		.clock = parts->clock,
		.log = parts->log,
		.public_endpoint = config->api.public_endpoint,
		.keystone_url = config->identity.keystone.url,
		.authority = authority_of(generation),
		.is_simulated = config->hypervisor.driver == HYPERVISOR_DRIVER_SIMULATED,
		.node = config->node,
		.max_limit = config->api.max_limit,
		.reserved_memory_mb = config->scheduler.reserved_host_memory_mb,
		.reserved_disk_gb = (config->scheduler.reserved_host_disk_mb + 1023) / 1024,
		.max_body_bytes = (size_t)config->listener.body_bytes_max,
		.wait_timeout_s = config->listener.wait_timeout_s,
		.released = on_released,
		.released_context = generation,
	};
}

int generation_create(struct config *config, const struct generation_parts *parts, struct generation **ret_generation,
		      struct error *error)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (!generation)
		return error_no_memory(error);
	generation->config = *config;
	generation->config.policy.report = log_policy;
	generation->config.policy.report_context = parts->log;
	int result = policy_create(&generation->config.policy, &generation->policy, error);
	if (result == 0)
		result = token_verifier_create(&generation->config.token, &generation->tokens, error);
	if (result == 0)
		result = token_verifier_measure(generation->tokens, parts->metrics, error);
	if (result == 0)
		result = open_identity(generation, parts, error);
	if (result < 0) {
		generation->config = (struct config){ 0 }; /* it stays the caller's */
		generation_destroy(generation);
		return result;
	}
	*config = (struct config){ 0 };
	fill_settings(generation, parts);
	*ret_generation = generation;
	return 0;
}

const struct config *generation_config(const struct generation *generation)
{
	return &generation->config;
}

const struct api_settings *generation_api_settings(const struct generation *generation)
{
	return &generation->settings;
}

bool generation_is_unused(const struct generation *generation)
{
	return atomic_load(&generation->is_unused);
}

void generation_stop(struct generation *generation)
{
	if (generation->identity)
		identity_stop(generation->identity);
}

void generation_destroy(struct generation *generation)
{
	if (!generation)
		return;
	identity_destroy(generation->identity);
	token_verifier_destroy(generation->tokens);
	policy_destroy(generation->policy);
	config_clear(&generation->config);
	free(generation);
}
