/* Bounds on the hypervisor's calls: a driver around another driver, each of whose calls returns within its bound.
 *
 * A call that does not return is given up: -ETIMEDOUT, the handle is interrupted (hypervisor.h), and the call goes on in a
 * thread of its own until it returns. It may still happen, so until then
 *     look() shows its guest as busy on that host, and
 *     another call that would change that guest there answers -EBUSY at once: twenty calls that hang occupy all of a
 *     libvirtd's workers.
 *
 * What a given-up call answers late is thrown away; a journal or a question of the caller's is not asked any more. A copy of
 * disks gets its bound again whenever it asks whether it is cancelled, so between two buffers; a migration has a thread of its
 * own (mover.h). A handle that is closed while such a call still runs is never freed.
 */
#pragma once

#include <stdbool.h>

struct clock;
struct error;
struct hypervisor;

/* `inner` and `clock` are borrowed; destroying the result leaves the inner driver alone. */
int bounded_create(struct hypervisor *inner, struct clock *clock, struct hypervisor **ret_bounded, struct error *error);
/* Whether calls that were given up still run: then the inner driver must not be destroyed. */
bool bounded_has_stuck_calls(struct hypervisor *bounded);
