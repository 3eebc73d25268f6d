/* Inside the simulated fleet: its state, guarded by one mutex, and the moves on it. */
#pragma once

#include <pthread.h>

#include "server/worker/simulated/fleet.h"

#define SIMULATED_NAME_SIZE  256
#define SIMULATED_WORDS_SIZE 256

struct simulated_guest {
	char uuid[UUID_SIZE];
	struct guest_view view;
	int64_t memory_mb;
	bool is_abort_wanted; /* of the move out */
	struct simulated_guest *next;
};

struct simulated_host {
	struct hypervisor_host base; /* first: it is the handle too */
	char name[SIMULATED_NAME_SIZE];
	bool is_up;
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
	bool is_closed[SIMULATED_GATE_MAX];
	int waiting[SIMULATED_GATE_MAX];
	hypervisor_event_fn on_event;
	void *event_context;
};

extern const struct hypervisor_operations simulated_operations;

/* All with the mutex held. */
struct simulated_host *simulated_host_find(struct simulated_fleet *fleet, const char *name);
struct simulated_guest *simulated_guest_find(struct simulated_host *host, const char *uuid); /* NULL: absent */
struct simulated_guest *simulated_guest_add(struct simulated_host *host, const char *uuid, enum guest_state state,
					    int64_t memory_mb); /* NULL: out of memory */
void simulated_guest_remove(struct simulated_host *host, const char *uuid);
int simulated_ask(const struct simulated_host *host, struct error *error); /* -EHOSTUNREACH when it is down */
bool simulated_happens(struct simulated_host *host, enum simulated_outcome outcome); /* and counts it */
/* A failure that was scripted: its words, or those given. Returns -code. */
int simulated_fail(const struct simulated_host *host, struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Stands at the gate while it is closed, or until `is_wanted` (may be NULL) turns true. */
void simulated_pass_gate(struct simulated_fleet *fleet, enum simulated_gate gate, const bool *is_wanted);

static inline struct simulated_host *simulated_host_of(struct hypervisor_host *host)
{
	return (struct simulated_host *)host;
}

static inline struct simulated_fleet *simulated_fleet_of(struct hypervisor_host *host)
{
	return (struct simulated_fleet *)host->hypervisor;
}
