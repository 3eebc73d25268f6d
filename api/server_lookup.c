/* One place decides whom a server is hidden from, so that no resource tells more than another. */
#include "api/server_lookup.h"

#include "base/cleanup.h"
#include "base/text.h"

static int find(struct request *request, struct db_session *session, bool has_deleted, struct db_server *ret_server,
		struct error *error)
{
	const struct db_server_filter filter = { .uuid = request->id, .has_deleted = true, .limit = 1 };
	CLEANUP_DB_SERVERS struct db_server_list list = { 0 };
	int result = strstr(request->id, NUL_IN_TEXT) ? -ENOENT /* the database takes no such text */
						      : db_server_by_uuid(session, request->id, ret_server, error);

	if (result != -ENOENT || !has_deleted || strstr(request->id, NUL_IN_TEXT))
		return result;
	result = db_server_find(session, &filter, &list, error);
	if (result < 0)
		return result;
	if (!list.count)
		return -ENOENT;
	*ret_server = list.items[0];
	list.items[0] = (struct db_server){ 0 };
	return 0;
}

int server_lookup(struct request *request, struct db_session *session, const char *policy, bool has_deleted,
		  struct db_server *ret_server, struct error *error)
{
	CLEANUP_DB_SERVER struct db_server server = { 0 };
	struct policy_target target;
	int result = find(request, session, has_deleted, &server, error);

	if (result < 0 && result != -ENOENT)
		return result;
	if (result == -ENOENT || (!request->is_admin && !text_equal(server.project_id, request->caller->project_id)))
		return request_reply_fault(request, 404, "Instance %s could not be found.", request->id);
	target = policy_target_project(server.project_id);
	if (!request_allows(request, policy, &target))
		return 0;
	*ret_server = server;
	server = (struct db_server){ 0 };
	return 1;
}
