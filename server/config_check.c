/* What is wrong though each value has its type: texts of no good form, and keys that need or exclude one another. */
#include "server/certificate.h"
#include "server/config_table.h"
#include "server/fleet.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define HOST_NAME_MAX_LENGTH 255

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

/* As the API takes them (Nova's pattern for host names). */
const char *config_expected_host_name(const char *text)
{
	size_t length = strlen(text);

	return strspn(text, name_characters) == length && length <= HOST_NAME_MAX_LENGTH
		       ? NULL
		       : "a name of at most 255 letters, digits, - . and _";
}

const char *config_expected_uri(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+");

	return colon && colon != text && text + scheme == colon && colon[1] == '/'
		       ? NULL
		       : "a libvirt URI like qemu+tls://HOST/system";
}

static bool is_address(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

const char *config_expected_listen_address(const char *text)
{
	return is_address(text) ? NULL : "an IPv4 or IPv6 address in figures";
}

/* As the kernel takes them (dev_valid_name). */
const char *config_expected_interface(const char *text)
{
	enum { LONGEST = 15 };
	size_t length = strlen(text);
	bool is_good = length > 0 && length <= LONGEST && strcmp(text, ".") != 0 && strcmp(text, "..") != 0
		       && !strpbrk(text, "/: \t\n\v\f\r");

	return is_good ? NULL : "the name of a NIC: at most 15 characters without blanks, / and :";
}

const char *config_expected_address(const char *text)
{
	return is_address(text) ? NULL : "an IPv4 or IPv6 address";
}

/* A zone ("fe80::1%eth0") means something on one machine only, and brackets belong to URIs. */
const char *config_expected_migration_address(const char *text)
{
	static const char expected[] = "an IPv4 or IPv6 address without brackets and zone, or a host name";
	const char *mark = strstr(text, "%s");
	char name[HOST_NAME_MAX_LENGTH + 1];

	if (is_address(text))
		return NULL;
	if (strlen(text) > HOST_NAME_MAX_LENGTH)
		return expected;
	snprintf(name, sizeof(name), "%.*s%s", mark ? (int)(mark - text) : HOST_NAME_MAX_LENGTH, text,
		 mark ? mark + 2 : "");
	return strspn(name, name_characters) == strlen(name) ? NULL : expected;
}

const char *config_expected_endpoint(const char *text)
{
	bool has_scheme = text_starts_with(text, "http://") || text_starts_with(text, "https://");

	return has_scheme && !text_ends_with(text, "/") && !strpbrk(text, "?# \t\r\n\"<>")
		       ? NULL
		       : "a URL that begins with http:// or https:// and has no slash at its end";
}

const char *config_expected_algorithm(const char *text)
{
	static const char *const algorithms[] = { "HS256", "HS384", "HS512", "RS256", "RS384",
						  "RS512", "ES256", "ES384", "ES512" };

	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
		if (strcmp(text, algorithms[i]) == 0)
			return NULL;
	return "HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384 or ES512";
}

/* The token room itself says whether it could use the key. */
int config_check_token_key(const void *item, struct error *error)
{
	const struct token_settings settings = { .keys = item, .key_count = 1 };
	struct token_verifier *verifier = NULL;
	int result = token_verifier_create(&settings, &verifier, error);

	token_verifier_destroy(verifier);
	return result;
}

const char *config_expected_url(const char *text)
{
	bool has_scheme = text_starts_with(text, "http://") || text_starts_with(text, "https://");

	return has_scheme && !strpbrk(text, " \t\r\n\"<>") ? NULL : "a URL that begins with http:// or https://";
}

int config_check_key_set(const void *item, struct error *error)
{
	const struct key_set_settings *settings = item;

	if (!settings->url == !settings->file)
		return error_set(error, EINVAL, "give a url or a file, and only one of them");
	return 0;
}

struct tree_mark config_mark_of(const struct tree_node *document, const char *section, const char *key)
{
	const struct tree_entry *outer = tree_find(document, section);
	const struct tree_entry *inner = outer ? tree_find(outer->value, key) : NULL;

	return inner ? inner->mark : outer ? outer->mark : (struct tree_mark){ document->mark.file, 1 };
}

/* Both or none. */
static void check_pair(struct config_reader *reader, struct tree_mark mark, const char *first_name, const char *first,
		       const char *second_name, const char *second)
{
	if (!first != !second)
		config_problem(reader, mark, NULL, "%s needs %s", first ? first_name : second_name,
			       first ? second_name : first_name);
}

/* The pair is judged before the listener has to take it. */
static void check_certificate(struct config_reader *reader, const struct tree_node *document)
{
	const struct listener_settings *listener = &reader->config->listener;
	struct error error = { 0 };

	if (reader->problem_count > 0 || !listener->certificate_file || !listener->key_file)
		return;
	if (certificate_check(listener->certificate_file, listener->key_file, &error) < 0)
		config_problem(reader, config_mark_of(document, "listener", "certificate_file"), NULL, "listener: %s",
			       error.text);
}

static void check_hosts(struct config_reader *reader)
{
	const struct config *config = reader->config;

	for (size_t i = 0; i < config->host_count; i++) {
		const struct host_settings *host = &config->hosts[i];

		check_pair(reader, *host->mark, "username", host->user_name, "password_file", host->password_file);
		for (size_t j = 0; host->name && j < i; j++)
			if (text_equal(config->hosts[j].name, host->name))
				config_problem(reader, *host->mark, NULL,
					       "the host %s stands here a second time, first in line %u", host->name,
					       config->hosts[j].mark->line);
	}
}

/* A host's own address and a NIC would be two answers to one question. */
static void check_migration_address(struct config_reader *reader, const struct host_settings *host)
{
	if (host->migration_address && host->live_migration_interface)
		config_problem(
			reader, *host->mark, NULL,
			"host %s: migration_address and live_migration_interface %s both say where its migrations "
			"go: leave one of them out",
			host->name, host->live_migration_interface);
}

/* Each host gets what its labels say; `migrationd check` shows it with where it stands. */
static void fill_hosts(struct config_reader *reader)
{
	struct config *config = reader->config;

	for (size_t i = 0; i < config->host_count; i++) {
		const struct config_place list = { .name = "hosts" }, item = { .parent = &list, .index = i };
		const struct config_place place = { .parent = &item, .name = "live_migration_interface" };
		struct fleet_marks marks;

		if (!config->hosts[i].name)
			continue;
		fleet_fill_host(&config->fleet, &config->hosts[i], &marks);
		if (marks.live_migration_interface)
			config_note_origin(reader, &place, *marks.live_migration_interface);
		check_migration_address(reader, &config->hosts[i]);
	}
}

/* TLS that is demanded is demanded of every connection. */
static void check_tls(struct config_reader *reader)
{
	const struct config *config = reader->config;

	for (size_t i = 0; config->worker.live_migration_with_native_tls && i < config->host_count; i++)
		if (config->hosts[i].uri && text_starts_with(config->hosts[i].uri, "qemu+tcp:"))
			config_problem(
				reader, *config->hosts[i].mark, NULL,
				"host %s: TLS is demanded (libvirt.live_migration_with_native_tls), but %s is not "
				"encrypted: use qemu+tls",
				config->hosts[i].name ? config->hosts[i].name : "?", config->hosts[i].uri);
}

/* As Nova refuses it: QEMU cannot switch several connections to post-copy (before 10.1). */
static void check_postcopy(struct config_reader *reader, const struct tree_node *document)
{
	const struct worker_settings *settings = &reader->config->worker;

	if (settings->live_migration_permit_post_copy && settings->live_migration_parallel_connections > 1)
		config_problem(reader, config_mark_of(document, "libvirt", "live_migration_parallel_connections"), NULL,
			       "libvirt.live_migration_parallel_connections of more than 1 and "
			       "libvirt.live_migration_permit_post_copy exclude each other: QEMU has no post-copy over "
			       "several connections; leave one of them out");
}

/* Nova's scheme is that of libvirt's connections between hosts; here each host's URI says it, and the two must agree. */
static void check_scheme(struct config_reader *reader)
{
	const struct config *config = reader->config;
	const char *scheme = config->worker.live_migration_scheme;
	CLEANUP_FREE char *part = scheme ? text_format("+%s:", scheme) : NULL;

	for (size_t i = 0; part && i < config->host_count; i++)
		if (config->hosts[i].uri && text_starts_with(config->hosts[i].uri, "qemu")
		    && !strstr(config->hosts[i].uri, part))
			config_problem(reader, *config->hosts[i].mark, NULL,
				       "host %s: libvirt.live_migration_scheme is %s, but its URI is %s",
				       config->hosts[i].name ? config->hosts[i].name : "?", scheme,
				       config->hosts[i].uri);
}

static void check_driver(struct config_reader *reader, const struct tree_node *document)
{
	const struct hypervisor_settings *settings = &reader->config->hypervisor;
	bool is_simulated = settings->driver == HYPERVISOR_DRIVER_SIMULATED;

	if (settings->control_socket && !is_simulated)
		config_problem(reader, config_mark_of(document, "hypervisor", "control_socket"), NULL,
			       "hypervisor.control_socket is for the driver simulated only");
}

/* Twice the same kid, or too many keys: what one key alone does not show. */
static void check_keys(struct config_reader *reader, const struct tree_node *document)
{
	const struct token_settings *token = &reader->config->token;
	struct token_verifier *verifier = NULL;
	struct error error = { 0 };

	if (reader->problem_count > 0 || token->key_count == 0)
		return;
	if (token_verifier_create(token, &verifier, &error) < 0)
		config_problem(reader, config_mark_of(document, "auth", "keys"), NULL, "auth.keys: %s", error.text);
	token_verifier_destroy(verifier);
}

static void on_policy_fault(void *context, const char *text)
{
	config_problem(context, CONFIG_NOWHERE, NULL, "%s", text);
}

/* A value that is no rule takes the whole file with it; a rule that can only fail would be found out by those it locks out.
 * The words have file and line. */
static void check_policies(struct config_reader *reader)
{
	struct policy *policy = NULL;
	struct error error = { 0 };

	if (reader->config->policy.override_count == 0)
		return;
	int result = policy_create(&reader->config->policy, &policy, &error);
	if (result < 0)
		config_problem(reader, CONFIG_NOWHERE, NULL, "%s", error.text);
	else if (policy_find_faults(policy, on_policy_fault, reader, &error) < 0)
		config_out_of_memory(reader);
	policy_destroy(policy);
}

/* Somebody must be able to judge a token. */
static void check_vouching(struct config_reader *reader, const struct tree_node *document)
{
	struct config *config = reader->config;
	const struct keystone_settings *keystone = &config->identity.keystone;
	const struct tree_entry *auth = tree_find(document, "auth");

	config->token.key_set_count = config->identity.key_set_count;
	config->token.has_authority = keystone->url || config->identity.key_set_count || config->simulation.token_count;
	if (keystone->url && !keystone->password_file)
		config_problem(reader, config_mark_of(document, "identity", "keystone"), NULL,
			       "identity.keystone.password_file: is missing: a file with the password of %s",
			       keystone->username);
	if (config->identity.key_set_count > TOKEN_KEY_SETS_MAX)
		config_problem(reader, config_mark_of(document, "identity", "jwks"), NULL,
			       "identity.jwks: %zu sets are too many: at most %d", config->identity.key_set_count,
			       TOKEN_KEY_SETS_MAX);
	if (config->token.key_count > 0 || config->token.has_authority || !config->path)
		return;
	bool is_empty = auth && tree_find(auth->value, "keys") && reader->problem_count == 0;
	bool is_missing = (!auth || !tree_find(auth->value, "keys"))
			  && (document->kind == TREE_MAPPING || tree_is_null(document));
	if (is_empty)
		config_problem(reader, config_mark_of(document, "auth", "keys"), NULL,
			       "auth.keys: at least one key is needed");
	else if (is_missing)
		config_problem(reader, config_mark_of(document, "auth", "keys"), NULL,
			       "auth.keys: is missing: keys that tokens are verified with");
}

void config_check(struct config_reader *reader, const struct tree_node *document)
{
	const struct config *config = reader->config;

	check_pair(reader, config_mark_of(document, "listener", "certificate_file"), "listener.certificate_file",
		   config->listener.certificate_file, "listener.key_file", config->listener.key_file);
	check_certificate(reader, document);
	check_driver(reader, document);
	config_check_simulation(reader, document);
	check_vouching(reader, document);
	check_postcopy(reader, document);
	check_hosts(reader);
	fill_hosts(reader);
	check_tls(reader);
	check_scheme(reader);
	check_keys(reader, document);
	check_policies(reader);
}
