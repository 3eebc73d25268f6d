/* Instance actions and their events. */
#include "db/instance_actions.h"

#include "base/error.h"
#include "db/query.h"

static const struct row_column action_columns[] = {
	COLUMN(struct db_action, id, ROW_KEY),    COLUMN(struct db_action, action, 0),
	COLUMN(struct db_action, server_uuid, 0), COLUMN(struct db_action, request_id, 0),
	COLUMN(struct db_action, user_id, 0),     COLUMN(struct db_action, project_id, 0),
	COLUMN(struct db_action, start_us, 0),    COLUMN(struct db_action, finish_us, 0),
	COLUMN(struct db_action, updated_us, 0),  COLUMN(struct db_action, message, 0),
};
static const struct row_type action_row =
	ROW_TYPE("instance_actions", "instance action", struct db_action, action_columns);

static const struct row_column event_columns[] = {
	COLUMN(struct db_event, id, ROW_KEY), COLUMN(struct db_event, action_id, 0),
	COLUMN(struct db_event, event, 0),    COLUMN(struct db_event, host, 0),
	COLUMN(struct db_event, start_us, 0), COLUMN(struct db_event, finish_us, 0),
	COLUMN(struct db_event, result, 0),   COLUMN(struct db_event, traceback, 0),
	COLUMN(struct db_event, details, 0),
};
static const struct row_type event_row =
	ROW_TYPE("instance_action_events", "event of an instance action", struct db_event, event_columns);

#define SELECT_ACTIONS "SELECT $columns FROM instance_actions"

void db_action_clear(struct db_action *action)
{
	row_clear(&action_row, action);
}

void db_action_list_clear(struct db_action_list *list)
{
	row_list_clear(&action_row, list->items, list->count);
	*list = (struct db_action_list){ 0 };
}

void db_event_list_clear(struct db_event_list *list)
{
	row_list_clear(&event_row, list->items, list->count);
	*list = (struct db_event_list){ 0 };
}

int db_action_by_request(struct db_session *session, const char *server_uuid, const char *request_id,
			 struct db_action *ret_action, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(
		session, SELECT_ACTIONS " WHERE request_id = ?1 AND server_uuid = ?2 ORDER BY id DESC LIMIT 1",
		&action_row, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 1, request_id);
	statement_bind_text(statement, 2, server_uuid);
	result = row_read(statement, &action_row, ret_action, error);
	if (result == -ENOENT)
		return error_set(error, ENOENT, "server %.64s has no action %.64s", server_uuid, request_id);
	return result;
}

/* The marker must be an action of that server: the same request id may stand at several. */
static int find_marker(struct db_session *session, const struct db_action_filter *filter, int64_t *ret_id,
		       struct error *error)
{
	CLEANUP_DB_ACTION struct db_action marker = { 0 };
	int result;

	if (!filter->marker)
		return 0;
	result = filter->server_uuid
			 ? db_action_by_request(session, filter->server_uuid, filter->marker, &marker, error)
			 : row_by_text(session, &action_row,
				       SELECT_ACTIONS " WHERE request_id = ?1 ORDER BY id DESC LIMIT 1", filter->marker,
				       &marker, error);
	if (result == 0)
		*ret_id = marker.id;
	return result;
}

int db_action_find(struct db_session *session, const struct db_action_filter *filter,
		   struct db_action_list *ret_actions, struct error *error)
{
	int64_t marker_id = 0;
	int result = find_marker(session, filter, &marker_id, error);

	if (result < 0)
		return result;

	const struct query_condition conditions[] = {
		CONDITION_TEXT("server_uuid = ?#", filter->server_uuid),
		CONDITION_NUMBER("updated_us >= ?#", filter->changes_since_us),
		CONDITION_NUMBER("updated_us <= ?#", filter->changes_before_us),
		CONDITION_NUMBER("(start_us, id) < (SELECT start_us, id FROM instance_actions WHERE id = ?#)",
				 marker_id),
	};
	struct query query = {
		.select = SELECT_ACTIONS,
		.order = "ORDER BY start_us DESC, id DESC",
		.conditions = conditions,
		.condition_count = sizeof(conditions) / sizeof(conditions[0]),
		.limit = filter->limit,
	};
	struct row_list rows;
	result = query_read_all(session, &action_row, &query, &rows, error);
	if (result == 0)
		ROW_LIST_GIVE(rows, ret_actions);
	return result;
}

int db_event_by_action(struct db_session *session, int64_t action_id, struct db_event_list *ret_events,
		       struct error *error)
{
	struct row_list rows;
	int result =
		row_list_by_number(session, &event_row,
				   "SELECT $columns FROM instance_action_events WHERE action_id = ?1 ORDER BY id DESC",
				   action_id, &rows, error);

	if (result == 0)
		ROW_LIST_GIVE(rows, ret_events);
	return result;
}

int db_action_insert(struct db_session *session, struct db_action *action, struct error *error)
{
	int64_t id = 0;

	if (!action->start_us)
		action->start_us = db_now_us(session);
	if (!action->updated_us)
		action->updated_us = action->start_us;

	int result = row_insert(session, &action_row, action, &id, error);
	if (result == 0)
		action->id = id;
	return result;
}

static int check_found(int result, const char *noun, int64_t id, struct error *error)
{
	return result == 0  ? error_set(error, ENOENT, "no %s %lld in the database", noun, (long long)id)
	       : result < 0 ? result
			    : 0;
}

int db_action_finish(struct db_session *session, int64_t id, const char *message, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(session,
					    "UPDATE instance_actions SET finish_us = ?2, updated_us = ?2, message = ?3"
					    " WHERE id = ?1 RETURNING id",
					    id, &statement, error);

	if (result < 0)
		return result;
	statement_bind_text(statement, 3, message);
	return check_found(statement_step(statement, error), action_row.noun, id, error);
}

static int touch_action(struct db_session *session, int64_t id, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin_change(session,
					    "UPDATE instance_actions SET updated_us = ?2 WHERE id = ?1 RETURNING id",
					    id, &statement, error);

	if (result < 0)
		return result;
	return check_found(statement_step(statement, error), action_row.noun, id, error);
}

int db_event_insert(struct db_session *session, struct db_event *event, struct error *error)
{
	int64_t id = 0;
	bool is_loaded = event->result[0] != '\0'; /* a finished one keeps its action's times */

	if (!event->start_us)
		event->start_us = db_now_us(session);

	int result = row_insert(session, &event_row, event, &id, error);
	if (result < 0)
		return result;
	event->id = id;
	return is_loaded ? 0 : touch_action(session, event->action_id, error);
}

int db_event_finish(struct db_session *session, int64_t id, const char *result_word, const char *traceback,
		    const char *details, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result =
		statement_begin_change(session,
				       "UPDATE instance_action_events SET finish_us = ?2, result = ?3, traceback = ?4,"
				       " details = ?5 WHERE id = ?1 RETURNING action_id",
				       id, &statement, error);

	if (result < 0)
		return result;
	statement_bind_name(statement, 3, result_word, sizeof(((struct db_event *)NULL)->result));
	statement_bind_text(statement, 4, traceback);
	statement_bind_text(statement, 5, details);
	result = check_found(statement_step(statement, error), event_row.noun, id, error);
	return result < 0 ? result : touch_action(session, statement_column_int64(statement, 0), error);
}

int db_event_note(struct db_session *session, int64_t action_id, const char *details, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session,
				     "UPDATE instance_action_events SET details = ?2 WHERE id = (SELECT MAX(id) FROM"
				     " instance_action_events WHERE action_id = ?1 AND finish_us = 0) RETURNING id",
				     NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, action_id);
	statement_bind_text(statement, 2, details);
	result = statement_step(statement, error);
	return result > 0 ? touch_action(session, action_id, error) : result;
}
