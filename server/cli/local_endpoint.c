/* The way to the daemon of this machine. */
#include "server/cli/local_endpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "api/auth/token.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/admin_socket.h"
#include "server/config.h"

#define LIFETIME_S 60

int local_endpoint_url(const struct config *config, char **ret_url, struct error *error)
{
	const struct listener_settings *listener = &config->listener;
	const char *address = listener->address;

	if (listener->port == 0)
		return error_set(error, EINVAL,
				 "listener.port is 0, any free one: say with --endpoint where the daemon listens");
	if (text_equal(address, "0.0.0.0"))
		address = "127.0.0.1";
	else if (text_equal(address, "::"))
		address = "::1";
	bool is_v6 = strchr(address, ':') != NULL;
	*ret_url = text_format("%s://%s%s%s:%" PRId64, listener->certificate_file ? "https" : "http", is_v6 ? "[" : "",
			       address, is_v6 ? "]" : "", listener->port);
	return *ret_url ? 0 : error_no_memory(error);
}

static void destroy_verifier(struct token_verifier **verifier)
{
	token_verifier_destroy(*verifier);
}

/* The token is for the daemon that answers, and for nobody who has the port that its file names by now. */
static int check_port(const struct config *config, const char *answer, struct error *error)
{
	json_t *document = json_loads(answer, 0, NULL);
	json_int_t port = json_integer_value(json_object_get(document, "port"));

	json_decref(document);
	if (port == config->listener.port)
		return 0;
	return error_set(error, EINVAL,
			 "the daemon listens on port %lld, and its configuration says %lld: start it anew, or give "
			 "--endpoint and --token",
			 (long long)port, (long long)config->listener.port);
}

int local_endpoint_token(const struct config *config, char **ret_token, struct error *error)
{
	static const char *const roles[] = { "admin", "manager", "member", "reader" };
	const struct caller bearer = {
		.user_id = "operator",
		.project_id = "operator",
		.roles = roles,
		.role_count = ARRAY_LENGTH(roles),
		.is_admin_project = true,
	};
	CLEANUP(destroy_verifier) struct token_verifier *verifier = NULL;
	CLEANUP_FREE char *answer = NULL;
	int result = admin_socket_ask(config->admin_socket, "{\"verb\": \"ping\"}", &answer, error);

	if (result < 0)
		return result == -EACCES || result == -EPERM ? -EACCES : -EHOSTUNREACH;
	result = check_port(config, answer, error);
	if (result == 0)
		result = token_verifier_create(&config->token, &verifier, error);
	if (result == 0)
		result =
			token_make(verifier, &bearer, NULL, clock_now_us(clock_system()), LIFETIME_S, ret_token, error);
	return result < 0 ? -EINVAL : 0;
}
