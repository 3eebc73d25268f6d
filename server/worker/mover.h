/* Inside the worker: the hypervisor's call that moves a running guest, in a thread of its own, and the watch over it. */
#pragma once

#include <stdbool.h>

struct error;
struct job_run;
struct live_options;

/* What the call returned. -EAGAIN: the daemon stops, and the move goes on without us. -ETIMEDOUT: the guest does not move any
 * more, but the call does not return; it is left to itself, and both sides are to be asked. */
int mover_run(struct job_run *run, const struct live_options *options, bool copies_disks, struct error *error);
