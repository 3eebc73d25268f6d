/* The simulated fleet as the configuration describes it: its hosts and servers in the driver. */
#pragma once

#include "base/uuid.h"

struct config;
struct error;
struct hypervisor;

/* Each host and each server, spread out; the configuration is borrowed until the fleet's destroy. */
int simulation_fill(struct hypervisor *fleet, const struct config *config, struct error *error);

/* The UUID of a server that was given none: the name alone decides it (a UUID of version 8, RFC 9562). */
void simulation_uuid(const char *name, char ret_uuid[UUID_SIZE]);
