/* Certificates by GnuTLS. A pair that was replaced may still be in a handshake, so that all stay until the end: they are few. */
#include "server/certificate.h"

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define CHAIN_MAX 16
#define FILE_MAX  (1024 * 1024) /* bytes */

struct pair {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned int chain_length;
	gnutls_privkey_t key;
	int64_t expires_s;
	struct pair *older;
};

/* GnuTLS hands the callback nothing of ours. */
static struct pair *_Atomic newest;
/* Of the newest, for who may ask when the pair goes; 0: there is none. */
static _Atomic int64_t newest_expires_s;

static void destroy(struct pair *pair)
{
	if (!pair)
		return;
	for (unsigned int i = 0; i < pair->chain_length; i++)
		gnutls_pcert_deinit(&pair->chain[i]);
	if (pair->key)
		gnutls_privkey_deinit(pair->key);
	free(pair);
}

static void cleanup_pair(struct pair **pair)
{
	destroy(*pair);
}

static void cleanup_certificate(gnutls_x509_crt_t *certificate)
{
	if (*certificate)
		gnutls_x509_crt_deinit(*certificate);
}

static int read_file(const char *path, struct text *ret_content, struct error *error)
{
	CLEANUP_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	ssize_t length;

	if (file < 0)
		return error_set_errno(error, errno, "cannot read %s", path);
	while ((length = read(file, buffer, sizeof(buffer))) > 0 && ret_content->length < FILE_MAX)
		text_append_bytes(ret_content, buffer, (size_t)length);
	if (length < 0)
		return error_set_errno(error, errno, "cannot read %s", path);
	return text_failed(ret_content) ? error_no_memory(error) : 0;
}

static int read_chain(struct pair *pair, const char *path, struct error *error)
{
	CLEANUP_TEXT struct text content = TEXT_EMPTY;
	__attribute__((cleanup(cleanup_certificate))) gnutls_x509_crt_t first = NULL;
	int result = read_file(path, &content, error);

	if (result < 0)
		return result;
	gnutls_datum_t data = { (unsigned char *)content.data, (unsigned int)content.length };
	unsigned int length = CHAIN_MAX;
	int code = data.data ? gnutls_pcert_list_import_x509_raw(pair->chain, &length, &data, GNUTLS_X509_FMT_PEM,
								 GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED)
			     : GNUTLS_E_NO_CERTIFICATE_FOUND;
	if (code < 0)
		return error_set(error, EINVAL, "%s holds no certificate in PEM: %s", path, gnutls_strerror(code));
	pair->chain_length = length;
	if (gnutls_x509_crt_init(&first) < 0)
		return error_no_memory(error);
	code = gnutls_x509_crt_import(first, &pair->chain[0].cert, GNUTLS_X509_FMT_DER);
	if (code < 0)
		return error_set(error, EINVAL, "%s: the certificate cannot be read: %s", path, gnutls_strerror(code));
	pair->expires_s = gnutls_x509_crt_get_expiration_time(first);
	return 0;
}

static int read_key(struct pair *pair, const char *path, struct error *error)
{
	CLEANUP_TEXT struct text content = TEXT_EMPTY;
	int result = read_file(path, &content, error);

	if (result < 0)
		return result;
	gnutls_datum_t data = { (unsigned char *)content.data, (unsigned int)content.length };
	if (gnutls_privkey_init(&pair->key) < 0)
		return error_no_memory(error);
	int code = data.data ? gnutls_privkey_import_x509_raw(pair->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0)
			     : GNUTLS_E_BASE64_DECODING_ERROR;
	if (content.data)
		explicit_bzero(content.data, content.length);
	return code < 0 ? error_set(error, EINVAL, "%s holds no private key in PEM: %s", path, gnutls_strerror(code))
			: 0;
}

/* The public halves of both must be one. */
static int check_match(const struct pair *pair, const char *certificate_file, const char *key_file, struct error *error)
{
	unsigned char ids[2][64];
	size_t sizes[2] = { sizeof(ids[0]), sizeof(ids[1]) };
	gnutls_pubkey_t public = NULL;

	if (gnutls_pubkey_init(&public) < 0)
		return error_no_memory(error);
	int code = gnutls_pubkey_import_privkey(public, pair->key, 0, 0);
	if (code >= 0)
		code = gnutls_pubkey_get_key_id(public, 0, ids[0], &sizes[0]);
	gnutls_pubkey_deinit(public);
	if (code >= 0)
		code = gnutls_pubkey_get_key_id(pair->chain[0].pubkey, 0, ids[1], &sizes[1]);
	if (code < 0)
		return error_set(error, EINVAL, "%s and %s cannot be compared: %s", certificate_file, key_file,
				 gnutls_strerror(code));
	return sizes[0] == sizes[1] && memcmp(ids[0], ids[1], sizes[0]) == 0
		       ? 0
		       : error_set(error, EINVAL, "%s is not the key of the certificate in %s", key_file,
				   certificate_file);
}

static int read_pair(const char *certificate_file, const char *key_file, struct pair **ret_pair, struct error *error)
{
	__attribute__((cleanup(cleanup_pair))) struct pair *pair = calloc(1, sizeof(*pair));

	if (!pair)
		return error_no_memory(error);
	int result = read_chain(pair, certificate_file, error);
	if (result == 0)
		result = read_key(pair, key_file, error);
	if (result == 0)
		result = check_match(pair, certificate_file, key_file, error);
	if (result == 0)
		*ret_pair = TAKE_POINTER(pair);
	return result;
}

int certificate_check(const char *certificate_file, const char *key_file, struct error *error)
{
	__attribute__((cleanup(cleanup_pair))) struct pair *pair = NULL;

	return read_pair(certificate_file, key_file, &pair, error);
}

int certificate_use(const char *certificate_file, const char *key_file, struct error *error)
{
	struct pair *pair = NULL;
	int result = read_pair(certificate_file, key_file, &pair, error);

	if (result < 0)
		return result;
	pair->older = atomic_load(&newest);
	while (!atomic_compare_exchange_weak(&newest, &pair->older, pair))
		;
	atomic_store(&newest_expires_s, pair->expires_s);
	return 0;
}

bool certificate_in_use(int64_t *ret_expires_s)
{
	int64_t expires_s = atomic_load(&newest_expires_s);

	if (expires_s != 0)
		*ret_expires_s = expires_s;
	return expires_s != 0;
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int issuer_count,
		    const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
		    unsigned int *ret_length, gnutls_privkey_t *ret_key)
{
	struct pair *pair = atomic_load(&newest);

	(void)session;
	(void)issuers;
	(void)issuer_count;
	(void)algorithms;
	(void)algorithm_count;
	if (!pair)
		return -1;
	*ret_chain = pair->chain;
	*ret_length = pair->chain_length;
	*ret_key = pair->key;
	return 0;
}

void *certificate_callback(void)
{
	gnutls_certificate_retrieve_function2 *function = retrieve;
	void *pointer;

	_Static_assert(sizeof(pointer) == sizeof(function), "a function is handed over as a pointer");
	memcpy(&pointer, &function, sizeof(pointer));
	return pointer;
}

void certificate_forget(void)
{
	struct pair *pair = atomic_exchange(&newest, NULL);

	atomic_store(&newest_expires_s, 0);
	while (pair) {
		struct pair *older = pair->older;

		destroy(pair);
		pair = older;
	}
}
