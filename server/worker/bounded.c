/* The bounded driver: each operation with its bound. */
#include "server/worker/bounded.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "server/worker/bounded_driver.h"

/* Bounds, ms. libvirt itself gives most changes of a guest up after 30 s. */
#define ASK_MS     45000
#define CHANGE_MS  90000
#define START_MS   180000
#define CHECK_MS   120000
#define STORAGE_MS 300000
#define SAVE_MS    3600000 /* the memory of a large guest goes to a slow disk */
#define READ_MS    120000 /* all of a host */

static const struct hypervisor_operations *inner_of(const struct hypervisor_host *host)
{
	return bounded_of(host)->inner->operations;
}

/* A call that is not to be begun since what it needs could not be copied. */
static int no_memory(struct bounded_call *call, struct error *error)
{
	if (call)
		bounded_call_free(call);
	return error_no_memory(error);
}

/* One that answers nothing but whether it went well. */
static int do_plain(struct bounded_call *call, int64_t bound_ms, struct error *error)
{
	int result = 0;

	if (!call)
		return error_no_memory(error);
	call = bounded_call_do(call, bound_ms, &result, error);
	if (call)
		bounded_call_free(call);
	return result;
}

static void run_look(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)->look(bounded_inner(call->host), call->uuid, &call->answer.view, &call->error);
}

static int look(struct hypervisor_host *host, const char *uuid, struct guest_view *ret_view, struct error *error)
{
	struct bounded_call *call =
		bounded_call_create(host, uuid, "the question for a guest's state", false, run_look);
	int result = 0;

	if (!call)
		return error_no_memory(error);
	call = bounded_call_do(call, ASK_MS, &result, error);
	if (!call)
		return result;
	if (result == 0) {
		*ret_view = call->answer.view;
		ret_view->is_busy = ret_view->is_busy || bounded_is_stuck(host, uuid);
	}
	bounded_call_free(call);
	return result;
}

static void free_facts(struct bounded_call *call)
{
	host_facts_clear(&call->answer.facts);
}

static void run_describe(struct bounded_call *call)
{
	call->result = inner_of(call->host)->describe(bounded_inner(call->host), &call->answer.facts, &call->error);
}

static int describe(struct hypervisor_host *host, struct host_facts *ret_facts, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, NULL, "the reading of a host", false, run_describe);
	int result = 0;

	if (!call)
		return error_no_memory(error);
	call->free_answer = free_facts;
	call = bounded_call_do(call, READ_MS, &result, error);
	if (!call)
		return result;
	if (result == 0) {
		*ret_facts = call->answer.facts;
		call->answer.facts = (struct host_facts){ 0 };
	}
	bounded_call_free(call);
	return result;
}

static void free_guests(struct bounded_call *call)
{
	guest_list_clear(&call->answer.guests);
}

static void run_list(struct bounded_call *call)
{
	call->result = inner_of(call->host)->list_guests(bounded_inner(call->host), &call->answer.guests, &call->error);
}

static int list_guests(struct hypervisor_host *host, struct guest_list *ret_guests, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, NULL, "the reading of a host's guests", false, run_list);
	int result = 0;

	if (!call)
		return error_no_memory(error);
	call->free_answer = free_guests;
	call = bounded_call_do(call, READ_MS, &result, error);
	if (!call)
		return result;
	if (result == 0) {
		*ret_guests = call->answer.guests;
		call->answer.guests = (struct guest_list){ 0 };
	}
	bounded_call_free(call);
	return result;
}

/* Options with a copy of their text; false when out of memory. */
static bool take_options(struct bounded_call *call, const struct live_options *options)
{
	call->options = *options;
	call->options.migration_address = options->migration_address ? strdup(options->migration_address) : NULL;
	return !options->migration_address || call->options.migration_address;
}

static void run_check_live(struct bounded_call *call)
{
	call->result = inner_of(call->host)
			       ->check_live(bounded_inner(call->host), bounded_inner(call->other), call->uuid,
					    &call->options, &call->answer.check, &call->error);
}

static void run_check_cold(struct bounded_call *call)
{
	call->result = inner_of(call->host)
			       ->check_cold(bounded_inner(call->host), bounded_inner(call->other), call->uuid,
					    &call->answer.check, &call->error);
}

static int do_check(struct bounded_call *call, struct check_result *ret_check, struct error *error)
{
	int result = 0;

	*ret_check = (struct check_result){ .refusal = CHECK_REFUSED_BY_TARGET };
	call = bounded_call_do(call, CHECK_MS, &result, error);
	if (!call)
		return result;
	*ret_check = call->answer.check;
	bounded_call_free(call);
	return result;
}

static int check_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      const struct live_options *options, struct check_result *ret_check, struct error *error)
{
	struct bounded_call *call = bounded_call_create(source, uuid, "the check of a target", false, run_check_live);

	if (!call || !take_options(call, options))
		return no_memory(call, error);
	call->other = target;
	return do_check(call, ret_check, error);
}

static int check_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
		      struct check_result *ret_check, struct error *error)
{
	struct bounded_call *call = bounded_call_create(source, uuid, "the check of a target", false, run_check_cold);

	if (!call)
		return error_no_memory(error);
	call->other = target;
	return do_check(call, ret_check, error);
}

static void run_prepare(struct bounded_call *call)
{
	const struct volume_journal journal = bounded_call_journal(call);

	call->result = inner_of(call->host)
			       ->prepare_live(bounded_inner(call->host), bounded_inner(call->other), call->uuid,
					      &call->options, call->flag, &journal, &call->error);
}

static int prepare_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, const struct volume_journal *journal,
			struct error *error)
{
	struct bounded_call *call = bounded_call_create(source, uuid, "the preparation of a target", true, run_prepare);

	if (!call || !take_options(call, options))
		return no_memory(call, error);
	call->other = target;
	call->flag = copies_disks;
	call->journal = journal;
	return do_plain(call, STORAGE_MS, error);
}

static int migrate_live(struct hypervisor_host *source, struct hypervisor_host *target, const char *uuid,
			const struct live_options *options, bool copies_disks, struct error *error)
{
	return inner_of(source)->migrate_live(bounded_inner(source), bounded_inner(target), uuid, options, copies_disks,
					      error);
}

static int do_progress(struct bounded_call *call, struct move_progress *ret_progress, struct error *error)
{
	int result = 0;

	if (!call)
		return error_no_memory(error);
	call = bounded_call_do(call, ASK_MS, &result, error);
	if (!call)
		return result;
	if (result == 0)
		*ret_progress = call->answer.progress;
	bounded_call_free(call);
	return result;
}

static void run_progress(struct bounded_call *call)
{
	call->result = inner_of(call->host)
			       ->progress(bounded_inner(call->host), call->uuid, &call->answer.progress, &call->error);
}

static int progress(struct hypervisor_host *source, const char *uuid, struct move_progress *ret_progress,
		    struct error *error)
{
	return do_progress(
		bounded_call_create(source, uuid, "the question for a migration's progress", false, run_progress),
		ret_progress, error);
}

static void run_completed(struct bounded_call *call)
{
	call->result = inner_of(call->host)
			       ->completed(bounded_inner(call->host), call->uuid, &call->answer.progress, &call->error);
}

static int completed(struct hypervisor_host *target, const char *uuid, struct move_progress *ret_progress,
		     struct error *error)
{
	return do_progress(
		bounded_call_create(target, uuid, "the question for a migration's totals", false, run_completed),
		ret_progress, error);
}

static void run_adjust(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)
			->adjust(bounded_inner(call->host), call->uuid, call->adjustment, call->number, &call->error);
}

static int adjust(struct hypervisor_host *source, const char *uuid, enum move_adjustment adjustment, int64_t value,
		  struct error *error)
{
	/* An abort is no change that must wait for others. */
	struct bounded_call *call =
		bounded_call_create(source, uuid, "the adjustment of a migration", false, run_adjust);

	if (!call)
		return error_no_memory(error);
	call->adjustment = adjustment;
	call->number = value;
	return do_plain(call, ASK_MS, error);
}

static void run_stop(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)->stop_guest(bounded_inner(call->host), call->uuid, call->number, &call->error);
}

static int stop_guest(struct hypervisor_host *host, const char *uuid, int64_t graceful_ms, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, uuid, "the stop of a guest", true, run_stop);

	if (call)
		call->number = graceful_ms;
	return do_plain(call, graceful_ms + CHANGE_MS, error);
}

static void run_start(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)->start_guest(bounded_inner(call->host), call->uuid, call->flag, &call->error);
}

static int start_guest(struct hypervisor_host *host, const char *uuid, bool is_paused, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, uuid, "the start of a guest", true, run_start);

	if (call)
		call->flag = is_paused;
	return do_plain(call, START_MS, error);
}

static void run_pause(struct bounded_call *call)
{
	call->result = inner_of(call->host)->pause_guest(bounded_inner(call->host), call->uuid, &call->error);
}

static int pause_guest(struct hypervisor_host *host, const char *uuid, struct error *error)
{
	return do_plain(bounded_call_create(host, uuid, "the pause of a guest", true, run_pause), CHANGE_MS, error);
}

static void run_save(struct bounded_call *call)
{
	call->result = inner_of(call->host)->save_guest(bounded_inner(call->host), call->uuid, &call->error);
}

static int save_guest(struct hypervisor_host *host, const char *uuid, struct error *error)
{
	return do_plain(bounded_call_create(host, uuid, "the suspension of a guest", true, run_save), SAVE_MS, error);
}

static void run_forget(struct bounded_call *call)
{
	call->result = inner_of(call->host)->forget_saved(bounded_inner(call->host), call->uuid, &call->error);
}

static int forget_saved(struct hypervisor_host *host, const char *uuid, struct error *error)
{
	return do_plain(bounded_call_create(host, uuid, "the removal of a guest's saved memory", true, run_forget),
			STORAGE_MS, error);
}

static void free_definition(struct bounded_call *call)
{
	free(call->answer.definition.text);
}

static void run_read_definition(struct bounded_call *call)
{
	call->result = inner_of(call->host)
			       ->read_definition(bounded_inner(call->host), call->uuid, &call->answer.definition.text,
						 &call->answer.definition.has_autostart, &call->error);
}

static int read_definition(struct hypervisor_host *host, const char *uuid, char **ret_definition, bool *ret_autostart,
			   struct error *error)
{
	struct bounded_call *call =
		bounded_call_create(host, uuid, "the reading of a definition", false, run_read_definition);
	int result = 0;

	if (!call)
		return error_no_memory(error);
	call->free_answer = free_definition;
	call = bounded_call_do(call, ASK_MS, &result, error);
	if (!call)
		return result;
	if (result == 0) {
		*ret_definition = TAKE_POINTER(call->answer.definition.text);
		*ret_autostart = call->answer.definition.has_autostart;
	}
	bounded_call_free(call);
	return result;
}

static void run_define(struct bounded_call *call)
{
	call->result = inner_of(call->host)->define(bounded_inner(call->host), call->text, call->flag, &call->error);
}

static int define(struct hypervisor_host *host, const char *definition, bool has_autostart, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, NULL, "the definition of a guest", false, run_define);

	if (!call || !(call->text = strdup(definition)))
		return no_memory(call, error);
	call->flag = has_autostart;
	return do_plain(call, CHANGE_MS, error);
}

static void run_set_autostart(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)->set_autostart(bounded_inner(call->host), call->uuid, call->flag, &call->error);
}

static int set_autostart(struct hypervisor_host *host, const char *uuid, bool has_autostart, struct error *error)
{
	struct bounded_call *call =
		bounded_call_create(host, uuid, "the setting of a guest's autostart", true, run_set_autostart);

	if (call)
		call->flag = has_autostart;
	return do_plain(call, CHANGE_MS, error);
}

static void run_copy(struct bounded_call *call)
{
	const struct volume_journal journal = bounded_call_journal(call);

	call->result =
		inner_of(call->host)
			->copy_cold(bounded_inner(call->host), bounded_inner(call->other), call->text, &journal,
				    bounded_call_is_cancelled, call, &call->answer.definition.text, &call->error);
}

static int copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
		     const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
		     char **ret_definition, struct error *error)
{
	struct bounded_call *call = bounded_call_create(source, NULL, "the copy of disks", false, run_copy);
	int result = 0;

	if (!call || !(call->text = strdup(definition)))
		return no_memory(call, error);
	call->other = target;
	call->journal = journal;
	call->is_cancelled = is_cancelled;
	call->context = context;
	call->free_answer = free_definition;
	call = bounded_call_do(call, STORAGE_MS, &result, error);
	if (!call)
		return result;
	if (result == 0)
		*ret_definition = TAKE_POINTER(call->answer.definition.text);
	bounded_call_free(call);
	return result;
}

static void run_remove_guest(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)->remove_guest(bounded_inner(call->host), call->uuid, call->states, &call->error);
}

static int remove_guest(struct hypervisor_host *host, const char *uuid, unsigned int states, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, uuid, "the removal of a guest", true, run_remove_guest);

	if (call)
		call->states = states;
	return do_plain(call, CHANGE_MS, error);
}

static void run_verify(struct bounded_call *call)
{
	call->result =
		inner_of(call->host)
			->verify_disks(bounded_inner(call->host), call->volumes, call->volume_count, &call->error);
}

static int verify_disks(struct hypervisor_host *host, const struct hypervisor_volume *volumes, size_t count,
			struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, NULL, "the look at disks", false, run_verify);

	if (!call || !bounded_call_take_volumes(call, volumes, count))
		return no_memory(call, error);
	return do_plain(call, STORAGE_MS, error);
}

static void run_remove_volume(struct bounded_call *call)
{
	call->result = inner_of(call->host)->remove_volume(bounded_inner(call->host), call->volumes, &call->error);
}

static int remove_volume(struct hypervisor_host *host, const struct hypervisor_volume *volume, struct error *error)
{
	struct bounded_call *call = bounded_call_create(host, NULL, "the removal of a disk", false, run_remove_volume);

	if (!call || !bounded_call_take_volumes(call, volume, 1))
		return no_memory(call, error);
	return do_plain(call, STORAGE_MS, error);
}

static void interrupt(struct hypervisor_host *host)
{
	inner_of(host)->interrupt(bounded_inner(host));
}

static void watch(struct hypervisor *self, hypervisor_event_fn on_event, void *context)
{
	struct hypervisor *inner = ((struct bounded *)self)->inner;

	inner->operations->watch(inner, on_event, context);
}

static int open_host(struct hypervisor *self, const struct hypervisor_address *address,
		     struct hypervisor_host **ret_host, struct error *error)
{
	struct bounded *bounded = (struct bounded *)self;
	struct bounded_host *host = calloc(1, sizeof(*host));

	if (host)
		host->name = strdup(address->name);
	if (!host || !host->name) {
		free(host);
		return error_no_memory(error);
	}
	host->base = (struct hypervisor_host){ .hypervisor = self, .host_id = address->host_id };
	int result = bounded->inner->operations->open_host(bounded->inner, address, &host->inner, error);
	if (result < 0) {
		free(host->name);
		free(host);
		return result;
	}
	*ret_host = &host->base;
	return 0;
}

static bool is_in_use(struct bounded *bounded, const struct hypervisor_host *host)
{
	LOCK_SCOPE(&bounded->mutex);

	for (const struct bounded_call *call = bounded->stuck; call; call = call->next_stuck)
		if (call->host == host || call->other == host)
			return true;
	return false;
}

static void close_host(struct hypervisor_host *host)
{
	if (is_in_use(bounded_of(host), host))
		return; /* a call that may never return has it */
	inner_of(host)->close_host(bounded_inner(host));
	free(((struct bounded_host *)host)->name);
	free(host);
}

static void destroy(struct hypervisor *self)
{
	struct bounded *bounded = (struct bounded *)self;

	pthread_mutex_destroy(&bounded->mutex);
	free(bounded);
}

static const struct hypervisor_operations operations = {
	.driver_name = "bounded",
	.destroy = destroy,
	.watch = watch,
	.open_host = open_host,
	.close_host = close_host,
	.describe = describe,
	.list_guests = list_guests,
	.look = look,
	.check_live = check_live,
	.prepare_live = prepare_live,
	.migrate_live = migrate_live,
	.progress = progress,
	.completed = completed,
	.adjust = adjust,
	.stop_guest = stop_guest,
	.start_guest = start_guest,
	.pause_guest = pause_guest,
	.save_guest = save_guest,
	.forget_saved = forget_saved,
	.check_cold = check_cold,
	.read_definition = read_definition,
	.define = define,
	.set_autostart = set_autostart,
	.copy_cold = copy_cold,
	.remove_guest = remove_guest,
	.verify_disks = verify_disks,
	.remove_volume = remove_volume,
	.interrupt = interrupt,
};

int bounded_create(struct hypervisor *inner, struct clock *clock, struct hypervisor **ret_bounded, struct error *error)
{
	struct bounded *bounded = calloc(1, sizeof(*bounded));

	if (!bounded)
		return error_no_memory(error);
	*bounded = (struct bounded){ .base.operations = &operations, .inner = inner, .clock = clock };
	pthread_mutex_init(&bounded->mutex, NULL);
	*ret_bounded = &bounded->base;
	return 0;
}

bool bounded_has_stuck_calls(struct hypervisor *self)
{
	struct bounded *bounded = (struct bounded *)self;
	LOCK_SCOPE(&bounded->mutex);

	return bounded->stuck != NULL;
}
