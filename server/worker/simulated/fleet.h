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
 * Faults are injected by name or by function at a chosen moment; a hook runs before and after each call of the port, so that
 * one comes exactly between two steps:
 *
 *     simulated_hang_next(fleet, "compute-2", "define", SIMULATED_LANDS_LATE);  // that call does not return
 *     simulated_wait_hung(fleet, "compute-2");
 *     operations->interrupt(target);                                           // now it does: -EHOSTUNREACH
 *     simulated_land_late(fleet, "compute-2");                                  // and only now the guest is defined
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
/* Copies break off, also those that are begun later, and no call hangs any more: the daemon ends. */
void simulated_end_copies(struct hypervisor *self);
/* Hosts stay, so that their handles do, and are up; guests, volumes, scripts, faults and closed gates go, and calls that hang
 * return. No move may be under way. */
void simulated_reset(struct hypervisor *self);

/* Disks. A host has a storage pool "default" of its own; the pool "shared" is one for all hosts. A volume's content is a
 * number that stands for its bytes. A guest writes to its disks when it starts to run and when a test says so: they get a
 * content that no volume had before, so that an older copy shows as stale. */
#define SIMULATED_POOL        "default"
#define SIMULATED_SHARED_POOL "shared"

struct simulated_disk_view {
	char uuid[UUID_SIZE]; /* of the guest that it was made for; "": of none */
	int64_t bytes;
	uint64_t content;
	bool is_complete; /* false: its copy has not ended, or broke off */
	bool is_whole; /* complete, and with what the guest wrote last, wherever it did */
};

/* A disk of the guest, which every host that defines it looks for in its pool, and its volume on that host. -EEXIST: there is
 * a volume of that name. */
int simulated_put_disk(struct hypervisor *self, const char *host, const char *uuid, const char *name, int64_t bytes,
		       bool is_shared, struct error *error);
/* A volume of nobody's in the host's own pool. */
int simulated_put_volume(struct hypervisor *self, const char *host, const char *name, int64_t bytes,
			 struct error *error);
/* The guest writes, if it runs there. False: it does not. */
bool simulated_touch_disks(struct hypervisor *self, const char *host, const char *uuid);
/* `host`: NULL for the shared pool. False: there is no such volume. */
bool simulated_disk_state(struct hypervisor *self, const char *host, const char *name,
			  struct simulated_disk_view *ret_disk);
/* Whether each disk of the guest, private or shared, is whole as seen from that host. */
bool simulated_has_whole_disks(struct hypervisor *self, const char *host, const char *uuid);

/* Everything that hosts have, whether they answer or not. The callbacks must not call back into the fleet. */
struct simulated_walk {
	void (*guest)(void *context, const char *host, const char *uuid, const struct guest_view *view);
	/* `host`: NULL of the shared pool. */
	void (*volume)(void *context, const char *host, const char *name, const struct simulated_disk_view *disk);
	void *context;
};
void simulated_walk(struct hypervisor *self, const struct simulated_walk *walk);

/* What can be made to happen at any moment. In brackets what else it is about. */
enum simulated_fault {
	SIMULATED_LIBVIRTD_STOPS, /* it stands still: calls do not return until it goes on; interrupted ones land then */
	SIMULATED_LIBVIRTD_STOPS_LOSING, /* the same, and what interrupted calls asked for is lost */
	SIMULATED_LIBVIRTD_GOES_ON,
	SIMULATED_LIBVIRTD_DIES, /* calls in progress return -EHOSTUNREACH, migrations from and to it end */
	SIMULATED_LIBVIRTD_STARTS, /* after it died, its guests as they are */
	SIMULATED_LIBVIRTD_IS_GONE, /* it dies and never starts again */
	SIMULATED_LIBVIRTD_IS_REPLACED, /* another one answers under its name, with nothing on it */
	SIMULATED_LIBVIRTD_DIES_AT_HAND_OVER, /* at the next one from or to it: the source keeps its half */
	SIMULATED_LINK_BREAKS, /* to the other host: migrations between them stand still [other] */
	SIMULATED_LINK_IS_BACK, /* [other] */
	SIMULATED_OUR_LINK_BREAKS, /* the host does not answer us; migrations go on */
	SIMULATED_OUR_LINK_IS_BACK,
	SIMULATED_QEMU_HANGS, /* the guest is busy, and calls that change it do not return [uuid] */
	SIMULATED_QEMU_GOES_ON, /* [uuid] */
	SIMULATED_QEMU_DIES, /* the guest crashes, or is gone where it has no definition [uuid] */
	SIMULATED_POOL_IS_READ_ONLY, /* -EIO [other: a pool other than "default"] */
	SIMULATED_POOL_IS_FULL, /* -ENOSPC for what is made or filled in it [other] */
	SIMULATED_POOL_IS_OFF, /* [other] */
	SIMULATED_POOL_IS_WELL, /* [other] */
	SIMULATED_VOLUME_GOES, /* deleted by hand, in use or not [other: its name] */
	SIMULATED_GUEST_POWERED_OFF, /* all of these by hand, past our link and libvirtd's faults [uuid] */
	SIMULATED_GUEST_STARTED, /* it was off or paused [uuid] */
	SIMULATED_GUEST_SUSPENDED, /* [uuid] */
	SIMULATED_GUEST_UNDEFINED, /* one that runs goes on without a definition [uuid] */
	SIMULATED_GUEST_MOVED, /* with its private disks, at once [uuid, other: where to] */
	SIMULATED_READINGS_ARE_HELD, /* list_guests and describe read, and wait before they answer */
	SIMULATED_READINGS_GO_ON,
	SIMULATED_LATE_CALLS_LAND, /* see simulated_land_late */
	SIMULATED_FAULT_MAX,
};

/* Where it happens; NULL for what a fault is not about. */
struct simulated_place {
	const char *host, *other, *uuid;
};

/* -ENOENT: no such host, guest, volume or pool; -EINVAL: it cannot be so as things are. */
int simulated_inject(struct hypervisor *self, enum simulated_fault fault, const struct simulated_place *place,
		     struct error *error);
/* What somebody does to a guest outside the API; as simulated_inject. */
int simulated_by_hand_power_off(struct hypervisor *self, const char *host, const char *uuid, struct error *error);
int simulated_by_hand_start(struct hypervisor *self, const char *host, const char *uuid, struct error *error);
int simulated_by_hand_suspend(struct hypervisor *self, const char *host, const char *uuid, struct error *error);
int simulated_by_hand_undefine(struct hypervisor *self, const char *host, const char *uuid, struct error *error);
int simulated_by_hand_move(struct hypervisor *self, const char *from, const char *to, const char *uuid,
			   struct error *error);

/* When what a hung call asked for happens. */
enum simulated_landing {
	SIMULATED_LANDS_NEVER,
	SIMULATED_LANDS_BEFORE, /* it has happened, only the answer does not come */
	SIMULATED_LANDS_LATE, /* by simulated_land_late; as never for what our own process does (copy_cold) or only reads */
	SIMULATED_LANDING_MAX,
};

/* The next call of that operation of the port ("define", "list_guests" …; and "create_volume", within prepare_live and
 * copy_cold) that is made of the host, or to it as a target, hangs until the handle is interrupted, libvirtd dies, or the fleet
 * ends. The guest of one that may land late is busy until it has. False: there is no such host or operation. */
bool simulated_hang_next(struct hypervisor *self, const char *host, const char *operation,
			 enum simulated_landing landing);
/* What calls that hang or hung on that host asked for happens now. False: there was none. */
bool simulated_land_late(struct hypervisor *self, const char *host);
/* Returns once a call of that host does not return (hung, libvirtd stopped, its guest busy), or a reading is held. */
void simulated_wait_hung(struct hypervisor *self, const char *host);

/* Called without a lock before and after each call of the port, and may do anything to the fleet. `uuid`: "" of calls that
 * are about no guest. Set before the first call. */
typedef void (*simulated_hook_fn)(void *context, const char *host, const char *operation, const char *uuid,
				  bool is_after);
void simulated_set_hook(struct hypervisor *self, simulated_hook_fn hook, void *context);

/* By the names above in small letters without their prefix ("pre_live", "copy_fails", "qemu_dies", "late"). False: there is
 * none. */
bool simulated_gate_by_name(const char *name, enum simulated_gate *ret_gate);
bool simulated_outcome_by_name(const char *name, enum simulated_outcome *ret_outcome);
bool simulated_fault_by_name(const char *name, enum simulated_fault *ret_fault);
bool simulated_landing_by_name(const char *name, enum simulated_landing *ret_landing);
