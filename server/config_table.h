/* Inside the configuration: how a table of keys says where a value goes, and what reads by it. A kind of document is a
 * section; a section is a table of keys; a value is read by its type's function. */
#pragma once

#include "server/config.h"
#include "server/yaml_tree.h"

enum config_type {
	CONFIG_SECTION, /* a mapping with keys of its own; offsets are those of the enclosing struct */
	CONFIG_ITEMS, /* a list of mappings: an array of structs, with its count */
	CONFIG_NAMED_ITEMS, /* a mapping of names to mappings: the same, each with its name */
	CONFIG_PAIRS, /* a mapping of names to texts: an array of struct name_value, with its count */
	CONFIG_TEXT, /* const char * */
	CONFIG_PATH, /* const char *: made absolute */
	CONFIG_FILE, /* the same, and it must be readable */
	CONFIG_BOOLEAN, /* bool */
	CONFIG_INTEGER, /* int64_t */
	CONFIG_SIZE, /* size_t */
	CONFIG_DECIMAL, /* double */
	CONFIG_CHOICE, /* an enum */
	CONFIG_NAMES, /* a list of names: uint32_t with one bit each */
	CONFIG_RULES, /* a mapping of policies: added to the configuration's overrides */
	CONFIG_TEXTS, /* a list of texts, or one: an array of const char *, with its count */
	CONFIG_PATHS, /* the same, each made absolute */
};

/* A word in the file and its number. */
struct config_choice {
	const char *word; /* NULL ends the list */
	int number;
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset; /* in the struct; of items: of the pointer */
	const char *by_default; /* as it would stand in the file; NULL: nothing (NULL, 0, false) */
	const char *meaning; /* for the manual; with the unit */
	double low; /* numbers: the range; of equal ones it is not checked */
	double high;
	bool is_required;
	bool is_inverted; /* booleans: true in the file is false in the struct */
	bool is_secret; /* is not printed */
	const struct config_choice *choices;
	const struct config_section *section; /* CONFIG_SECTION, items */
	size_t count_offset; /* items, CONFIG_PAIRS, CONFIG_TEXTS, CONFIG_PATHS */
	size_t item_size; /* items */
	const char *(*name_of)(unsigned int number); /* CONFIG_NAMES: NULL behind the last */
	unsigned int first_name; /* CONFIG_NAMES: where the numbers begin */
	const char *(*expected)(const char *text); /* texts: NULL when it is good, else what was expected */
};

struct config_section {
	const struct config_key *keys;
	size_t count;
	/* Looks at an item that was read; "" or NULL-free words are reported at the item's line. */
	int (*check_item)(const void *item, struct error *error);
	size_t mark_offset; /* of items: a const struct tree_mark * that gets where it stands; 0: none */
	size_t name_offset; /* of CONFIG_NAMED_ITEMS: a const char * that gets the name */
	bool leaves_others; /* unknown keys are somebody else's, unless they are nearly one of ours */
};

/* Where in the file something stands: "listener.port", "hosts[2].uri". */
struct config_place {
	const struct config_place *parent;
	const char *name; /* NULL: a member of a list */
	size_t index;
};

/* What is kept for as long as the configuration. */
struct config_memory {
	struct yaml_tree **trees; /* the first for what is made while reading, then those of the files */
	size_t tree_count;
	struct policy_override *overrides;
	size_t override_count;
	size_t override_capacity;
	json_t *rule_values; /* an array that owns the overrides' values */
	const char **watched; /* files that it was read from, or would be if they were there */
	size_t watched_count;
	json_t *origins; /* of each key that was set, by its name: "FILE:LINE"; NULL: nobody asks */
};

struct config_reader {
	struct config *config;
	struct config_memory *memory;
	struct yaml_tree *tree; /* for what is made while reading */
	config_report *report;
	void *report_context;
	struct error *error; /* the first problem; never NULL */
	size_t problem_count;
	bool is_out_of_memory;
};

/* The configuration's own document. */
extern const struct config_section config_root;

/* A key's type and range in words: "number 0 to 65535". */
void config_describe_type(const struct config_key *key, struct text *text);

/* Tells a problem at the mark, or without one (CONFIG_NOWHERE); `place` may be NULL. */
#define CONFIG_NOWHERE ((struct tree_mark){ 0 })
void config_problem(struct config_reader *reader, struct tree_mark mark, const struct config_place *place,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));
void config_out_of_memory(struct config_reader *reader);
/* Notes that the configuration depends on a file; its path is copied. */
void config_note_file(struct config_reader *reader, const char *path);
/* Notes where a value comes from, if somebody asks for that. */
void config_note_origin(struct config_reader *reader, const struct config_place *place, struct tree_mark mark);
/* Takes the tree, also when it fails: it lives as long as the configuration. */
int config_keep_tree(struct config_memory *memory, struct yaml_tree *tree, struct error *error);

/* Reads a mapping by its table into `base`; missing keys get their defaults. */
void config_read_section(struct config_reader *reader, const struct config_section *section,
			 const struct tree_node *node, const struct config_place *place, void *base);
/* One value by its type (config_value.c); sections and items excepted. */
void config_read_value(struct config_reader *reader, const struct config_key *key, const struct tree_node *node,
		       const struct config_place *place, void *base);
/* The default of a key that is not there. */
void config_set_default(struct config_reader *reader, const struct config_key *key, struct tree_mark mark,
			const struct config_place *place, void *base);

/* Policies (config_policy.c). */
void config_read_rules(struct config_reader *reader, const struct tree_node *node, const struct config_place *place);
/* The deployment's rules, which were read last (all from the index on), rank lowest. */
void config_rank_rules(struct config_reader *reader, size_t from);
/* Those of policy.file and policy.dirs, over all that was read before. */
void config_read_policy_files(struct config_reader *reader, const struct tree_node *own);
/* A path, seen from the directory of the file that it stands in; NULL when out of memory. */
const char *config_resolve_path(struct config_reader *reader, const char *file, const char *path);

/* What the operator's OpenStackDeployment says, over and beside our own document (config_deployment.c). */
#define CONFIG_DEPLOYMENT_KIND "OpenStackDeployment"
void config_apply_deployment(struct config_reader *reader, const struct tree_node *own,
			     const struct tree_node *deployment);

/* The simulated fleet (config_simulation.c): its keys; that it is what the files describe; and what is wrong between them. */
extern const struct config_section config_simulation;
void config_simulate(struct config_reader *reader, const struct config_source *source);
void config_check_simulation(struct config_reader *reader, const struct tree_node *document);

/* What is wrong between keys, though each is right (config_check.c). */
void config_check(struct config_reader *reader, const struct tree_node *document);

/* Where "section.key" of the document stands, or the section, or where the document begins (config_check.c). */
struct tree_mark config_mark_of(const struct tree_node *document, const char *section, const char *key);

/* Words for texts that are no good (config_check.c); NULL: good. */
const char *config_expected_host_name(const char *text);
const char *config_expected_interface(const char *text);
const char *config_expected_address(const char *text);
const char *config_expected_uri(const char *text);
const char *config_expected_listen_address(const char *text);
const char *config_expected_migration_address(const char *text);
const char *config_expected_endpoint(const char *text);
const char *config_expected_algorithm(const char *text);
int config_check_token_key(const void *item, struct error *error);
int config_check_key_set(const void *item, struct error *error);
const char *config_expected_url(const char *text);
