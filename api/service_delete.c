/* DELETE /os-services/{id}: a host's service goes with the host, as by `migrationd host remove`; ids are numbers below 2.53 and
 * UUIDs from then on. A host that the configuration names comes back with the next start. */
#include "api/handlers.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "db/hosts.h"

#define FIRST_MINOR_UUID 53

struct removal {
	struct request *request;
	int64_t id; /* before 2.53; 0: by UUID */
	int refusal; /* status; 0: none */
	const char *words;
};

static bool is_meant(const struct removal *removal, const struct db_service *service)
{
	return removal->id ? service->id == removal->id : text_equal(service->uuid, removal->request->id);
}

static void refuse(struct removal *removal, int status, const char *words)
{
	removal->refusal = status;
	removal->words = words;
}

static int remove_host(struct db_session *session, struct removal *removal, int64_t host_id, struct error *error)
{
	struct db_host_usage usage = { 0 };
	int result = db_host_usage(session, host_id, &usage, error);

	if (result < 0)
		return result;
	if (usage.servers) {
		refuse(removal, 409,
		       "Unable to delete compute service that is hosting instances. Migrate or delete the instances "
		       "first.");
		return 0;
	}
	result = db_host_remove(session, host_id, error);
	if (result == -EBUSY) {
		error_clear(error);
		refuse(removal, 409,
		       "Unable to delete compute service that has in-progress migrations. Complete the migrations "
		       "first "
		       "then delete the service again.");
		return 0;
	}
	return result;
}

static int carry_out(struct db_session *session, void *context, struct error *error)
{
	struct removal *removal = context;
	CLEANUP_DB_SERVICES struct db_service_list services = { 0 };
	CLEANUP_DB_HOSTS struct db_host_list hosts = { 0 };
	int result = db_service_all(session, &services, error);

	if (result == 0)
		result = db_host_all(session, &hosts, error);
	for (size_t i = 0; i < hosts.count && result == 0; i++)
		if (is_meant(removal, &hosts.items[i].service))
			return remove_host(session, removal, hosts.items[i].id, error);
	refuse(removal, 404, NULL);
	for (size_t i = 0; i < services.count; i++)
		if (is_meant(removal, &services.items[i]))
			refuse(removal, 409, "This service is a part of the daemon that answers.");
	return result;
}

/* On the writer's thread, after the commit. */
static void answer(void *context, int result, const struct error *error)
{
	CLEANUP_FREE struct removal *removal = context;
	struct request *request = removal->request;
	struct error no_memory = { 0 };

	if (result < 0) {
		error_no_memory(&no_memory);
		request_reply_error(request, error ? error : &no_memory);
	} else if (removal->words) {
		request_reply_fault(request, removal->refusal, "%s", removal->words);
	} else if (removal->refusal) {
		request_reply_fault(request, removal->refusal, "Service %s not found.", request->id);
	} else {
		request_reply_empty(request, 204);
	}
}

int handle_service_delete(struct request *request, struct error *error)
{
	const struct policy_target target = policy_target_nothing();
	int64_t id = 0;

	if (!request_allows(request, "os_compute_api:os-services:delete", &target))
		return 0;
	if (request->minor >= FIRST_MINOR_UUID && !uuid_is_valid(request->id))
		return request_reply_fault(request, 400, "Invalid uuid %s", request->id);
	if (request->minor < FIRST_MINOR_UUID && !text_to_int64(request->id, 1, INT64_MAX, &id))
		return request_reply_fault(request, 400, "Invalid input received: id must be an integer");

	struct removal *removal = calloc(1, sizeof(*removal));
	if (!removal)
		return error_no_memory(error);
	*removal = (struct removal){ .request = request, .id = id };
	db_submit(request->settings->database, carry_out, answer, removal);
	return 0;
}
