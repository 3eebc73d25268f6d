/* Certificates for tests, by GnuTLS. */
#include "tests/unit/certificate_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void write_whole(const char *path, gnutls_datum_t *pem)
{
	if (path) {
		CLEANUP_FCLOSE FILE *file = fopen(path, "we");

		assert_non_null(file);
		assert_int_equal(fwrite(pem->data, 1, pem->size, file), pem->size);
	}
	gnutls_free(pem->data);
}

void certificate_fixture_write(const char *certificate_path, const char *key_path, int64_t expires_s)
{
	static const char serial[] = "\x01", name[] = "test";
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t certificate = NULL;
	gnutls_datum_t pem = { 0 };

	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
	assert_int_equal(gnutls_x509_crt_set_version(certificate, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(certificate, serial, 1), 0);
	assert_int_equal(
		gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name, sizeof(name) - 1), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(certificate, 0), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(certificate, (time_t)expires_s), 0);
	assert_int_equal(gnutls_x509_crt_set_key(certificate, key), 0);
	assert_int_equal(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem), 0);
	write_whole(certificate_path, &pem);
	assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
	write_whole(key_path, &pem);
	gnutls_x509_crt_deinit(certificate);
	gnutls_x509_privkey_deinit(key);
}
