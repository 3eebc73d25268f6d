/* What stands on hosts: of one host for a claim, of all for the scheduler's memory, by the same sums. */
#include "base/error.h"
#include "db/migration_status.h"
#include "db/row.h"
#include "db/servers.h"

#include <stdlib.h>

/* As Placement counts a flavor's disk: root, ephemeral and swap, rounded up to whole GiB. */
int64_t db_flavor_disk_gb(const struct db_flavor *flavor)
{
	return flavor->disk_gb + flavor->ephemeral_gb + (flavor->swap_mb + 1023) / 1024;
}

/* The parts of a usage. Each is a sum over rows of one table; they are added up by host. */
#define SERVER_SUMS                                                                                                    \
	"SELECT servers.host_id AS host_id, SUM(flavors.vcpus) AS vcpus, SUM(flavors.memory_mb) AS memory_mb, "        \
	"SUM(flavors.disk_gb + flavors.ephemeral_gb + (flavors.swap_mb + 1023) / 1024) AS disk_gb, "                   \
	"COUNT(*) AS servers, SUM(CASE WHEN servers.power_state = 1 THEN 1 ELSE 0 END) AS running_servers, "           \
	"0 AS moves FROM servers JOIN flavors ON flavors.id = servers.flavor_row WHERE servers.is_deleted = 0"
#define CLAIM_SUMS                                                                                                     \
	"SELECT host_id, SUM(vcpus) AS vcpus, SUM(memory_mb) AS memory_mb, SUM(disk_gb) AS disk_gb, 0 AS servers, "    \
	"0 AS running_servers, 0 AS moves FROM claims"
#define SOURCE_MOVES                                                                                                   \
	"SELECT hosts.id AS host_id, 0 AS vcpus, 0 AS memory_mb, 0 AS disk_gb, 0 AS servers, 0 AS running_servers, "   \
	"COUNT(*) AS moves FROM migrations JOIN hosts ON hosts.name = migrations.source_compute "                      \
	"WHERE status IN " MIGRATION_STATUSES_MOVING
#define TARGET_MOVES                                                                                                   \
	"SELECT hosts.id AS host_id, 0 AS vcpus, 0 AS memory_mb, 0 AS disk_gb, 0 AS servers, 0 AS running_servers, "   \
	"COUNT(*) AS moves FROM migrations JOIN hosts ON hosts.name = migrations.dest_compute "                        \
	"WHERE status IN " MIGRATION_STATUSES_MOVING " AND migrations.source_compute <> migrations.dest_compute"

#define SUM_OF_PARTS                                                                                                   \
	"COALESCE(SUM(parts.vcpus), 0), COALESCE(SUM(parts.memory_mb), 0), COALESCE(SUM(parts.disk_gb), 0), "          \
	"COALESCE(SUM(parts.servers), 0), COALESCE(SUM(parts.running_servers), 0), COALESCE(SUM(parts.moves), 0)"

static const char USAGE_OF_ONE[] =
	"SELECT " SUM_OF_PARTS " FROM (" SERVER_SUMS " AND servers.host_id = ?1 GROUP BY servers.host_id"
	" UNION ALL " CLAIM_SUMS " WHERE host_id = ?1 GROUP BY host_id"
	" UNION ALL " SOURCE_MOVES " AND hosts.id = ?1 GROUP BY hosts.id"
	" UNION ALL " TARGET_MOVES " AND hosts.id = ?1 GROUP BY hosts.id) AS parts";

static const char USAGE_OF_ALL[] =
	"SELECT hosts.id, " SUM_OF_PARTS " FROM hosts LEFT JOIN (" SERVER_SUMS " GROUP BY servers.host_id"
	" UNION ALL " CLAIM_SUMS " GROUP BY host_id"
	" UNION ALL " SOURCE_MOVES " GROUP BY hosts.id"
	" UNION ALL " TARGET_MOVES " GROUP BY hosts.id) AS parts ON parts.host_id = hosts.id"
	" GROUP BY hosts.id ORDER BY hosts.id";

/* The sums from `column` on. */
static struct db_host_usage read_usage(struct statement *statement, int column)
{
	return (struct db_host_usage){
		.vcpus = statement_column_int64(statement, column),
		.memory_mb = statement_column_int64(statement, column + 1),
		.disk_gb = statement_column_int64(statement, column + 2),
		.servers = statement_column_int64(statement, column + 3),
		.running_servers = statement_column_int64(statement, column + 4),
		.moves = statement_column_int64(statement, column + 5),
	};
}

int db_host_usage(struct db_session *session, int64_t host_id, struct db_host_usage *ret_usage, struct error *error)
{
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, USAGE_OF_ONE, NULL, &statement, error);

	if (result < 0)
		return result;
	statement_bind_int64(statement, 1, host_id);
	result = statement_step(statement, error);
	if (result < 0)
		return result;
	*ret_usage = read_usage(statement, 0);
	return 0;
}

static int append_usage(struct db_host_usage_list *list, size_t *capacity, struct statement *statement,
			struct error *error)
{
	if (list->count == *capacity) {
		size_t wanted = *capacity ? *capacity * 2 : 16;
		struct db_host_usage_of *more = reallocarray(list->items, wanted, sizeof(*more));

		if (!more)
			return error_no_memory(error);
		list->items = more;
		*capacity = wanted;
	}
	list->items[list->count++] = (struct db_host_usage_of){
		.host_id = statement_column_int64(statement, 0),
		.usage = read_usage(statement, 1),
	};
	return 0;
}

int db_host_usage_all(struct db_session *session, struct db_host_usage_list *ret_usages, struct error *error)
{
	struct db_host_usage_list list = { 0 };
	size_t capacity = 0;
	CLEANUP_STATEMENT struct statement *statement = NULL;
	int result = statement_begin(session, USAGE_OF_ALL, NULL, &statement, error);

	if (result < 0)
		return result;
	while ((result = statement_step(statement, error)) > 0) {
		result = append_usage(&list, &capacity, statement, error);
		if (result < 0)
			break;
	}
	if (result < 0) {
		db_host_usage_list_clear(&list);
		return result;
	}
	*ret_usages = list;
	return 0;
}
