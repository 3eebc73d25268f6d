/* Inside the simulated fleet: its state, guarded by one mutex, and the moves on it. */
#pragma once

#include <pthread.h>

#include "server/settings.h"
#include "server/worker/simulated/fleet.h"

#define SIMULATED_NAME_SIZE  256
#define SIMULATED_WORDS_SIZE 256

struct simulated_host;

/* A server that has settings of its own, wherever its guest is. */
struct simulated_server {
	char uuid[UUID_SIZE]; /* first: what it is found by */
	char *name;
	int64_t created_us;
	const struct simulated_server_settings *settings; /* borrowed */
	size_t moves; /* that were made */
	const struct simulated_host **refused; /* hosts that this move was refused by, each once */
	size_t refused_count, refused_capacity;
};

/* How a copy that is under way goes. */
struct simulated_copy {
	int64_t began_ms;
	int64_t takes_ms;
	enum simulated_failure fails;
	int64_t forced_ms; /* when its guest was let stand still; 0: it was not */
};

struct simulated_guest {
	char uuid[UUID_SIZE];
	struct guest_view view;
	int64_t memory_mb;
	struct simulated_server *server; /* NULL: it is none of the settings */
	bool is_abort_wanted; /* of the move out */
	struct simulated_copy copy; /* the move out */
	struct simulated_guest *next;
};

struct simulated_host {
	struct hypervisor_host base; /* first: it is the handle too */
	char name[SIMULATED_NAME_SIZE];
	bool is_up;
	int64_t lost_until_ms; /* it does not answer before; 0: it does */
	int64_t vcpus, memory_mb, disk_gb;
	enum simulated_outcome outcome;
	int outcome_count;
	char words[SIMULATED_WORDS_SIZE]; /* what it says then; "": the fleet's own */
	struct simulated_guest *guests;
	struct simulated_host *next;
};

struct simulated_fleet {
	struct hypervisor base; /* first */
	struct clock *clock;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	struct simulated_host *hosts;
	void *hosts_by_name; /* tsearch's */
	void *servers_by_uuid;
	int64_t server_count;
	const struct simulation_settings *settings; /* NULL: moves take no time and end well */
	bool is_ending; /* copies break off */
	bool is_closed[SIMULATED_GATE_MAX];
	int waiting[SIMULATED_GATE_MAX];
	hypervisor_event_fn on_event;
	void *event_context;
};

extern const struct hypervisor_operations simulated_operations;

/* What takes the place of a guest's XML. */
#define DEFINITION_FORMAT "simulated guest %36s of %lld MiB"

/* Operations of the port that are moves (moves.c); see hypervisor.h. */
int simulated_check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 const struct live_options *options, struct check_result *ret_check, struct error *error);
int simulated_check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			 struct check_result *ret_check, struct error *error);
int simulated_prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			   const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			   struct error *error);
int simulated_migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			   const struct live_options *options, bool copies_disks, struct error *error);
int simulated_progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		       struct error *error);
int simulated_completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
			struct error *error);
int simulated_adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		     struct error *error);
int simulated_copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
			const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
			char **ret_definition, struct error *error);

/* All with the mutex held. */
struct simulated_host *simulated_host_find(struct simulated_fleet *fleet, const char *name);
struct simulated_guest *simulated_guest_find(struct simulated_host *host, const char *uuid); /* NULL: absent */
struct simulated_guest *simulated_guest_add(struct simulated_host *host, const char *uuid, enum guest_state state,
					    int64_t memory_mb); /* NULL: out of memory */
void simulated_guest_remove(struct simulated_host *host, const char *uuid);
/* The guest on a host that answers; NULL with *ret_result filled. */
struct simulated_guest *simulated_guest_on(struct hypervisor_host *base, const char *uuid, int *ret_result,
					   struct error *error);
int simulated_ask(const struct simulated_host *host, struct error *error); /* -EHOSTUNREACH when it is down */
bool simulated_happens(struct simulated_host *host, enum simulated_outcome outcome); /* and counts it */
/* A failure that was scripted: its words, or those given. Returns -code. */
int simulated_fail(const struct simulated_host *host, struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Stands at the gate while it is closed, or until `is_wanted` (may be NULL) turns true. */
void simulated_pass_gate(struct simulated_fleet *fleet, enum simulated_gate gate, const bool *is_wanted);

/* The plans of servers (plan.c). */
struct simulated_server *simulated_server_find(struct simulated_fleet *fleet, const char *uuid); /* NULL: none */
void simulated_server_free(void *memory);
/* Whether the plan of this move refuses the host. -ENOMEM: that could not be noted. */
int simulated_plan_refuses(struct simulated_server *server, const struct simulated_fleet *fleet,
			   const struct simulated_host *host, bool *ret_refuses, struct error *error);
/* A copy begins by the plan of the server's next move. */
struct simulated_copy simulated_plan_begin(const struct simulated_fleet *fleet, const struct simulated_server *server);
/* That move is over, however it went. */
void simulated_plan_end(struct simulated_server *server);
/* When the copy ends or breaks; INT64_MAX: not by itself. */
int64_t simulated_copy_end_ms(const struct simulated_copy *copy);
bool simulated_copy_fails(const struct simulated_copy *copy);
void simulated_copy_progress(const struct simulated_copy *copy, int64_t now_ms, int64_t memory_mb,
			     struct move_progress *ret_progress);

static inline struct simulated_host *simulated_host_of(struct hypervisor_host *host)
{
	return (struct simulated_host *)host;
}

static inline struct simulated_fleet *simulated_fleet_of(struct hypervisor_host *host)
{
	return (struct simulated_fleet *)host->hypervisor;
}
