/* Trusted proxies: which addresses a network has, to the bit, and what is believed of what a proxy says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/forwarded.h"

static struct proxies *make_proxies(const char *const *networks, size_t count)
{
	struct proxies *proxies = NULL;
	struct error error = { 0 };

	if (proxies_create(networks, count, &proxies, &error) < 0)
		fail_msg("%s", error.text);
	return proxies;
}

static bool has(const char *network, const char *address)
{
	struct proxies *proxies = make_proxies(&network, 1);
	bool is_in = proxies_have(proxies, address);

	proxies_destroy(proxies);
	return is_in;
}

/* The first and the last address of each, and those one before and one behind: another one in the last bit that counts alone. */
static void a_network_has_its_addresses_to_the_bit(void **state)
{
	static const struct {
		const char *network;
		const char *first;
		const char *last;
		const char *outside[3]; /* NULL: there is none */
	} rows[] = {
		{ "0.0.0.0/0", "0.0.0.0", "255.255.255.255", { "::1", "2001:db8::1", "::fffe:255.255.255.255" } },
		{ "128.0.0.0/1", "128.0.0.0", "255.255.255.255", { "127.255.255.255", "0.0.0.0" } },
		{ "10.0.0.0/7", "10.0.0.0", "11.255.255.255", { "9.255.255.255", "12.0.0.0" } },
		{ "10.0.0.0/8", "10.0.0.0", "10.255.255.255", { "9.255.255.255", "11.0.0.0" } },
		{ "10.128.0.0/9", "10.128.0.0", "10.255.255.255", { "10.127.255.255", "11.0.0.0" } },
		{ "172.16.0.0/12", "172.16.0.0", "172.31.255.255", { "172.15.255.255", "172.32.0.0" } },
		{ "192.0.2.0/23", "192.0.2.0", "192.0.3.255", { "192.0.1.255", "192.0.4.0" } },
		{ "192.0.2.0/24", "192.0.2.0", "192.0.2.255", { "192.0.1.255", "192.0.3.0" } },
		{ "192.0.2.0/25", "192.0.2.0", "192.0.2.127", { "192.0.1.255", "192.0.2.128" } },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.255", { "192.0.2.127", "192.0.3.0" } },
		{ "192.0.2.4/31", "192.0.2.4", "192.0.2.5", { "192.0.2.3", "192.0.2.6" } },
		{ "192.0.2.5/32", "192.0.2.5", "192.0.2.5", { "192.0.2.4", "192.0.2.6" } },
		{ "192.0.2.5", "192.0.2.5", "192.0.2.5", { "192.0.2.4", "192.0.2.6" } },
		{ "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", { NULL } },
		{ "8000::/1", "8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", { "7fff:ffff::", "::1" } },
		{ "2001:db8::/33",
		  "2001:db8::",
		  "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
		  { "2001:db8:8000::", "2001:db7:ffff::" } },
		{ "2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", { "2001:db8:0:1::", "2001:db7::" } },
		{ "2001:db8:0:0:8000::/65",
		  "2001:db8:0:0:8000::",
		  "2001:db8::ffff:ffff:ffff:ffff",
		  { "2001:db8::7fff:ffff:ffff:ffff", "2001:db8:0:1::" } },
		{ "2001:db8::2/127", "2001:db8::2", "2001:db8::3", { "2001:db8::1", "2001:db8::4" } },
		{ "2001:db8::3/128", "2001:db8::3", "2001:db8::3", { "2001:db8::2", "2001:db8::4" } },
		{ "2001:db8::3", "2001:db8::3", "2001:db8::3", { "2001:db8::2", "2001:db8::4" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (!has(rows[i].network, rows[i].first) || !has(rows[i].network, rows[i].last))
			fail_msg("%s lacks its first or its last address", rows[i].network);
		for (size_t j = 0; j < ARRAY_LENGTH(rows[i].outside) && rows[i].outside[j]; j++)
			if (has(rows[i].network, rows[i].outside[j]))
				fail_msg("%s has %s", rows[i].network, rows[i].outside[j]);
	}
}

/* Each length, with the address that differs in the last bit that counts, and the one that differs in the first that does not. */
static void a_network_of_any_length_ends_at_its_last_bit(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits <= 32; bits++) {
		uint32_t base = 0xc0a85aa5, inside = bits < 32 ? base ^ (0x80000000U >> bits) : base;
		uint32_t outside = bits > 0 ? base ^ (0x80000000U >> (bits - 1)) : base;
		CLEANUP_FREE char *network = text_format("192.168.90.165/%u", bits);
		CLEANUP_FREE char *in =
			text_format("%u.%u.%u.%u", inside >> 24, inside >> 16 & 255, inside >> 8 & 255, inside & 255);
		CLEANUP_FREE char *out = text_format("%u.%u.%u.%u", outside >> 24, outside >> 16 & 255,
						     outside >> 8 & 255, outside & 255);
		CLEANUP_FREE char *mapped = text_format("::ffff:%s", in);

		if (!has(network, in) || !has(network, mapped) || (bits > 0 && has(network, out)))
			fail_msg("%s with %s and without %s", network, in, out);
	}
	for (unsigned int bits = 1; bits <= 128; bits++) {
		unsigned int at = (bits - 1) / 16, bit = 0x8000U >> ((bits - 1) % 16);
		CLEANUP_FREE char *network = text_format("a5a5:a5a5:a5a5:a5a5:a5a5:a5a5:a5a5:a5a5/%u", bits);
		CLEANUP_TEXT struct text out = TEXT_EMPTY, in = TEXT_EMPTY;

		for (unsigned int i = 0; i < 8; i++) {
			text_append_format(&out, "%s%x", i ? ":" : "", i == at ? 0xa5a5 ^ bit : 0xa5a5);
			text_append_format(&in, "%s%x", i ? ":" : "",
					   i < at    ? 0xa5a5
					   : i == at ? 0xa5a5 ^ (bit - 1)
						     : 0);
		}
		if (!has(network, in.data) || has(network, out.data))
			fail_msg("%s with %s and without %s", network, in.data, out.data);
	}
}

static void an_ipv4_address_in_ipv6_is_the_same_address(void **state)
{
	(void)state;
	assert_true(has("192.0.2.0/24", "::ffff:192.0.2.9"));
	assert_true(has("::ffff:192.0.2.0/120", "192.0.2.9"));
	assert_false(has("::ffff:192.0.2.0/120", "192.0.3.9"));
	assert_true(has("::ffff:0:0/96", "203.0.113.1"));
	assert_false(has("192.0.2.0/24", "::192.0.2.9")); /* not mapped: another address */
	assert_false(has("192.0.2.0/24", "::ffff:192.0.3.9"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_false(has("::/96", "192.0.2.9"));
}

static void what_is_no_network_is_refused_with_its_text(void **state)
{
	static const char *const texts[] = { "",
					     "/",
					     "/8",
					     "localhost",
					     "10.0.0.0/",
					     "10.0.0.0/33",
					     "10.0.0.0/-1",
					     "10.0.0.0/+8",
					     "10.0.0.0/ 8",
					     "10.0.0.0/8 ",
					     "10.0.0.0/8/8",
					     "10.0.0.0/0x8",
					     "10.0.0.0/255.0.0.0",
					     "10.0.0/8",
					     "256.0.0.0/8",
					     " 10.0.0.0/8",
					     "2001:db8::/129",
					     "2001:db8::/-1",
					     "2001:db8::/",
					     "2001:db8:::/32",
					     "[2001:db8::1]",
					     "fe80::1%eth0",
					     "2001:0db8:0000:0000:0000:0000:192.000.002.001:2001:0db8/32" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		const char *const networks[] = { "192.0.2.1", texts[i] };
		struct proxies *proxies = NULL;
		struct error error = { 0 };

		if (!proxies_expected(texts[i]))
			fail_msg("\"%s\" is taken", texts[i]);
		assert_int_equal(proxies_create(networks, 2, &proxies, &error), -EINVAL);
		assert_non_null(strstr(error.text, texts[i]));
		assert_null(proxies);
	}
	assert_null(proxies_expected("0.0.0.0/0"));
	assert_null(proxies_expected("10.0.0.0/32"));
	assert_null(proxies_expected("::/0"));
	assert_null(proxies_expected("2001:db8::/128"));
}

static void nobody_is_trusted_where_no_network_is_named(void **state)
{
	struct proxies *none = make_proxies(NULL, 0);

	(void)state;
	assert_false(proxies_have(none, "127.0.0.1"));
	assert_false(proxies_have(NULL, "127.0.0.1"));
	proxies_destroy(NULL);
	proxies_destroy(none);
	assert_false(has("0.0.0.0/0", ""));
	assert_false(has("::/0", "unknown"));
}

static void each_of_several_networks_counts(void **state)
{
	static const char *const networks[] = { "10.0.0.0/9", "2001:db8::/33", "192.0.2.7" };
	struct proxies *proxies = make_proxies(networks, ARRAY_LENGTH(networks));

	(void)state;
	assert_true(proxies_have(proxies, "10.127.0.1") && proxies_have(proxies, "2001:db8::1")
		    && proxies_have(proxies, "192.0.2.7"));
	assert_false(proxies_have(proxies, "10.128.0.1") || proxies_have(proxies, "192.0.2.6"));
	proxies_destroy(proxies);
}

struct header {
	const char *name;
	const char *value;
};

#define HEADERS_MAX 4

static const char *find_header(const void *context, const char *name)
{
	const struct header *headers = context;

	for (size_t i = 0; i < HEADERS_MAX && headers[i].name; i++)
		if (strcasecmp(headers[i].name, name) == 0)
			return headers[i].value;
	return NULL;
}

static struct forwarded read_from(const char *peer, const struct header *headers)
{
	static const char *const networks[] = { "192.0.2.0/25", "2001:db8::/33" };
	struct proxies *proxies = make_proxies(networks, ARRAY_LENGTH(networks));
	struct forwarded forwarded;

	memset(&forwarded, 'x', sizeof(forwarded));
	forwarded_read(proxies, peer, find_header, headers, &forwarded);
	proxies_destroy(proxies);
	return forwarded;
}

static void assert_forwarded(const struct header *headers, const struct forwarded *wanted)
{
	struct forwarded found = read_from("192.0.2.1", headers);

	assert_string_equal(found.scheme, wanted->scheme);
	assert_string_equal(found.host, wanted->host);
	assert_string_equal(found.prefix, wanted->prefix);
	assert_string_equal(found.client, wanted->client);
}

static void an_untrusted_peers_words_are_ignored(void **state)
{
	static const struct header all[HEADERS_MAX] = { { "Forwarded", "for=203.0.113.1;proto=https;host=a" },
							{ "X-Forwarded-Prefix", "/nova" } };
	static const char *const peers[] = { "192.0.2.128", "2001:db8:8000::1", "", "unknown" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(peers); i++) {
		struct forwarded found = read_from(peers[i], all);

		assert_string_equal(found.scheme, "");
		assert_string_equal(found.host, "");
		assert_string_equal(found.prefix, "");
		assert_string_equal(found.client, "");
	}
	assert_string_equal(read_from("2001:db8:7fff::1", all).prefix, "/nova");
	assert_string_equal(read_from("::ffff:192.0.2.127", all).client, "203.0.113.1");
}

static void the_client_is_the_last_that_is_no_trusted_proxy(void **state)
{
	static const struct {
		const char *value;
		const char *client;
	} rows[] = {
		{ "203.0.113.9", "203.0.113.9" },
		{ "198.51.100.1, 203.0.113.9", "203.0.113.9" },
		{ "198.51.100.1, 203.0.113.9, 192.0.2.127", "203.0.113.9" },
		{ "198.51.100.1, 192.0.2.128, 192.0.2.127", "192.0.2.128" },
		{ "203.0.113.9,192.0.2.2,\t192.0.2.3 ", "203.0.113.9" },
		{ "192.0.2.2, 192.0.2.3", "192.0.2.2" },
		{ "2001:db8:8000::9, 2001:db8::1", "2001:db8:8000::9" },
		{ "[2001:db8:8000::9]:4711", "2001:db8:8000::9" },
		{ "203.0.113.9:80", "203.0.113.9" },
		{ "::ffff:203.0.113.9", "::ffff:203.0.113.9" },
		{ "203.0.113.9, unknown", "" },
		{ "203.0.113.9, ", "" },
		{ ",", "" },
		{ "", "" },
		{ "203.0.113.9x", "" },
		{ "[203.0.113.9", "" },
		{ "2001:0db8:8000:0000:0000:0000:0000:0000:0000:0000:0009", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct header headers[HEADERS_MAX] = { { "X-Forwarded-For", rows[i].value } };
		struct forwarded found = read_from("192.0.2.1", headers);

		assert_string_equal(found.client, rows[i].client);
	}
}

static void the_first_element_of_forwarded_counts_before_the_older_headers(void **state)
{
	static const struct {
		const char *value;
		struct forwarded wanted;
	} rows[] = {
		{ "for=203.0.113.9;proto=https;host=a.example", { "https", "a.example", "", "203.0.113.9" } },
		{ "proto=http, proto=https;host=b", { "http", "", "", "" } },
		{ "FOR=\"[2001:db8:8000::1]:80\" ; Proto=HTTPS ;HOST=\"a:81\"",
		  { "https", "a:81", "", "2001:db8:8000::1" } },
		{ "for=unknown;by=192.0.2.1", { "", "", "", "" } },
		{ "for=_hidden", { "", "", "", "" } },
		{ "proto=ftp;host=a/b", { "", "", "", "" } },
		{ "proto;host", { "", "", "", "" } },
		{ "proto=\"https", { "https", "", "", "" } },
		{ ";;;", { "", "", "", "" } },
		{ "protox=https;xproto=https", { "", "", "", "" } },
		{ "proto=httpz;host=a", { "", "a", "", "" } },
		{ "proto=ftps;host=a", { "", "a", "", "" } },
		{ "proto=httpss;host=a", { "", "a", "", "" } },
		{ "for=203.0.113.9 host=b;proto=http",
		  { "http", "", "", "203.0.113.9" } }, /* a blank ends a value, and begins none */
		{ "host=\"a\"proto=https;for=203.0.113.9", { "", "a", "", "203.0.113.9" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct header headers[HEADERS_MAX] = { { "Forwarded", rows[i].value },
							     { "X-Forwarded-For", "198.51.100.1" },
							     { "X-Forwarded-Host", "x.example" },
							     { "X-Forwarded-Proto", "https" } };

		assert_forwarded(headers, &rows[i].wanted);
	}
	const struct header empty[HEADERS_MAX] = { { "Forwarded", "" }, { "X-Forwarded-Proto", "https" } };
	assert_forwarded(empty, &(struct forwarded){ .scheme = "https" });
}

static void the_first_of_several_hosts_and_schemes_counts(void **state)
{
	const struct header headers[HEADERS_MAX] = { { "X-Forwarded-Host", "a.example:8443, b.example" },
						     { "X-Forwarded-Proto", "HTTPS,http" } };

	(void)state;
	assert_forwarded(headers, &(struct forwarded){ .scheme = "https", .host = "a.example:8443" });
}

static void what_could_not_stand_in_a_link_is_left_out(void **state)
{
	static const char *const hosts[] = { "", "a/b", "a@b", "a?b", "a\"b", "a<b", "a%2fb", "a\\b", "a\xc3\xa9" };
	static const char *const prefixes[] = { "",     "/",     "///",  "nova",  "/a b",
						"/a?b", "/a\"b", "/a#b", "/a%2f", "/\xc3\xa9" };
	static const char *const schemes[] = { "", "httpss", "htt", "javascript", "https:", "ftp" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		const struct header headers[HEADERS_MAX] = { { "X-Forwarded-Host", hosts[i] } };

		assert_forwarded(headers, &(struct forwarded){ 0 });
	}
	for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
		const struct header headers[HEADERS_MAX] = { { "X-Forwarded-Prefix", prefixes[i] } };

		assert_forwarded(headers, &(struct forwarded){ 0 });
	}
	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
		const struct header headers[HEADERS_MAX] = { { "X-Forwarded-Proto", schemes[i] } };

		assert_forwarded(headers, &(struct forwarded){ 0 });
	}
	const struct header kept[HEADERS_MAX] = { { "X-Forwarded-Prefix", "/a-b._~/C9//" },
						  { "X-Forwarded-Host", "[::1]:80" } };
	assert_forwarded(kept, &(struct forwarded){ .prefix = "/a-b._~/C9", .host = "[::1]:80" });
}

/* 255 characters fit, and one more is too many: it is left out, not cut. */
static void a_host_or_prefix_that_is_too_long_is_left_out(void **state)
{
	(void)state;
	for (size_t length = 255; length <= 256; length++) {
		CLEANUP_FREE char *host = text_format("%0*d", (int)length, 0);
		CLEANUP_FREE char *prefix = text_format("/%0*d", (int)length - 1, 0);
		const struct header headers[HEADERS_MAX] = { { "X-Forwarded-Host", host },
							     { "X-Forwarded-Prefix", prefix } };
		struct forwarded found = read_from("192.0.2.1", headers);

		assert_int_equal(strlen(found.host), length == 255 ? 255 : 0);
		assert_int_equal(strlen(found.prefix), length == 255 ? 255 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_has_its_addresses_to_the_bit),
		cmocka_unit_test(a_network_of_any_length_ends_at_its_last_bit),
		cmocka_unit_test(an_ipv4_address_in_ipv6_is_the_same_address),
		cmocka_unit_test(what_is_no_network_is_refused_with_its_text),
		cmocka_unit_test(nobody_is_trusted_where_no_network_is_named),
		cmocka_unit_test(each_of_several_networks_counts),
		cmocka_unit_test(an_untrusted_peers_words_are_ignored),
		cmocka_unit_test(the_client_is_the_last_that_is_no_trusted_proxy),
		cmocka_unit_test(the_first_element_of_forwarded_counts_before_the_older_headers),
		cmocka_unit_test(the_first_of_several_hosts_and_schemes_counts),
		cmocka_unit_test(what_could_not_stand_in_a_link_is_left_out),
		cmocka_unit_test(a_host_or_prefix_that_is_too_long_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
