/* Read from /proc/self: no library is needed for seven numbers. */
#include "server/process_metrics.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/metrics.h"

struct process {
	double cpu_seconds;
	double start_seconds; /* since 1970 */
	double virtual_bytes;
	double resident_bytes;
	long threads;
};

/* When the machine started, by the clock that the process's start is told by. */
static double boot_seconds(void)
{
	struct timespec now, since_boot;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return (double)(now.tv_sec - since_boot.tv_sec) + (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
}

/* The name stands in parentheses and may have anything in it: what counts begins behind the last one. */
static bool read_stat(struct process *ret_process)
{
	CLEANUP_FCLOSE FILE *file = fopen("/proc/self/stat", "re");
	char line[2048];
	unsigned long user, kernel, virtual_bytes;
	unsigned long long start;
	long threads, resident;

	if (!file || !fgets(line, sizeof(line), file))
		return false;
	const char *rest = strrchr(line, ')');
	if (!rest
	    || sscanf(rest + 1,
		      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d %llu %lu %ld",
		      &user, &kernel, &threads, &start, &virtual_bytes, &resident)
		       != 6)
		return false;
	double ticks = (double)sysconf(_SC_CLK_TCK);
	ret_process->cpu_seconds = (double)(user + kernel) / ticks;
	ret_process->start_seconds = boot_seconds() + (double)start / ticks;
	ret_process->virtual_bytes = (double)virtual_bytes;
	ret_process->resident_bytes = (double)resident * (double)sysconf(_SC_PAGESIZE);
	ret_process->threads = threads;
	return true;
}

/* -1: not told. */
static int64_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int64_t count = -1; /* the directory's own */

	if (!directory)
		return -1;
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

void process_metrics_write(struct text *text)
{
	struct process process = { 0 };
	struct rlimit limit;
	int64_t descriptors = count_descriptors();

	if (read_stat(&process)) {
		metric_write_one(text, "process_cpu_seconds_total", METRIC_COUNTER,
				 "CPU time spent, in user and system.", process.cpu_seconds);
		metric_write_one(text, "process_resident_memory_bytes", METRIC_GAUGE, "Memory that is resident.",
				 process.resident_bytes);
		metric_write_one(text, "process_virtual_memory_bytes", METRIC_GAUGE, "Address space.",
				 process.virtual_bytes);
		metric_write_one(text, "process_start_time_seconds", METRIC_GAUGE,
				 "When the process started, since 1970.", process.start_seconds);
		metric_write_one(text, "process_threads", METRIC_GAUGE, "Threads of the process.",
				 (double)process.threads);
	}
	if (descriptors >= 0)
		metric_write_one(text, "process_open_fds", METRIC_GAUGE, "File descriptors that are open.",
				 (double)descriptors);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		metric_write_one(text, "process_max_fds", METRIC_GAUGE, "File descriptors that may be open.",
				 (double)limit.rlim_cur);
}
