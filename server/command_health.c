/* `migrationd health`: whether a daemon answers, for those who restart it when it does not. */
#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/cli/local_endpoint.h"
#include "server/http_fetch.h"
#include "server/verbs.h"

#define TIMEOUT_S 3
#define BODY_MAX  65536

struct health_arguments {
	struct verb_list files;
	const char *url;
	bool is_ready;
};

static int health(void *context)
{
	const struct health_arguments *arguments = context;
	CLEANUP_CONFIG struct config config = { 0 };
	CLEANUP_FREE char *base = arguments->url ? text_format("%s", arguments->url) : NULL;
	CLEANUP_HTTP_RESPONSE struct http_response response = { 0 };
	struct error error = { 0 };
	bool is_configured = arguments->files.count > 0 || access(VERB_CONFIG_DEFAULT, F_OK) == 0;
	int result = http_fetch_prepare(&error);
	int status = arguments->url  ? 0
		     : is_configured ? command_read_config(&arguments->files, false, &config)
				     : -config_defaults(&config, &error);

	if (status != 0)
		return status < 0 ? EXIT_FAILURE : status;
	if (result == 0 && !base)
		result = local_endpoint_url(&config, &base, &error);

	CLEANUP_FREE char *url = base ? text_format("%s/%s", base, arguments->is_ready ? "readyz" : "healthz") : NULL;
	const struct http_request request = {
		.url = url,
		.ca_file = config.listener.certificate_file,
		.ignores_name = true,
		.goes_direct = !arguments->url,
		.timeout_s = TIMEOUT_S,
		.body_max = BODY_MAX,
	};
	if (result == 0)
		result = url ? http_fetch(&request, &response, &error) : error_no_memory(&error);
	if (result == 0 && response.status == 200)
		return EXIT_SUCCESS;
	if (result == 0)
		fprintf(stderr, "migrationd health: %s answers with status %ld: %.200s\n", url, response.status,
			response.body);
	else
		fprintf(stderr, "migrationd health: %s\n", error.text);
	return EXIT_FAILURE;
}

static const struct verb_argument options[] = {
	{ "URL", "url", "the daemon's base URL; by the configuration without it", VERB_TEXT,
	  .offset = offsetof(struct health_arguments, url) },
	{ NULL, "ready", "whether it can do its work, too: /readyz in place of /healthz", VERB_SWITCH,
	  .offset = offsetof(struct health_arguments, is_ready) },
	VERB_OPTION_CONFIG(struct health_arguments, files),
};

static const char *const description[] = {
	"The exit status is 0 when it answers within three seconds, else 1 with a line that says why. It needs no "
	"token. Without a "
	"configuration the listener's defaults hold.",
	NULL,
};

const struct verb verb_health = {
	.name = "health",
	.summary = "asks the daemon whether it is alive",
	.description = description,
	.options = VERB_ROWS(options),
	.arguments_size = sizeof(struct health_arguments),
	.run = health,
};
