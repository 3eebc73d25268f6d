/* A door of their own for monitors: another address, for /metrics, /healthz and /readyz alone, which stays open while the
 * listener drains. */
#pragma once

#include <stdint.h>

struct error;
struct http_measures;
struct probe_door;
struct probes;

/* Listens at once. Probes and measures (NULL: none) are borrowed until probe_door_stop. */
int probe_door_start(const char *address, int64_t port, const struct probes *probes, struct http_measures *measures,
		     struct probe_door **ret_door, struct error *error);
int probe_door_port(const struct probe_door *door);
void probe_door_stop(struct probe_door *door); /* NULL is fine */
