/* Where live migrations to a host go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "db/hosts.h"
#include "server/settings.h"
#include "server/worker/migration_address.h"

#define TOLD                                                                                                           \
	"{\"nics\": {\"lo\": [], \"eth0\": [\"192.0.2.1\"], \"eth1\": [\"fe80::1\", \"fd00::7\", \"198.51.100.7\"], "  \
	"\"six\": [\"fe80::2\", \"fd00::6\"]}}"

static struct db_host host_with(char *interface, char *interfaces, char *facts)
{
	struct db_host host = { .migration_interface = interface, .interfaces = interfaces, .facts = facts };

	TEXT_COPY(host.name, "compute-1");
	return host;
}

static void expect(const struct db_host *host, const char *pattern, const char *address)
{
	const struct worker_settings settings = { .live_migration_inbound_addr = pattern };
	CLEANUP_FREE char *found = NULL;
	struct error error = { 0 };

	assert_int_equal(migration_address_find(host, &settings, &found, &error), 0);
	if (address)
		assert_string_equal(found, address);
	else
		assert_null(found);
}

static void expect_refusal(const struct db_host *host, const char *words)
{
	const struct worker_settings settings = { .live_migration_inbound_addr = "%s.example" };
	CLEANUP_FREE char *found = NULL;
	struct error error = { 0 };

	assert_int_equal(migration_address_find(host, &settings, &found, &error), -ENODEV);
	assert_string_equal(error.text, words);
	assert_null(found);
}

static void without_a_nic_it_is_the_hosts_own_address_then_novas_pattern(void **state)
{
	struct db_host host = host_with(NULL, NULL, NULL);

	(void)state;
	expect(&host, NULL, NULL);
	expect(&host, "%s.migration.example", "compute-1.migration.example");
	expect(&host, "mig-%s", "mig-compute-1");
	expect(&host, "192.0.2.200", "192.0.2.200");
	host.migration_address = (char *)"198.51.100.9";
	expect(&host, "%s.migration.example", "198.51.100.9");
}

static void a_nic_leads_to_its_address(void **state)
{
	struct db_host host = host_with((char *)"eth1", NULL, (char *)TOLD);

	(void)state;
	expect(&host, "%s.example", "198.51.100.7");
	host.migration_interface = (char *)"six";
	expect(&host, NULL, "fd00::6");
	host.facts = (char *)"{\"nics\": {\"six\": [null, 6, [], \"192.0.2.6\"]}}"; /* what is no text is no address */
	expect(&host, NULL, "192.0.2.6");
	host.facts = (char *)TOLD;
	host.interfaces = (char *)"{\"six\": \"fd00::66\"}"; /* the operator's word goes first */
	expect(&host, NULL, "fd00::66");
}

static void a_nic_without_an_address_is_told_with_what_to_do(void **state)
{
	struct db_host host = host_with((char *)"lo", NULL, (char *)TOLD);

	(void)state;
	expect_refusal(&host, "libvirt does not tell the address of its NIC lo: give it in the host's `interfaces`");
	host.facts = (char *)"{}";
	expect_refusal(&host, "libvirt does not list its NICs: give the address of lo in the host's `interfaces`");
	host.facts = NULL;
	expect_refusal(&host, "its NICs are not known yet");
}

static void a_missing_nic_is_told_with_those_that_are_there(void **state)
{
	struct db_host host = host_with((char *)"eth7", NULL, (char *)TOLD);

	(void)state;
	expect_refusal(&host, "no NIC eth7 for live migrations; it has lo, eth0, eth1, six");
}

static void vhost0_stands_for_the_tunnel_interface_where_a_host_has_none(void **state)
{
	struct db_host host = host_with((char *)"vhost0", NULL, (char *)TOLD);

	(void)state;
	expect_refusal(&host, "no NIC vhost0 for live migrations; it has lo, eth0, eth1, six");
	host.tunnel_interface = (char *)"eth1";
	expect(&host, NULL, "198.51.100.7");
	host.interfaces = (char *)"{\"vhost0\": \"203.0.113.1\"}"; /* Tungsten Fabric */
	expect(&host, NULL, "203.0.113.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_nic_it_is_the_hosts_own_address_then_novas_pattern),
		cmocka_unit_test(a_nic_leads_to_its_address),
		cmocka_unit_test(a_nic_without_an_address_is_told_with_what_to_do),
		cmocka_unit_test(a_missing_nic_is_told_with_those_that_are_there),
		cmocka_unit_test(vhost0_stands_for_the_tunnel_interface_where_a_host_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
