/* The place of a socket before it is bound. */
#pragma once

struct error;

/* Removes the socket that a daemon which was killed has left there. -EINVAL: there is something else, which stays. */
int stale_socket_remove(const char *path, struct error *error);
