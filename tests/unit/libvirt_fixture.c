/* The libvirt driver over libvirt's own test driver. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libvirt_fixture.h"

#include "base/text.h"
#include "server/settings.h"
#include "server/worker/libvirt/driver.h"

void libvirt_fixture_begin(struct libvirt_fixture *fixture, int connect_timeout_s)
{
	static struct hypervisor_settings settings = { .keepalive_interval_s = -1, .keepalive_count = 0 };

	settings.connect_timeout_s = connect_timeout_s;
	*fixture = (struct libvirt_fixture){ 0 };
	assert_int_equal(libvirt_driver_create(&settings, "node", NULL, &fixture->driver, &fixture->error), 0);
	fixture->connection = virConnectOpen("test:///default");
	assert_non_null(fixture->connection);
	fixture->host = libvirt_fixture_open(fixture, "one", "test:///default");
}

void libvirt_fixture_end(struct libvirt_fixture *fixture)
{
	if (fixture->host)
		fixture->driver->operations->close_host(fixture->host);
	virConnectClose(fixture->connection);
	fixture->driver->operations->destroy(fixture->driver);
}

struct hypervisor_host *libvirt_fixture_open(struct libvirt_fixture *fixture, const char *name, const char *uri)
{
	static int64_t host_count;
	struct hypervisor_address address = { .host_id = ++host_count, .name = name, .uri = uri };
	struct hypervisor_host *host = NULL;

	assert_int_equal(fixture->driver->operations->open_host(fixture->driver, &address, &host, &fixture->error), 0);
	return host;
}

char *libvirt_guest_definition(const char *uuid, const char *devices)
{
	return text_format(
		"<domain type='test'><name>guest-%.4s</name><uuid>%s</uuid><memory unit='MiB'>8</memory><vcpu>1</vcpu>"
		"<os><type arch='i686'>hvm</type></os><devices>%s</devices></domain>",
		uuid, uuid, devices);
}

void libvirt_find_real(const char *name, void *ret_function)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert_non_null(found);
	memcpy(ret_function, &found, sizeof(found));
}
