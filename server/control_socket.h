/* The simulated fleet's control socket: with that driver alone, a test puts the database into any state.
 *
 * Lines of JSON each way, many to a connection:
 *     {"load": {"services": [{"id": 1, …}], "hosts": […], …}}   erases all, then inserts each row as it is   → {}
 * A refusal is {"error": "why"} and changes nothing.
 */
#pragma once

struct control_socket;
struct database;
struct error;

/* The path is made anew, for the daemon's own user alone. Everything is borrowed until stop. */
int control_socket_start(const char *path, struct database *database, struct control_socket **ret_socket,
			 struct error *error);
void control_socket_stop(struct control_socket *control); /* NULL is fine */
