/* Things of the API by the names that people have for them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "base/uuid.h"
#include "server/admin_socket.h"
#include "server/cli/api_client.h"
#include "server/http_fetch.h"

static int refuse(const struct api_client *client, const char *what, const char *name, const char *why)
{
	fprintf(stderr, "migrationd %s: %s %s: %s\n", api_client_verb(client), what, name, why);
	return EXIT_FAILURE;
}

static int show_server(struct api_client *client, const char *uuid, json_t **ret_server)
{
	CLEANUP_FREE char *path = text_format("/servers/%s", uuid);
	CLEANUP_API_ANSWER struct api_answer answer = { 0 };
	int status = path ? api_client_demand(client, "GET", path, NULL, &answer) : EXIT_FAILURE;

	if (status == 0)
		*ret_server = json_incref(json_object_get(answer.body, "server"));
	return status == 0 && !*ret_server ? EXIT_FAILURE : status;
}

/* The filter by name is a regular expression, a name is none. */
static void append_pattern(const char *name, struct text *text)
{
	text_append(text, "^");
	for (; *name; name++)
		text_append_format(text, "%s%c", strchr(".[](){}*+?^$|\\", *name) ? "\\" : "", *name);
	text_append(text, "$");
}

/* Those of all projects, where that may be asked; else the own ones. */
static int list_by_name(struct api_client *client, const char *name, json_t **ret_rows)
{
	CLEANUP_TEXT struct text path = TEXT_EMPTY;
	CLEANUP_TEXT struct text pattern = TEXT_EMPTY;

	append_pattern(name, &pattern);
	text_append_format(&path, "/servers/detail?%sname=", api_client_is_local(client) ? "all_tenants=1&" : "");
	http_append_escaped(pattern.data ? pattern.data : "", &path);
	if (text_failed(&path) || text_failed(&pattern))
		return EXIT_FAILURE;
	return api_client_list(client, path.data, "servers", 0, ret_rows);
}

int api_client_find_server(struct api_client *client, const char *name, json_t **ret_server)
{
	json_t *rows = NULL, *row, *found = NULL;
	size_t i, count = 0;

	if (uuid_is_valid(name))
		return show_server(client, name, ret_server);
	int status = list_by_name(client, name, &rows);
	if (status != 0)
		return status;
	json_array_foreach(rows, i, row) if (text_equal(json_string_value(json_object_get(row, "name")), name))
	{
		found = row;
		count++;
	}
	if (count == 1)
		*ret_server = json_incref(found);
	json_decref(rows);
	if (count == 1)
		return 0;
	return refuse(client, "server", name,
		      count == 0 ? "there is none of that name; see migrationd server list"
				 : "several have that name: say which by its id");
}

int api_client_show_migration(struct api_client *client, const char *id, json_t **ret_migration, struct error *error)
{
	json_t *request = json_pack("{s:s, s:s}", "verb", "migration show", "migration", id);
	CLEANUP_FREE char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	CLEANUP_FREE char *text = NULL;
	int result =
		line ? admin_socket_ask(api_client_admin_socket(client), line, &text, error) : error_no_memory(error);

	json_decref(request);
	if (result < 0)
		return result == -EACCES ? EXIT_FORBIDDEN : EXIT_UNAVAILABLE;
	json_t *answer = json_loads(text, 0, NULL);
	const char *refusal = json_string_value(json_object_get(answer, "error"));
	*ret_migration = json_incref(json_object_get(answer, "migration"));
	if (!*ret_migration)
		error_set(error, EIO, "%s", refusal ? refusal : "the daemon's answer cannot be read");
	json_decref(answer);
	return *ret_migration ? 0 : EXIT_FAILURE;
}

json_t *api_row(const json_t *document, const struct api_member *members, size_t member_count)
{
	json_t *row = json_object();

	for (size_t i = 0; i < member_count; i++) {
		json_t *value = json_object_get(document, members[i].key);

		json_object_set(row, members[i].name, value ? value : json_null());
	}
	return row;
}

void api_append_filter(const char *name, const char *value, struct text *path)
{
	if (!value)
		return;
	text_append_format(path, "%s=", name);
	http_append_escaped(value, path);
	text_append(path, "&");
}

json_t *api_migration_row(const json_t *migration)
{
	static const struct api_member members[] = {
		{ "id", "id" },
		{ "uuid", "uuid" },
		{ "server", "instance_uuid" },
		{ "type", "migration_type" },
		{ "status", "status" },
		{ "source", "source_compute" },
		{ "target", "dest_compute" },
		{ "created_at", "created_at" },
		{ "updated_at", "updated_at" },
	};

	return api_row(migration, members, ARRAY_LENGTH(members));
}

static bool is_named(const json_t *row, const char *id)
{
	CLEANUP_FREE char *number = text_format("%lld", (long long)json_integer_value(json_object_get(row, "id")));

	return text_equal(number, id) || text_equal(json_string_value(json_object_get(row, "uuid")), id);
}

static int find_among_all(struct api_client *client, const char *id, json_t **ret_migration)
{
	json_t *rows = NULL, *row;
	size_t i;
	int status = api_client_list(client, "/os-migrations", "migrations", 0, &rows);

	if (status != 0)
		return status;
	json_array_foreach(rows, i, row) if (is_named(row, id))
	{
		*ret_migration = api_migration_row(row);
		break;
	}
	json_decref(rows);
	return *ret_migration ? 0 : refuse(client, "migration", id, "there is none; see migrationd migration list");
}

int api_client_find_migration(struct api_client *client, const char *id, json_t **ret_migration)
{
	int64_t number;
	struct error error = { 0 };

	if (!uuid_is_valid(id) && !text_to_int64(id, 1, INT64_MAX, &number))
		return verb_refuse(api_client_verb(client),
				   "a migration is named by its number or its UUID, not \"%s\"", id);
	if (!api_client_is_local(client))
		return find_among_all(client, id, ret_migration);
	int status = api_client_show_migration(client, id, ret_migration, &error);
	if (status != 0)
		fprintf(stderr, "migrationd %s: %s\n", api_client_verb(client), error.text);
	return status;
}
