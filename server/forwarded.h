/* What a proxy in front of us says of the client: by `Forwarded` (RFC 7239), or else by X-Forwarded-*, as OpenStack's own services
 * read them (oslo.middleware, HTTPProxyToWSGI). Believed only when the peer is a proxy that the operator trusts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct proxies; /* trusted addresses and networks; read-only */

/* Addresses and networks in figures: "192.0.2.1", "2001:db8::/32". -EINVAL names one that is none. */
int proxies_create(const char *const *texts, size_t count, struct proxies **ret_proxies, struct error *error);
void proxies_destroy(struct proxies *proxies); /* NULL is fine */
/* NULL when it is an address or a network, else what was expected. */
const char *proxies_expected(const char *text);
bool proxies_have(const struct proxies *proxies, const char *address);

struct forwarded {
	char scheme[8]; /* "http", "https"; "": not said */
	char host[256]; /* with its port; "" */
	char prefix[256]; /* of the path, from a slash on, without one at its end; "" */
	char client[64]; /* the address that is no proxy of ours; "" */
};

/* All "" unless the peer is trusted. A value that could not stand in a URL is left out. */
void forwarded_read(const struct proxies *proxies, const char *peer,
		    const char *(*header)(const void *context, const char *name), const void *context,
		    struct forwarded *ret_forwarded);
