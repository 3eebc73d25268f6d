/* Inside the invariants: one reading of everything (invariants_look.c), and the checks on it (invariants_records.c,
 * invariants_guests.c), which ask nobody. */
#pragma once

#include "db/audit.h"
#include "server/worker/hypervisor.h"
#include "server/worker/invariants.h"

#define INVARIANTS_REASON_SIZE 512

struct seen_host {
	const struct db_host *row;
	struct hypervisor_host *handle; /* NULL: it was not asked */
	struct guest_list guests;
	bool has_answered;
	bool is_being_asked;
	char reason[INVARIANTS_REASON_SIZE]; /* why it has not answered */
};

/* A guest on a host that answered. */
struct seen_guest {
	const char *uuid;
	const struct seen_host *host;
	const struct guest_view *view;
};

/* A disk that must be whole on a host. */
struct wanted_disk {
	const char *server_uuid;
	struct seen_host *host;
	struct hypervisor_volume volume;
	int result; /* of verify_disks; 0 also when it was not asked */
	bool is_unseen; /* it could not be asked, though the host answers */
	char reason[INVARIANTS_REASON_SIZE];
};

struct invariants_look {
	const struct invariants_parts *parts;
	int64_t change_number; /* of the database, before anything was read */
	struct db_audit audit;
	struct seen_host *hosts; /* as many as the audit's, in the same order: by id */
	struct wanted_disk *disks;
	size_t disk_count;
	struct seen_guest *guests; /* by uuid and host */
	size_t guest_count;
	const char **moving; /* uuids of servers that an unfinished job has, sorted */
	const struct invariant *invariant; /* that is being checked */
	struct invariants_report report;
	bool is_out_of_memory;
};

/* Reads; the look is to be cleared also when it fails. */
int invariants_look(const struct invariants_parts *parts, struct invariants_look *ret_look, struct error *error);
void invariants_look_clear(struct invariants_look *look);

/* NULL: there is none. */
const struct db_audit_server *look_server(const struct invariants_look *look, const char *uuid);
const struct db_audit_migration *look_migration(const struct invariants_look *look,
						int64_t id); /* one that has not ended */
struct seen_host *look_host(const struct invariants_look *look, int64_t id);
const char *look_host_name(const struct invariants_look *look, int64_t id); /* "" */
/* An unfinished job has the server. */
bool look_is_moving(const struct invariants_look *look, const char *uuid);
bool look_has_job(const struct invariants_look *look, int64_t migration_id);
bool look_action_has_job(const struct invariants_look *look, int64_t action_id);
/* The first of the guests with that uuid, and how many hosts show it. */
const struct seen_guest *look_guests(const struct invariants_look *look, const char *uuid, size_t *ret_count);
/* A chore of the kind for the server; `host_id` 0: on any host. */
bool look_has_chore(const struct invariants_look *look, const char *kind, const char *uuid, int64_t host_id);
/* It is shown in ERROR, and why is known. */
bool look_is_given_up(const struct db_audit_server *server);

/* Adds a finding of the invariant that is being checked. */
void look_found(struct invariants_look *look, const char *server_uuid, const char *host, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The checks. */
void check_one_instance(struct invariants_look *look);
void check_whole_disks(struct invariants_look *look);
void check_removals(struct invariants_look *look);
void check_halves(struct invariants_look *look);
void check_copies(struct invariants_look *look);
void check_shown_host(struct invariants_look *look);
void check_shown_power_state(struct invariants_look *look);
void check_usage(struct invariants_look *look);
void check_counted_once(struct invariants_look *look);
void check_migrations(struct invariants_look *look);
void check_resized(struct invariants_look *look);
void check_task_states(struct invariants_look *look);
void check_jobs(struct invariants_look *look);
void check_actions(struct invariants_look *look);
void check_events(struct invariants_look *look);
void check_claims(struct invariants_look *look);
void check_definitions(struct invariants_look *look);
void check_volumes(struct invariants_look *look);
void check_chores(struct invariants_look *look);
void check_answers(struct invariants_look *look);
