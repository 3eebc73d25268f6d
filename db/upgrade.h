/* The schema's version, and the way from an older one to the newest. */
#pragma once

#include "db/session.h"

struct upgrade_step {
	int version; /* that the step leads to: 1, 2, 3 ... without gaps */
	const char *sql; /* from the version before; NULL for the first, which only ever is made new */
};

struct upgrade_plan {
	const char *schema; /* the newest, for an empty file */
	const struct upgrade_step *steps;
	size_t count; /* the last one's version is the newest */
	const char *planner; /* run after each change of the schema; NULL: nothing */
};

/* The program's own. */
const struct upgrade_plan *upgrade_plan_newest(void);

/* 0 for an empty file. -EINVAL when the file is another program's, -EIO when it is none of SQLite's. */
int upgrade_read_version(struct db_session *session, int *ret_version, struct error *error);

/* Brings the file from `version` to the newest, in one transaction; before an older one is changed, it is copied to
 * `PATH.before-N`, N being the new version. -ENOTSUP for a newer one than the plan knows. */
int upgrade_run(struct db_session *session, const struct upgrade_plan *plan, int version, struct error *error);
