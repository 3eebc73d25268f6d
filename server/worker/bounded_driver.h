/* Inside bounded.c and bounded_call.c: the driver that bounds another one's calls. */
#pragma once

#include "server/worker/bounded_call.h"

struct clock;

struct bounded {
	struct hypervisor base; /* first */
	struct hypervisor *inner;
	struct clock *clock;
	pthread_mutex_t mutex; /* guards stuck, and of each call what is said to be */
	struct bounded_call *stuck; /* given up, still running */
};

struct bounded_host {
	struct hypervisor_host base; /* first */
	struct hypervisor_host *inner;
	char *name; /* owned */
};

/* Of a handle that this driver opened. */
static inline struct bounded *bounded_of(const struct hypervisor_host *host)
{
	return (struct bounded *)host->hypervisor;
}

static inline const char *bounded_name(const struct hypervisor_host *host)
{
	return ((const struct bounded_host *)host)->name;
}

static inline struct hypervisor_host *bounded_inner(const struct hypervisor_host *host)
{
	return ((const struct bounded_host *)host)->inner;
}
