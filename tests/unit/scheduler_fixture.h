/* A small fleet for the scheduler's tests. Include cmocka.h before it. */
#pragma once

#include "server/scheduler/scheduler.h"

/* Three equal hosts, each with room; the server is on compute-1. A test changes what it is about and chooses. */
struct fleet {
	struct host_table *table;
	struct scheduler_settings settings;
	struct schedule_request request;
	struct schedule_result result;
};

int fleet_setup(void **state);
int fleet_teardown(void **state);

/* 4 CPUs, 8192 MiB of memory, 100 GiB of disk, nothing used. */
struct host_state fleet_host(int64_t id, const char *name);
struct name_list fleet_one_name(const char *const *name);
void fleet_put(struct fleet *fleet, const struct host_state *state, const struct host_offers *facts);
void fleet_choose(struct fleet *fleet);
/* Chooses, and expects that host `id` is not among the choices for just this reason. */
void fleet_expect_refusal(struct fleet *fleet, int64_t id, const char *reason);
void fleet_expect_choice(struct fleet *fleet, int64_t id);
