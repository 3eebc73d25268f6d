/* Inside the simulated fleet: its state, guarded by one mutex, and what its files offer each other.
 *
 * Every call of the port is a `struct simulated_call` that goes through simulated_call (calls.c): there it meets the hook, the
 * faults and the gates, and then its body, with the mutex held. A body that waits or lets the mutex go finds its guests again
 * afterwards: they may be gone. A live migration is a state of the fleet, not of the call that began it (live.c): it goes on
 * when that call returns early, and is brought up to date whenever somebody looks (simulated_settle).
 */
#pragma once

#include <pthread.h>

#include "base/error.h"
#include "server/settings.h"
#include "server/worker/simulated/fleet.h"

#define SIMULATED_NAME_SIZE  256
#define SIMULATED_WORDS_SIZE 256

struct simulated_fleet;
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
	struct guest_view view; /* without is_busy, which is told by simulated_is_occupied */
	int64_t memory_mb;
	struct simulated_server *server; /* NULL: it is none of the settings */
	bool is_hung; /* its QEMU does not answer */
	const struct simulated_host *arrives_from; /* of a half */
	struct simulated_copy copy; /* by which it came */
	struct simulated_guest *next;
};

struct simulated_volume {
	char name[SIMULATED_NAME_SIZE];
	struct simulated_disk_view is; /* without is_whole */
	struct simulated_volume *next;
};

enum simulated_pool_state { SIMULATED_POOL_WELL, SIMULATED_POOL_READ_ONLY, SIMULATED_POOL_FULL, SIMULATED_POOL_OFF };

struct simulated_disk {
	char name[SIMULATED_NAME_SIZE];
	int64_t bytes;
	bool is_shared;
	struct simulated_disk *next;
};

/* The disks of a guest, wherever it is. */
struct simulated_disks {
	char uuid[UUID_SIZE];
	uint64_t newest; /* what it wrote last */
	struct simulated_disk *first;
	struct simulated_disks *next;
};

enum simulated_libvirtd { SIMULATED_LIBVIRTD_RUNS, SIMULATED_LIBVIRTD_STANDS, SIMULATED_LIBVIRTD_IS_DEAD };

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
	struct simulated_volume *volumes; /* of its own pool */
	/* faults */
	enum simulated_libvirtd libvirtd;
	int64_t stopped_ms; /* since when it stands still */
	bool loses_calls; /* those that were interrupted while it stood still */
	bool is_gone;
	bool dies_at_hand_over;
	bool is_cut_from_us;
	bool holds_readings;
	enum simulated_pool_state pool, shared_pool; /* as seen from here */
	bool has_news; /* that it is up or down is still to be told */
	bool is_news_up;
	struct simulated_host *next;
};

/* Operations of the port, and those within them that can fail by themselves. */
enum simulated_operation {
	SIMULATED_DESCRIBE,
	SIMULATED_LIST_GUESTS,
	SIMULATED_LOOK,
	SIMULATED_CHECK_LIVE,
	SIMULATED_PREPARE_LIVE,
	SIMULATED_MIGRATE_LIVE,
	SIMULATED_PROGRESS,
	SIMULATED_COMPLETED,
	SIMULATED_ADJUST,
	SIMULATED_STOP_GUEST,
	SIMULATED_START_GUEST,
	SIMULATED_PAUSE_GUEST,
	SIMULATED_SAVE_GUEST,
	SIMULATED_FORGET_SAVED,
	SIMULATED_CHECK_COLD,
	SIMULATED_READ_DEFINITION,
	SIMULATED_DEFINE,
	SIMULATED_SET_AUTOSTART,
	SIMULATED_COPY_COLD,
	SIMULATED_REMOVE_GUEST,
	SIMULATED_VERIFY_DISKS,
	SIMULATED_REMOVE_VOLUME,
	SIMULATED_CREATE_VOLUME,
	SIMULATED_OPERATION_MAX,
};

/* Of a copy that lands late all pointers but those to hosts are NULL. */
struct simulated_call {
	enum simulated_operation operation;
	struct simulated_host *host, *target; /* target: NULL when one host is asked */
	char uuid[UUID_SIZE]; /* "": it is about no guest */
	int64_t memory_mb; /* of a definition */
	bool flag; /* has_autostart, is_paused, copies_disks */
	unsigned int states;
	char name[SIMULATED_NAME_SIZE]; /* of a volume */
	char pool[SIMULATED_NAME_SIZE];
	int64_t bytes;
	enum move_adjustment adjustment;
	const struct hypervisor_volume *volumes;
	size_t volume_count;
	const struct live_options *options;
	const struct volume_journal *journal;
	bool (*is_cancelled)(void *context);
	void *context;
	void *ret; /* what is filled, by its operation */
	bool *ret_flag;

	bool is_cut; /* it has to return */
	bool is_hung; /* it waits for that alone */
	const struct simulated_host *cut_by; /* whose end or interruption broke it off; NULL: its own host's */
	bool is_waiting; /* it does not return for now */
	bool is_late; /* nobody waits for it any more */
	bool lands_on_resume; /* late: when libvirtd goes on */
	struct simulated_call *next;
};

/* What a test ordered: the next call of that operation there hangs. */
struct simulated_hang {
	struct simulated_host *host;
	enum simulated_operation operation;
	enum simulated_landing landing;
	struct simulated_hang *next;
};

struct simulated_cut {
	const struct simulated_host *one, *other;
	struct simulated_cut *next;
};

enum simulated_phase {
	SIMULATED_COPYING,
	SIMULATED_BEFORE_SWITCH, /* at the gate of a live copy */
	SIMULATED_HANDED_OVER,
	SIMULATED_ENDED,
};

struct simulated_move {
	char uuid[UUID_SIZE];
	struct simulated_host *from, *to;
	enum simulated_phase phase;
	struct simulated_copy copy;
	bool is_stalled;
	int64_t stalled_since_ms; /* while it is */
	bool was_alive; /* its guest, when it began */
	bool copies_disks;
	bool is_abort_wanted;
	bool is_waited_for; /* by the call that began it, which frees it then */
	int result;
	struct error error;
	struct simulated_move *next;
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
	bool has_news; /* of a host */
	bool is_closed[SIMULATED_GATE_MAX];
	int waiting[SIMULATED_GATE_MAX];
	hypervisor_event_fn on_event;
	void *event_context;
	struct simulated_call *calls; /* in progress, each on its caller's stack */
	struct simulated_call *late;
	struct simulated_hang *hangs;
	struct simulated_cut *cuts;
	struct simulated_move *moves;
	struct simulated_volume *shared_volumes;
	struct simulated_disks *disks;
	simulated_hook_fn hook;
	void *hook_context;
};

extern const struct hypervisor_operations simulated_operations;

/* What takes the place of a guest's XML. */
#define DEFINITION_FORMAT "simulated guest %36s of %lld MiB"

/* Makes the call. Without the mutex. */
int simulated_call(struct simulated_call *call, struct error *error);
/* It is marked as one that does not return for now, and waits. */
void simulated_call_wait(struct simulated_fleet *fleet, struct simulated_call *call, int64_t until_ms);
/* A call that makes it has not ended there, so that libvirt has the volume on its list, and lets nobody remove it. */
bool simulated_is_being_made(const struct simulated_fleet *fleet, const struct simulated_host *host,
			     const char *volume);
/* What a call that was cut answers. */
int simulated_tell_cut(const struct simulated_call *call, struct error *error);
void simulated_cut_calls(struct simulated_fleet *fleet, const struct simulated_host *host); /* NULL: of all hosts */
/* What was interrupted and is still to happen there; `lands_on_resume` says which of both kinds. */
bool simulated_land(struct simulated_fleet *fleet, const struct simulated_host *host, bool lands_on_resume);
void simulated_drop_late(struct simulated_fleet *fleet, const struct simulated_host *host); /* NULL: of all hosts */
void simulated_drop_hangs(struct simulated_fleet *fleet);
/* A call upon that guest has not ended there, or its QEMU does not answer. `except` may be NULL. */
bool simulated_is_occupied(struct simulated_fleet *fleet, struct simulated_host *host, const char *uuid,
			   const struct simulated_call *except);
/* Lets the mutex go, and then tells the news of hosts to whoever watches. */
void simulated_unlock(struct simulated_fleet *fleet);

/* Bodies: what each operation does, with the mutex held (operations.c, guests.c, moves.c, live.c, cold.c, volumes.c). */
typedef int (*simulated_body)(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_describe(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_list(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_look(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_read_definition(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_check_live(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_check_cold(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_prepare(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_migrate(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_progress(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_completed(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_adjust(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_copy_cold(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_stop(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_start(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_pause(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_save(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_forget_saved(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_define(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_set_autostart(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_remove_guest(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_verify_disks(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_remove_volume(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);
int simulated_body_create_volume(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error);

/* All below with the mutex held. */

struct simulated_host *simulated_host_find(struct simulated_fleet *fleet, const char *name);
struct simulated_guest *simulated_guest_find(struct simulated_host *host, const char *uuid); /* NULL: absent */
struct simulated_guest *simulated_guest_add(struct simulated_host *host, const char *uuid, enum guest_state state,
					    int64_t memory_mb); /* NULL: out of memory */
void simulated_guest_remove(struct simulated_host *host, const char *uuid);
/* The guest on a host that answers; NULL with *ret_result filled. */
struct simulated_guest *simulated_guest_on(struct simulated_host *host, const char *uuid, int *ret_result,
					   struct error *error);
bool simulated_is_alive(const struct simulated_guest *guest); /* has a QEMU that may run it; not an arriving half */
/* One that starts to run writes to its disks. */
void simulated_enter_state(struct simulated_host *host, struct simulated_guest *guest, enum guest_state state);
/* Its QEMU is gone: in that state where it has a definition, else gone too. */
void simulated_guest_end(struct simulated_host *host, struct simulated_guest *guest, enum guest_state state);
int simulated_ask(const struct simulated_host *host, struct error *error); /* -EHOSTUNREACH when it is down */
bool simulated_happens(struct simulated_host *host, enum simulated_outcome outcome); /* and counts it */
/* A failure that was scripted: its words, or those given. Returns -code. */
int simulated_fail(const struct simulated_host *host, struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Stands at the gate while it is closed, or until `is_cut` turns true. */
void simulated_pass_gate(struct simulated_fleet *fleet, enum simulated_gate gate, const bool *is_cut);
/* It does not answer for as long as the settings say. */
void simulated_lose(struct simulated_fleet *fleet, struct simulated_host *host);
void simulated_note_news(struct simulated_host *host, bool is_up);

/* Live migrations (live.c). */
void simulated_settle(struct simulated_fleet *fleet); /* each is brought to where it is by now */
void simulated_break_moves(struct simulated_fleet *fleet, const struct simulated_host *host); /* its libvirtd died */
void simulated_drop_moves(struct simulated_fleet *fleet);
struct simulated_move *simulated_move_from(struct simulated_fleet *fleet, const struct simulated_host *host,
					   const char *uuid); /* NULL: none */
bool simulated_is_link_cut(const struct simulated_fleet *fleet, const struct simulated_host *one,
			   const struct simulated_host *other);
/* Halves of migrations that are no more. */
void simulated_remove_halves(struct simulated_fleet *fleet, struct simulated_host *host);
void simulated_libvirtd_dies(struct simulated_fleet *fleet, struct simulated_host *host);
void simulated_drop_cuts(struct simulated_fleet *fleet);

/* Volumes and disks (volumes.c; what tests ask about them: disks.c). */
struct simulated_disks *simulated_disks_find(struct simulated_fleet *fleet, const char *uuid); /* NULL: it has none */
struct simulated_volume *simulated_volume_find(struct simulated_host *host, bool is_shared, const char *name);
struct simulated_volume *simulated_volume_add(struct simulated_host *host, bool is_shared, const char *name,
					      int64_t bytes, const char *uuid); /* not complete; NULL: out of memory */
void simulated_volume_remove(struct simulated_host *host, bool is_shared, const char *name);
size_t simulated_private_count(struct simulated_fleet *fleet, const char *uuid, int64_t *ret_bytes);
/* Its nth private disk, copied, as the mutex is let go meanwhile. False: it has none. */
bool simulated_private_disk(struct simulated_fleet *fleet, const char *uuid, size_t number,
			    struct simulated_disk *ret_disk);
void simulated_touch(struct simulated_host *host, const char *uuid);
/* A disk that the guest needs there and that is not; NULL: all are. */
const char *simulated_missing_disk(struct simulated_host *host, const char *uuid);
/* One that is there. */
const char *simulated_present_disk(struct simulated_host *host, const char *uuid);
/* Its volume on the target, by the journal, within a call. Lets the mutex go. */
int simulated_make_volume(struct simulated_fleet *fleet, const struct simulated_call *call,
			  const struct simulated_disk *disk, int64_t *ret_volume_id, struct error *error);
/* The volume there has that content now and is complete. */
int simulated_fill_volume(struct simulated_host *host, const char *name, uint64_t content, struct error *error);
/* All private disks of the guest, with what they have on the source. */
int simulated_fill_all(struct simulated_host *from, struct simulated_host *to, const char *uuid, struct error *error);
/* They change hosts with their guest. */
void simulated_carry_volumes(struct simulated_host *from, struct simulated_host *to, const char *uuid);
void simulated_drop_volumes(struct simulated_volume **list);
void simulated_drop_disks(struct simulated_fleet *fleet);

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

static inline struct simulated_fleet *simulated_fleet_of(const struct simulated_host *host)
{
	return (struct simulated_fleet *)host->base.hypervisor;
}
