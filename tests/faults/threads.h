/* Whether anything is at work in this process: for a clock that goes on only when nothing is. The executable is linked so that
 * every thread and every wait on a condition comes by here (meson.build); the thread that calls threads_observe is left out. */
#pragma once

#include <stdbool.h>

/* Once, before there are others; again in a process of its own after a fork. */
void threads_observe(void);
/* Returns when every other thread waits on a condition that nobody has signalled since. False: so much real time has passed. */
bool threads_wait_asleep(int timeout_ms);
