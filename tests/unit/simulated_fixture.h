/* Two simulated hosts under a clock that stands, and calls that go on while a test looks on. Include cmocka.h before it. */
#pragma once

#include <pthread.h>

#include "server/worker/simulated/fleet.h"

#define BENCH_GUEST "aaaaaaaa-0000-4000-8000-000000000001"

/* The hosts "one" and "two"; BENCH_GUEST runs on the first, without a disk. */
struct bench {
	struct clock *clock;
	struct hypervisor *fleet;
	const struct hypervisor_operations *operations;
	struct hypervisor_host *source, *target;
	struct guest_list list;
	int hook_calls;
	int news_up, news_down;
};

/* A call on a thread of its own. */
struct errand {
	struct bench *bench;
	int (*run)(struct bench *bench);
	int result;
	pthread_t thread;
};

int bench_setup(void **state);
int bench_teardown(void **state);

void bench_begin(struct errand *errand, struct bench *bench, int (*run)(struct bench *bench));
int bench_end(struct errand *errand);

int bench_migrate(struct bench *bench);
/* A migration that stands at its gate in the copy. */
void bench_begin_migration(struct errand *errand, struct bench *bench);
/* The fault happens on that host, to BENCH_GUEST where it is about one. */
void bench_inject(struct bench *bench, enum simulated_fault fault, const char *host);
struct guest_view bench_look(struct bench *bench, struct hypervisor_host *host);
/* What BENCH_GUEST is on the two hosts. */
void bench_expect(struct bench *bench, enum guest_state source, enum guest_state target);
