/* From files to the configuration: which documents there are, what of several files counts, and who owns it all. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/config_table.h"

#define NODE_NAME_SIZE 256

static void destroy_memory(struct config_memory *memory)
{
	if (!memory)
		return;
	for (size_t i = 0; i < memory->tree_count; i++)
		yaml_tree_destroy(memory->trees[i]);
	free(memory->trees);
	free(memory->overrides);
	free(memory->watched);
	json_decref(memory->rule_values);
	json_decref(memory->origins);
	free(memory);
}

void config_clear(struct config *config)
{
	destroy_memory(config->memory);
	*config = (struct config){ 0 };
}

int config_keep_tree(struct config_memory *memory, struct yaml_tree *tree, struct error *error)
{
	struct yaml_tree **grown = reallocarray(memory->trees, memory->tree_count + 1, sizeof(struct yaml_tree *));

	if (!grown) {
		yaml_tree_destroy(tree);
		return error_no_memory(error);
	}
	memory->trees = grown;
	memory->trees[memory->tree_count++] = tree;
	return 0;
}

void config_note_file(struct config_reader *reader, const char *path)
{
	struct config_memory *memory = reader->memory;
	const char **grown = reallocarray(memory->watched, memory->watched_count + 1, sizeof(*grown));
	const char *copy = yaml_tree_copy(reader->tree, path);

	if (grown)
		memory->watched = grown;
	if (grown && copy)
		memory->watched[memory->watched_count++] = copy;
	else
		config_out_of_memory(reader);
}

/* The machine's name where none is configured. */
static void name_node(struct config_reader *reader)
{
	char name[NODE_NAME_SIZE] = "";

	if (reader->config->node)
		return;
	if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0')
		TEXT_COPY(name, "migrationd");
	reader->config->node = yaml_tree_copy(reader->tree, name);
	if (!reader->config->node)
		config_out_of_memory(reader);
}

/* The documents of one kind, joined; of a key that stands in two files the later file's counts. */
struct documents {
	const struct tree_node *own; /* NULL: none */
	const struct tree_node *deployment;
};

static void join(struct config_reader *reader, const struct tree_node **joined, const struct tree_node *document)
{
	*joined = *joined ? yaml_tree_join(reader->tree, *joined, document) : document;
	if (!*joined)
		config_out_of_memory(reader);
}

static bool is_text(const struct tree_entry *entry, const char *text)
{
	return entry && entry->value->kind == TREE_TEXT && strcmp(entry->value->text, text) == 0;
}

/* A document says what it is in `kind`; ours need not. A list is what `kubectl get … -o yaml` writes. */
static void sort_in(struct config_reader *reader, const struct tree_node *document, struct documents *documents,
		    const struct tree_node **own_of_file)
{
	const struct tree_entry *kind = tree_find(document, "kind");
	const struct tree_entry *items = tree_find(document, "items");

	if (!kind && *own_of_file) {
		config_problem(reader, document->mark, NULL,
			       "a second configuration in one file; the first begins in line %u",
			       (*own_of_file)->mark.line);
	} else if (!kind) {
		*own_of_file = document;
		join(reader, &documents->own, document);
	} else if (is_text(kind, CONFIG_DEPLOYMENT_KIND)) {
		join(reader, &documents->deployment, document);
	} else if ((is_text(kind, "List") || is_text(kind, CONFIG_DEPLOYMENT_KIND "List")) && items
		   && items->value->kind == TREE_LIST) {
		for (size_t i = 0; i < items->value->count && !reader->is_out_of_memory; i++)
			sort_in(reader, items->value->entries[i].value, documents, own_of_file);
	} else {
		config_problem(reader, kind->mark, NULL,
			       "documents of the kind \"%.100s\" are not known, but " CONFIG_DEPLOYMENT_KIND " is",
			       kind->value->kind == TREE_TEXT ? kind->value->text : "");
	}
}

static int read_file(struct config_reader *reader, const char *path, struct documents *documents)
{
	const struct tree_node *own_of_file = NULL;
	struct error first = { 0 };
	struct yaml_tree *tree = NULL;
	int result = yaml_tree_read(path, &tree, &first);

	config_note_file(reader, path);
	if (result < 0) {
		if (reader->report)
			reader->report(reader->report_context, first.text);
		return error_set(reader->error, first.code, "%s", first.text);
	}
	result = config_keep_tree(reader->memory, tree, reader->error);
	for (size_t i = 0; result == 0 && i < tree->document_count && !reader->is_out_of_memory; i++)
		sort_in(reader, tree->documents[i], documents, &own_of_file);
	return result;
}

/* NULL: there is none. */
static const char *first_path(const struct config_source *source)
{
	return source->count > 0 ? source->paths[0] : source->simulation;
}

static int read_files(struct config_reader *reader, const struct config_source *source)
{
	struct tree_node empty = { .kind = TREE_MAPPING, .mark = { first_path(source), 1 } };
	struct documents documents = { 0 };
	int result = 0;

	for (size_t i = 0; i < source->count && result == 0; i++)
		result = read_file(reader, source->paths[i], &documents);
	if (source->simulation && result == 0)
		result = read_file(reader, source->simulation, &documents);
	if (result < 0 || reader->is_out_of_memory)
		return result;

	const struct tree_node *own = documents.own ? documents.own : &empty;
	config_read_section(reader, &config_root, own, NULL, reader->config);
	if (source->simulation)
		config_simulate(reader, source);
	name_node(reader);
	if (documents.deployment)
		config_apply_deployment(reader, own, documents.deployment);
	config_read_policy_files(reader, own);
	if (first_path(source))
		config_check(reader, own);
	return 0;
}

/* Room for what is read; its first tree is empty and holds what is made meanwhile. */
static int make_memory(const struct config_source *source, struct config *config, struct error *error)
{
	struct yaml_tree *tree = calloc(1, sizeof(*tree));

	config->memory = calloc(1, sizeof(*config->memory));
	if (!tree || !config->memory) {
		free(tree);
		return error_no_memory(error);
	}
	if (source->keeps_origins && !(config->memory->origins = json_object())) {
		free(tree);
		return error_no_memory(error);
	}
	int result = config_keep_tree(config->memory, tree, error);
	if (result < 0 || !first_path(source))
		return result;
	config->path = yaml_tree_copy(tree, first_path(source));
	return config->path ? 0 : error_no_memory(error);
}

int config_read(const struct config_source *source, config_report *report, void *report_context,
		struct config *ret_config, struct error *error)
{
	CLEANUP_CONFIG struct config config = { 0 };
	struct error unwanted;
	struct config_reader reader = {
		.config = &config,
		.report = report,
		.report_context = report_context,
		.error = error ? error : &unwanted,
	};
	int result = make_memory(source, &config, error);

	if (result < 0)
		return result;
	reader.memory = config.memory;
	reader.tree = config.memory->trees[0];
	result = read_files(&reader, source);
	if (reader.is_out_of_memory)
		return error_no_memory(error);
	if (result == 0 && reader.problem_count > 0)
		result = -EINVAL;
	if (result < 0)
		return result;
	*ret_config = config;
	config = (struct config){ 0 };
	return 0;
}

struct registry_settings config_registry(const struct config *config)
{
	bool is_simulated = config->simulated_host_count > 0;

	return (struct registry_settings){
		.hosts = is_simulated ? config->simulated_hosts : config->hosts,
		.host_count = is_simulated ? config->simulated_host_count : config->host_count,
		.fleet = &config->fleet,
		.node = config->node,
		.demands_tls = config->worker.live_migration_with_native_tls,
	};
}

int config_defaults(struct config *ret_config, struct error *error)
{
	return config_read(&(struct config_source){ 0 }, NULL, NULL, ret_config, error);
}
