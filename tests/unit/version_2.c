/* The schema of version 2 is a file that never changes; it is brought into a new database by the upgrade's own function. */
#include "tests/unit/version_2.h"

#include <fcntl.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "db/session.h"
#include "db/statement.h"
#include "db/upgrade.h"

static const char schema_2[] = {
#include "tests/unit/schema_2.inc"
	'\0',
};

static const struct upgrade_step steps_2[] = { { 1, NULL }, { 2, NULL } };
static const struct upgrade_plan plan_2 = { schema_2, steps_2, ARRAY_LENGTH(steps_2), NULL };

int version_2_write(const char *path, struct clock *clock, const char *sql, struct error *error)
{
	struct database database = { .path = (char *)path, .clock = clock };
	CLEANUP_CLOSE int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* a session makes none */
	struct db_session *session = NULL;
	int version = 0;
	int result = session_open(&database, true, &session, error);

	if (result == 0)
		result = upgrade_read_version(session, &version, error);
	if (result == 0)
		result = upgrade_run(session, &plan_2, version, error);
	if (result == 0 && sql)
		result = statement_execute(session, sql, error);
	session_close(session);
	return result;
}
