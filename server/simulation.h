/* A daemon with the simulated driver under a test's hand: its state loaded as a whole, its jobs and discovery frozen and
 * thawed, its clock set, its fleet's gates and failures.
 *
 * A request is an object with one word in it, its answer an object too ({} where nothing is to be told):
 *     {"load": {"services": [{"id": 1, …}], "hosts": […], …}}   erases all, inserts each row as it is, and gives the fleet those
 *                                                               hosts and guests; what was thawed stays thawed
 *     {"freeze": ["jobs", "discovery"]}, {"thaw": ["jobs"]}     both are frozen at the start; a job frozen on its way is taken
 *                                                               up again as after a start of the daemon
 *     {"clock": {"set_us": N}}         it stands still there      → {"now_us": N}
 *     {"clock": {"advance_us": N}}     also while it runs         → {"now_us": N}
 *     {"clock": {"run": true}}         as at the start            → {"now_us": N}
 *     {"close_gate": "live"}, {"open_gate": "live"}             a move stands still at a closed one (fleet.h has their names)
 *     {"wait_at_gate": "live"}                                  until one stands there
 *     {"script": {"host": "host2", "outcome": "copy_fails", "count": 1, "words": "why"}}
 *     {"host": {"name": "host2", "is_up": false}}               it does not answer any more
 *     {"inject": {"fault": "libvirtd_stops", "host": "host2"}}  and "other" or "uuid", as fleet.h has them
 *     {"guest": {"host": "host2", "uuid": …, "memory_mb": 64}}  one more guest that runs
 *     {"wait_idle": {}}                                         until no job runs and none may begin
 *
 * A refusal is {"error": "why"}; a refused load leaves the database as it was. Waits end with one after 10 seconds.
 * One request at a time: not thread-safe. */
#pragma once

#include <jansson.h>

struct clock;
struct database;
struct discovery;
struct error;
struct hypervisor;
struct simulation;
struct worker;

/* All borrowed, until destroy. The clock is a manual one. */
struct simulation_parts {
	struct database *database;
	struct hypervisor *fleet;
	struct worker *worker;
	struct discovery *discovery;
	struct clock *clock;
};

int simulation_create(const struct simulation_parts *parts, struct simulation **ret_simulation, struct error *error);
void simulation_destroy(struct simulation *simulation); /* NULL is fine */
/* The answer is the caller's; NULL when out of memory. */
json_t *simulation_answer(struct simulation *simulation, const json_t *request);
