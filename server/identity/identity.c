/* The questions about tokens, from their queue to their answers. The difficulties: many requests bring the same token at once,
 * and it is asked for once; and whoever is asked may be away for long, which must cost nobody more than the words. */
#include "server/identity/identity.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth/token.h"
#include "api/auth/token_authority.h"
#include "api/auth/token_memory.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "server/http_fetch.h"
#include "server/identity/key_sets.h"
#include "server/identity/keystone.h"

#define THREADS     4
#define QUEUE_MAX   1024 /* tokens that are asked about */
#define REFUSED_US  (10 * 1000000LL) /* a refusal is believed for so long */
#define AWAY_MS     2000 /* after a failure nobody is asked for so long */
#define REFUSED_MAX 4096
#define AWAY_WORDS  "Keystone did not answer a moment ago"

struct waiter {
	token_answer_fn answer;
	void *context;
	struct waiter *next;
};

/* A token that is asked about, with all who want to know. */
struct question {
	unsigned char digest[TOKEN_DIGEST_SIZE];
	char *token;
	struct waiter *waiters;
	bool is_taken; /* by a thread */
	struct question *next;
};

struct identity {
	struct identity_parts parts;
	struct token_authority authority;
	struct keystone *keystone; /* NULL: none is configured */
	struct key_sets *key_sets; /* NULL: none */
	struct digester *digester;
	struct token_memory *fresh; /* believed without asking */
	struct token_memory *seen; /* believed while Keystone is away */
	struct token_memory *refused;
	struct {
		struct metric_family *recalls, *questions, *undecided; /* NULL: nobody measures */
	} measures;
	struct caller *nobody; /* stands for a refusal in the memory */
	pthread_t threads[THREADS];
	size_t thread_count;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t wake;
	struct question *questions; /* oldest first */
	size_t question_count;
	int64_t away_until_ms; /* monotonic */
	bool is_stopping;
};

/* What is counted. */
enum { RECALL_HIT, RECALL_MISS };
enum { QUESTION_GOOD, QUESTION_REFUSED, QUESTION_FAILED };

static struct question *find_question(struct identity *identity, const unsigned char *digest)
{
	struct question *question = identity->questions;

	while (question && memcmp(question->digest, digest, TOKEN_DIGEST_SIZE) != 0)
		question = question->next;
	return question;
}

static void free_question(struct question *question)
{
	if (question->token)
		explicit_bzero(question->token, strlen(question->token));
	free(question->token);
	free(question);
}

static void count_answer(struct identity *identity, int result)
{
	if (result == -EHOSTUNREACH)
		metric_add(identity->measures.undecided, 0, 1);
}

static void answer_all(struct identity *identity, struct waiter *waiters, int result, struct caller *caller,
		       const struct error *error)
{
	while (waiters) {
		struct waiter *waiter = waiters;

		waiters = waiter->next;
		count_answer(identity, result);
		waiter->answer(waiter->context, result, result == 0 ? caller_reference(caller) : NULL, error);
		free(waiter);
	}
}

/* Takes it out of the list; with the mutex held. */
static void take_out(struct identity *identity, struct question *question)
{
	struct question **link = &identity->questions;

	while (*link != question)
		link = &(*link)->next;
	*link = question->next;
	identity->question_count--;
}

/* What is known of a token without asking anybody: 0, -EACCES, or 1: nothing. */
static int recall(struct identity *identity, const unsigned char *digest, struct caller **ret_caller,
		  struct error *error)
{
	int64_t now_us = clock_now_us(identity->parts.clock);
	CLEANUP_CALLER struct caller *refused = NULL;

	*ret_caller = token_memory_recall(identity->fresh, digest, now_us);
	if (!*ret_caller)
		refused = token_memory_recall(identity->refused, digest, now_us);
	metric_add(identity->measures.recalls, *ret_caller || refused ? RECALL_HIT : RECALL_MISS, 1);
	if (*ret_caller)
		return 0;
	return refused ? error_set(error, EACCES, "it was refused a moment ago") : 1;
}

/* While nobody can be asked: what was seen before counts on. */
static int recall_seen(struct identity *identity, const unsigned char *digest, struct caller **ret_caller,
		       const char *why, struct error *error)
{
	*ret_caller = token_memory_recall(identity->seen, digest, clock_now_us(identity->parts.clock));
	return *ret_caller ? 0 : error_set(error, EHOSTUNREACH, "%s", why);
}

/* 0: an answer will come; else what is to be answered now. */
static int enqueue(struct identity *identity, const unsigned char *digest, const char *token, token_answer_fn answer,
		   void *context, struct error *error)
{
	CLEANUP_FREE struct waiter *waiter = calloc(1, sizeof(*waiter));
	LOCK_SCOPE(&identity->mutex);
	struct question *question = find_question(identity, digest);

	if (!waiter)
		return error_no_memory(error);
	if (identity->is_stopping)
		return error_set(error, EHOSTUNREACH, "the daemon ends");
	if (!question) {
		if (identity->question_count >= QUEUE_MAX)
			return error_set(error, EHOSTUNREACH, "%d tokens are asked about already", QUEUE_MAX);
		question = calloc(1, sizeof(*question));
		if (question)
			question->token = strdup(token);
		if (!question || !question->token) {
			free(question);
			return error_no_memory(error);
		}
		memcpy(question->digest, digest, TOKEN_DIGEST_SIZE);
		struct question **link = &identity->questions;
		while (*link)
			link = &(*link)->next;
		*link = question;
		identity->question_count++;
		pthread_cond_signal(&identity->wake);
	}
	*waiter = (struct waiter){ answer, context, question->waiters };
	question->waiters = TAKE_POINTER(waiter);
	return 0;
}

static bool is_away(struct identity *identity)
{
	LOCK_SCOPE(&identity->mutex);

	return clock_monotonic_ms(clock_system()) < identity->away_until_ms;
}

static int verify_again(struct identity *identity, const char *token, struct caller **ret_caller, struct error *error)
{
	int result =
		token_verify(identity->parts.tokens, token, clock_now_us(identity->parts.clock), ret_caller, error);

	return result == -ENOMEM || result == 0 ? result : error_set(error, EACCES, "no key that is known has made it");
}

static void ask(void *context, const char *token, token_answer_fn answer, void *answer_context)
{
	struct identity *identity = context;
	unsigned char digest[TOKEN_DIGEST_SIZE];
	CLEANUP_CALLER struct caller *caller = NULL;
	struct error error = { 0 };
	bool is_unknown = identity->key_sets && token_names_unknown_key(identity->parts.tokens, token);
	bool has_set = is_unknown && key_sets_may_read(identity->key_sets);
	int result = 1;

	if (!digester_run(identity->digester, token, strlen(token), digest))
		result = error_no_memory(&error);
	else if (!identity->keystone && !has_set) /* the sets may have been read between the two questions */
		result = verify_again(identity, token, &caller, &error);
	else
		result = recall(identity, digest, &caller, &error);
	if (result == 1 && !has_set && is_away(identity))
		result = recall_seen(identity, digest, &caller, AWAY_WORDS, &error);
	if (result == 1) {
		result = enqueue(identity, digest, token, answer, answer_context, &error);
		if (result == 0)
			return;
	}
	count_answer(identity, result);
	answer(answer_context, result, TAKE_POINTER(caller), &error);
}

static void remember(struct identity *identity, const unsigned char *digest, struct caller *caller)
{
	int64_t now_us = clock_now_us(identity->parts.clock);
	int64_t until_us = now_us + identity->parts.settings->keystone.cache_time_s * 1000000;

	token_memory_forget(identity->fresh, digest);
	token_memory_forget(identity->seen, digest);
	token_memory_remember(identity->fresh, digest, caller,
			      until_us < caller->expires_us ? until_us : caller->expires_us, now_us);
	token_memory_remember(identity->seen, digest, caller, caller->expires_us, now_us);
}

static void forget(struct identity *identity, const unsigned char *digest)
{
	int64_t now_us = clock_now_us(identity->parts.clock);

	token_memory_forget(identity->fresh, digest);
	token_memory_forget(identity->seen, digest);
	token_memory_remember(identity->refused, digest, identity->nobody, now_us + REFUSED_US, now_us);
}

static int ask_keystone(struct identity *identity, const struct question *question, struct caller **ret_caller,
			struct error *error)
{
	int64_t now_us = clock_now_us(identity->parts.clock);

	/* Others may have waited for it in vain while this question stood in the queue. */
	if (is_away(identity))
		return recall_seen(identity, question->digest, ret_caller, AWAY_WORDS, error);
	int result = keystone_validate(identity->keystone, question->token, ret_caller, error);

	metric_add(identity->measures.questions,
		   result == 0         ? QUESTION_GOOD
		   : result == -EACCES ? QUESTION_REFUSED
				       : QUESTION_FAILED,
		   1);
	if (result == 0 && (*ret_caller)->expires_us <= now_us) {
		caller_release(TAKE_POINTER(*ret_caller));
		result = error_set(error, EACCES, "its time is over");
	}
	if (result == 0)
		remember(identity, question->digest, *ret_caller);
	else if (result == -EACCES)
		forget(identity, question->digest);
	if (result != -EHOSTUNREACH && result != -EREMOTEIO)
		return result;

	struct error trouble = *error;

	log_error(identity->parts.log, NULL, "Keystone cannot be asked", &trouble);
	/* An odd answer to one question is no reason to ask no other: anybody could bring it about. */
	if (result == -EHOSTUNREACH) {
		pthread_mutex_lock(&identity->mutex);
		identity->away_until_ms = clock_monotonic_ms(clock_system()) + AWAY_MS;
		pthread_mutex_unlock(&identity->mutex);
	}
	return recall_seen(identity, question->digest, ret_caller, trouble.text, error);
}

static int judge(struct identity *identity, const struct question *question, struct caller **ret_caller,
		 struct error *error)
{
	struct token_verifier *tokens = identity->parts.tokens;

	if (identity->key_sets && token_names_unknown_key(tokens, question->token)) {
		key_sets_read_now(identity->key_sets);
		int result =
			token_verify(tokens, question->token, clock_now_us(identity->parts.clock), ret_caller, error);

		if (result != -EBADMSG && result != -EKEYREJECTED)
			return result;
	}
	if (identity->keystone)
		return ask_keystone(identity, question, ret_caller, error);
	return error_set(error, EACCES, "no key that is known has made it");
}

/* The next question that no thread has, with the mutex held; NULL: none. */
static struct question *next_question(struct identity *identity)
{
	struct question *question = identity->questions;

	while (question && question->is_taken)
		question = question->next;
	return question;
}

static void *answer_thread(void *context)
{
	struct identity *identity = context;

	pthread_mutex_lock(&identity->mutex);
	while (!identity->is_stopping) {
		struct question *question = next_question(identity);

		if (!question) {
			pthread_cond_wait(&identity->wake, &identity->mutex);
			continue;
		}
		question->is_taken = true;
		pthread_mutex_unlock(&identity->mutex);

		CLEANUP_CALLER struct caller *caller = NULL;
		struct error error = { 0 };
		int result = judge(identity, question, &caller, &error);

		pthread_mutex_lock(&identity->mutex);
		take_out(identity, question);
		pthread_mutex_unlock(&identity->mutex);
		answer_all(identity, TAKE_POINTER(question->waiters), result, caller, &error);
		free_question(question);
		pthread_mutex_lock(&identity->mutex);
	}
	pthread_mutex_unlock(&identity->mutex);
	return NULL;
}

static int open_memory(struct identity *identity, struct error *error)
{
	size_t size = (size_t)identity->parts.settings->keystone.remembered_max;

	identity->digester = digester_create();
	identity->fresh = token_memory_create(size ? size : 1);
	identity->seen = token_memory_create(size ? size : 1);
	identity->refused = token_memory_create(REFUSED_MAX);
	identity->nobody = caller_create(&(struct caller){ .user_id = "nobody", .expires_us = INT64_MAX });
	if (!identity->digester || !identity->fresh || !identity->seen || !identity->refused || !identity->nobody)
		return error_no_memory(error);
	return 0;
}

static int measure(struct identity *identity, struct error *error)
{
	static const char *const names[] = { "result" };
	static const char *const recall_values[] = { [RECALL_HIT] = "hit", [RECALL_MISS] = "miss" };
	static const char *const question_values[] = {
		[QUESTION_GOOD] = "good", [QUESTION_REFUSED] = "refused", [QUESTION_FAILED] = "failed"
	};
	static const struct metric_labels by_recall = { names, 1, recall_values, ARRAY_LENGTH(recall_values) };
	static const struct metric_labels by_answer = { names, 1, question_values, ARRAY_LENGTH(question_values) };
	static const struct metric_definition recalls = {
		.name = "migrationd_keystone_cache_lookups_total",
		.help = "Tokens that no key of ours has made, by whether Keystone's answer was remembered.",
		.type = METRIC_COUNTER,
		.labels = { &by_recall },
	};
	static const struct metric_definition questions = {
		.name = "migrationd_keystone_requests_total",
		.help = "Tokens that Keystone was asked about: good, refused, or no answer that could be used.",
		.type = METRIC_COUNTER,
		.labels = { &by_answer },
	};
	static const struct metric_definition undecided = {
		.name = "migrationd_tokens_undecided_total",
		.help = "Requests that were answered 503 since nobody could tell whether their token is good.",
		.type = METRIC_COUNTER,
	};
	struct metrics *metrics = identity->parts.metrics;
	struct metric_family *gauge = NULL;
	const struct metric_place places[] = {
		{ &undecided, &identity->measures.undecided },
		{ &recalls, &identity->measures.recalls },
		{ &questions, &identity->measures.questions },
		{ 0 },
	};
	int result = metrics_register_all(metrics, places, error);

	if (result == 0)
		result = token_store_gauge(metrics, &gauge, error);
	if (result == 0)
		token_memory_measure(identity->fresh, gauge, TOKEN_STORE_KEYSTONE);
	return result;
}

static int start_threads(struct identity *identity, struct error *error)
{
	while (identity->thread_count < THREADS) {
		int result = pthread_create(&identity->threads[identity->thread_count], NULL, answer_thread, identity);

		if (result > 0)
			return error_set_errno(error, result, "cannot start a thread for questions about tokens");
		identity->thread_count++;
	}
	return 0;
}

static void cleanup_identity(struct identity **identity)
{
	identity_destroy(*identity);
}

int identity_create(const struct identity_parts *parts, struct identity **ret_identity, struct error *error)
{
	__attribute__((cleanup(cleanup_identity))) struct identity *identity = calloc(1, sizeof(*identity));
	const struct identity_settings *settings = parts->settings;

	if (!identity)
		return error_no_memory(error);
	identity->parts = *parts;
	identity->authority = (struct token_authority){ ask, identity };
	pthread_mutex_init(&identity->mutex, NULL);
	pthread_cond_init(&identity->wake, NULL);
	int result = http_fetch_prepare(error);
	if (result == 0)
		result = open_memory(identity, error);
	if (result == 0)
		result = measure(identity, error);
	if (result == 0 && settings->keystone.url)
		result = keystone_create(&settings->keystone, parts->clock, &identity->keystone, error);
	if (result == 0 && settings->key_set_count)
		result = key_sets_create(settings->key_sets, settings->key_set_count, parts->tokens, parts->log,
					 parts->metrics, &identity->key_sets, error);
	if (result == 0)
		result = start_threads(identity, error);
	if (result == 0)
		*ret_identity = TAKE_POINTER(identity);
	return result;
}

const struct token_authority *identity_authority(const struct identity *identity)
{
	return &identity->authority;
}

void identity_stop(struct identity *identity)
{
	const struct error ending = { .code = EHOSTUNREACH, .text = "the daemon ends" };
	struct waiter *waiters = NULL;

	pthread_mutex_lock(&identity->mutex);
	identity->is_stopping = true;
	pthread_cond_broadcast(&identity->wake);
	for (struct question *question = identity->questions; question; question = question->next)
		while (question->waiters) {
			struct waiter *waiter = question->waiters;

			question->waiters = waiter->next;
			waiter->next = waiters;
			waiters = waiter;
		}
	pthread_mutex_unlock(&identity->mutex);
	answer_all(identity, waiters, -EHOSTUNREACH, NULL, &ending);
}

void identity_destroy(struct identity *identity)
{
	if (!identity)
		return;
	identity_stop(identity);
	for (size_t i = 0; i < identity->thread_count; i++)
		pthread_join(identity->threads[i], NULL);
	while (identity->questions) {
		struct question *question = identity->questions;

		identity->questions = question->next;
		free_question(question);
	}
	key_sets_destroy(identity->key_sets);
	keystone_destroy(identity->keystone);
	token_memory_destroy(identity->fresh);
	token_memory_destroy(identity->seen);
	token_memory_destroy(identity->refused);
	caller_release(identity->nobody);
	digester_destroy(identity->digester);
	pthread_cond_destroy(&identity->wake);
	pthread_mutex_destroy(&identity->mutex);
	free(identity);
}
