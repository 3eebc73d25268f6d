/* Reading what proxies say. All of it came over a network: nothing is taken that could not stand in a link. */
#include "server/forwarded.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* IPv4 addresses as IPv6 ones that are mapped, so that both are compared alike. */
struct network {
	unsigned char bytes[16];
	unsigned int bits;
};

struct proxies {
	struct network *networks;
	size_t count;
};

/* The first bytes of a text as a text of their own; false when they do not fit. */
static bool cut(char *target, size_t size, const char *text, size_t length)
{
	if (length >= size)
		return false;
	memcpy(target, text, length);
	target[length] = '\0';
	return true;
}

static bool read_address(const char *text, unsigned char ret_bytes[16], bool *ret_is_four)
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	*ret_is_four = inet_pton(AF_INET, text, ret_bytes + 12) == 1;
	if (*ret_is_four) {
		memcpy(ret_bytes, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, text, ret_bytes) == 1;
}

static bool read_network(const char *text, struct network *ret_network)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	int64_t bits;
	bool is_four;

	if (!cut(address, sizeof(address), text, slash ? (size_t)(slash - text) : strlen(text))
	    || !read_address(address, ret_network->bytes, &is_four))
		return false;
	bits = is_four ? 32 : 128;
	if (slash && !text_to_int64(slash + 1, 0, bits, &bits))
		return false;
	ret_network->bits = (unsigned int)bits + (is_four ? 96 : 0);
	return true;
}

const char *proxies_expected(const char *text)
{
	struct network network;

	return read_network(text, &network) ? NULL : "an address like 192.0.2.1 or a network like 2001:db8::/32";
}

int proxies_create(const char *const *texts, size_t count, struct proxies **ret_proxies, struct error *error)
{
	struct proxies *proxies = calloc(1, sizeof(*proxies));

	if (proxies)
		proxies->networks = calloc(count + 1, sizeof(*proxies->networks));
	if (!proxies || !proxies->networks) {
		free(proxies);
		return error_no_memory(error);
	}
	for (proxies->count = 0; proxies->count < count; proxies->count++)
		if (!read_network(texts[proxies->count], &proxies->networks[proxies->count])) {
			const char *text = texts[proxies->count];

			proxies_destroy(proxies);
			return error_set(error, EINVAL, "listener.trusted_proxies: %s is no address and no network",
					 text);
		}
	*ret_proxies = proxies;
	return 0;
}

void proxies_destroy(struct proxies *proxies)
{
	if (!proxies)
		return;
	free(proxies->networks);
	free(proxies);
}

static bool is_in(const struct network *network, const unsigned char *bytes)
{
	unsigned int whole = network->bits / 8, rest = network->bits % 8;

	return memcmp(network->bytes, bytes, whole) == 0
	       && (rest == 0 || (network->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0);
}

bool proxies_have(const struct proxies *proxies, const char *address)
{
	unsigned char bytes[16];
	bool is_four;

	if (!proxies || proxies->count == 0 || !read_address(address, bytes, &is_four))
		return false;
	for (size_t i = 0; i < proxies->count; i++)
		if (is_in(&proxies->networks[i], bytes))
			return true;
	return false;
}

static void take_scheme(const char *value, size_t length, struct forwarded *forwarded)
{
	if (length == 5 && strncasecmp(value, "https", 5) == 0)
		TEXT_COPY(forwarded->scheme, "https");
	else if (length == 4 && strncasecmp(value, "http", 4) == 0)
		TEXT_COPY(forwarded->scheme, "http");
}

static void take_host(const char *value, size_t length, struct forwarded *forwarded)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]";

	if (length > 0 && strspn(value, good) >= length)
		cut(forwarded->host, sizeof(forwarded->host), value, length);
}

static void take_prefix(const char *value, struct forwarded *forwarded)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
	size_t length = strlen(value);

	while (length > 0 && value[length - 1] == '/')
		length--;
	if (value[0] == '/' && strspn(value, good) >= length)
		cut(forwarded->prefix, sizeof(forwarded->prefix), value, length);
}

/* "[2001:db8::1]:4711", "192.0.2.1:80" and plain ones, as an address. */
static bool read_node(const char *value, size_t length, char ret_address[INET6_ADDRSTRLEN])
{
	const char *begin = value, *end = value + length;
	const char *bracket = memchr(value, ']', length);
	const char *colon = memchr(value, ':', length);
	unsigned char bytes[16];
	bool is_four;

	if (length > 0 && *value == '[' && bracket) {
		begin = value + 1;
		end = bracket;
	} else if (colon && !memchr(colon + 1, ':', (size_t)(end - colon) - 1)) {
		end = colon; /* one colon is a port's */
	}
	return cut(ret_address, INET6_ADDRSTRLEN, begin, (size_t)(end - begin))
	       && read_address(ret_address, bytes, &is_four);
}

/* Each proxy adds the one that spoke to it: from the end on, the first that is none of ours is the client. */
static void take_client(const struct proxies *proxies, const char *value, size_t length, struct forwarded *forwarded)
{
	while (length > 0) {
		size_t begin = length;
		char address[INET6_ADDRSTRLEN];

		while (begin > 0 && value[begin - 1] != ',')
			begin--;
		const char *at = value + begin;
		size_t size = length - begin;
		while (size > 0 && (*at == ' ' || *at == '\t')) {
			at++;
			size--;
		}
		while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t'))
			size--;
		if (!read_node(at, size, address))
			return;
		TEXT_COPY(forwarded->client, address);
		if (!proxies_have(proxies, address))
			return;
		length = begin > 0 ? begin - 1 : 0;
	}
}

/* The first element of `Forwarded` only: that of the proxy that the client spoke to. */
static void read_forwarded(const char *value, struct forwarded *forwarded)
{
	while (*value && *value != ',') {
		value += strspn(value, " \t;");
		size_t name_length = strcspn(value, "=,;");

		if (value[name_length] != '=') {
			value += name_length;
			continue;
		}
		const char *name = value;
		const char *text = value + name_length + 1;
		bool is_quoted = *text == '"';
		text += is_quoted;
		size_t length = strcspn(text, is_quoted ? "\"" : ",; \t");
		char address[INET6_ADDRSTRLEN];

		if (name_length == 5 && strncasecmp(name, "proto", 5) == 0)
			take_scheme(text, length, forwarded);
		else if (name_length == 4 && strncasecmp(name, "host", 4) == 0)
			take_host(text, length, forwarded);
		else if (name_length == 3 && strncasecmp(name, "for", 3) == 0 && read_node(text, length, address))
			TEXT_COPY(forwarded->client, address);
		value = text + length;
		value += is_quoted && *value == '"';
		value += strcspn(value, ",;");
	}
}

void forwarded_read(const struct proxies *proxies, const char *peer,
		    const char *(*header)(const void *context, const char *name), const void *context,
		    struct forwarded *ret_forwarded)
{
	const char *value;

	*ret_forwarded = (struct forwarded){ 0 };
	if (!proxies_have(proxies, peer))
		return;
	if ((value = header(context, "Forwarded")) && *value) {
		read_forwarded(value, ret_forwarded);
	} else {
		if ((value = header(context, "X-Forwarded-Proto")))
			take_scheme(value, strcspn(value, ", "), ret_forwarded);
		if ((value = header(context, "X-Forwarded-Host")))
			take_host(value, strcspn(value, ", "), ret_forwarded);
		if ((value = header(context, "X-Forwarded-For")))
			take_client(proxies, value, strlen(value), ret_forwarded);
	}
	if ((value = header(context, "X-Forwarded-Prefix")))
		take_prefix(value, ret_forwarded);
}
