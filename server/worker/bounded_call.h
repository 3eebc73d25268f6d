/* Inside bounded.c: one call on its way, with copies of all that it was given, since it may outlive its caller. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "server/worker/hypervisor.h"

struct bounded;

struct bounded_call {
	struct bounded *bounded;
	struct hypervisor_host *host, *other; /* `other`: of a call that is about two; NULL */
	char uuid[UUID_SIZE]; /* "": it is about the host */
	const char *what;
	bool is_change; /* of the guest */
	void (*run)(struct bounded_call *call);
	/* What it was given. */
	struct live_options options;
	bool flag;
	int64_t number;
	unsigned int states;
	enum move_adjustment adjustment;
	char *text; /* owned */
	struct hypervisor_volume *volumes; /* owned, with their texts */
	size_t volume_count;
	const struct volume_journal *journal; /* the caller's: not asked any more once it is abandoned */
	bool (*is_cancelled)(void *context);
	void *context;
	_Atomic int64_t asked_ms; /* when the question was asked last: a call that asks it gets its bound again */
	/* What it answers. */
	int result;
	struct error error;
	union {
		struct guest_view view;
		struct move_progress progress;
		struct check_result check;
		struct host_facts facts;
		struct guest_list guests;
		struct {
			char *text;
			bool has_autostart;
		} definition;
	} answer;
	void (*free_answer)(struct bounded_call *call); /* NULL: there is nothing to free */
	/* Guarded by the bounded driver's mutex: */
	pthread_cond_t ended;
	bool has_ended;
	struct bounded_call *next_stuck;
	/* Held while the caller's journal or question is asked, and to abandon the call. */
	pthread_mutex_t caller_mutex;
	bool is_abandoned;
};

/* Takes the call in any case: NULL when it was abandoned (-ETIMEDOUT), could not be begun or was refused, with *ret_result and
 * the error filled; else the ended call, which the caller frees with bounded_call_free. `bound_ms` counts from the last time that its question was asked. */
struct bounded_call *bounded_call_do(struct bounded_call *call, int64_t bound_ms, int *ret_result, struct error *error);
/* NULL when out of memory. */
struct bounded_call *bounded_call_create(struct hypervisor_host *host, const char *uuid, const char *what,
					 bool is_change, void (*run)(struct bounded_call *call));
void bounded_call_free(struct bounded_call *call);
/* False when out of memory. */
bool bounded_call_take_volumes(struct bounded_call *call, const struct hypervisor_volume *volumes, size_t count);
/* A journal and a question that reach the caller's as long as it waits. */
struct volume_journal bounded_call_journal(struct bounded_call *call);
bool bounded_call_is_cancelled(void *context);
/* Whether a call upon the guest there was given up and has not returned. */
bool bounded_is_stuck(struct hypervisor_host *host, const char *uuid);
