/* The simulated fleet: hosts and guests in memory behind the hypervisor port, for what real libvirt cannot be made to show
 * at will: a failure on a chosen host, a step that stands still at a gate, a host that goes away in the middle.
 *
 *     struct hypervisor *fleet = NULL;
 *     simulated_create(clock, &fleet, error);
 *     simulated_add_host(fleet, "compute-2", error);
 *     simulated_script(fleet, "compute-2", SIMULATED_COPY_FAILS, 1);
 *     simulated_close_gate(fleet, SIMULATED_GATE_LIVE);      // the next copy stops here …
 *     simulated_wait_at_gate(fleet, SIMULATED_GATE_LIVE);    // … and this returns once it has
 *     simulated_open_gate(fleet, SIMULATED_GATE_LIVE);
 *
 * A server with settings of its own (simulated_put_server) moves as they say: it takes its time, tells how far it is, and ends
 * well or not. The scripts and gates are for hosts and hold besides.
 *
 * Thread-safe. Waits are the clock's, none is busy.
 */
#pragma once

#include "server/worker/hypervisor.h"

struct clock;
struct simulated_host_settings;
struct simulated_server_settings;
struct simulation_settings;

enum simulated_gate {
	SIMULATED_GATE_PRE_LIVE, /* before the target is prepared */
	SIMULATED_GATE_LIVE, /* in the copy, before the switch */
	SIMULATED_GATE_POST_DEST, /* handed over, before the call returns */
	SIMULATED_GATE_DISK, /* cold: in the copy of disks */
	SIMULATED_GATE_DEFINE, /* cold: before a definition, on the target or back on the source */
	SIMULATED_GATE_FINISH, /* cold: before a start, on the target or back on the source */
	SIMULATED_GATE_CONFIRM, /* before disks are verified: first in a confirm (on the target) and a revert (on the source) */
	SIMULATED_GATE_MAX,
};

/* What goes wrong on a host as the target of a move (start: as the host of the guest). */
enum simulated_outcome {
	SIMULATED_WELL,
	SIMULATED_CHECK_REFUSES, /* the next host may do */
	SIMULATED_CHECK_REFUSES_STORAGE,
	SIMULATED_PREPARE_FAILS,
	SIMULATED_COPY_FAILS, /* rolled back by the hypervisor itself */
	SIMULATED_COPY_RAISES, /* fails and leaves the target's half behind */
	SIMULATED_START_FAILS,
	SIMULATED_OUTCOME_MAX,
};

int simulated_create(struct clock *clock, struct hypervisor **ret_fleet, struct error *error);

/* -EEXIST when there is one by that name. It has 10 vCPUs, 8192 MiB and 1028 GiB. */
int simulated_add_host(struct hypervisor *self, const char *name, struct error *error);
/* Guests stay on a host that is down. False: no such host. */
bool simulated_set_host_up(struct hypervisor *self, const char *name, bool is_up);
/* The next `count` moves that the outcome is about end so. */
bool simulated_script(struct hypervisor *self, const char *name, enum simulated_outcome outcome, int count);
/* The words in which that host's scripted failures are told; "": the fleet's own again. */
bool simulated_set_words(struct hypervisor *self, const char *name, const char *words);
/* Its size; one of the settings' hosts. False: no such host. */
bool simulated_set_size(struct hypervisor *self, const char *name, const struct simulated_host_settings *settings);
/* How moves go of servers that have none of their own, and for how long a target is lost. Borrowed until destroy. */
void simulated_set_moves(struct hypervisor *self, const struct simulation_settings *settings);
/* A guest that is one of the settings' servers; they are borrowed until destroy, name and UUID are copied. -ENOENT: no such host;
 * -EEXIST: the UUID is another's. */
int simulated_put_server(struct hypervisor *self, const char *host, const char *uuid, const char *name,
			 const struct simulated_server_settings *settings, struct error *error);
int simulated_put_guest(struct hypervisor *self, const char *name, const char *uuid, enum guest_state state,
			int64_t memory_mb, struct error *error);
/* What the host has, also when it is down. */
enum guest_state simulated_state(struct hypervisor *self, const char *name, const char *uuid);

void simulated_close_gate(struct hypervisor *self, enum simulated_gate gate);
void simulated_open_gate(struct hypervisor *self, enum simulated_gate gate);
void simulated_wait_at_gate(struct hypervisor *self, enum simulated_gate gate);
/* The same, at most until that time of the system's clock. False: the time came first. */
bool simulated_wait_at_gate_until(struct hypervisor *self, enum simulated_gate gate, int64_t deadline_ms);
void simulated_open_all_gates(struct hypervisor *self);
/* Copies break off, also those that are begun later: the daemon ends. */
void simulated_end_copies(struct hypervisor *self);
/* Hosts stay, so that their handles do, and are up; guests, scripts and closed gates go. No move may be under way. */
void simulated_reset(struct hypervisor *self);

/* By the names above in small letters without their prefix ("pre_live", "copy_fails"). False: there is none. */
bool simulated_gate_by_name(const char *name, enum simulated_gate *ret_gate);
bool simulated_outcome_by_name(const char *name, enum simulated_outcome *ret_outcome);
