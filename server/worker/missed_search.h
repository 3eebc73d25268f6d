/* The search for guests that are missed (missed.h), as part of discovery: which hosts are read for it and when, and when every
 * host was. The structures of discovery stand here, for discover.c and search.c alone. */
#pragma once

#include <pthread.h>

#include "db/hosts.h"
#include "server/worker/hypervisor.h"
#include "server/worker/left_jobs.h"
#include "server/worker/missed.h"

#define DISCOVERY_THREADS 4

struct metric_family;

struct seen_host {
	int64_t id;
	char name[DB_NAME_SIZE];
	char *address; /* URI and credentials, by which it was opened */
	bool is_left; /* removed, or to be reached another way: it goes when nobody reads it */
	struct seen_host *next_left;
	struct hypervisor_host *handle;
	int64_t due_ms;
	bool is_being_read;
	bool is_up;
	char *down_reason; /* as it was told last; NULL: it is up */
	bool was_read;
	struct left_jobs left_to; /* what it showed last of their servers was not taken */
	bool is_searched; /* to be read for a guest that is missed, when nothing else is due */
	int64_t good_reading; /* the newest that the host answered and that is written; 0: none */
};

struct discovery {
	struct hypervisor *hypervisor;
	struct database *database;
	const struct hypervisor_settings *settings;
	struct clock *clock;
	struct log *log;
	struct missed missed; /* the database writer's */
	struct {
		struct metric_family *readings, *seconds, *last_good; /* NULL: nobody measures */
	} measures;
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t has_work;
	struct seen_host **hosts;
	size_t host_count;
	struct seen_host
		*left; /* no longer among the hosts; to be closed when the lock is not held, since that takes time */
	size_t unread; /* hosts that were never read */
	size_t unwritten; /* readings and decisions on their way to the disk */
	int64_t newest_reading; /* readings have numbers, by their beginnings */
	int64_t wanted_reading; /* every host is to be read by a newer one, since a guest is missed; 0: none ever was */
	int64_t searched_reading; /* up to here the search has begun */
	int64_t next_search_ms;
	bool must_list_hosts;
	int64_t list_not_before_ms; /* after the database could not be read */
	bool is_ending;
	pthread_t threads[DISCOVERY_THREADS];
	int thread_count;
};

/* With the lock held. NULL: there is none, or it is about to go. */
struct seen_host *discovery_find_host(struct discovery *discovery, int64_t id);
/* What was submitted to the writer has ended; the last that touches the discovery. */
void discovery_end_write(struct discovery *discovery);

/* With the lock held: a guest is missed, and readings up to `noted` do not count. */
void search_plan(struct discovery *discovery, int64_t noted);
/* With the lock held: marks the hosts that are to be read, when the time has come. */
void search_begin(struct discovery *discovery);
/* On the writer's thread, without the lock, after each reading: submits what can be decided now. When the host has just come up,
 * those that a host kept are decided at once. */
void search_decide(struct discovery *discovery, bool came_up);
