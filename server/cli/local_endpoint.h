/* The daemon of this machine, as its configuration says. */
#pragma once

#include <stdbool.h>

struct config;
struct error;

/* "https://[::1]:8774" on the heap; an address that stands for all becomes the machine itself. -EINVAL: the port is any free one. */
int local_endpoint_url(const struct config *config, char **ret_url, struct error *error);
/* A token of an admin for a minute (heap), when a daemon answers on the admin socket: -EHOSTUNREACH, -EACCES otherwise; -EINVAL: the
 * configuration has no key that signs, or another port than the daemon. */
int local_endpoint_token(const struct config *config, char **ret_token, struct error *error);
