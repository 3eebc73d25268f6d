/* Reading YAML into a tree. libyaml gives events; they are put together here with one frame per open list or mapping, so
 * that depth and number of nodes are bounded whatever the file says. */
#include "server/yaml_tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define BLOCK_BYTES 16384

/* Memory is handed out from blocks and freed with the tree. */
struct tree_block {
	struct tree_block *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

/* An open list or mapping; its entries are gathered on the heap and copied when it is closed. */
struct frame {
	struct tree_node *node;
	struct tree_entry *entries;
	size_t count;
	size_t capacity;
	const char *key; /* read, its value not yet */
	struct tree_mark key_mark;
};

struct anchor {
	const char *name;
	const struct tree_node *node;
	struct anchor *next;
};

struct builder {
	struct yaml_tree *tree;
	struct frame frames[YAML_DEPTH_MAX];
	size_t depth;
	size_t node_count;
	size_t document_capacity;
	struct anchor *anchors; /* of this document, newest first */
	struct error *error;
};

void *yaml_tree_allocate(struct yaml_tree *tree, size_t bytes)
{
	size_t needed = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	struct tree_block *block = tree->blocks;
	void *memory;

	if (!block || block->size - block->used < needed) {
		size_t size = needed > BLOCK_BYTES ? needed : BLOCK_BYTES;

		block = calloc(1, sizeof(*block) + size);
		if (!block)
			return NULL;
		block->size = size;
		block->next = tree->blocks;
		tree->blocks = block;
	}
	memory = block->bytes + block->used;
	block->used += needed;
	return memory;
}

const char *yaml_tree_copy(struct yaml_tree *tree, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = yaml_tree_allocate(tree, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

void yaml_tree_destroy(struct yaml_tree *tree)
{
	if (!tree)
		return;
	for (struct tree_block *block = tree->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(tree->documents);
	free(tree);
}

const struct tree_entry *tree_find(const struct tree_node *node, const char *key)
{
	for (size_t i = 0; node->kind == TREE_MAPPING && i < node->count; i++)
		if (strcmp(node->entries[i].key, key) == 0)
			return &node->entries[i];
	return NULL;
}

const struct tree_entry *tree_find_path(const struct tree_node *node, const char *path)
{
	const struct tree_entry *found = NULL;

	for (const char *at = path; node && *at;) {
		size_t length = strcspn(at, ".");

		found = NULL;
		for (size_t i = 0; node->kind == TREE_MAPPING && i < node->count && !found; i++)
			if (strncmp(node->entries[i].key, at, length) == 0 && node->entries[i].key[length] == '\0')
				found = &node->entries[i];
		node = found ? found->value : NULL;
		at += length + (at[length] == '.');
	}
	return found;
}

const struct tree_node *yaml_tree_join(struct yaml_tree *tree, const struct tree_node *under,
				       const struct tree_node *over)
{
	struct tree_node *joined;

	if (under->kind != TREE_MAPPING || over->kind != TREE_MAPPING)
		return over;
	joined = yaml_tree_allocate(tree, sizeof(*joined));
	if (!joined)
		return NULL;
	*joined = (struct tree_node){ .kind = TREE_MAPPING, .mark = over->mark };
	joined->entries = yaml_tree_allocate(tree, (under->count + over->count) * sizeof(*joined->entries));
	if (!joined->entries)
		return NULL;
	for (size_t i = 0; i < under->count; i++)
		if (!tree_find(over, under->entries[i].key))
			joined->entries[joined->count++] = under->entries[i];
	for (size_t i = 0; i < over->count; i++) {
		struct tree_entry *entry = &joined->entries[joined->count++];
		const struct tree_entry *lower = tree_find(under, over->entries[i].key);

		*entry = over->entries[i];
		if (lower && !(entry->value = yaml_tree_join(tree, lower->value, entry->value)))
			return NULL;
	}
	return joined;
}

bool tree_is_null(const struct tree_node *node)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	for (size_t i = 0; node->kind == TREE_TEXT && !node->is_quoted && i < ARRAY_LENGTH(words); i++)
		if (strcmp(node->text, words[i]) == 0)
			return true;
	return false;
}

static int fail(const struct builder *builder, unsigned int line, const char *words, const char *detail)
{
	return error_set(builder->error, EINVAL, "%s:%u: %s%.200s", builder->tree->path, line, words, detail);
}

static unsigned int line_of(const yaml_event_t *event)
{
	return (unsigned int)event->start_mark.line + 1;
}

static struct tree_node *make_node(struct builder *builder, enum tree_kind kind, const yaml_event_t *event)
{
	struct tree_node *node;

	if (++builder->node_count > YAML_NODES_MAX) {
		fail(builder, line_of(event), "the file has too many values", "");
		return NULL;
	}
	node = yaml_tree_allocate(builder->tree, sizeof(*node));
	if (!node) {
		error_no_memory(builder->error);
		return NULL;
	}
	node->kind = kind;
	node->mark = (struct tree_mark){ builder->tree->path, line_of(event) };
	return node;
}

static int remember_anchor(struct builder *builder, const yaml_char_t *name, const struct tree_node *node)
{
	struct anchor *anchor;

	if (!name)
		return 0;
	anchor = yaml_tree_allocate(builder->tree, sizeof(*anchor));
	if (!anchor)
		return error_no_memory(builder->error);
	anchor->name = yaml_tree_copy(builder->tree, (const char *)name);
	anchor->node = node;
	anchor->next = builder->anchors;
	builder->anchors = anchor;
	return anchor->name ? 0 : error_no_memory(builder->error);
}

static int add_document(struct builder *builder, const struct tree_node *node)
{
	struct yaml_tree *tree = builder->tree;

	if (tree->document_count == builder->document_capacity) {
		size_t capacity = builder->document_capacity ? builder->document_capacity * 2 : 4;
		const struct tree_node **grown = reallocarray(tree->documents, capacity, sizeof(*grown));

		if (!grown)
			return error_no_memory(builder->error);
		tree->documents = grown;
		builder->document_capacity = capacity;
	}
	tree->documents[tree->document_count++] = node;
	return 0;
}

static int add_entry(struct builder *builder, const struct tree_node *value, struct tree_mark mark)
{
	struct frame *frame = &builder->frames[builder->depth - 1];

	if (frame->count == frame->capacity) {
		size_t capacity = frame->capacity ? frame->capacity * 2 : 8;
		struct tree_entry *grown = reallocarray(frame->entries, capacity, sizeof(*grown));

		if (!grown)
			return error_no_memory(builder->error);
		frame->entries = grown;
		frame->capacity = capacity;
	}
	frame->entries[frame->count++] = (struct tree_entry){ frame->key, frame->key ? frame->key_mark : mark, value };
	frame->key = NULL;
	return 0;
}

/* A finished value or key goes to where it belongs: the document, the list, or the mapping as key or value. */
static int place(struct builder *builder, const struct tree_node *node, struct tree_mark mark)
{
	struct frame *frame = builder->depth > 0 ? &builder->frames[builder->depth - 1] : NULL;

	if (!frame)
		return tree_is_null(node) ? 0 : add_document(builder, node);
	if (frame->node->kind == TREE_LIST || frame->key)
		return add_entry(builder, node, mark);
	if (node->kind != TREE_TEXT)
		return fail(builder, mark.line, "a key must be a text", "");
	frame->key = node->text;
	frame->key_mark = mark;
	return 0;
}

static int read_text(struct builder *builder, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	struct tree_node *node = make_node(builder, TREE_TEXT, event);
	int result;

	if (!node)
		return -builder->error->code;
	if (strlen(value) != event->data.scalar.length)
		return fail(builder, line_of(event), "a text has a zero byte in it", "");
	node->text = yaml_tree_copy(builder->tree, value);
	node->is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (!node->text)
		return error_no_memory(builder->error);
	result = remember_anchor(builder, event->data.scalar.anchor, node);
	return result < 0 ? result : place(builder, node, node->mark);
}

static int read_alias(struct builder *builder, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;

	for (const struct anchor *anchor = builder->anchors; anchor; anchor = anchor->next) {
		if (strcmp(anchor->name, name) != 0)
			continue;
		for (size_t i = 0; i < builder->depth; i++)
			if (builder->frames[i].node == anchor->node)
				return fail(builder, line_of(event), "a value cannot contain itself: *", name);
		if (++builder->node_count > YAML_NODES_MAX)
			return fail(builder, line_of(event), "the file has too many values", "");
		return place(builder, anchor->node, (struct tree_mark){ builder->tree->path, line_of(event) });
	}
	return fail(builder, line_of(event), "nothing above is marked as &", name);
}

static int open_frame(struct builder *builder, enum tree_kind kind, const yaml_char_t *anchor,
		      const yaml_event_t *event)
{
	struct tree_node *node = make_node(builder, kind, event);
	struct frame *parent = builder->depth > 0 ? &builder->frames[builder->depth - 1] : NULL;

	if (!node)
		return -builder->error->code;
	if (parent && parent->node->kind == TREE_MAPPING && !parent->key)
		return fail(builder, node->mark.line, "a key must be a text", "");
	if (builder->depth == YAML_DEPTH_MAX)
		return fail(builder, node->mark.line, "too deeply nested", "");
	builder->frames[builder->depth++] = (struct frame){ .node = node };
	return remember_anchor(builder, anchor, node);
}

static int compare_keys(const void *a, const void *b)
{
	const struct tree_entry *first = *(const struct tree_entry *const *)a;
	const struct tree_entry *second = *(const struct tree_entry *const *)b;
	int order = strcmp(first->key, second->key);

	return order != 0 ? order : first < second ? -1 : first > second;
}

/* Sorted by key, the first of two equal ones stands before the other. */
static int check_keys(const struct builder *builder, const struct tree_node *node)
{
	CLEANUP_FREE const struct tree_entry **sorted = calloc(node->count + 1, sizeof(*sorted));
	char words[160];

	if (!sorted)
		return error_no_memory(builder->error);
	for (size_t i = 0; i < node->count; i++)
		sorted[i] = &node->entries[i];
	qsort(sorted, node->count, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < node->count; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0)
			continue;
		snprintf(words, sizeof(words), "\" is set a second time, first in line %u", sorted[i - 1]->mark.line);
		return error_set(builder->error, EINVAL, "%s:%u: \"%.200s%s", builder->tree->path, sorted[i]->mark.line,
				 sorted[i]->key, words);
	}
	return 0;
}

static int close_frame(struct builder *builder)
{
	struct frame *frame = &builder->frames[--builder->depth];
	struct tree_node *node = frame->node;
	CLEANUP_FREE struct tree_entry *entries = frame->entries;
	int result;

	node->count = frame->count;
	node->entries = yaml_tree_allocate(builder->tree, frame->count * sizeof(*entries));
	if (!node->entries)
		return error_no_memory(builder->error);
	if (frame->count > 0)
		memcpy(node->entries, entries, frame->count * sizeof(*entries));
	result = node->kind == TREE_MAPPING ? check_keys(builder, node) : 0;
	return result < 0 ? result : place(builder, node, node->mark);
}

static int read_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		builder->anchors = NULL;
		return 0;
	case YAML_SCALAR_EVENT:
		return read_text(builder, event);
	case YAML_ALIAS_EVENT:
		return read_alias(builder, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_frame(builder, TREE_LIST, event->data.sequence_start.anchor, event);
	case YAML_MAPPING_START_EVENT:
		return open_frame(builder, TREE_MAPPING, event->data.mapping_start.anchor, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_frame(builder);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

/* libyaml's words, with the line; a broken character has only an offset. */
static int fail_parse(const struct builder *builder, const yaml_parser_t *parser, const char *content)
{
	unsigned int line = (unsigned int)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return error_no_memory(builder->error);
	if (parser->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < parser->problem_offset; i++)
			line += content[i] == '\n';
	}
	return fail(builder, line, "this is not YAML: ", parser->problem ? parser->problem : "unknown fault");
}

static int parse(struct builder *builder, const char *content, size_t length)
{
	yaml_parser_t parser;
	bool is_ended = false;
	int result = 0;

	if (!yaml_parser_initialize(&parser))
		return error_no_memory(builder->error);
	yaml_parser_set_input_string(&parser, (const unsigned char *)content, length);
	while (!is_ended && result == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			result = fail_parse(builder, &parser, content);
			break;
		}
		is_ended = event.type == YAML_STREAM_END_EVENT;
		result = read_event(builder, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	for (size_t i = 0; i < builder->depth; i++)
		free(builder->frames[i].entries);
	return result;
}

/* The whole file, terminated; the caller owns it. */
static int read_file(const char *path, char **ret_content, size_t *ret_length, struct error *error)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	CLEANUP_FREE char *content = malloc(YAML_FILE_MAX + 1);
	size_t length;

	if (!file)
		return error_set_errno(error, errno, "cannot open %s", path);
	if (!content)
		return error_no_memory(error);
	errno = 0;
	length = fread(content, 1, YAML_FILE_MAX + 1, file);
	if (ferror(file))
		return error_set_errno(error, errno ? errno : EIO, "cannot read %s", path);
	if (length > YAML_FILE_MAX)
		return error_set(error, EFBIG, "%s is longer than %d bytes: it is no configuration", path,
				 YAML_FILE_MAX);
	content[length] = '\0';
	*ret_content = TAKE_POINTER(content);
	*ret_length = length;
	return 0;
}

int yaml_tree_read(const char *path, struct yaml_tree **ret_tree, struct error *error)
{
	CLEANUP_FREE char *content = NULL;
	CLEANUP_FREE struct builder *builder = calloc(1, sizeof(*builder));
	struct yaml_tree *tree = calloc(1, sizeof(*tree));
	struct error unwanted;
	size_t length = 0;
	int result;

	if (!builder || !tree) {
		free(tree);
		return error_no_memory(error);
	}
	builder->tree = tree;
	builder->error = error ? error : &unwanted;
	tree->path = yaml_tree_copy(tree, path);
	result = tree->path ? read_file(path, &content, &length, builder->error) : error_no_memory(builder->error);
	if (result == 0)
		result = parse(builder, content, length);
	if (result < 0) {
		yaml_tree_destroy(tree);
		return result;
	}
	*ret_tree = tree;
	return 0;
}
