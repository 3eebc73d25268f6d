/* A client of one connection, which says what a test wants and waits for what comes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* To that port of 127.0.0.1, from an address of this machine. */
int connect_to_port(int port, const char *own_address);
void send_text(int connection, const char *text);
/* One whole response with a Content-Length. */
void read_response(int connection, char *ret_text, size_t size);
/* Whether anything comes within that time, or the other end closes. */
bool is_readable(int connection, int for_ms);
/* Whether the other end closes within that time, without another word. */
bool is_closed(int connection, int for_ms);
