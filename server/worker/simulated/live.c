/* Live migrations between simulated hosts. Each is a state that is brought to where it is by now whenever somebody looks, so that
 * it goes on without the call that began it, as it does between two libvirtds. It changes the same states in the same order as
 * libvirt shows them. Guests are found again each time: somebody may have taken one away. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/simulated/fleet_state.h"

#define PEER_SILENT_MS 26000 /* after so long one libvirtd gives up another that stands still */

bool simulated_is_link_cut(const struct simulated_fleet *fleet, const struct simulated_host *one,
			   const struct simulated_host *other)
{
	for (const struct simulated_cut *cut = fleet->cuts; cut; cut = cut->next)
		if ((cut->one == one && cut->other == other) || (cut->one == other && cut->other == one))
			return true;
	return false;
}

void simulated_drop_cuts(struct simulated_fleet *fleet)
{
	while (fleet->cuts) {
		struct simulated_cut *gone = fleet->cuts;

		fleet->cuts = gone->next;
		free(gone);
	}
}

struct simulated_move *simulated_move_from(struct simulated_fleet *fleet, const struct simulated_host *host,
					   const char *uuid)
{
	struct simulated_move *move = fleet->moves;

	while (move && (move->phase == SIMULATED_ENDED || move->from != host || !text_equal(move->uuid, uuid)))
		move = move->next;
	return move;
}

/* The half that arrives; NULL: it is not there, or no such half any more. */
static struct simulated_guest *half_of(const struct simulated_move *move)
{
	struct simulated_guest *half = simulated_guest_find(move->to, move->uuid);

	return half && half->view.state == GUEST_ARRIVING ? half : NULL;
}

/* Adds to those that wait at the gate of that phase. */
static void count_at_gate(struct simulated_fleet *fleet, enum simulated_phase phase, int number)
{
	if (phase == SIMULATED_BEFORE_SWITCH)
		fleet->waiting[SIMULATED_GATE_LIVE] += number;
	if (phase == SIMULATED_HANDED_OVER)
		fleet->waiting[SIMULATED_GATE_POST_DEST] += number;
}

/* Into another phase, from and to the gates that belong to it. */
static void enter(struct simulated_fleet *fleet, struct simulated_move *move, enum simulated_phase phase)
{
	count_at_gate(fleet, move->phase, -1);
	count_at_gate(fleet, phase, 1);
	if (move->phase <= SIMULATED_BEFORE_SWITCH && phase > SIMULATED_BEFORE_SWITCH)
		simulated_plan_end(simulated_server_find(fleet, move->uuid));
	move->phase = phase;
	pthread_cond_broadcast(&fleet->changed);
}

static void end(struct simulated_fleet *fleet, struct simulated_move *move, int result)
{
	move->result = result;
	enter(fleet, move, SIMULATED_ENDED);
}

/* Before the switch: the source's guest goes on, and the half goes, unless its host cannot take it away now. */
static void break_off(struct simulated_fleet *fleet, struct simulated_move *move, bool keeps_half, int result)
{
	struct simulated_guest *guest = simulated_guest_find(move->from, move->uuid);

	if (guest)
		guest->view.is_moving_out = false;
	if (!keeps_half && half_of(move))
		simulated_guest_remove(move->to, move->uuid);
	end(fleet, move, result);
}

void simulated_remove_halves(struct simulated_fleet *fleet, struct simulated_host *host)
{
	for (struct simulated_guest *guest = host->guests, *next; guest; guest = next) {
		const struct simulated_move *move = fleet->moves;

		next = guest->next;
		while (move
		       && (move->to != host || move->phase > SIMULATED_BEFORE_SWITCH
			   || !text_equal(move->uuid, guest->uuid)))
			move = move->next;
		if (guest->view.state == GUEST_ARRIVING && !move)
			simulated_guest_remove(host, guest->uuid);
	}
}

void simulated_break_moves(struct simulated_fleet *fleet, const struct simulated_host *host)
{
	for (struct simulated_move *move = fleet->moves; move; move = move->next) {
		if (move->phase == SIMULATED_ENDED || (move->from != host && move->to != host))
			continue;
		int result = error_set(&move->error, move->from == host ? EHOSTUNREACH : EIO,
				       "the libvirtd of host %s ended (simulated)", host->name);
		if (move->phase == SIMULATED_HANDED_OVER)
			end(fleet, move, result); /* nobody takes the source's half away */
		else
			break_off(fleet, move, false, result);
	}
}

/* What of the host's guests stands half on others: they see their connection break, whether a migration is known or not. */
static void remove_halves_elsewhere(struct simulated_fleet *fleet, const struct simulated_host *host)
{
	for (struct simulated_host *other = fleet->hosts; other; other = other->next)
		for (struct simulated_guest *half = other->guests, *next; half; half = next) {
			next = half->next;
			if (other->libvirtd == SIMULATED_LIBVIRTD_RUNS && half->view.state == GUEST_ARRIVING
			    && half->arrives_from == host)
				simulated_guest_remove(other, half->uuid);
		}
}

void simulated_libvirtd_dies(struct simulated_fleet *fleet, struct simulated_host *host)
{
	host->libvirtd = SIMULATED_LIBVIRTD_IS_DEAD;
	simulated_drop_late(fleet, host);
	simulated_cut_calls(fleet, host);
	simulated_break_moves(fleet, host);
	simulated_remove_halves(fleet, host);
	remove_halves_elsewhere(fleet, host);
	simulated_note_news(host, false);
}

static bool is_stalled(const struct simulated_fleet *fleet, const struct simulated_move *move)
{
	const struct simulated_guest *guest = simulated_guest_find(move->from, move->uuid);
	const struct simulated_guest *half = simulated_guest_find(move->to, move->uuid);

	return simulated_is_link_cut(fleet, move->from, move->to) || (guest && guest->is_hung)
	       || (half && half->is_hung) || move->from->libvirtd == SIMULATED_LIBVIRTD_STANDS
	       || move->to->libvirtd == SIMULATED_LIBVIRTD_STANDS;
}

/* Time in which it stands still does not count. */
static void note_stall(const struct simulated_fleet *fleet, struct simulated_move *move, int64_t now_ms)
{
	bool stalls = is_stalled(fleet, move);

	if (stalls && !move->is_stalled)
		move->stalled_since_ms = now_ms;
	if (stalls || !move->is_stalled) {
		move->is_stalled = stalls;
		return;
	}
	move->copy.began_ms += now_ms - move->stalled_since_ms;
	if (move->copy.forced_ms)
		move->copy.forced_ms += now_ms - move->stalled_since_ms;
	move->is_stalled = false;
}

static bool is_silent(const struct simulated_host *host, int64_t now_ms)
{
	return host->libvirtd == SIMULATED_LIBVIRTD_STANDS && now_ms >= host->stopped_ms + PEER_SILENT_MS;
}

/* What happened to one of its sides; true: it is over by that. */
static bool breaks_by_itself(struct simulated_fleet *fleet, struct simulated_move *move, int64_t now_ms)
{
	const struct simulated_guest *guest = simulated_guest_find(move->from, move->uuid);

	if (!guest || (move->was_alive && !simulated_is_alive(guest)))
		break_off(fleet, move, false,
			  error_set(&move->error, EIO, "server %s ended on host %s while it was copied (simulated)",
				    move->uuid, move->from->name));
	else if (!half_of(move))
		break_off(fleet, move, false,
			  error_set(&move->error, EIO, "server %s ended on host %s while it arrived (simulated)",
				    move->uuid, move->to->name));
	else if (is_silent(move->from, now_ms) || is_silent(move->to, now_ms))
		break_off(fleet, move, move->to->libvirtd == SIMULATED_LIBVIRTD_STANDS,
			  error_set(&move->error, EIO,
				    "the libvirtd of host %s or %s was silent for too long (simulated)",
				    move->from->name, move->to->name));
	return move->phase == SIMULATED_ENDED;
}

/* Why a copy broke, in the words of its plan or of a script. */
static int tell_broken(struct simulated_move *move)
{
	struct simulated_host *to = move->to;

	if (move->is_abort_wanted)
		return simulated_fail(to, &move->error, ECANCELED,
				      "the copy of server %s to host %s was aborted (simulated)", move->uuid, to->name);
	if (move->copy.fails == SIMULATED_FAILS_TARGET_LOST)
		return error_set(&move->error, EIO,
				 "host %s stopped answering in the middle of the copy of server %s (simulated)",
				 to->name, move->uuid);
	return simulated_fail(to, &move->error, EIO, "the copy of server %s to host %s broke off (simulated)",
			      move->uuid, to->name);
}

/* The switch: from here the target's guest is the true one. */
static void hand_over(struct simulated_fleet *fleet, struct simulated_move *move)
{
	struct simulated_guest *guest = simulated_guest_find(move->from, move->uuid), *half = half_of(move);
	struct simulated_host *dying = move->from->dies_at_hand_over ? move->from
				       : move->to->dies_at_hand_over ? move->to
								     : NULL;

	if (!guest || !half)
		return; /* that was looked at before */
	half->view.is_persistent = true;
	half->copy = move->copy;
	enum guest_state state = guest->view.state;
	guest->view.state = GUEST_HANDED_OVER;
	guest->view.is_moving_out = false;
	simulated_enter_state(move->to, half, state);
	enter(fleet, move, SIMULATED_HANDED_OVER);
	if (dying) {
		dying->dies_at_hand_over = false;
		simulated_libvirtd_dies(fleet, dying);
	}
}

static void switch_over(struct simulated_fleet *fleet, struct simulated_move *move)
{
	struct simulated_host *to = move->to;
	bool raises = simulated_happens(to, SIMULATED_COPY_RAISES);
	bool breaks = simulated_happens(to, SIMULATED_COPY_FAILS) || simulated_copy_fails(&move->copy);

	if (!move->is_abort_wanted && !raises && !breaks && to->is_up && !fleet->is_ending) {
		int result = move->copies_disks ? simulated_fill_all(move->from, to, move->uuid, &move->error) : 0;

		if (result == 0)
			hand_over(fleet, move);
		else
			break_off(fleet, move, false, result);
		return;
	}
	if (move->copy.fails == SIMULATED_FAILS_TARGET_LOST && !move->is_abort_wanted)
		simulated_lose(fleet, to);
	break_off(fleet, move, raises || to->libvirtd == SIMULATED_LIBVIRTD_STANDS, tell_broken(move));
}

static void finish(struct simulated_fleet *fleet, struct simulated_move *move)
{
	const struct simulated_guest *guest = simulated_guest_find(move->from, move->uuid);

	if (guest && guest->view.state == GUEST_HANDED_OVER)
		simulated_guest_remove(move->from, move->uuid);
	end(fleet, move, 0);
}

static void settle(struct simulated_fleet *fleet, struct simulated_move *move, int64_t now_ms)
{
	if (move->phase <= SIMULATED_BEFORE_SWITCH) {
		if (breaks_by_itself(fleet, move, now_ms))
			return;
		note_stall(fleet, move, now_ms);
	}
	bool is_ended = move->is_abort_wanted || fleet->is_ending;
	if (move->phase == SIMULATED_COPYING
	    && (is_ended || (!move->is_stalled && now_ms >= simulated_copy_end_ms(&move->copy))))
		enter(fleet, move, SIMULATED_BEFORE_SWITCH);
	if (move->phase == SIMULATED_BEFORE_SWITCH
	    && (is_ended || (!move->is_stalled && !fleet->is_closed[SIMULATED_GATE_LIVE])))
		switch_over(fleet, move);
	if (move->phase == SIMULATED_HANDED_OVER
	    && (fleet->is_ending
		|| (!fleet->is_closed[SIMULATED_GATE_POST_DEST] && move->from->libvirtd == SIMULATED_LIBVIRTD_RUNS)))
		finish(fleet, move);
}

void simulated_settle(struct simulated_fleet *fleet)
{
	int64_t now_ms = fleet->moves ? clock_monotonic_ms(fleet->clock) : 0;

	for (struct simulated_move *move = fleet->moves; move; move = move->next)
		if (move->phase != SIMULATED_ENDED)
			settle(fleet, move, now_ms);
	for (struct simulated_move **link = &fleet->moves; *link;) {
		struct simulated_move *move = *link;

		if (move->phase != SIMULATED_ENDED || move->is_waited_for) {
			link = &move->next;
			continue;
		}
		*link = move->next;
		free(move);
	}
}

/* Those that are waited for are freed by who waits. */
void simulated_drop_moves(struct simulated_fleet *fleet)
{
	for (struct simulated_move *move = fleet->moves; move; move = move->next)
		if (move->phase != SIMULATED_ENDED)
			end(fleet, move,
			    error_set(&move->error, EIO, "the copy of server %s to host %s broke off (simulated)",
				      move->uuid, move->to->name));
	simulated_settle(fleet);
}

/* When something may come of it without anybody's doing. */
static int64_t next_ms(const struct simulated_move *move)
{
	int64_t at_ms =
		move->phase == SIMULATED_COPYING && !move->is_stalled ? simulated_copy_end_ms(&move->copy) : INT64_MAX;
	const struct simulated_host *sides[] = { move->from, move->to };

	for (size_t i = 0; i < ARRAY_LENGTH(sides); i++)
		if (sides[i]->libvirtd == SIMULATED_LIBVIRTD_STANDS && sides[i]->stopped_ms + PEER_SILENT_MS < at_ms)
			at_ms = sides[i]->stopped_ms + PEER_SILENT_MS;
	return move->phase <= SIMULATED_BEFORE_SWITCH ? at_ms : INT64_MAX;
}

static int may_begin(struct simulated_fleet *fleet, const struct simulated_call *call, struct error *error)
{
	struct simulated_host *to = call->target;
	int result = simulated_ask(to, error);

	if (result < 0)
		return result;
	if (simulated_guest_find(to, call->uuid))
		return error_set(error, EEXIST, "host %s has a guest %.36s already", to->name, call->uuid);
	if (simulated_move_from(fleet, call->host, call->uuid))
		return error_set(error, EBUSY, "server %.36s is moving already", call->uuid);
	if (simulated_is_link_cut(fleet, call->host, to))
		return error_set(error, EIO, "host %s cannot reach host %s (simulated)", call->host->name, to->name);
	const char *missing = simulated_missing_disk(to, call->uuid);
	if (missing)
		return error_set(error, EIO, "disk %s of server %s is not on host %s (simulated)", missing, call->uuid,
				 to->name);
	return 0;
}

static struct simulated_move *begin(struct simulated_fleet *fleet, const struct simulated_call *call,
				    struct simulated_guest *guest)
{
	struct simulated_move *move = calloc(1, sizeof(*move));

	if (!move)
		return NULL;
	struct simulated_guest *half = simulated_guest_add(call->target, call->uuid, GUEST_ARRIVING, guest->memory_mb);
	if (!half) {
		free(move);
		return NULL;
	}
	half->arrives_from = call->host;
	TEXT_COPY(move->uuid, call->uuid);
	move->from = call->host;
	move->to = call->target;
	move->was_alive = simulated_is_alive(guest);
	move->copies_disks = call->flag;
	move->copy = simulated_plan_begin(fleet, guest->server);
	move->is_waited_for = !call->is_late;
	guest->view.is_moving_out = true;
	move->next = fleet->moves;
	fleet->moves = move;
	return move;
}

/* Until it has ended, or the call has to return without it. */
static int wait_for(struct simulated_fleet *fleet, struct simulated_call *call, struct simulated_move *move,
		    struct error *error)
{
	for (;;) {
		simulated_settle(fleet);
		if (move->phase == SIMULATED_ENDED || call->is_cut)
			break;
		clock_wait(fleet->clock, &fleet->changed, &fleet->mutex, next_ms(move));
	}
	int result = call->is_cut ? simulated_tell_cut(call, error) : move->result;
	if (!call->is_cut && result < 0 && error)
		*error = move->error;
	move->is_waited_for = false;
	simulated_settle(fleet);
	return result;
}

int simulated_body_migrate(struct simulated_fleet *fleet, struct simulated_call *call, struct error *error)
{
	int result;
	struct simulated_guest *guest = simulated_guest_on(call->host, call->uuid, &result, error);

	if (guest)
		result = may_begin(fleet, call, error);
	if (result < 0)
		return result;

	struct simulated_move *move = begin(fleet, call, guest);
	if (!move)
		return error_no_memory(error);
	return call->is_late ? 0 : wait_for(fleet, call, move, error);
}
