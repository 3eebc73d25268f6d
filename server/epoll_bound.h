/* Keeps libmicrohttpd from waiting for more events while it holds some that it has not worked on. */
#pragma once

#include <stdbool.h>

/* False where the process's calls of epoll_wait do not lead here: then requests could be left lying. */
bool epoll_bound_holds(void);
