/* Whether the daemon can do its work: it has started and does not end, its database can be written, and at least one host answers
 * or none is configured. Asked as often as anybody likes: a write goes to disk, and hosts are counted, only every few seconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct database;
struct error;
struct log;
struct readiness;
struct text;

enum readiness_phase { READINESS_STARTING, READINESS_SERVING, READINESS_ENDING };

/* Database and log (may be NULL) are borrowed: the database until it is closed, which ends what was asked of it. */
int readiness_create(struct database *database, struct log *log, struct readiness **ret_readiness, struct error *error);
void readiness_enter(struct readiness *readiness, enum readiness_phase phase); /* NULL is fine */
/* What was found: NULL where it is good, else the reason. */
enum readiness_check { READINESS_DAEMON, READINESS_DATABASE, READINESS_HOSTS, READINESS_CHECK_MAX };
struct readiness_found {
	const char *reasons[READINESS_CHECK_MAX]; /* static */
	size_t count; /* of those that were asked: while the daemon starts or ends the first alone */
};
const char *readiness_check_name(enum readiness_check check);

/* Waits at most a second, for the disk. Thread-safe; not on the database's own threads. */
bool readiness_ask(struct readiness *readiness, struct readiness_found *ret_found);
/* As a JSON document, appended. */
void readiness_tell(const struct readiness_found *found, struct text *text);
/* When the database is closed. NULL is fine. */
void readiness_destroy(struct readiness *readiness);
