/* The listener's certificate: which pairs are taken, and that one that cannot be used leaves the one before. */
#include <errno.h>
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
#include "base/text.h"
#include "server/certificate.h"
#include "tests/unit/certificate_fixture.h"

#define FIRST_S  INT64_C(4102444800) /* 2100-01-01 */
#define SECOND_S INT64_C(4133980800) /* 2101-01-01 */

struct fixture {
	char directory[64];
	char certificate[80], key[80], other_certificate[80], other_key[80], text[80];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	TEXT_COPY(fixture->directory, "/tmp/migrationd-certificate-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->certificate, sizeof(fixture->certificate), "%.60s/cert.pem", fixture->directory);
	snprintf(fixture->key, sizeof(fixture->key), "%.60s/key.pem", fixture->directory);
	snprintf(fixture->other_certificate, sizeof(fixture->other_certificate), "%.60s/cert2.pem", fixture->directory);
	snprintf(fixture->other_key, sizeof(fixture->other_key), "%.60s/key2.pem", fixture->directory);
	snprintf(fixture->text, sizeof(fixture->text), "%.60s/text", fixture->directory);
	certificate_fixture_write(fixture->certificate, fixture->key, FIRST_S);
	certificate_fixture_write(fixture->other_certificate, fixture->other_key, SECOND_S);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	certificate_forget();
	unlink(fixture->certificate);
	unlink(fixture->key);
	unlink(fixture->other_certificate);
	unlink(fixture->other_key);
	unlink(fixture->text);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

static void put(const char *path, const char *content)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
}

/* All of it, `times` times over. */
static void repeat(const char *from, int times, const char *to)
{
	CLEANUP_FCLOSE FILE *source = fopen(from, "re");
	CLEANUP_FREE char *content = calloc(1, 8192);

	assert_non_null(source);
	assert_true(fread(content, 1, 8191, source) > 0);
	CLEANUP_FCLOSE FILE *target = fopen(to, "we");
	assert_non_null(target);
	for (int i = 0; i < times; i++)
		assert_true(fputs(content, target) >= 0);
}

/* 0: none is in use. */
static int64_t end_in_use(void)
{
	int64_t expires_s = 0;

	return certificate_in_use(&expires_s) ? expires_s : 0;
}

static void the_pair_that_was_given_last_is_in_use(void **state)
{
	const struct fixture *fixture = *state;
	struct error error = { 0 };

	assert_int_equal(end_in_use(), 0);
	assert_int_equal(certificate_use(fixture->certificate, fixture->key, &error), 0);
	assert_int_equal(end_in_use(), FIRST_S);
	assert_int_equal(certificate_use(fixture->other_certificate, fixture->other_key, &error), 0);
	assert_int_equal(end_in_use(), SECOND_S);
	certificate_forget();
	assert_int_equal(end_in_use(), 0);
}

static void a_check_takes_nothing_into_use(void **state)
{
	const struct fixture *fixture = *state;
	struct error error = { 0 };

	assert_int_equal(certificate_check(fixture->certificate, fixture->key, &error), 0);
	assert_int_equal(end_in_use(), 0);
}

static void a_pair_that_cannot_be_used_leaves_the_one_before(void **state)
{
	const struct fixture *fixture = *state;
	const struct {
		const char *certificate;
		const char *key;
		int result;
		const char *words;
	} rows[] = {
		{ fixture->certificate, fixture->other_key, -EINVAL, "is not the key of the certificate in" },
		{ fixture->other_certificate, fixture->key, -EINVAL, "is not the key of the certificate in" },
		{ fixture->key, fixture->certificate, -EINVAL, "holds no certificate in PEM" },
		{ fixture->text, fixture->key, -EINVAL, "holds no certificate in PEM" },
		{ fixture->certificate, fixture->text, -EINVAL, "holds no private key in PEM" },
		{ "/nonexistent/cert.pem", fixture->key, -ENOENT, "cannot read /nonexistent/cert.pem" },
		{ fixture->certificate, "/nonexistent/key.pem", -ENOENT, "cannot read /nonexistent/key.pem" },
		{ fixture->directory, fixture->key, -EISDIR, "cannot read" },
		{ fixture->certificate, fixture->directory, -EISDIR, "cannot read" },
	};
	static const char *const contents[] = { "", "none\n", "-----BEGIN CERTIFICATE-----\n",
						"-----BEGIN PRIVATE KEY-----\nAAAA\n" };
	struct error error = { 0 };

	assert_int_equal(certificate_use(fixture->other_certificate, fixture->other_key, &error), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
		for (size_t j = 0; j < ARRAY_LENGTH(contents); j++) {
			error_clear(&error);
			put(fixture->text, contents[j]);
			assert_int_equal(certificate_check(rows[i].certificate, rows[i].key, &error), rows[i].result);
			assert_non_null(strstr(error.text, rows[i].words));
			assert_int_equal(certificate_use(rows[i].certificate, rows[i].key, &error), rows[i].result);
			assert_int_equal(end_in_use(), SECOND_S);
		}
}

static void a_chain_has_sixteen_certificates_at_most(void **state)
{
	const struct fixture *fixture = *state;
	struct error error = { 0 };

	repeat(fixture->certificate, 16, fixture->text);
	assert_int_equal(certificate_check(fixture->text, fixture->key, &error), 0);
	repeat(fixture->certificate, 17, fixture->text);
	assert_int_equal(certificate_check(fixture->text, fixture->key, &error), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_pair_that_was_given_last_is_in_use),
		TEST(a_check_takes_nothing_into_use),
		TEST(a_pair_that_cannot_be_used_leaves_the_one_before),
		TEST(a_chain_has_sixteen_certificates_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
