/* The libvirt driver over libvirt's own test driver. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "libvirt_fixture.h"

#include "base/cleanup.h"
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

void libvirt_two_hosts_begin(struct libvirt_two_hosts *hosts)
{
	char uri[96];

	libvirt_fixture_begin(&hosts->fixture, 5);
	snprintf(hosts->folder, sizeof(hosts->folder), "/tmp/migrationd-host-XXXXXX");
	assert_non_null(mkdtemp(hosts->folder));
	snprintf(hosts->node, sizeof(hosts->node), "%s/node.xml", hosts->folder);
	CLEANUP_FCLOSE FILE *file = fopen(hosts->node, "we");
	assert_non_null(file);
	assert_true(fputs("<node><pool type='dir'><name>" LIBVIRT_POOL "</name><target><path>/" LIBVIRT_POOL
			  "</path></target><volume><name>one</name><capacity>65536</capacity></volume></pool></node>",
			  file)
		    >= 0);
	assert_int_equal(fflush(file), 0);
	snprintf(uri, sizeof(uri), "test://%s", hosts->node);
	hosts->source = libvirt_fixture_open(&hosts->fixture, "two", uri);
}

void libvirt_two_hosts_end(struct libvirt_two_hosts *hosts)
{
	hosts->fixture.driver->operations->close_host(hosts->source);
	libvirt_fixture_end(&hosts->fixture);
	unlink(hosts->node);
	rmdir(hosts->folder);
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
