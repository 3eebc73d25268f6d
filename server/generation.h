/* One generation of the configuration: what requests are answered by, made anew when the operator changes it. The api uses one
 * until its last request has ended; then it may be destroyed. */
#pragma once

#include <stdbool.h>

struct api_settings;
struct clock;
struct config;
struct database;
struct error;
struct generation;
struct log;
struct metrics;

/* All borrowed; they outlive the generation. */
struct generation_parts {
	struct database *database;
	struct clock *clock;
	struct log *log;
	struct metrics *metrics; /* NULL: nobody measures */
};

/* Takes the configuration when it succeeds. Warnings about policies go to the log. */
int generation_create(struct config *config, const struct generation_parts *parts, struct generation **ret_generation,
		      struct error *error);
const struct config *generation_config(const struct generation *generation);
const struct api_settings *generation_api_settings(const struct generation *generation);
/* The api has said so. Thread-safe. */
bool generation_is_unused(const struct generation *generation);
/* Requests that wait for somebody's word about a token are answered that nobody can tell now. */
void generation_stop(struct generation *generation);
void generation_destroy(struct generation *generation); /* stops first; NULL is fine */
