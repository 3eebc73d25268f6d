/* From a token's text to its bearer. The difficulty is that libjwt believes the header: it verifies by the algorithm that
 * the token names. So the header is read here first and only selects among the keys, each of which has one algorithm;
 * libjwt sees nothing but a token whose header names the algorithm of the key that goes with it, and whose three segments
 * the strict readers have passed (its own writes behind an empty segment, and skips what is no base64url). */
#include "api/auth/token.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/auth/base64url.h"
#include "api/auth/hostile_json.h"
#include "api/auth/key_set.h"
#include "api/auth/token_claims.h"
#include "api/auth/token_key.h"
#include "api/auth/token_memory.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/text.h"

#define KEY_MAX        64
#define REMEMBERED_MAX 1048576
#define LIFETIME_MAX_S INT64_C(315576000) /* ten years */
#define SECOND_US      INT64_C(1000000)

struct token_verifier {
	struct key *keys;
	size_t key_count;
	pthread_rwlock_t sets_lock; /* guards the sets */
	struct key_set *sets[TOKEN_KEY_SETS_MAX]; /* NULL: not read yet */
	unsigned char set_digests[TOKEN_KEY_SETS_MAX][TOKEN_DIGEST_SIZE];
	atomic_uint generation; /* of the sets: what was remembered falls with a change */
	size_t set_count;
	struct token_claims claims;
	struct digester *digester;
	struct token_memory *memory;
	atomic_uint_fast64_t recalled;
	atomic_uint_fast64_t verified;
	atomic_uint_fast64_t refused;
	struct metric_family *checks; /* NULL: nobody measures */
};

/* How a check ends, to be counted. */
enum { CHECK_REMEMBERED, CHECK_VERIFIED, CHECK_REFUSED };

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static void cleanup_jwt(jwt_t **jwt)
{
	jwt_free(*jwt);
}

static void cleanup_verifier(struct token_verifier **verifier)
{
	token_verifier_destroy(*verifier);
}

#define CLEANUP_JSON     __attribute__((cleanup(cleanup_json)))
#define CLEANUP_JWT      __attribute__((cleanup(cleanup_jwt)))
#define CLEANUP_VERIFIER __attribute__((cleanup(cleanup_verifier)))

static int load_keys(struct token_verifier *verifier, const struct token_settings *settings, struct error *error)
{
	bool needs_key = settings->key_set_count == 0 && !settings->has_authority;

	if ((settings->key_count == 0 && needs_key) || settings->key_count > KEY_MAX)
		return error_set(error, EINVAL, "tokens need 1 to %d keys, and %zu are configured", KEY_MAX,
				 settings->key_count);
	verifier->keys = calloc(settings->key_count + 1, sizeof(*verifier->keys));
	if (!verifier->keys)
		return error_no_memory(error);
	for (size_t i = 0; i < settings->key_count; i++) {
		struct key *key = &verifier->keys[i];
		int result = key_load(&settings->keys[i], i + 1, key, error);

		if (result < 0)
			return result;
		for (size_t before = 0; before < i && key->kid; before++)
			if (text_equal(verifier->keys[before].kid, key->kid)) {
				key_clear(key);
				return error_set(error, EINVAL, "token keys %zu and %zu have the same kid", before + 1,
						 i + 1);
			}
		verifier->key_count++;
	}
	return 0;
}

int token_verifier_create(const struct token_settings *settings, struct token_verifier **ret_verifier,
			  struct error *error)
{
	CLEANUP_VERIFIER struct token_verifier *verifier = calloc(1, sizeof(*verifier));
	size_t remembered_max = settings->remembered_max > 0 ? settings->remembered_max : TOKEN_REMEMBERED_DEFAULT;
	int result;

	if (!verifier)
		return error_no_memory(error);
	if (remembered_max > REMEMBERED_MAX)
		return error_set(error, EINVAL, "%zu tokens to remember are too many: at most %d", remembered_max,
				 REMEMBERED_MAX);
	pthread_rwlock_init(&verifier->sets_lock, NULL);
	if (settings->key_set_count > TOKEN_KEY_SETS_MAX)
		return error_set(error, EINVAL, "%zu key sets are too many: at most %d", settings->key_set_count,
				 TOKEN_KEY_SETS_MAX);
	verifier->set_count = settings->key_set_count;
	result = load_keys(verifier, settings, error);
	if (result == 0)
		result = token_claims_init(settings, &verifier->claims, error);
	if (result < 0)
		return result;
	verifier->digester = digester_create();
	verifier->memory = token_memory_create(remembered_max);
	if (!verifier->digester || !verifier->memory)
		return error_no_memory(error);
	*ret_verifier = TAKE_POINTER(verifier);
	return 0;
}

void token_verifier_destroy(struct token_verifier *verifier)
{
	if (!verifier)
		return;
	for (size_t i = 0; i < verifier->key_count; i++)
		key_clear(&verifier->keys[i]);
	free(verifier->keys);
	for (size_t i = 0; i < verifier->set_count; i++)
		key_set_destroy(verifier->sets[i]);
	pthread_rwlock_destroy(&verifier->sets_lock);
	token_claims_clear(&verifier->claims);
	digester_destroy(verifier->digester);
	token_memory_destroy(verifier->memory);
	free(verifier);
}

/* An object in a segment; a name that comes twice is refused, as two readers might take different ones. */
static json_t *read_segment(const char *segment, size_t length)
{
	char bytes[TOKEN_TEXT_MAX];
	size_t decoded = 0;

	if (!base64url_decode(segment, length, bytes, sizeof(bytes), &decoded))
		return NULL;

	CLEANUP_JSON json_t *json = hostile_json_read(bytes, decoded, JSON_REJECT_DUPLICATES);

	return json_is_object(json) ? TAKE_POINTER(json) : NULL;
}

/* The three segments of a token. */
struct parts {
	const char *header;
	size_t header_length;
	const char *payload;
	size_t payload_length;
	const char *signature;
	size_t signature_length;
};

static bool split(const char *text, struct parts *ret_parts)
{
	const char *first = strchr(text, '.');
	const char *second = first ? strchr(first + 1, '.') : NULL;

	if (!second || strchr(second + 1, '.'))
		return false;
	*ret_parts = (struct parts){
		.header = text,
		.header_length = (size_t)(first - text),
		.payload = first + 1,
		.payload_length = (size_t)(second - first - 1),
		.signature = second + 1,
		.signature_length = strlen(second + 1),
	};
	return true;
}

/* What the header asks for. */
struct wish {
	const struct key_algorithm *algorithm;
	const char *kid; /* in the header's memory; NULL: none */
};

static int read_wish(const json_t *header, struct wish *ret_wish, struct error *error)
{
	const json_t *kid = json_object_get(header, "kid");
	const json_t *type = json_object_get(header, "typ");
	const char *algorithm = json_string_value(json_object_get(header, "alg"));

	if (!algorithm)
		return error_set(error, EBADMSG, "its header names no algorithm");
	ret_wish->algorithm = key_algorithm_find(algorithm);
	if (!ret_wish->algorithm)
		return error_set(error, EKEYREJECTED, "its algorithm \"%.16s\" is not accepted", algorithm);
	if (json_object_get(header, "crit"))
		return error_set(error, EBADMSG, "its header has critical extensions, and none is known");
	if (type && (!json_is_string(type) || strcasecmp(json_string_value(type), "JWT") != 0))
		return error_set(error, EBADMSG, "its header has a type that is not JWT");
	if (kid && !json_is_string(kid))
		return error_set(error, EBADMSG, "the kid in its header is no text");
	ret_wish->kid = json_string_value(kid);
	return 0;
}

/* A token that is well formed, of which nothing is believed yet. */
struct reading {
	json_t *header;
	json_t *payload;
	struct wish wish;
};

static void reading_clear(struct reading *reading)
{
	json_decref(reading->header);
	json_decref(reading->payload);
}

#define CLEANUP_READING __attribute__((cleanup(reading_clear)))

/* `reading` is the asker's to clear in either case. */
static int read_token(const char *text, struct reading *reading, struct error *error)
{
	char signature[TOKEN_TEXT_MAX];
	size_t signature_size;
	struct parts parts;

	if (!split(text, &parts))
		return error_set(error, EBADMSG, "it does not have the three parts of a JWT");
	reading->header = read_segment(parts.header, parts.header_length);
	if (!reading->header)
		return error_set(error, EBADMSG, "its header is no JSON object in base64url");
	int result = read_wish(reading->header, &reading->wish, error);

	if (result < 0)
		return result;
	reading->payload = read_segment(parts.payload, parts.payload_length);
	if (!reading->payload)
		return error_set(error, EBADMSG, "its payload is no JSON object in base64url");
	if (!base64url_decode(parts.signature, parts.signature_length, signature, sizeof(signature), &signature_size))
		return error_set(error, EBADMSG, "its signature is no base64url");
	return 0;
}

static const struct key *find_key(const struct token_verifier *verifier, const char *kid)
{
	for (size_t i = 0; i < verifier->key_count; i++)
		if (text_equal(verifier->keys[i].kid, kid))
			return &verifier->keys[i];
	return NULL;
}

static bool is_signed_by(const char *text, const struct key *key)
{
	CLEANUP_JWT jwt_t *jwt = NULL;

	return jwt_decode(&jwt, text, (const unsigned char *)key->verifying, (int)key->verifying_length) == 0
	       && jwt_get_alg(jwt) == key->algorithm->algorithm;
}

static bool has_kid(const struct key_set *set, const char *kid)
{
	for (size_t i = 0; set && i < key_set_count(set); i++)
		if (key_set_key(set, i)->kid && text_equal(key_set_key(set, i)->kid, kid))
			return true;
	return false;
}

/* By the same rules as our own keys. */
static bool is_signed_by_set(const struct key_set *set, const char *text, const struct wish *wish)
{
	bool is_named = wish->kid && has_kid(set, wish->kid);

	for (size_t i = 0; set && i < key_set_count(set); i++) {
		const struct key *key = key_set_key(set, i);

		if (key->algorithm != wish->algorithm)
			continue;
		if (is_named ? !key->kid || !text_equal(key->kid, wish->kid) : wish->kid && key->kid)
			continue;
		if (is_signed_by(text, key))
			return true;
	}
	return false;
}

static bool is_signed_by_any_set(struct token_verifier *verifier, const char *text, const struct wish *wish)
{
	bool is_good = false;

	pthread_rwlock_rdlock(&verifier->sets_lock);
	for (size_t i = 0; i < verifier->set_count && !is_good; i++)
		is_good = is_signed_by_set(verifier->sets[i], text, wish);
	pthread_rwlock_unlock(&verifier->sets_lock);
	return is_good;
}

static int check_signature(struct token_verifier *verifier, const char *text, const struct wish *wish,
			   struct error *error)
{
	const struct key *named = wish->kid ? find_key(verifier, wish->kid) : NULL;
	size_t tried = 0;

	if (named && named->algorithm != wish->algorithm)
		return error_set(error, EKEYREJECTED, "its kid \"%.80s\" is a key for %s, but it is signed by %s",
				 wish->kid, named->algorithm->name, wish->algorithm->name);
	for (size_t i = 0; i < verifier->key_count; i++) {
		const struct key *key = &verifier->keys[i];

		/* The named key; for a kid that is not known those without one; without a kid all. */
		if (named ? key != named : wish->kid && key->kid)
			continue;
		if (key->algorithm != wish->algorithm)
			continue;
		tried++;
		if (is_signed_by(text, key))
			return 0;
	}
	if (is_signed_by_any_set(verifier, text, wish))
		return 0;
	if (tried > 0)
		return error_set(error, EKEYREJECTED, "its signature is wrong (%zu key%s of %s tried)", tried,
				 tried > 1 ? "s" : "", wish->algorithm->name);
	return error_set(error, EKEYREJECTED, "no key%s%.80s%s is configured for %s", wish->kid ? " with kid \"" : "",
			 wish->kid ? wish->kid : "", wish->kid ? "\"" : "", wish->algorithm->name);
}

/* All of the work, for a token that is not remembered. */
static int verify(struct token_verifier *verifier, const char *text, int64_t now_us, struct caller **ret_caller,
		  struct error *error)
{
	CLEANUP_READING struct reading reading = { 0 };
	int result = read_token(text, &reading, error);

	if (result == 0)
		result = check_signature(verifier, text, &reading.wish, error);
	if (result < 0)
		return result;
	return token_claims_read(&verifier->claims, reading.payload, now_us, ret_caller, error);
}

int token_store_gauge(struct metrics *metrics, struct metric_family **ret_gauge, struct error *error)
{
	static const char *const names[] = { "store" };
	static const char *const values[TOKEN_STORE_MAX] = {
		[TOKEN_STORE_OWN] = "own", [TOKEN_STORE_KEYSTONE] = "keystone"
	};
	static const struct metric_labels by_store = { names, 1, values, TOKEN_STORE_MAX };
	static const struct metric_definition remembered = {
		.name = "migrationd_tokens_remembered",
		.help = "Tokens that are remembered: those that our own keys verified, and those that Keystone vouched "
			"for.",
		.type = METRIC_GAUGE,
		.labels = { &by_store },
	};

	return metrics_register(metrics, &remembered, ret_gauge, error);
}

int token_verifier_measure(struct token_verifier *verifier, struct metrics *metrics, struct error *error)
{
	static const char *const names[] = { "result" };
	static const char *const values[] = {
		[CHECK_REMEMBERED] = "remembered", [CHECK_VERIFIED] = "verified", [CHECK_REFUSED] = "refused"
	};
	static const struct metric_labels by_result = { names, 1, values, ARRAY_LENGTH(values) };
	static const struct metric_definition checks = {
		.name = "migrationd_token_checks_total",
		.help = "Tokens held against our own keys and key sets: known from before, verified by a signature, or "
			"refused, "
			"which Keystone, if it is asked, may yet vouch for.",
		.type = METRIC_COUNTER,
		.labels = { &by_result },
	};
	struct metric_family *gauge = NULL;
	int result = metrics_register(metrics, &checks, &verifier->checks, error);

	if (result == 0)
		result = token_store_gauge(metrics, &gauge, error);
	if (result == 0)
		token_memory_measure(verifier->memory, gauge, TOKEN_STORE_OWN);
	return result;
}

static int refuse(struct token_verifier *verifier, int result, struct error *error)
{
	if (result != -ENOMEM) {
		atomic_fetch_add_explicit(&verifier->refused, 1, memory_order_relaxed);
		metric_add(verifier->checks, CHECK_REFUSED, 1);
		error_wrap(error, "the token is refused");
	}
	return result;
}

int token_verify(struct token_verifier *verifier, const char *text, int64_t now_us, struct caller **ret_caller,
		 struct error *error)
{
	unsigned char digest[TOKEN_DIGEST_SIZE];
	size_t length = strnlen(text, TOKEN_TEXT_MAX + 1);
	struct caller *caller;
	int result;

	if (length > TOKEN_TEXT_MAX)
		return refuse(verifier, error_set(error, EBADMSG, "it is longer than %d bytes", TOKEN_TEXT_MAX), error);
	if (!digester_run(verifier->digester, text, length, digest))
		return error_no_memory(error);
	caller = token_memory_recall(verifier->memory, digest, now_us);
	if (caller) {
		atomic_fetch_add_explicit(&verifier->recalled, 1, memory_order_relaxed);
		metric_add(verifier->checks, CHECK_REMEMBERED, 1);
		*ret_caller = caller;
		return 0;
	}
	unsigned int generation = atomic_load(&verifier->generation);
	result = verify(verifier, text, now_us, &caller, error);
	if (result < 0)
		return refuse(verifier, result, error);
	atomic_fetch_add_explicit(&verifier->verified, 1, memory_order_relaxed);
	metric_add(verifier->checks, CHECK_VERIFIED, 1);
	token_memory_remember(verifier->memory, digest, caller,
			      caller->expires_us + verifier->claims.leeway_s * SECOND_US, now_us);
	/* By a key that was withdrawn meanwhile, perhaps: it is not to be remembered beyond this request. */
	if (generation != atomic_load(&verifier->generation))
		token_memory_forget(verifier->memory, digest);
	*ret_caller = caller;
	return 0;
}

int token_verifier_set_keys(struct token_verifier *verifier, size_t place, const char *text, size_t size,
			    char **ret_excluded, struct error *error)
{
	unsigned char digest[TOKEN_DIGEST_SIZE];
	CLEANUP_FREE char *excluded = NULL;
	struct key_set *set = NULL;
	int result = place < verifier->set_count ? key_set_read(text, size, &set, error)
						 : error_set(error, EINVAL, "there is no key set %zu", place);

	if (result < 0)
		return result;
	excluded = strdup(key_set_excluded(set));
	if (!excluded || !digester_run(verifier->digester, text, size, digest)) {
		key_set_destroy(set);
		return error_no_memory(error);
	}
	pthread_rwlock_wrlock(&verifier->sets_lock);
	struct key_set *before = verifier->sets[place];
	bool is_same = before && memcmp(verifier->set_digests[place], digest, sizeof(digest)) == 0;
	verifier->sets[place] = set;
	memcpy(verifier->set_digests[place], digest, sizeof(digest));
	pthread_rwlock_unlock(&verifier->sets_lock);
	key_set_destroy(before);
	if (before && !is_same) {
		atomic_fetch_add(&verifier->generation, 1);
		token_memory_clear(verifier->memory);
	}
	*ret_excluded = !is_same && *excluded ? TAKE_POINTER(excluded) : NULL;
	return 0;
}

bool token_names_unknown_key(struct token_verifier *verifier, const char *text)
{
	CLEANUP_READING struct reading reading = { 0 };
	const char *kid;
	struct error ignored = { 0 };
	bool is_known = false;

	if (!verifier->set_count || strnlen(text, TOKEN_TEXT_MAX + 1) > TOKEN_TEXT_MAX
	    || read_token(text, &reading, &ignored) < 0)
		return false;
	kid = reading.wish.kid;
	if (find_key(verifier, kid ? kid : ""))
		return false;
	pthread_rwlock_rdlock(&verifier->sets_lock);
	for (size_t i = 0; i < verifier->set_count && !is_known; i++)
		is_known = verifier->sets[i] && (!kid || has_kid(verifier->sets[i], kid));
	pthread_rwlock_unlock(&verifier->sets_lock);
	return !is_known;
}

void token_statistics(struct token_verifier *verifier, struct token_statistics *ret_statistics)
{
	*ret_statistics = (struct token_statistics){
		.remembered = token_memory_count(verifier->memory),
		.recalled = atomic_load(&verifier->recalled),
		.verified = atomic_load(&verifier->verified),
		.refused = atomic_load(&verifier->refused),
	};
}

static const struct key *find_signing_key(const struct token_verifier *verifier, const char *kid, struct error *error)
{
	for (size_t i = 0; i < verifier->key_count; i++) {
		const struct key *key = &verifier->keys[i];

		if (key->signing && (!kid || text_equal(key->kid, kid)))
			return key;
	}
	error_set(error, ENOKEY, "no token key%s%s can sign: that needs a secret or a private key",
		  kid ? " of kid " : "", kid ? kid : "");
	return NULL;
}

static int sign(const struct key *key, const json_t *payload, char **ret_text, struct error *error)
{
	CLEANUP_JWT jwt_t *jwt = NULL;
	CLEANUP_FREE char *claims = json_dumps(payload, JSON_COMPACT);

	if (!claims || jwt_new(&jwt) != 0)
		return error_no_memory(error);
	if (jwt_set_alg(jwt, key->algorithm->algorithm, (const unsigned char *)key->signing, (int)key->signing_length)
		    != 0
	    || (key->kid && jwt_add_header(jwt, "kid", key->kid) != 0) || jwt_add_grants_json(jwt, claims) != 0)
		return error_no_memory(error);

	CLEANUP_FREE char *text = jwt_encode_str(jwt);

	if (!text)
		return error_set(error, EIO, "the token could not be signed with %s", key->algorithm->name);
	if (strlen(text) > TOKEN_TEXT_MAX)
		return error_set(error, EMSGSIZE, "the token would be longer than %d bytes: fewer or shorter roles",
				 TOKEN_TEXT_MAX);
	*ret_text = TAKE_POINTER(text);
	return 0;
}

int token_make(struct token_verifier *verifier, const struct caller *caller, const char *kid, int64_t now_us,
	       int64_t lifetime_s, char **ret_text, struct error *error)
{
	const struct key *key = find_signing_key(verifier, kid, error);
	CLEANUP_JSON json_t *payload = NULL;
	int result;

	if (!key)
		return -ENOKEY;
	if (lifetime_s < 1 || lifetime_s > LIFETIME_MAX_S)
		return error_set(error, EINVAL, "a token's lifetime is 1 to %lld s", (long long)LIFETIME_MAX_S);
	if (!caller->user_id || !*caller->user_id)
		return error_set(error, EINVAL, "a token needs a user");
	result = token_claims_write(&verifier->claims, caller, now_us, lifetime_s, &payload, error);
	if (result < 0)
		return result;
	return sign(key, payload, ret_text, error);
}
