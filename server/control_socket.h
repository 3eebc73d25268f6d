/* The simulated fleet's control socket: with that driver alone, a test has the whole daemon in its hand.
 *
 * Lines of JSON each way, many to a connection, one connection at a time; simulation.h says what may stand in them.
 */
#pragma once

struct control_socket;
struct error;
struct simulation;

/* The path is made anew, for the daemon's own user alone. Everything is borrowed until stop. */
int control_socket_start(const char *path, struct simulation *simulation, struct control_socket **ret_socket,
			 struct error *error);
void control_socket_stop(struct control_socket *control); /* NULL is fine */
