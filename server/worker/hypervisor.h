/* The hypervisor port: the narrow table behind which libvirt (server/worker/libvirt/) and the simulated fleet
 * (server/worker/simulated/) stand. Jobs know only this.
 *
 * Worked example, a live migration:
 *
 *     look(source), look(target)                 what both sides show before anything is begun
 *     check_live(source, target, …)              may it go there; who or what stands in the way
 *     prepare_live(source, target, …, journal)   volumes on the target, each recorded before it is made
 *     migrate_live(source, target, …)            blocks until handed over or failed; meanwhile another thread
 *                                                calls progress(source) and adjust(source, …)
 *     look(source), look(target)                 the truth: the return value above is only a hint
 *     tidy the side that lost: remove_guest, remove_volume, each with what must hold there at that moment
 *
 * Worked example, a cold migration:
 *
 *     stop_guest(source) → copy_cold(source, target, …, journal) → define(target) → remove_guest(source, off), the
 *     definition saved by us → start_guest(target)
 *     confirm: verify_disks(target) → remove_volume(source, each that was copied)
 *     revert: verify_disks(source) → stop_guest(target) → define(source, saved definition) → start_guest(source) →
 *     remove_guest(target, off) → remove_volume(target, each copy)
 *
 * Every call may be made from any thread and answers 0 or a negative errno. Four numbers have a meaning of their own:
 *     -EHOSTUNREACH  the host could not be asked, so that nothing is known: no decision may be taken on it
 *     -ENOENT        the host answered: there is no such guest
 *     -ESTALE        what must hold does not hold at this moment: nothing was done, and the error says what was found
 *     -ETIMEDOUT     the call did not return within its bound and was given up (bounded.h): it may still happen
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

struct error;
struct hypervisor;
struct hypervisor_host; /* the driver's handle of one host; its connection comes back by itself */

/* How a host is reached. Strings are copied by open_host. */
struct hypervisor_address {
	int64_t host_id;
	const char *name;
	const char *uri;
	const char *user_name; /* SASL; NULL when none */
	const char *password_file; /* NULL when none */
};

/* What one host shows of one guest. */
enum guest_state {
	GUEST_ABSENT, /* the host answered: no such guest */
	GUEST_SHUT_OFF,
	GUEST_CRASHED,
	GUEST_RUNNING,
	GUEST_PAUSED, /* by a user */
	GUEST_SUSPENDED, /* by its own power management */
	GUEST_SAVED, /* off, its memory kept in a file: it goes on from there when it is started */
	GUEST_ARRIVING, /* the target's half before the switch: paused, reason migration or starting up */
	GUEST_HANDED_OVER, /* the source's half after the switch: never resumed while the target may run */
	GUEST_POSTCOPY_SOURCE, /* paused, reason post-copy */
	GUEST_POSTCOPY_TARGET, /* running, reason post-copy */
	GUEST_POSTCOPY_FAILED,
	GUEST_STOPPING, /* going down this moment: no longer running and not off yet, to be asked again */
	GUEST_STATE_MAX,
};

/* Sets of states, for what must hold. */
#define GUEST_SET(state) (1U << (state))
#define GUEST_SET_OFF    (GUEST_SET(GUEST_SHUT_OFF) | GUEST_SET(GUEST_CRASHED))

struct guest_view {
	enum guest_state state;
	bool is_persistent; /* has a definition on that host */
	bool has_autostart;
	bool is_moving_out; /* a migration job runs on it there, this host being the source */
	bool is_moving_in;
	bool is_busy; /* a call upon it has not ended there, so that what is shown may still change */
};

/* What discovery reads of a guest. Heap strings are the list's. */
struct guest_facts {
	char uuid[UUID_SIZE];
	char *domain_name;
	struct guest_view view;
	bool is_silent; /* its QEMU does not answer: id, names, state and definition are known all the same */
	/* from Nova's metadata; NULL where the guest has none */
	char *name;
	char *flavor_name;
	char *project_id;
	char *user_id;
	char *image_id;
	int64_t flavor_memory_mb; /* 0 where the metadata has none */
	int64_t flavor_vcpus;
	int64_t flavor_disk_gb;
	int64_t flavor_ephemeral_gb;
	int64_t flavor_swap_mb;
	int64_t created_us; /* nova:creationTime, 0 unknown */
	/* from the definition */
	int64_t memory_mb;
	int64_t vcpus;
	int64_t disk_bytes; /* of its disks, virtual size; 0 unknown */
	char *root_device; /* vda */
	/* JSON object: arch, machine, disks [{target, path, pool, format, bytes}], obstacles [text]: what keeps it from
	 * moving anywhere (host devices, vTPM, local CD-ROM, kernel files, snapshots), and
	 * needs: what it asks of a host, by the keys of `offers` below (of a guest with an emulator of its own no guest_types and
	 * no machines, which hosts offer for their default emulators); highest_pinned_cpu, where it is pinned */
	char *facts;
};

struct guest_list {
	struct guest_facts *items;
	size_t count;
};

struct host_facts {
	int64_t vcpus;
	int64_t memory_mb;
	int64_t disk_gb; /* of its storage pools */
	int64_t hypervisor_version; /* 7002000 is 7.2.0 */
	char *hypervisor_type; /* QEMU */
	char *host_ip; /* address of the control connection's far end */
	char *cpu_info; /* JSON as Nova's os-hypervisors shows it */
	/* JSON object: arch, pools [{name, path, free_bytes}], nics {name: [address]} (left out where the host does not list
	 * them, no address where it tells none), booted_us (to the minute, where it is told), and
	 * offers: lists of names, each list left out where it is not known (which refuses nobody):
	 *     guest_types ["x86_64/kvm", "x86_64/qemu"]; machines ["x86_64/pc-q35-7.2", …] with all aliases;
	 *     host_cpu ["Intel/Skylake-Server"] (asked for by host-passthrough; any other CPU is compared by check_live and
	 *     check_cold); networks ["bridge/br-int", "network/default"] where interfaces plug in; see host_state.h */
	char *facts;
};

/* Volume life-cycle, written to the database before and after each step that makes one. */
struct volume_journal {
	/* `bytes`: the length that the file must have in the end; 0: not known. */
	int (*begin)(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
		     struct error *error);
	int (*complete)(void *context, int64_t volume_id, struct error *error);
	/* It was not made: a volume of somebody else has that name, which must not be taken for ours later. */
	int (*forget)(void *context, int64_t volume_id, struct error *error);
	void *context;
};

/* A volume keeps the names of its pool and its own on both hosts. */
struct hypervisor_volume {
	const char *pool, *name;
	int64_t bytes; /* the file's least length, by the journal; 0: not known */
};

enum block_migration {
	BLOCK_MIGRATION_AUTO,
	BLOCK_MIGRATION_NO,
	BLOCK_MIGRATION_YES,
};

struct live_options {
	const char
		*migration_address; /* of the target, in figures or a name: stream and disks go there and nowhere else;
					* NULL: where the target's libvirt chooses. Not needed for the checks. */
	enum block_migration block_migration;
	bool disk_over_commit;
	bool may_postcopy;
	bool may_auto_converge;
	int64_t bandwidth_mib_s; /* 0: no cap */
	bool is_resume; /* of a post-copy that broke: both sides have their half */
	int parallel_connections; /* 0 or 1: one */
	bool has_tls; /* libvirt's native TLS for stream and disks */
	bool is_storage_proven_shared; /* the marker volume was seen from the target: libvirt's check may be waived */
};

/* Who stands in the way of a move: what decides whether the next host is tried. */
enum check_refusal {
	CHECK_PASSED,
	CHECK_REFUSED_BY_TARGET, /* the next host may do: CPU, volumes, bridges (Nova's MigrationPreCheckError) */
	CHECK_REFUSED_STORAGE, /* no host can mend it (Nova's InvalidLocalStorage, InvalidSharedStorage) */
	CHECK_REFUSED_BY_SERVER, /* the guest can move nowhere: host devices, vTPM … */
};

struct check_result {
	enum check_refusal refusal;
	bool copies_disks; /* what block_migration=auto came to */
	bool is_storage_proven_shared;
	int64_t copied_bytes; /* of disks, when they are copied */
	bool is_about_source; /* found by the source's part of the check */
};

struct move_progress {
	bool is_active; /* a job runs */
	int64_t memory_total, memory_processed, memory_remaining; /* bytes */
	int64_t disk_total, disk_processed, disk_remaining;
	int64_t data_processed; /* all bytes: stands still when the stream does */
	int64_t bytes_per_s;
	int64_t dirty_bytes_per_s;
	int64_t iteration;
	int64_t elapsed_ms;
	int64_t downtime_ms; /* expected, or the real one once completed */
	int throttle_percent;
	bool is_in_postcopy;
};

enum move_adjustment {
	MOVE_ABORT,
	MOVE_SET_DOWNTIME, /* value: ms */
	MOVE_SET_BANDWIDTH, /* value: MiB/s */
	MOVE_PAUSE_GUEST, /* so that the copy ends */
	MOVE_START_POSTCOPY, /* -EOPNOTSUPP: this move was begun without it */
	MOVE_BREAK_POSTCOPY, /* a stream that stands still, so that it may be taken up again */
};

enum hypervisor_event_kind {
	HYPERVISOR_HOST_UP,
	HYPERVISOR_HOST_DOWN,
	HYPERVISOR_GUEST_CHANGED, /* started, stopped, defined, removed, paused: look again */
};

typedef void (*hypervisor_event_fn)(void *context, int64_t host_id, enum hypervisor_event_kind kind,
				    const char *guest_uuid);

struct hypervisor_operations {
	const char *driver_name;
	void (*destroy)(struct hypervisor *self);

	/* `on_event` is called from the driver's own thread and must not block or call back into the driver. */
	void (*watch)(struct hypervisor *self, hypervisor_event_fn on_event, void *context);
	/* Does not wait for the connection. The handle lives until close_host. */
	int (*open_host)(struct hypervisor *self, const struct hypervisor_address *address,
			 struct hypervisor_host **ret_host, struct error *error);
	void (*close_host)(struct hypervisor_host *host);

	int (*describe)(struct hypervisor_host *host, struct host_facts *ret_facts, struct error *error);
	int (*list_guests)(struct hypervisor_host *host, struct guest_list *ret_guests, struct error *error);
	/* A guest that is not there is GUEST_ABSENT and 0. */
	int (*look)(struct hypervisor_host *host, const char *uuid, struct guest_view *ret_view, struct error *error);

	/* Always fills ret_check; when it refuses, it returns -ECANCELED and the error says what stands in the way. */
	int (*check_live)(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			  const struct live_options *options, struct check_result *ret_check, struct error *error);
	int (*prepare_live)(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			    const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			    struct error *error);
	/* Blocks for as long as it takes. -EOPNOTSUPP: nothing was begun, since a host refuses post-copy, which was asked for. */
	int (*migrate_live)(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			    const struct live_options *options, bool copies_disks, struct error *error);
	int (*progress)(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
			struct error *error);
	/* After a completed live migration: totals and the real downtime, from the target. */
	int (*completed)(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
			 struct error *error);
	int (*adjust)(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		      struct error *error);

	/* Blocks: graceful for at most `graceful_ms`, then off. 0 when it is off already; -ESTALE when it runs without a
	 * definition, so that stopping it would be its end. */
	int (*stop_guest)(struct hypervisor_host *host, const char *uuid, int64_t graceful_ms, struct error *error);
	/* Runs afterwards, whether it was off or paused; `is_paused`: one that was off is started without running. */
	int (*start_guest)(struct hypervisor_host *host, const char *uuid, bool is_paused, struct error *error);
	/* Stands still afterwards; 0 when it does already. */
	int (*pause_guest)(struct hypervisor_host *host, const char *uuid, struct error *error);
	/* Blocks: off afterwards, its memory in a file of the host's; start_guest goes on from there. 0 when it is so already. */
	int (*save_guest)(struct hypervisor_host *host, const char *uuid, struct error *error);
	/* Its memory in a file goes, so that start_guest boots it. 0 when there is none. */
	int (*forget_saved)(struct hypervisor_host *host, const char *uuid, struct error *error);
	/* As check_live, for a cold migration. */
	int (*check_cold)(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			  struct check_result *ret_check, struct error *error);
	/* The definition of a guest, as it is (heap, the caller's). */
	int (*read_definition)(struct hypervisor_host *host, const char *uuid, char **ret_definition,
			       bool *ret_autostart, struct error *error);
	/* Also over a definition of the same guest; -ESTALE when that guest is there and not off. */
	int (*define)(struct hypervisor_host *host, const char *definition, bool has_autostart, struct error *error);
	int (*set_autostart)(struct hypervisor_host *host, const char *uuid, bool has_autostart, struct error *error);
	/* Copies the private disks of a guest that is off, each read back and compared, and answers with the definition
	 * for the target (paths rewritten; heap, the caller's). Blocks; `is_cancelled` is asked between buffers. */
	int (*copy_cold)(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
			 const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
			 char **ret_definition, struct error *error);
	/* Takes the guest away from the host where it is in one of the states (GUEST_SET): ends its QEMU where there is one,
	 * and removes its definition. Its disks stay. 0 when there is nothing; -ESTALE when it is in another state, when it is
	 * busy, or when it was started while its definition went, which is then put back. */
	int (*remove_guest)(struct hypervisor_host *host, const char *uuid, unsigned int states, struct error *error);
	/* 0 when each is there and has its bytes; -ESTALE with the name of one that is not or has not. */
	int (*verify_disks)(struct hypervisor_host *host, const struct hypervisor_volume *volumes, size_t count,
			    struct error *error);
	/* 0 when there is none. -ESTALE when the definition of a guest of that host names it; -ENODEV when the host answers
	 * that its storage pool is not there, or not active. */
	int (*remove_volume)(struct hypervisor_host *host, const struct hypervisor_volume *volume, struct error *error);
	/* Calls on this handle that have not returned are made to return, as far as that can be done: with -EHOSTUNREACH.
	 * What they asked for may still happen. The handle stays usable: the next call connects again. */
	void (*interrupt)(struct hypervisor_host *host);
};

/* A driver's object begins with this. */
struct hypervisor {
	const struct hypervisor_operations *operations;
};

/* A driver's host handle begins with this. */
struct hypervisor_host {
	struct hypervisor *hypervisor;
	int64_t host_id;
};

void guest_list_clear(struct guest_list *list);
void host_facts_clear(struct host_facts *facts);
#define CLEANUP_GUESTS     __attribute__((cleanup(guest_list_clear)))
#define CLEANUP_HOST_FACTS __attribute__((cleanup(host_facts_clear)))

/* What the state is in Nova's words and numbers; NULL and 0: it says nothing about the server for good. */
const char *guest_state_vm_state(enum guest_state state);
int guest_state_power_state(enum guest_state state);
/* The state's name for logs and texts. */
const char *guest_state_name(enum guest_state state);
