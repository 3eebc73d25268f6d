/* The frequent narrow changes of a server, by its uuid. A deleted server is never changed. */
#include "base/error.h"
#include "db/place.h"
#include "db/server_changed.h"
#include "db/servers.h"
#include "db/statement.h"

#define SIZE_OF(member) sizeof(((struct db_server *)NULL)->member)

/* ?1 is the uuid, ?2 the time; the setter binds the rest. */
#define UPDATE_SERVER(assignments)                                                                                     \
	"UPDATE servers SET updated_us = ?2, " assignments " WHERE uuid = ?1 AND is_deleted = 0 RETURNING id"

static int begin_change(struct db_session *session, const char *sql, const char *uuid, struct statement **ret_statement,
			struct error *error)
{
	int result = statement_begin(session, sql, NULL, ret_statement, error);

	if (result < 0)
		return result;
	statement_bind_text(*ret_statement, 1, uuid);
	statement_bind_int64(*ret_statement, 2, db_now_us(session));
	return 0;
}

int server_row_changed(struct db_session *session, const char *server_uuid, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;

	server_changed(session, server_uuid);
	int result = statement_begin(session,
				     "UPDATE servers SET error_cause = '' WHERE uuid = ?1 AND vm_state <> 'error'"
				     " AND error_cause <> ''",
				     NULL, &statement, error);
	if (result < 0)
		return result;
	statement_bind_text(statement, 1, server_uuid);
	return statement_run(statement, error);
}

static int run_change(struct db_session *session, struct statement *statement, const char *uuid, struct error *error)
{
	int result = statement_change(statement, DB_TABLE_SERVERS, "server", error);

	if (result == 0)
		result = server_row_changed(session, uuid, error);
	return result < 0 ? error_wrap(error, "server %.64s", uuid) : 0;
}

int db_server_set_state(struct db_session *session, const char *uuid, const char *vm_state, const char *task_state,
			struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = begin_change(
		session, UPDATE_SERVER("vm_state = COALESCE(?3, vm_state), task_state = COALESCE(?4, task_state)"),
		uuid, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 3, vm_state, SIZE_OF(vm_state));
	statement_bind_name(statement, 4, task_state, SIZE_OF(task_state));
	return run_change(session, statement, uuid, error);
}

int db_server_set_place(struct db_session *session, const char *uuid, int64_t host_id, int power_state,
			struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = place_changed_by_server(session, uuid, error);

	if (result == 0)
		result =
			begin_change(session, UPDATE_SERVER("host_id = ?3, power_state = ?4"), uuid, &statement, error);
	if (result < 0)
		return result;
	if (host_id)
		statement_bind_int64(statement, 3, host_id);
	statement_bind_int64(statement, 4, power_state);
	result = run_change(session, statement, uuid, error);
	return result < 0 ? result : place_changed(session, host_id, error);
}

int db_server_set_fault(struct db_session *session, const char *uuid, const struct db_fault *fault, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = begin_change(session,
				  UPDATE_SERVER("fault_code = ?3, fault_message = ?4, fault_details = ?5, "
						"fault_created_us = ?6"),
				  uuid, &statement, error);

	if (result < 0)
		return result;

	bool is_fault = fault && fault->code != 0;
	int64_t created_us = !is_fault ? 0 : fault->created_us ? fault->created_us : db_now_us(session);
	statement_bind_int64(statement, 3, is_fault ? fault->code : 0);
	statement_bind_text(statement, 4, is_fault ? fault->message : NULL);
	statement_bind_text(statement, 5, is_fault ? fault->details : NULL);
	statement_bind_int64(statement, 6, created_us);
	return run_change(session, statement, uuid, error);
}

int db_server_set_lock(struct db_session *session, const char *uuid, const char *locked_by, const char *reason,
		       struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result =
		begin_change(session, UPDATE_SERVER("locked_by = ?3, locked_reason = ?4"), uuid, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 3, locked_by ? locked_by : "", SIZE_OF(locked_by));
	statement_bind_text(statement, 4, reason);
	return run_change(session, statement, uuid, error);
}

int db_server_set_error_cause(struct db_session *session, const char *uuid, const char *cause, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = begin_change(session, UPDATE_SERVER("error_cause = ?3"), uuid, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 3, cause ? cause : "", SIZE_OF(error_cause));
	return run_change(session, statement, uuid, error);
}

int db_server_delete(struct db_session *session, const char *uuid, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = place_changed_by_server(session, uuid, error);

	if (result == 0)
		result = begin_change(session,
				      UPDATE_SERVER("is_deleted = 1, terminated_us = ?2, vm_state = 'deleted', "
						    "task_state = '', power_state = 0"),
				      uuid, &statement, error);
	return result < 0 ? result : run_change(session, statement, uuid, error);
}
