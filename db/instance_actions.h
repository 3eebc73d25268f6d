/* Instance actions and their events: one action per accepted request, found again by its request id. */
#pragma once

#include "db/hosts.h"

struct db_action {
	int64_t id;
	char action[64]; /* live-migration, migrate, confirmResize, … */
	char server_uuid[UUID_SIZE];
	char request_id[REQUEST_ID_SIZE];
	char user_id[DB_NAME_SIZE];
	char project_id[DB_NAME_SIZE];
	int64_t start_us;
	int64_t finish_us; /* 0: not finished */
	int64_t updated_us;
	char *message; /* NULL, or the word Error; owned */
};

struct db_event {
	int64_t id;
	int64_t action_id;
	char event[128]; /* compute_live_migration, … */
	char host[DB_NAME_SIZE]; /* where it happened; "" is none */
	int64_t start_us;
	int64_t finish_us; /* 0: open */
	char result[16]; /* "", Success or Error */
	char *traceback; /* owned, NULL when none */
	char *details; /* owned, NULL when none (Nova API 2.84) */
};

struct db_action_list {
	struct db_action *items;
	size_t count;
};

struct db_event_list {
	struct db_event *items;
	size_t count;
};

/* Newest first. */
struct db_action_filter {
	const char *server_uuid;
	const char *marker; /* request id: rows after it; -ENOENT when there is none such */
	int64_t changes_since_us;
	int64_t changes_before_us;
	int64_t limit; /* 0: all */
};

void db_action_clear(struct db_action *action);
void db_action_list_clear(struct db_action_list *list);
void db_event_list_clear(struct db_event_list *list);
#define CLEANUP_DB_ACTION  __attribute__((cleanup(db_action_clear)))
#define CLEANUP_DB_ACTIONS __attribute__((cleanup(db_action_list_clear)))
#define CLEANUP_DB_EVENTS  __attribute__((cleanup(db_event_list_clear)))

int db_action_by_request(struct db_session *session, const char *server_uuid, const char *request_id,
			 struct db_action *ret_action, struct error *error);
int db_action_find(struct db_session *session, const struct db_action_filter *filter,
		   struct db_action_list *ret_actions, struct error *error);
/* Newest first. */
int db_event_by_action(struct db_session *session, int64_t action_id, struct db_event_list *ret_events,
		       struct error *error);

/* Fills id, and start_us and updated_us when 0. */
int db_action_insert(struct db_session *session, struct db_action *action, struct error *error);
/* Sets finish and updated time to now, and the message (NULL is success). */
int db_action_finish(struct db_session *session, int64_t id, const char *message, struct error *error);
/* An open event; fills id, and start_us when 0; touches the action's updated_us. A finished one (result given) too: for loads. */
int db_event_insert(struct db_session *session, struct db_event *event, struct error *error);
/* Closes it: result Success or Error; traceback and details may be NULL. */
/* What the step waits for, as the details of the action's newest open event; none is fine. Its end writes its own. */
int db_event_note(struct db_session *session, int64_t action_id, const char *details, struct error *error);
int db_event_finish(struct db_session *session, int64_t id, const char *result, const char *traceback,
		    const char *details, struct error *error);
