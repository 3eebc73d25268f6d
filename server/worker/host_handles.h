/* Inside the worker: handles of hosts. One is opened at first use and stays open; those of a host that was removed are closed
 * when no thread can have one.
 */
#pragma once

struct worker;
struct worker_host;

/* The dispatcher's, without the mutex, in each of its rounds. */
void host_handles_dispatch(struct worker *worker);
/* All of the list, which is nobody's any more. May wait for the hosts. */
void host_handles_close(struct worker *worker, struct worker_host *list);
