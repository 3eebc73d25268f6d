/* What the database holds, in few numbers: for metrics and readiness. Each is one cheap question, also for 10,000 hosts. */
#pragma once

#include "db/database.h"

/* Hosts, each in one of these. */
struct db_host_counts {
	int64_t up;
	int64_t down; /* or forced down */
	int64_t disabled; /* whether they answer or not */
	int64_t answering; /* disabled ones too */
};
int db_host_counts(struct db_session *session, struct db_host_counts *ret_counts, struct error *error);

/* Unfinished jobs of one kind. */
struct db_job_counts {
	char kind[32];
	int64_t waiting; /* for their turn: no host was touched for them */
	int64_t under_way;
	int64_t oldest_us; /* when the oldest was asked for */
	int64_t oldest_under_way_us; /* of those under way; 0: none is */
};
#define DB_JOB_COUNTS_MAX 32
/* Kinds without any are left out. */
int db_job_counts(struct db_session *session, struct db_job_counts ret_counts[DB_JOB_COUNTS_MAX], size_t *ret_count,
		  struct error *error);

/* Chores that are not done yet, of one kind. */
struct db_chore_counts {
	char kind[32];
	int64_t count;
	int64_t oldest_us; /* when the oldest was written */
};
#define DB_CHORE_COUNTS_MAX 16
/* Kinds without any are left out. */
int db_chore_counts(struct db_session *session, struct db_chore_counts ret_counts[DB_CHORE_COUNTS_MAX],
		    size_t *ret_count, struct error *error);

/* Bytes of the file and of its write-ahead log; 0 for one that is not there. */
void db_file_sizes(const struct database *database, int64_t *ret_database, int64_t *ret_log);

/* Changes nothing, but goes to disk as any change does: -ENOSPC and others when it cannot. A db_write_fn; no context. */
int db_write_nothing(struct db_session *session, void *context, struct error *error);
