/* Why a move failed. */
#pragma once

struct api_client;

/* By the instance action of that request and its events, in one sentence (heap); NULL: it did not fail, or nobody knows. */
char *move_failure(struct api_client *client, const char *server_id, const char *request_id);
/* The request of the action that began the migration, by the time when that was made (heap); NULL: not found. */
char *move_find_request(struct api_client *client, const char *server_id, const char *created_at);
