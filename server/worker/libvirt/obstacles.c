/* Asked before anything is begun: what libvirt would refuse late, or let go and lose. */
#include "server/worker/libvirt/obstacles.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/facts.h"

static int read_obstacles(struct libvirt_host *source, const char *uuid, json_t **ret_obstacles, struct error *error)
{
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(source, uuid, &domain, error);

	if (result < 0)
		return result;
	int snapshots = virDomainSnapshotNum(domain, 0);
	CLEANUP_FREE char *definition = virDomainGetXMLDesc(domain, 0);
	if (snapshots < 0 || !definition)
		return libvirt_error(source, error, "read the guest's definition");
	*ret_obstacles = facts_obstacles(definition, snapshots);
	return *ret_obstacles ? 0 : error_no_memory(error);
}

int libvirt_check_obstacles(struct libvirt_host *source, const char *uuid, struct check_result *check,
			    struct error *error)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;
	json_t *obstacles = NULL;
	int result = read_obstacles(source, uuid, &obstacles, error);

	for (size_t i = 0; i < json_array_size(obstacles); i++)
		text_append_format(&words, "%s%s", i > 0 ? ", and " : "",
				   json_string_value(json_array_get(obstacles, i)));
	size_t count = json_array_size(obstacles);
	json_decref(obstacles);
	if (result < 0 || count == 0)
		return result;
	check->refusal = CHECK_REFUSED_BY_SERVER;
	check->is_about_source = true;
	return error_set(error, ECANCELED, "server %s uses %s", uuid, words.data ? words.data : "");
}
