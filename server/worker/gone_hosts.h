/* Inside the worker: what becomes of a host that its operator gave up for good. From then on its side of every job counts as
 * absent, so that the jobs end by what the other side shows; a server that waited there for its confirm goes back to where it
 * came from. When no unfinished job names the host any more, all that is bound to it is given up in one transaction, and its
 * row goes.
 */
#pragma once

struct worker;

/* The dispatcher's, without the mutex, in each of its rounds: looks at the database only when a host was given up, or one
 * was and is still there. */
void gone_hosts_dispatch(struct worker *worker);
