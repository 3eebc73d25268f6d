/* How the moves of a simulated server go: how long each takes, how far it is, and how it ends. Time is passed in, so that all of
 * this is arithmetic. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "server/worker/simulated/fleet_state.h"

#define MIB                   (1024LL * 1024)
#define EXPECTED_DOWNTIME_MS  20
#define DIRTY_PART            20 /* of what is copied, one part in so many is written anew meanwhile */
#define LEFT_TENTHS           1 /* of its memory, what a copy that never ends has before it at the least */
#define FORCED_TENTHS         1 /* of the time that a copy takes, what it needs once its guest stands still */
#define COPY_OF_NOTHING_TAKES 1 /* ms, for rates */

void simulated_server_free(void *memory)
{
	struct simulated_server *server = memory;

	if (!server)
		return;
	free(server->refused);
	free(server->name);
	free(server);
}

/* The plan of the move of that number; one that takes no time and ends well where none is given. */
static struct simulated_move_settings plan_of(const struct simulated_fleet *fleet,
					      const struct simulated_server *server, size_t number)
{
	const struct simulated_move_settings *moves = server ? server->settings->moves : NULL;
	size_t count = server ? server->settings->move_count : 0;

	if (count == 0 && server && fleet->settings) {
		moves = fleet->settings->moves;
		count = fleet->settings->move_count;
	}
	if (count == 0)
		return (struct simulated_move_settings){ .fails = SIMULATED_FAILS_NOT };
	return moves[number < count ? number : count - 1];
}

static bool was_refused(const struct simulated_server *server, const struct simulated_host *host)
{
	for (size_t i = 0; i < server->refused_count; i++)
		if (server->refused[i] == host)
			return true;
	return false;
}

static int note_refused(struct simulated_server *server, const struct simulated_host *host, struct error *error)
{
	if (server->refused_count == server->refused_capacity) {
		size_t wanted = server->refused_capacity ? server->refused_capacity * 2 : 4;
		const struct simulated_host **more =
			reallocarray(server->refused, wanted, sizeof(const struct simulated_host *));

		if (!more)
			return error_no_memory(error);
		server->refused = more;
		server->refused_capacity = wanted;
	}
	server->refused[server->refused_count++] = host;
	return 0;
}

/* Nobody tells when a move that every host refused is over: it is when a host is asked about for the second time. */
int simulated_plan_refuses(struct simulated_server *server, const struct simulated_fleet *fleet,
			   const struct simulated_host *host, bool *ret_refuses, struct error *error)
{
	*ret_refuses = false;
	if (!server)
		return 0;
	if (was_refused(server, host))
		simulated_plan_end(server);
	if (plan_of(fleet, server, server->moves).fails != SIMULATED_FAILS_PRECHECK)
		return 0;
	*ret_refuses = true;
	return note_refused(server, host, error);
}

struct simulated_copy simulated_plan_begin(const struct simulated_fleet *fleet, const struct simulated_server *server)
{
	struct simulated_move_settings plan = plan_of(fleet, server, server ? server->moves : 0);

	return (struct simulated_copy){
		.began_ms = clock_monotonic_ms(fleet->clock),
		.takes_ms = (int64_t)(plan.takes_s * 1000),
		.fails = plan.fails,
	};
}

void simulated_plan_end(struct simulated_server *server)
{
	if (!server)
		return;
	server->moves++;
	server->refused_count = 0;
}

bool simulated_copy_fails(const struct simulated_copy *copy)
{
	return copy->fails == SIMULATED_FAILS_MIDWAY || copy->fails == SIMULATED_FAILS_TARGET_LOST;
}

int64_t simulated_copy_end_ms(const struct simulated_copy *copy)
{
	int64_t end_ms = copy->began_ms + (simulated_copy_fails(copy) ? copy->takes_ms / 2 : copy->takes_ms);
	int64_t forced_ms = copy->forced_ms + copy->takes_ms * FORCED_TENTHS / 10;

	if (copy->fails == SIMULATED_FAILS_NEVER_CONVERGES)
		return copy->forced_ms ? forced_ms : INT64_MAX;
	return copy->forced_ms && forced_ms < end_ms ? forced_ms : end_ms;
}

void simulated_copy_progress(const struct simulated_copy *copy, int64_t now_ms, int64_t memory_mb,
			     struct move_progress *ret_progress)
{
	int64_t takes_ms = copy->takes_ms > 0 ? copy->takes_ms : COPY_OF_NOTHING_TAKES;
	int64_t total = memory_mb * MIB, elapsed_ms = now_ms - copy->began_ms;
	int64_t rate = total / takes_ms; /* bytes a ms */
	int64_t most_ms = rate > 0 ? INT64_MAX / rate : INT64_MAX;
	int64_t processed = rate * (elapsed_ms < most_ms ? elapsed_ms : most_ms);
	int64_t least_left = copy->fails == SIMULATED_FAILS_NEVER_CONVERGES ? total * LEFT_TENTHS / 10 : 0;
	int64_t remaining = total - processed;

	*ret_progress = (struct move_progress){
		.is_active = true,
		.memory_total = total,
		.memory_processed = processed,
		.memory_remaining = remaining > least_left ? remaining : least_left,
		.data_processed = processed,
		.bytes_per_s = rate * 1000,
		.dirty_bytes_per_s = least_left ? rate * 1100 : rate * 1000 / DIRTY_PART,
		.iteration = 1 + elapsed_ms / takes_ms,
		.elapsed_ms = elapsed_ms,
		.downtime_ms = EXPECTED_DOWNTIME_MS,
	};
}
