/* A Keystone that answers as a test says, on a port of the loopback, one question after another. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_answer {
	int status; /* 0: hangs up without an answer */
	char *body; /* owned; NULL: "{}" */
	char *subject_token; /* the header X-Subject-Token, owned; NULL: none */
};

/* A test sets the answers with the mutex held, and reads the counts likewise. */
struct fake_keystone {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct fake_answer login, question; /* to those that follow */
	bool is_held; /* nobody is answered until it is let go */
	size_t logins, questions; /* so far */
	char asked_by[64], asked_about[9000]; /* tokens of the last question */
	char login_target[128], question_target[128]; /* of the last request's line: "/v3/auth/tokens" */
	char url[64];
	int descriptor;
	bool is_ending;
	pthread_t thread;
};

void fake_keystone_start(struct fake_keystone *keystone);
void fake_keystone_stop(struct fake_keystone *keystone);
/* Takes over `body` and `subject_token`. */
void fake_keystone_set_login(struct fake_keystone *keystone, int status, char *body, char *subject_token);
void fake_keystone_set_question(struct fake_keystone *keystone, int status, char *body);
void fake_keystone_hold(struct fake_keystone *keystone, bool is_held);
size_t fake_keystone_logins(struct fake_keystone *keystone);
size_t fake_keystone_questions(struct fake_keystone *keystone);
/* What Keystone says of a token of a project with one role that ends then. */
char *fake_keystone_body(const char *project, const char *role, int64_t expires_us);
