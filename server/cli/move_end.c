/* The reason of a failed move stands in the events of its instance action: the last that failed is nearest to it. */
#include "server/cli/move_end.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "server/cli/api_client.h"

static const char *text_of(const json_t *document, const char *key)
{
	return json_string_value(json_object_get(document, key));
}

char *move_failure(struct api_client *client, const char *server_id, const char *request_id)
{
	CLEANUP_FREE char *path = text_format("/servers/%s/os-instance-actions/%s", server_id, request_id);
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	const json_t *event, *failed = NULL;
	size_t i;

	if (!path || api_client_ask(client, "GET", path, NULL, &answer) != 0)
		return NULL;
	const json_t *action = json_object_get(answer.body, "instanceAction");
	if (!text_of(action, "message"))
		return NULL;
	json_array_foreach(json_object_get(action, "events"), i,
			   event) if (text_equal(text_of(event, "result"), "Error")
				      && (!failed || text_of(event, "details"))) failed = event;
	if (text_of(failed, "details"))
		return text_format("%s", text_of(failed, "details"));
	if (failed)
		return text_format("%s failed; an admin is told why by: openstack server event show %s %s",
				   text_of(failed, "event"), server_id, request_id);
	return text_format("%s", text_of(action, "message"));
}

static int64_t distance_us(const char *a, const char *b)
{
	int64_t a_us, b_us;

	if (!a || !b || !time_parse(a, &a_us) || !time_parse(b, &b_us))
		return INT64_MAX;
	return a_us > b_us ? a_us - b_us : b_us - a_us;
}

char *move_find_request(struct api_client *client, const char *server_id, const char *created_at)
{
	CLEANUP_FREE char *path = text_format("/servers/%s/os-instance-actions", server_id);
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	const json_t *action;
	const char *nearest = NULL;
	int64_t nearest_us = INT64_MAX;
	size_t i;

	if (!path || api_client_ask(client, "GET", path, NULL, &answer) != 0)
		return NULL;
	json_array_foreach(json_object_get(answer.body, "instanceActions"), i, action)
	{
		int64_t us = distance_us(text_of(action, "start_time"), created_at);
		const char *name = text_of(action, "action");

		if (us < nearest_us && (text_equal(name, "live-migration") || text_equal(name, "migrate"))) {
			nearest_us = us;
			nearest = text_of(action, "request_id");
		}
	}
	return nearest ? text_format("%s", nearest) : NULL;
}
