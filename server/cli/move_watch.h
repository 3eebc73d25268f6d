/* How a move goes, as far as whoever asks may know. */
#pragma once

#include "server/cli/api_client.h"

/* A look at a move. What is not known is -1 or "". */
struct move_view {
	char status[48]; /* the migration's, or the server's for those who may not see it */
	char server_status[32];
	char task_state[48]; /* "" is none */
	char host[256]; /* the server's */
	char host_id[64]; /* the server's, which members see, too: another one on another host */
	char source[256];
	char target[256];
	int64_t total; /* bytes, memory and disks together */
	int64_t processed;
	int64_t remaining;
	int64_t bytes_per_s;
	int64_t dirty_bytes_per_s;
	bool is_over;
};

struct move_watch {
	struct api_client *client;
	const char *server_id;
	const char *server_name;
	int64_t migration_id; /* 0: not known to this token */
	bool is_quiet; /* nothing is shown meanwhile */
	bool is_migration; /* it is over when the migration is; else when the server has no task any more */
	struct move_view view;
	int64_t seen_at_ms; /* of the bytes that a rate was last reckoned from */
	int64_t seen_bytes;
};

void move_watch_begin(struct move_watch *watch);
/* The server's newest, where the token may see it. */
void move_watch_find_migration(struct move_watch *watch);
/* Shows it until it is over (0) or somebody presses ^C; else the exit status, and why was told. On a terminal a line that is drawn
 * anew, otherwise a line for each change. */
int move_watch_run(struct move_watch *watch);
