/* Writes that share one commit, for tests. */
#include "tests/unit/write_group.h"

#include "base/text.h"
#include "db/session.h"

int write_group_insert(struct db_session *session, const char *request_id, struct error *error)
{
	struct db_action action = { .action = "migrate", .server_uuid = "server" };

	TEXT_COPY(action.request_id, request_id);
	return db_action_insert(session, &action, error);
}

bool write_group_has(struct db_fixture *fixture, const char *request_id)
{
	CLEANUP_DB_READ struct db_session *session = db_fixture_read(fixture);
	CLEANUP_DB_ACTION struct db_action action = { 0 };

	return db_action_by_request(session, "server", request_id, &action, NULL) == 0;
}

static int write_at_gate(struct db_session *session, void *context, struct error *error)
{
	struct write_gate *gate = context;

	pthread_mutex_lock(&gate->mutex);
	gate->is_reached = true;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->is_open)
		pthread_cond_wait(&gate->changed, &gate->mutex);
	pthread_mutex_unlock(&gate->mutex);
	return write_group_insert(session, "gate", error);
}

void write_gate_close(struct write_gate *gate, struct db_fixture *fixture)
{
	*gate = (struct write_gate){ 0 };
	pthread_mutex_init(&gate->mutex, NULL);
	pthread_cond_init(&gate->changed, NULL);
	db_submit(fixture->database, write_at_gate, NULL, gate);
	pthread_mutex_lock(&gate->mutex);
	while (!gate->is_reached)
		pthread_cond_wait(&gate->changed, &gate->mutex);
	pthread_mutex_unlock(&gate->mutex);
}

void write_gate_open(struct write_gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	gate->is_open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->mutex);
}

void write_gate_destroy(struct write_gate *gate)
{
	pthread_mutex_destroy(&gate->mutex);
	pthread_cond_destroy(&gate->changed);
}

static int write_submission(struct db_session *session, void *context, struct error *error)
{
	struct submission *submission = context;
	int result = write_group_insert(session, submission->request_id, error);

	if (result == 0)
		result = session_changed(session, DB_TABLE_JOBS, submission->row_id, error);
	if (result == 0 && submission->then)
		result = submission->then(session, submission->fixture, error);
	if (result < 0 || !submission->fail_with)
		return result;
	return error_set(error, submission->fail_with, "%s does not want to", submission->request_id);
}

static void note_completion(void *context, int result, const struct error *error)
{
	struct submission *submission = context;

	submission->result = result;
	submission->order = ++*submission->completions;
	if (!error)
		return;
	submission->code = error->code;
	TEXT_COPY(submission->words, error->text);
}

void submission_submit(struct db_fixture *fixture, struct submission *submission)
{
	submission->fixture = fixture;
	db_submit(fixture->database, write_submission, note_completion, submission);
}

int write_group_nothing(struct db_session *session, void *context, struct error *error)
{
	(void)session;
	(void)context;
	(void)error;
	return 0;
}

void write_barrier(struct db_fixture *fixture)
{
	db_fixture_write(fixture, write_group_nothing, NULL);
}
