/* Sorting by Nova's names of columns. Those that we keep nothing for leave the order as it is; ties keep it too, newest first. */
#include "api/server_sort.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

enum column_kind { COLUMN_OTHER, COLUMN_TEXT, COLUMN_NUMBER, COLUMN_INT };

static const struct column {
	const char *key;
	enum column_kind kind;
	size_t offset;
} columns[] = {
#define TEXT(key, member)                                                                                              \
	{                                                                                                              \
		key, COLUMN_TEXT, offsetof(struct db_server, member)                                                   \
	}
#define NUMBER(key, member)                                                                                            \
	{                                                                                                              \
		key, COLUMN_NUMBER, offsetof(struct db_server, member)                                                 \
	}
#define OTHER(key)                                                                                                     \
	{                                                                                                              \
		key, COLUMN_OTHER, 0                                                                                   \
	}
	OTHER("access_ip_v4"),
	OTHER("access_ip_v6"),
	OTHER("auto_disk_config"),
	TEXT("availability_zone", availability_zone),
	TEXT("config_drive", config_drive),
	NUMBER("created_at", created_us),
	OTHER("display_description"),
	TEXT("display_name", name),
	TEXT("host", host),
	TEXT("hostname", hostname),
	TEXT("image_ref", image_id),
	NUMBER("instance_type_id", flavor.id),
	OTHER("kernel_id"),
	TEXT("key_name", key_name),
	OTHER("launch_index"),
	NUMBER("launched_at", launched_us),
	TEXT("locked_by", locked_by),
	TEXT("node", host),
	{ "power_state", COLUMN_INT, offsetof(struct db_server, power_state) },
	OTHER("progress"),
	TEXT("project_id", project_id),
	OTHER("ramdisk_id"),
	TEXT("root_device_name", root_device_name),
	TEXT("task_state", task_state),
	NUMBER("terminated_at", terminated_us),
	NUMBER("updated_at", updated_us),
	TEXT("user_id", user_id),
	TEXT("uuid", uuid),
	TEXT("vm_state", vm_state),
	/* Taken and ignored, as in Nova. */
	OTHER("architecture"),
	OTHER("cell_name"),
	OTHER("cleaned"),
	OTHER("default_ephemeral_device"),
	OTHER("default_swap_device"),
	OTHER("deleted"),
	OTHER("deleted_at"),
	OTHER("disable_terminate"),
	OTHER("ephemeral_gb"),
	OTHER("ephemeral_key_uuid"),
	OTHER("id"),
	OTHER("key_data"),
	OTHER("launched_on"),
	OTHER("locked"),
	OTHER("memory_mb"),
	OTHER("os_type"),
	OTHER("reservation_id"),
	OTHER("root_gb"),
	OTHER("shutdown_terminate"),
	OTHER("user_data"),
	OTHER("vcpus"),
	OTHER("vm_mode"),
};

static const struct column *find_column(const char *key)
{
	for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
		if (text_equal(columns[i].key, key))
			return &columns[i];
	return NULL;
}

static bool refuse_key(struct request *request, const char *key)
{
	CLEANUP_TEXT struct text words = TEXT_EMPTY;

	for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
		text_append_format(&words, "%s'%s'", i ? ", " : "", columns[i].key);
	request_reply_fault(request, 400,
			    "Invalid input for query parameters sort_key. Value: %s. '%s' is not one of [%s]", key, key,
			    words.data ? words.data : "");
	return false;
}

bool server_sort_check(struct request *request, const struct parameters *parameters)
{
	const json_t *keys = json_object_get(parameters->values, "sort_key");
	const json_t *directions = json_object_get(parameters->values, "sort_dir");

	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *key = json_string_value(json_array_get(keys, i));

		if (!find_column(key))
			return refuse_key(request, key);
	}
	for (size_t i = 0; i < json_array_size(directions); i++) {
		const char *direction = json_string_value(json_array_get(directions, i));

		if (text_equal(direction, "asc") || text_equal(direction, "desc"))
			continue;
		request_reply_fault(request, 400,
				    "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'");
		return false;
	}
	return true;
}

bool server_sort_is_wanted(const struct parameters *parameters)
{
	return json_object_get(parameters->values, "sort_key") || json_object_get(parameters->values, "sort_dir");
}

static int compare_numbers(int64_t first, int64_t second)
{
	return first < second ? -1 : first > second;
}

static int compare_by(const struct column *column, const char *first, const char *second)
{
	switch (column->kind) {
	case COLUMN_TEXT:
		return strcmp(first + column->offset, second + column->offset);
	case COLUMN_NUMBER:
		return compare_numbers(*(const int64_t *)(first + column->offset),
				       *(const int64_t *)(second + column->offset));
	case COLUMN_INT:
		return compare_numbers(*(const int *)(first + column->offset), *(const int *)(second + column->offset));
	case COLUMN_OTHER:
		break;
	}
	return 0;
}

/* What a list is sorted by: each column once, for a key that comes again decides nothing. */
struct order {
	struct order_key {
		const struct column *column;
		bool is_descending;
	} keys[ARRAY_LENGTH(columns)];
	size_t count;
};

static const struct column newest = NUMBER("created_at", created_us);

/* The direction of a key: its own, else the first one given, else newest first. */
static bool is_descending(const json_t *directions, size_t place)
{
	if (place >= json_array_size(directions))
		place = 0;
	return !text_equal(json_string_value(json_array_get(directions, place)), "asc");
}

static void add_key(struct order *order, const struct column *column, bool is_turned)
{
	for (size_t i = 0; i < order->count; i++)
		if (order->keys[i].column == column)
			return;
	if (column->kind != COLUMN_OTHER)
		order->keys[order->count++] = (struct order_key){ column, is_turned };
}

static struct order read_order(const struct parameters *parameters)
{
	const json_t *keys = json_object_get(parameters->values, "sort_key");
	const json_t *directions = json_object_get(parameters->values, "sort_dir");
	struct order order = { 0 };

	for (size_t i = 0; i < json_array_size(keys); i++)
		add_key(&order, find_column(json_string_value(json_array_get(keys, i))), is_descending(directions, i));
	if (!keys)
		add_key(&order, &newest, is_descending(directions, 0));
	return order;
}

static int compare(const void *first, const void *second, void *context)
{
	const struct order *order = context;

	for (size_t i = 0; i < order->count; i++) {
		int result = compare_by(order->keys[i].column, first, second);

		if (result)
			return order->keys[i].is_descending ? -result : result;
	}
	return compare_numbers(((const struct db_server *)second)->id, ((const struct db_server *)first)->id);
}

void server_sort(struct db_server_list *list, const struct parameters *parameters)
{
	struct order order = read_order(parameters);

	if (list->count)
		qsort_r(list->items, list->count, sizeof(*list->items), compare, &order);
}
