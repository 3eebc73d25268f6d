/* Discovery: keeps the database true to what the hosts show, by the hypervisor's events and by reading everything again
 * from time to time. It owns the handles of the hosts, which jobs borrow.
 *
 * A server that an unfinished job moves is the job's: discovery leaves it alone until the job has ended, and then reads its
 * hosts again.
 */
#pragma once

#include "server/settings.h"
#include "server/worker/hypervisor.h"

struct clock;
struct database;
struct discovery;
struct error;
struct log;
struct metrics;

/* Watches database and hypervisor; reads nothing yet. Everything is borrowed until discovery_destroy. */
int discovery_create(struct hypervisor *hypervisor, struct database *database,
		     const struct hypervisor_settings *settings, struct clock *clock, struct log *log,
		     struct discovery **ret_discovery, struct error *error);
/* From now on readings are counted and timed there; before the first. The metrics outlive the discovery. */
int discovery_measure(struct discovery *discovery, struct metrics *metrics, struct error *error);
/* Starts the threads that read; also again after discovery_stop. */
int discovery_start(struct discovery *discovery, struct error *error);
/* Until every host that the database has was read once, or was found out of reach; only between start and stop. */
void discovery_wait_for_all(struct discovery *discovery);
/* Ends the threads; the handles stay for jobs that are still ending. */
void discovery_stop(struct discovery *discovery);
/* Between stop and start, with no job under way: closes the handles, as if no host had been seen. */
void discovery_forget_hosts(struct discovery *discovery);
/* Closes the handles. No job may use one, and the database's writer must have ended what it had. */
void discovery_destroy(struct discovery *discovery);

/* Hosts may be reached another way than before: the rows are read again. Thread-safe. */
void discovery_list_hosts(struct discovery *discovery);
/* Reads a host again soon. Thread-safe. */
void discovery_look_again(struct discovery *discovery, int64_t host_id);
