/* Reading a query. The difficulty: which fault comes first, and that its words are those of Nova's schemas. */
#include "api/parameters.h"

#include "api/python_repr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static void decode(const char *from, size_t length, struct text *text)
{
	for (size_t i = 0; i < length; i++) {
		char byte = from[i] == '+' ? ' ' : from[i];

		if (byte == '%' && i + 2 < length && hex_digit(from[i + 1]) >= 0 && hex_digit(from[i + 2]) >= 0) {
			byte = (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]));
			i += 2;
		}
		text_append_bytes(text, &byte, 1);
	}
}

/* -EILSEQ for what is not UTF-8. */
static int add_pair(json_t *values, const char *pair, size_t length)
{
	CLEANUP_TEXT struct text name = TEXT_EMPTY;
	CLEANUP_TEXT struct text value = TEXT_EMPTY;
	const char *equals = memchr(pair, '=', length);
	size_t name_length = equals ? (size_t)(equals - pair) : length;
	json_t *list;

	text_append(&name, "");
	text_append(&value, "");
	decode(pair, name_length, &name);
	if (equals)
		decode(equals + 1, length - name_length - 1, &value);
	if (text_failed(&name) || text_failed(&value))
		return -ENOMEM;
	if (!text_is_utf8(name.data, name.length) || !text_is_utf8(value.data, value.length))
		return -EILSEQ;
	list = json_object_get(values, name.data);
	if (!list) {
		list = json_array();
		if (json_object_set_new(values, name.data, list) < 0)
			return -ENOMEM;
	}
	return json_array_append_new(list, json_stringn(value.data, value.length)) < 0 ? -ENOMEM : 0;
}

static int read_pairs(const char *query, json_t *values)
{
	while (*query) {
		size_t length = strcspn(query, "&");
		int result = length ? add_pair(values, query, length) : 0;

		if (result < 0)
			return result;
		query += length;
		if (*query)
			query++;
	}
	return 0;
}

static bool refuse_value(struct request *request, const char *name, const json_t *value, const char *why)
{
	CLEANUP_TEXT struct text bare = TEXT_EMPTY;
	CLEANUP_TEXT struct text quoted = TEXT_EMPTY;

	python_str(&bare, value);
	python_repr(&quoted, value);
	request_reply_fault(request, 400, "Invalid input for query parameters %s. Value: %s. %s %s", name,
			    bare.data ? bare.data : "", quoted.data ? quoted.data : "", why);
	return false;
}

static int compile(struct pattern_budget *budget, const json_t *value, struct pattern **ret_pattern)
{
	/* An empty one finds everything, but is none to Nova. */
	return json_string_length(value)
		       ? pattern_compile(budget, json_string_value(value), json_string_length(value), ret_pattern)
		       : -EINVAL;
}

static bool check_pattern(struct request *request, const char *name, const json_t *value, struct pattern_budget *budget)
{
	struct pattern *pattern = NULL;
	int result = compile(budget, value, &pattern);

	pattern_destroy(pattern);
	if (result == -ENOMEM)
		request_reply_fault(request, 503, "out of memory");
	else if (result < 0)
		refuse_value(request, name, value, "is not a 'regex'");
	return result == 0;
}

static bool check_value(struct request *request, const struct parameter_rule *rule, const json_t *value,
			struct pattern_budget *budget)
{
	const char *text = json_string_value(value);
	int64_t time_us;

	switch (rule->kind) {
	case PARAMETER_TEXT:
		break;
	case PARAMETER_LIMIT:
		if (!text[0])
			return refuse_value(request, rule->name, value, "is too short");
		if (strspn(text, "0123456789") != json_string_length(value)) /* a NUL is no digit, either */
			return refuse_value(request, rule->name, value, "does not match '^[0-9]*$'");
		break;
	case PARAMETER_TIME:
		if (!time_parse(text, &time_us))
			return refuse_value(request, rule->name, value, "is not a 'date-time'");
		break;
	case PARAMETER_PATTERN:
		return check_pattern(request, rule->name, value, budget);
	}
	return true;
}

static bool refuse_repeated(struct request *request, const char *name, const json_t *list)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	json_t *value;
	size_t index;

	json_array_foreach((json_t *)list, index, value)
		text_append_format(&text, "%s'%s'", index ? ", " : "", json_string_value(value));
	request_reply_fault(request, 400, "Invalid input for query parameters %s. Value: [%s]. [%s] is too long", name,
			    text.data, text.data);
	return false;
}

static bool check_rule(struct request *request, const struct parameter_rule *rule, const json_t *list, bool is_strict,
		       struct pattern_budget *budget)
{
	json_t *value;
	size_t index;

	json_array_foreach((json_t *)list, index, value)
	{
		if (!check_value(request, rule, value, budget))
			return false;
	}
	if (is_strict && !rule->may_repeat && json_array_size(list) > 1)
		return refuse_repeated(request, rule->name, list);
	return true;
}

static int compare_names(const void *first, const void *second)
{
	return strcmp(*(const char *const *)first, *(const char *const *)second);
}

static const struct parameter_rule *find_rule(const struct request *request, const struct parameter_rule *rules,
					      size_t rule_count, const char *name)
{
	for (size_t i = 0; i < rule_count; i++) {
		if (rules[i].since_minor <= request->minor && text_equal(rules[i].name, name))
			return &rules[i];
	}
	return NULL;
}

static bool refuse_unknown(struct request *request, const char **names, size_t count)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count; i++)
		text_append_format(&text, "%s'%s'", i ? ", " : "", names[i]);
	request_reply_fault(request, 400, "Additional properties are not allowed (%s %s unexpected)", text.data,
			    count > 1 ? "were" : "was");
	return false;
}

/* Unknown parameters are taken away, or refused where `is_strict`. */
static bool check_names(struct request *request, const struct parameter_rule *rules, size_t rule_count, bool is_strict,
			json_t *values)
{
	CLEANUP_FREE const char **names = calloc(json_object_size(values) + 1, sizeof(*names));
	size_t count = 0;
	const char *name;
	json_t *list;

	if (!names) {
		request_reply_fault(request, 503, "out of memory");
		return false;
	}
	json_object_foreach(values, name, list)
	{
		if (!find_rule(request, rules, rule_count, name))
			names[count++] = name;
	}
	if (count && is_strict)
		return refuse_unknown(request, names, count);
	for (size_t i = 0; i < count; i++)
		json_object_del(values, names[i]);
	return true;
}

const struct parameter_table no_parameters = { .strict_since_minor = 102 };

bool parameters_read(struct request *request, const struct parameter_table *table, struct parameters *ret_parameters)
{
	bool is_strict = request->minor >= table->strict_since_minor;
	json_t *values = json_object();
	int result = values ? read_pairs(request->query, values) : -ENOMEM;
	bool is_good = false;

	if (result == -EILSEQ)
		request_reply_fault(request, 400, "Query string is not UTF-8 encoded");
	else if (result < 0)
		request_reply_fault(request, 503, "out of memory");
	else
		is_good = true;
	for (size_t i = 0; is_good && i < table->count; i++) {
		const json_t *list = json_object_get(values, table->rules[i].name);

		if (list && table->rules[i].since_minor <= request->minor)
			is_good =
				check_rule(request, &table->rules[i], list, is_strict, &ret_parameters->pattern_budget);
	}
	is_good = is_good && check_names(request, table->rules, table->count, is_strict, values);
	if (is_good)
		ret_parameters->values = values;
	else
		json_decref(values);
	return is_good;
}

void parameters_clear(struct parameters *parameters)
{
	json_decref(parameters->values);
	parameters->values = NULL;
}

static const json_t *last_value(const struct parameters *parameters, const char *name)
{
	const json_t *list = json_object_get(parameters->values, name);

	return list ? json_array_get(list, json_array_size(list) - 1) : NULL;
}

const char *parameter(const struct parameters *parameters, const char *name)
{
	return json_string_value(last_value(parameters, name));
}

const char *parameter_marker(const struct parameters *parameters)
{
	const char *marker = parameter(parameters, "marker");

	return marker && marker[0] ? marker : NULL;
}

int parameter_pattern(struct parameters *parameters, const char *name, struct pattern **ret_pattern)
{
	const json_t *value = last_value(parameters, name);

	return value ? compile(&parameters->pattern_budget, value, ret_pattern) : 0;
}

int parameter_refuse_pattern(struct request *request, const struct parameters *parameters, const char *name)
{
	refuse_value(request, name, last_value(parameters, name), "is not a 'regex'");
	return 0;
}

int64_t parameter_time_us(const struct parameters *parameters, const char *name)
{
	const char *value = parameter(parameters, name);
	int64_t time_us = 0;

	return value && time_parse(value, &time_us) ? time_us : 0;
}

int64_t parameter_limit(const struct request *request, const struct parameters *parameters)
{
	const char *value = parameter(parameters, "limit");
	int64_t limit = request->settings->max_limit;

	if (value)
		text_to_int64(value, 0, request->settings->max_limit, &limit);
	return limit;
}

static void encode(const char *value, struct text *text)
{
	for (; *value; value++) {
		if (isalnum((unsigned char)*value) || strchr("_.-~", *value))
			text_append_bytes(text, value, 1);
		else if (*value == ' ')
			text_append(text, "+");
		else
			text_append_format(text, "%%%02X", (unsigned char)*value);
	}
}

json_t *parameters_next_links(const struct request *request, const struct parameters *parameters, const char *path,
			      const char *marker)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	CLEANUP_FREE const char **names = calloc(json_object_size(parameters->values) + 1, sizeof(*names));
	size_t count = 0;
	const char *name;
	json_t *list;

	if (!names)
		return NULL;
	json_object_foreach(parameters->values, name, list)
	{
		if (!text_equal(name, "marker"))
			names[count++] = name;
	}
	names[count++] = "marker";
	qsort(names, count, sizeof(*names), compare_names);
	const struct view_base base = request_link_base(request);
	text_append_format(&text, "%s/v2.1%s/%s", base.url, base.project_path, path);
	for (size_t i = 0; i < count; i++) {
		text_append(&text, i ? "&" : "?");
		encode(names[i], &text);
		text_append(&text, "=");
		encode(text_equal(names[i], "marker") ? marker : parameter(parameters, names[i]), &text);
	}
	return text_failed(&text) ? NULL : json_pack("[{s:s, s:s}]", "rel", "next", "href", text.data);
}
