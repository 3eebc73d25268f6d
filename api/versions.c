/* The version documents: what clients choose their microversion by. */
#include "api/handlers.h"

#include <stdio.h>
#include <string.h>

#include "api/microversion.h"

#define MEDIA_TYPE "application/vnd.openstack.compute+json;version="

struct version_row {
	const char *id;
	const char *status;
	const char *version;
	const char *min_version;
	const char *updated;
	const char *path;
	const char *media_version;
};

/* Nova's dates; clients read version and min_version. */
static const struct version_row old_version = { "v2.0", "DEPRECATED", "", "", "2011-01-21T11:33:21Z", "v2", "2" };

static json_t *media_types(const struct version_row *row)
{
	return json_pack("[{s:s,s:s+}]", "base", "application/json", "type", MEDIA_TYPE, row->media_version);
}

static struct version_row current_version(char text[16])
{
	snprintf(text, 16, "2.%d", MICROVERSION_MINOR_MAX);
	return (struct version_row){ "v2.1", "CURRENT", text, "2.1", "2013-07-23T11:33:21Z", "v2.1", "2.1" };
}

/* Beside Nova's members: whether no guest is real. */
static json_t *list_entry(const struct request *request, const struct version_row *row)
{
	json_t *entry = json_pack("{s:s,s:s,s:s,s:s,s:s,s:[{s:s,s:s+++}]}", "id", row->id, "status", row->status,
				  "version", row->version, "min_version", row->min_version, "updated", row->updated,
				  "links", "rel", "self", "href", request->base_url, "/", row->path, "/");

	if (request->settings->is_simulated)
		json_object_set_new(entry, "simulated", json_true());
	return entry;
}

int handle_version_list(struct request *request, struct error *error)
{
	char text[16];
	struct version_row current = current_version(text);

	(void)error;
	return request_reply_json(
		request, 200,
		json_pack("{s:[o,o]}", "versions", list_entry(request, &old_version), list_entry(request, &current)));
}

static json_t *choice(const struct request *request, const struct version_row *row)
{
	const char *path = request->path[0] ? request->path : "/";
	size_t length = strlen(path);

	if (length > 1 && path[length - 1] == '/')
		length--;
	return json_pack("{s:s,s:s,s:[{s:s,s:s+++%}],s:o}", "id", row->id, "status", row->status, "links", "rel",
			 "self", "href", request->base_url, "/", row->path, path, length, "media-types",
			 media_types(row));
}

int handle_version_choices(struct request *request, struct error *error)
{
	char text[16];
	struct version_row current = current_version(text);

	(void)error;
	return request_reply_json(
		request, 300,
		json_pack("{s:[o,o]}", "choices", choice(request, &old_version), choice(request, &current)));
}

static int show(struct request *request, const struct version_row *row)
{
	json_t *version = list_entry(request, row);
	json_t *described_by = json_pack("{s:s,s:s,s:s}", "rel", "describedby", "type", "text/html", "href",
					 "http://docs.openstack.org/");

	json_array_append_new(json_object_get(version, "links"), described_by);
	json_object_set_new(version, "media-types", media_types(row));
	return request_reply_json(request, 200, json_pack("{s:o}", "version", version));
}

int handle_version_show(struct request *request, struct error *error)
{
	char text[16];
	struct version_row current = current_version(text);

	(void)error;
	return show(request, &current);
}

int handle_old_version_show(struct request *request, struct error *error)
{
	(void)error;
	return show(request, &old_version);
}
