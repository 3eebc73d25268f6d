/* Random UUIDs (version 4) and request ids. */
#pragma once

#include <stdbool.h>

#define UUID_SIZE       37 /* 36 characters and the terminator */
#define REQUEST_ID_SIZE 41 /* "req-" and a UUID */

void uuid_make(char ret_uuid[UUID_SIZE]);
void request_id_make(char ret_request_id[REQUEST_ID_SIZE]);
/* Canonical form only: 8-4-4-4-12 hex digits, either case. */
bool uuid_is_valid(const char *string);
