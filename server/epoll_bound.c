/* libmicrohttpd 0.9.75 takes 128 events at a time, and where it gets just so many it asks for more before it works on these: it
 * waits then, with 128 requests in its hands, until something else happens or a connection has been silent for too long. So it
 * never gets so many: this stands before the C library's call, gives one event fewer than there is room for, and the rest with
 * the next call. */
#include "server/epoll_bound.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/epoll.h>

__attribute__((visibility("default"))) int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
	return epoll_pwait(epfd, events, maxevents > 1 ? maxevents - 1 : maxevents, timeout, NULL);
}

bool epoll_bound_holds(void)
{
	int (*own)(int, struct epoll_event *, int, int) = epoll_wait;
	void *called = dlsym(RTLD_DEFAULT, "epoll_wait");

	return called && memcmp(&called, &own, sizeof(called)) == 0;
}
