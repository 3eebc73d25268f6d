/* A YAML file as a tree in which every node knows its line, so that whoever reads it can say in which file and line a fault stands. Nodes
 * and texts live as long as the tree. An alias is the node it names; two equal keys in one mapping are an error. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;

enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAPPING };

struct tree_node;

/* Where something stands. */
struct tree_mark {
	const char *file; /* the path as it was given; NULL: nowhere */
	unsigned int line; /* from 1 */
};

/* One member of a list (key NULL) or of a mapping. */
struct tree_entry {
	const char *key;
	struct tree_mark mark; /* of the key, or of the member */
	const struct tree_node *value;
};

struct tree_node {
	enum tree_kind kind;
	struct tree_mark mark;
	const char *text; /* TREE_TEXT: without zero bytes; "" for nothing */
	bool is_quoted; /* TREE_TEXT: in quotes or as a block, so that it is a text whatever it looks like */
	struct tree_entry *entries; /* the others */
	size_t count;
};

struct yaml_tree {
	const char *path; /* as it was given */
	const struct tree_node **documents; /* those that are not empty */
	size_t document_count;
	struct tree_block *blocks; /* of memory; private */
};

#define YAML_FILE_MAX  (4 * 1024 * 1024) /* bytes */
#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 200000

/* Errors read "FILE:LINE: …" (without a line where the file cannot be opened or read): -errno of the file, -EINVAL for
 * what is no YAML or beyond the limits, -ENOMEM. */
int yaml_tree_read(const char *path, struct yaml_tree **ret_tree, struct error *error);
void yaml_tree_destroy(struct yaml_tree *tree);

/* Zeroed memory and a copy of a text that live as long as the tree; NULL when out of memory. */
void *yaml_tree_allocate(struct yaml_tree *tree, size_t bytes);
const char *yaml_tree_copy(struct yaml_tree *tree, const char *text);

/* One node of both: mappings are joined key by key, of anything else the one of `over` counts. New nodes live as long as the
 * tree; those of both must live so, too. NULL when out of memory. */
const struct tree_node *yaml_tree_join(struct yaml_tree *tree, const struct tree_node *under,
				       const struct tree_node *over);

/* NULL: no such key, or no mapping. */
const struct tree_entry *tree_find(const struct tree_node *node, const char *key);
/* The same through mappings, by a path like "spec.features.nova". */
const struct tree_entry *tree_find_path(const struct tree_node *node, const char *path);
/* Nothing was written, or null or ~ without quotes. */
bool tree_is_null(const struct tree_node *node);
