/* Handles of hosts. The difficulty is their end: a job or a chore has pointers to them for as long as its thread runs, and a
 * call that blocks may have one longer than its job; and a host that does not answer takes its time for a farewell. */
#include "server/worker/host_handles.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/job.h"

bool worker_host_is_down(struct worker *worker, struct db_session *session, int64_t host_id)
{
	CLEANUP_DB_HOST struct db_host host = { 0 };
	struct error error = { 0 };

	(void)worker;
	if (!host_id || db_host_by_id(session, host_id, &host, &error) < 0)
		return false; /* whoever is told more by trying */
	return !host.service.is_up && !host.is_gone;
}

int worker_open_host(struct worker *worker, int64_t id, char ret_name[DB_NAME_SIZE], struct hypervisor_host **ret_host,
		     bool *ret_is_gone, struct error *error)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	CLEANUP_DB_HOST struct db_host row = { 0 };
	int result = db_read_begin(worker->parts.database, &session, error);

	if (result == 0)
		result = db_host_by_id(session, id, &row, error);
	if (result < 0)
		return result;
	text_copy(ret_name, DB_NAME_SIZE, row.name);
	*ret_is_gone = row.is_gone;

	LOCK_SCOPE(&worker->mutex);
	/* One by an older address stays for the jobs that have it. */
	CLEANUP_FREE char *address_text =
		text_format("%s\n%s\n%s", row.uri ? row.uri : "", row.user_name ? row.user_name : "",
			    row.password_file ? row.password_file : "");
	if (!address_text)
		return error_no_memory(error);
	for (struct worker_host *host = worker->hosts; host; host = host->next)
		if (host->id == id && text_equal(host->address, address_text)) {
			*ret_host = host->handle;
			return 0;
		}

	struct worker_host *host = calloc(1, sizeof(*host));
	struct hypervisor_address address = { id, row.name, row.uri, row.user_name, row.password_file };
	if (!host)
		return error_no_memory(error);
	result = worker->parts.hypervisor->operations->open_host(worker->parts.hypervisor, &address, &host->handle,
								 error);
	if (result < 0) {
		free(host);
		/* -ENOENT is the row's alone: a host whose password file is missing is no host that was removed. */
		if (result == -ENOENT && error)
			error->code = EHOSTUNREACH;
		return result == -ENOENT ? -EHOSTUNREACH : result;
	}
	host->id = id;
	host->address = TAKE_POINTER(address_text);
	host->next = worker->hosts;
	worker->hosts = host;
	*ret_host = host->handle;
	return 0;
}

void host_handles_close(struct worker *worker, struct worker_host *list)
{
	while (list) {
		struct worker_host *host = list;

		list = host->next;
		worker->parts.hypervisor->operations->close_host(host->handle);
		free(host->address);
		free(host);
	}
}

struct farewell {
	struct worker *worker;
	struct worker_host *hosts;
};

/* Counts as running: the worker does not stop before it ends. */
static void *say_farewell(void *context)
{
	struct farewell *farewell = context;
	struct worker *worker = farewell->worker;

	host_handles_close(worker, farewell->hosts);
	free(farewell);
	pthread_mutex_lock(&worker->mutex);
	worker->running--;
	pthread_cond_broadcast(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

/* With the mutex held, while no thread runs. A host whose row cannot be read now is looked at again. */
static struct worker_host *take_removed(struct worker *worker, struct db_session *session)
{
	struct worker_host *removed = NULL;

	for (struct worker_host **link = &worker->hosts; *link;) {
		CLEANUP_DB_HOST struct db_host row = { 0 };
		struct error error = { 0 };
		struct worker_host *host = *link;
		int result = db_host_by_id(session, host->id, &row, &error);

		if (result != -ENOENT) {
			worker->must_read_hosts = worker->must_read_hosts || result < 0;
			link = &host->next;
			continue;
		}
		*link = host->next;
		host->next = removed;
		removed = host;
	}
	return removed;
}

void host_handles_dispatch(struct worker *worker)
{
	CLEANUP_DB_READ struct db_session *session = NULL;
	struct error error = { 0 };
	pthread_t thread;

	if (db_read_begin(worker->parts.database, &session, &error) < 0)
		return; /* it is looked again */
	LOCK_SCOPE(&worker->mutex);
	if (!worker->must_read_hosts || worker->running > 0 || worker->moving > 0 || worker->is_stopping)
		return;
	worker->must_read_hosts = false;
	struct farewell *farewell = calloc(1, sizeof(*farewell));
	if (!farewell) {
		worker->must_read_hosts = true;
		return;
	}
	*farewell = (struct farewell){ worker, take_removed(worker, session) };
	worker->running += farewell->hosts != NULL;
	if (farewell->hosts && pthread_create(&thread, NULL, say_farewell, farewell) == 0) {
		pthread_detach(thread);
		return;
	}
	worker->running -= farewell->hosts != NULL;
	while (farewell->hosts) { /* back to the others, until the next round */
		struct worker_host *host = farewell->hosts;

		worker->must_read_hosts = true;
		farewell->hosts = host->next;
		host->next = worker->hosts;
		worker->hosts = host;
	}
	free(farewell);
}
