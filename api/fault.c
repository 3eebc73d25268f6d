/* Faults: Nova's JSON shape of a refusal, and its name by the status. */
#include "api/request.h"

#include "base/cleanup.h"
#include "base/text.h"

static const struct {
	int status;
	const char *name;
} fault_names[] = {
	{ 400, "badRequest" }, { 401, "unauthorized" },       { 403, "forbidden" },          { 404, "itemNotFound" },
	{ 405, "badMethod" },  { 409, "conflictingRequest" }, { 413, "overLimit" },          { 415, "badMediaType" },
	{ 429, "overLimit" },  { 501, "notImplemented" },     { 503, "serviceUnavailable" },
};

const char *fault_name(int status)
{
	for (size_t i = 0; i < ARRAY_LENGTH(fault_names); i++)
		if (fault_names[i].status == status)
			return fault_names[i].name;
	return "computeFault";
}

json_t *fault_document(int status, const char *message)
{
	CLEANUP_TEXT struct text readable = TEXT_EMPTY; /* it may repeat what the client sent */

	/* A NUL of the client's travels in our texts as NUL_IN_TEXT. */
	for (const char *nul; (nul = strstr(message, NUL_IN_TEXT)); message = nul + strlen(NUL_IN_TEXT)) {
		CLEANUP_FREE char *before = strndup(message, (size_t)(nul - message));

		text_append_as_utf8(&readable, before ? before : "");
		text_append_bytes(&readable, "", 1);
	}
	text_append_as_utf8(&readable, message);
	if (text_failed(&readable))
		return NULL;
	return json_pack("{s:{s:i,s:s%}}", fault_name(status), "code", status, "message",
			 readable.data ? readable.data : "", readable.length);
}
