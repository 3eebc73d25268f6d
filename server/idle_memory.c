/* Giving back memory. A start maps several MiB of library text that is never run again (most of it by the kernel's reading
 * around), and libvirt's messages leave holes in the heap: an idle daemon needs neither. */
#include "server/idle_memory.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/cleanup.h"

#define ARENAS_MAX         2
#define IDLE_CPU_PER_MILLE 20
#define LINE_BYTES         1024

void idle_memory_prepare(void)
{
	mallopt(M_ARENA_MAX, ARENAS_MAX);
}

static int64_t read_clock_us(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now) < 0)
		return 0;
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Text is never written (no mapping of ours is both writable and executable): what is dropped is read again as it was. */
static void leave_text(void)
{
	CLEANUP_FCLOSE FILE *maps = fopen("/proc/self/maps", "re");
	char line[LINE_BYTES];

	while (maps && fgets(line, sizeof(line), maps)) {
		uintptr_t begin, end;
		char rights[5];

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &begin, &end, rights) == 3
		    && strcmp(rights, "r-xp") == 0 && strchr(line, '/'))
			(void)madvise((void *)begin, end - begin,
				      MADV_DONTNEED); /* advice: a refusal changes nothing */
	}
}

void idle_memory_look(struct idle_memory *memory)
{
	int64_t now_ms = read_clock_us(CLOCK_MONOTONIC) / 1000;
	int64_t cpu_us = read_clock_us(CLOCK_PROCESS_CPUTIME_ID);
	int64_t elapsed_ms = now_ms - memory->looked_ms;
	bool is_first = memory->looked_ms == 0;
	bool is_busy = (cpu_us - memory->cpu_us) > elapsed_ms * IDLE_CPU_PER_MILLE;

	memory->looked_ms = now_ms;
	memory->cpu_us = cpu_us;
	if (is_first)
		return;
	if (is_busy) {
		memory->is_given_back = false;
	} else if (!memory->is_given_back) {
		memory->is_given_back = true;
		malloc_trim(0);
		leave_text();
	}
}
