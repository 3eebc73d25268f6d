/* Where a simulated fleet's database and sockets are: a folder that is new at each start and goes with the daemon. */
#pragma once

struct error;

#define SIMULATION_FOLDER_SIZE 80 /* so that a socket's path fits, too */

struct simulation_folder {
	char path[SIMULATION_FOLDER_SIZE]; /* "": there is none */
};

/* In $TMPDIR, else in /tmp; for the daemon's own user alone. */
int simulation_folder_make(struct simulation_folder *folder, struct error *error);
/* With all that is in it. */
void simulation_folder_remove(struct simulation_folder *folder);
