/* Memory that only a busy daemon needs, given back when it falls idle. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct idle_memory {
	int64_t cpu_us; /* of the process, at the last look */
	int64_t looked_ms; /* monotonic */
	bool is_given_back; /* since it was busy last */
};

/* Few arenas: threads wait more than they allocate. Before the first thread. */
void idle_memory_prepare(void);
/* To be called every few seconds. Once at the beginning of each idle time the heap is trimmed and the pages of program text
 * that were read in are left to the kernel, which maps those that are needed again from its page cache. */
void idle_memory_look(struct idle_memory *memory);
