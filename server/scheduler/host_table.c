/* The host table: an array of states ordered by id, and the collections of names that they share. The difficulty is that
 * a fleet has few different collections (or, with private storage, as many as hosts): each is found by its digest and
 * counted, so that a host costs a few numbers and a request looks at each collection once. */
#include "server/scheduler/host_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

/* One collection; its names and their texts are one block behind `list.names`. */
struct collection {
	struct name_list list;
	uint32_t use_count;
};

/* All collections of one sort. Number 0 is "not known" and stays. */
struct collections {
	struct collection *items;
	uint64_t *digests; /* parallel to items: what is searched lies close together */
	size_t count;
	size_t capacity;
};

struct host_table {
	struct host_state *states;
	size_t count;
	size_t capacity;
	struct collections sets[HOST_SET_COUNT];
	void *scratch;
	size_t scratch_bytes;
};

static size_t next_capacity(size_t capacity)
{
	return capacity ? capacity * 2 : 16;
}

/* `items` with room for one more item of `size` bytes, perhaps elsewhere; NULL when out of memory. */
static void *reserve(void *items, size_t count, size_t capacity, size_t size)
{
	return count < capacity ? items : reallocarray(items, next_capacity(capacity), size);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* FNV-1a over sorted names, terminators included. */
static uint64_t digest_names(const struct name_list *list)
{
	uint64_t digest = 14695981039346656037ULL;

	for (size_t i = 0; i < list->count; i++) {
		for (const char *place = list->names[i]; *place; place++)
			digest = (digest ^ (unsigned char)*place) * 1099511628211ULL;
		digest = digest * 1099511628211ULL;
	}
	return digest;
}

static bool equal_names(const struct name_list *a, const struct name_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	return true;
}

/* Sorted, without doubles, in one block that starts with the pointers. NULL when out of memory. */
static const char **copy_names(const struct name_list *list, size_t *ret_count)
{
	size_t pointer_bytes = (list->count + 1) * sizeof(char *);
	size_t text_bytes = 0;
	const char **copies;
	char *place;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		text_bytes += strlen(list->names[i]) + 1;
	copies = malloc(pointer_bytes + text_bytes);
	if (!copies)
		return NULL;
	place = (char *)copies + pointer_bytes;
	for (size_t i = 0; i < list->count; i++) {
		copies[i] = place;
		place = stpcpy(place, list->names[i]) + 1;
	}
	qsort(copies, list->count, sizeof(*copies), compare_names);
	for (size_t i = 0; i < list->count; i++)
		if (count == 0 || strcmp(copies[count - 1], copies[i]) != 0)
			copies[count++] = copies[i];
	*ret_count = count;
	return copies;
}

static bool collections_grow(struct collections *sets)
{
	struct collection *items = reserve(sets->items, sets->count, sets->capacity, sizeof(*items));
	uint64_t *digests;

	if (!items)
		return false;
	sets->items = items;
	digests = reserve(sets->digests, sets->count, sets->capacity, sizeof(*digests));
	if (!digests)
		return false;
	sets->digests = digests;
	if (sets->count == sets->capacity)
		sets->capacity = next_capacity(sets->capacity);
	return true;
}

/* Places a collection that is in use by nobody yet into a free number. Takes the names. */
static bool collections_add(struct collections *sets, const struct name_list *list, uint64_t digest,
			    uint32_t *ret_number)
{
	size_t number = 1;

	while (number < sets->count && sets->items[number].use_count > 0)
		number++;
	if (number >= sets->count) {
		if (!collections_grow(sets))
			return false;
		number = sets->count++;
	}
	sets->items[number] = (struct collection){ .list = *list, .use_count = 1 };
	sets->digests[number] = digest;
	*ret_number = (uint32_t)number;
	return true;
}

/* The number of the equal collection, counted once more; untouched where none is known. False when out of memory. */
static bool collections_use(struct collections *sets, const struct name_list *list, uint32_t *ret_number)
{
	struct name_list sorted = { .is_known = true };
	CLEANUP_FREE const char **names = NULL;
	uint64_t digest;

	if (!list->is_known)
		return true;
	names = copy_names(list, &sorted.count);
	if (!names)
		return false;
	sorted.names = names;
	digest = digest_names(&sorted);
	for (size_t i = 1; i < sets->count; i++)
		if (sets->digests[i] == digest && sets->items[i].use_count > 0
		    && equal_names(&sets->items[i].list, &sorted)) {
			sets->items[i].use_count++;
			*ret_number = (uint32_t)i;
			return true;
		}
	if (!collections_add(sets, &sorted, digest, ret_number))
		return false;
	TAKE_POINTER(names);
	return true;
}

static void collections_release(struct collections *sets, uint32_t number)
{
	struct collection *collection = &sets->items[number];

	if (number == 0 || --collection->use_count > 0)
		return;
	free((void *)collection->list.names);
	collection->list = (struct name_list){ 0 };
}

static void release_sets(struct host_table *table, const uint32_t numbers[HOST_SET_COUNT])
{
	for (int set = 0; set < HOST_SET_COUNT; set++)
		collections_release(&table->sets[set], numbers[set]);
}

/* False when out of memory; then nothing is held. */
static bool use_sets(struct host_table *table, const struct host_offers *facts, uint32_t ret_numbers[HOST_SET_COUNT])
{
	memset(ret_numbers, 0, HOST_SET_COUNT * sizeof(*ret_numbers));
	for (int set = 0; set < HOST_SET_COUNT; set++)
		if (!collections_use(&table->sets[set], &facts->sets[set], &ret_numbers[set])) {
			release_sets(table, ret_numbers);
			return false;
		}
	return true;
}

struct host_table *host_table_create(void)
{
	struct host_table *table = calloc(1, sizeof(*table));
	uint32_t number;
	bool is_made = table != NULL;

	/* Number 0 of each sort. */
	for (int set = 0; is_made && set < HOST_SET_COUNT; set++) {
		struct collections *sets = &table->sets[set];

		is_made = collections_add(sets, &(struct name_list){ 0 }, 0, &number);
	}
	if (!is_made) {
		host_table_destroy(table);
		return NULL;
	}
	return table;
}

static void clear_state(struct host_state *state)
{
	free((char *)state->name);
	free((char *)state->disabled_reason);
	free((char *)state->no_address_reason);
}

void host_table_destroy(struct host_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		clear_state(&table->states[i]);
	free(table->states);
	free(table->scratch);
	for (int set = 0; set < HOST_SET_COUNT; set++) {
		for (size_t i = 1; i < table->sets[set].count; i++)
			free((void *)table->sets[set].items[i].list.names);
		free(table->sets[set].items);
		free(table->sets[set].digests);
	}
	free(table);
}

/* Where the id is, or where it would be. */
static size_t find_place(const struct host_table *table, int64_t id)
{
	size_t low = 0;
	size_t high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->states[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct host_state *find(const struct host_table *table, int64_t id)
{
	size_t place = find_place(table, id);

	return place < table->count && table->states[place].id == id ? &table->states[place] : NULL;
}

/* A gap at `place`; false when out of memory. */
static bool open_gap(struct host_table *table, size_t place)
{
	struct host_state *states = reserve(table->states, table->count, table->capacity, sizeof(*states));

	if (!states)
		return false;
	table->states = states;
	if (table->count == table->capacity)
		table->capacity = next_capacity(table->capacity);
	memmove(&table->states[place + 1], &table->states[place], (table->count - place) * sizeof(*table->states));
	table->count++;
	return true;
}

/* Copies of the texts, and the collections; false when out of memory, then nothing is held. */
static bool make_state(struct host_table *table, const struct host_state *given, const struct host_offers *facts,
		       const struct host_state *old, struct host_state *ret_state)
{
	const struct host_offers unknown = { 0 };
	CLEANUP_FREE char *name = strdup(given->name);
	CLEANUP_FREE char *reason = given->disabled_reason ? strdup(given->disabled_reason) : NULL;
	CLEANUP_FREE char *no_address = given->no_address_reason ? strdup(given->no_address_reason) : NULL;
	uint32_t numbers[HOST_SET_COUNT];

	if (!name || (given->disabled_reason && !reason) || (given->no_address_reason && !no_address))
		return false;
	if (!facts && old)
		memcpy(numbers, old->sets, sizeof(numbers));
	else if (!use_sets(table, facts ? facts : &unknown, numbers))
		return false;
	*ret_state = *given;
	ret_state->name = TAKE_POINTER(name);
	ret_state->disabled_reason = TAKE_POINTER(reason);
	ret_state->no_address_reason = TAKE_POINTER(no_address);
	memcpy(ret_state->sets, numbers, sizeof(numbers));
	return true;
}

int host_table_put(struct host_table *table, const struct host_state *state, const struct host_offers *facts,
		   struct error *error)
{
	struct host_state *old = find(table, state->id);
	const struct host_state *namesake;
	struct host_state made;
	size_t place;

	if (state->id <= 0 || !state->name || state->name[0] == '\0')
		return error_set(error, EINVAL, "a host without an id or a name cannot be scheduled");
	namesake = old && strcmp(old->name, state->name) == 0 ? NULL : host_table_by_name(table, state->name);
	if (namesake)
		return error_set(error, EEXIST, "host %s is there already, with the id %lld", state->name,
				 (long long)namesake->id);
	if (!make_state(table, state, facts, old, &made))
		return error_no_memory(error);
	if (old) {
		clear_state(old);
		if (facts)
			release_sets(table, old->sets);
		*old = made;
		return 0;
	}
	place = find_place(table, state->id);
	if (!open_gap(table, place)) {
		release_sets(table, made.sets);
		clear_state(&made);
		return error_no_memory(error);
	}
	table->states[place] = made;
	return 0;
}

void host_table_remove(struct host_table *table, int64_t id)
{
	struct host_state *state = find(table, id);

	if (!state)
		return;
	release_sets(table, state->sets);
	clear_state(state);
	table->count--;
	memmove(state, state + 1, (size_t)(table->states + table->count - state) * sizeof(*state));
}

bool host_table_set_usage(struct host_table *table, int64_t id, const struct host_usage *usage)
{
	struct host_state *state = find(table, id);

	if (!state)
		return false;
	state->vcpus_used = usage->vcpus;
	state->memory_mb_used = usage->memory_mb;
	state->disk_mb_used = usage->disk_mb;
	state->num_io_ops = usage->num_io_ops;
	state->num_instances = usage->num_instances;
	return true;
}

const struct host_state *host_table_states(const struct host_table *table, size_t *ret_count)
{
	*ret_count = table->count;
	return table->states;
}

const struct host_state *host_table_by_id(const struct host_table *table, int64_t id)
{
	return find(table, id);
}

const struct host_state *host_table_by_name(const struct host_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->states[i].name, name) == 0)
			return &table->states[i];
	return NULL;
}

size_t host_table_set_count(const struct host_table *table, enum host_set set)
{
	return table->sets[set].count;
}

const struct name_list *host_table_set(const struct host_table *table, enum host_set set, uint32_t number)
{
	return &table->sets[set].items[number].list;
}

void *host_table_scratch(struct host_table *table, size_t bytes)
{
	if (bytes <= table->scratch_bytes)
		return table->scratch;
	free(table->scratch);
	table->scratch = malloc(bytes);
	table->scratch_bytes = table->scratch ? bytes : 0;
	return table->scratch;
}
