/* The libvirt driver logs in where libvirt asks for it: against libvirt's own test driver, which does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "server/settings.h"
#include "server/worker/hypervisor.h"
#include "server/worker/libvirt/driver.h"

static const struct hypervisor_settings settings = { .connect_timeout_s = 5,
						     .keepalive_interval_s = -1,
						     .keepalive_count = 0 };

static void write_file(const char *path, const char *text)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static int look(struct hypervisor *driver, const struct hypervisor_address *address, struct error *error)
{
	struct hypervisor_host *host = NULL;
	struct guest_list guests = { 0 };

	assert_int_equal(driver->operations->open_host(driver, address, &host, error), 0);
	int result = driver->operations->list_guests(host, &guests, error);
	guest_list_clear(&guests);
	driver->operations->close_host(host);
	return result;
}

static void a_host_with_a_login_is_reached_with_the_right_password_alone(void **state)
{
	char folder[] = "/tmp/migrationd-login-XXXXXX";
	char node[64], password[64], uri[96];
	struct hypervisor *driver = NULL;
	struct error error = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(node, sizeof(node), "%s/node.xml", folder);
	snprintf(password, sizeof(password), "%s/password", folder);
	snprintf(uri, sizeof(uri), "test://%s", node);
	write_file(node, "<node><auth><user password='open sesame'>astrochicken</user></auth></node>");
	write_file(password, "open sesame\n");
	struct hypervisor_address address = {
		.host_id = 1, .name = "one", .uri = uri, .user_name = "astrochicken", .password_file = password
	};
	assert_int_equal(libvirt_driver_create(&settings, "node", NULL, &driver, &error), 0);
	if (look(driver, &address, &error) < 0)
		fail_msg("%s", error.text);

	write_file(password, "wrong\n");
	assert_int_equal(look(driver, &address, &error), -EHOSTUNREACH);
	assert_non_null(strstr(error.text, "one"));
	address.user_name = NULL;
	assert_int_equal(look(driver, &address, &error), -EHOSTUNREACH);
	driver->operations->destroy(driver);
	unlink(node);
	unlink(password);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_with_a_login_is_reached_with_the_right_password_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
