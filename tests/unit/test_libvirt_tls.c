/* Whose certificate it was, in words; and which URIs carry our own certificates. */
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
#include "server/worker/libvirt/tls.h"
#include "server/worker/libvirt/uri.h"

static void expect(const char *words, const char *beginning)
{
	const struct tls_sides sides = { "one", "two", "192.0.2.2" };
	struct error error = { 0 };

	error_set(&error, EIO, "%s", words);
	tls_explain_move(&error, &sides);
	assert_true(text_starts_with(error.text, beginning));
	assert_true(text_ends_with(error.text, words)); /* libvirt's own words stay */
}

static void words_of_qemu_are_told_with_the_host_whose_certificate_it_is(void **state)
{
	(void)state;
	expect("unable to execute QEMU command 'object-add': The server certificate /x/server-cert.pem has expired",
	       "TLS: QEMU on host two has a certificate that has expired");
	expect("unable to execute QEMU command 'object-add': The client certificate /x/client-cert.pem has expired",
	       "TLS: QEMU on host one has a certificate that has expired");
	expect("Unable to access credentials /x/server-cert.pem: No such file or directory",
	       "TLS: QEMU on host two has no certificate");
	expect("job 'migration out' failed: The certificate hasn't got a known issuer",
	       "TLS: QEMU on host two has a certificate of a CA that the other side does not know");
	expect("job 'migration out' failed: Certificate does not match the hostname 192.0.2.2",
	       "TLS: QEMU on host two has a certificate that is not for the name 192.0.2.2");
	expect("job 'migration out' failed: Cannot write to TLS channel: Input/output error",
	       "TLS: QEMU on host one shows no certificate");
	expect("operation failed: the disk is full", "operation failed");
}

static void expect_uris(const char *uri, const char *ours, const char *peers)
{
	CLEANUP_FREE char *with = uri_with_pki(uri, "/etc/my pki");
	CLEANUP_FREE char *without = uri_for_peer(with);

	assert_string_equal(with, ours);
	assert_string_equal(without, peers);
}

static void our_certificates_are_in_our_uris_alone(void **state)
{
	(void)state;
	expect_uris("qemu+tls://a/system", "qemu+tls://a/system?pkipath=/etc/my%20pki", "qemu+tls://a/system");
	expect_uris("qemu+tls://a/system?no_verify=0", "qemu+tls://a/system?no_verify=0&pkipath=/etc/my%20pki",
		    "qemu+tls://a/system?no_verify=0");
	expect_uris("qemu+tls://a/s?pkipath=/x&mode=direct", "qemu+tls://a/s?pkipath=/x&mode=direct",
		    "qemu+tls://a/s?mode=direct");
	expect_uris("qemu+tcp://a/system", "qemu+tcp://a/system", "qemu+tcp://a/system");
	expect_uris("qemu:///system", "qemu:///system", "qemu:///system");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_qemu_are_told_with_the_host_whose_certificate_it_is),
		cmocka_unit_test(our_certificates_are_in_our_uris_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
