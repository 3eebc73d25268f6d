/* Asking a host's libvirt about a guest's CPU. Its difficulty: the same <cpu> means less in a definition than in the document
 * of a running guest, where libvirt has written which features the guest has and which it has not. */
#include "server/worker/libvirt/cpu.h"

#include <libvirt/virterror.h>
#include <libxml/tree.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/xml.h"

#define VERDICTS_MAX 1024 /* a power of two: 32 KiB */

struct cpu_verdicts {
	pthread_mutex_t mutex; /* guards the following */
	unsigned char digests[VERDICTS_MAX][CAPABILITIES_DIGEST_BYTES]; /* each at the place that its first bytes say */
};

struct cpu_verdicts *cpu_verdicts_create(void)
{
	struct cpu_verdicts *verdicts = calloc(1, sizeof(*verdicts));

	if (verdicts)
		pthread_mutex_init(&verdicts->mutex, NULL);
	return verdicts;
}

void cpu_verdicts_destroy(struct cpu_verdicts *verdicts)
{
	if (!verdicts)
		return;
	pthread_mutex_destroy(&verdicts->mutex);
	free(verdicts);
}

static unsigned char *place_of(struct cpu_verdicts *verdicts, const unsigned char *digest)
{
	return verdicts->digests[(digest[0] << 8 | digest[1]) % VERDICTS_MAX];
}

static bool is_remembered(struct cpu_verdicts *verdicts, const unsigned char *digest)
{
	LOCK_SCOPE(&verdicts->mutex);

	return memcmp(place_of(verdicts, digest), digest, CAPABILITIES_DIGEST_BYTES) == 0;
}

static void remember(struct cpu_verdicts *verdicts, const unsigned char *digest)
{
	LOCK_SCOPE(&verdicts->mutex);

	memcpy(place_of(verdicts, digest), digest, CAPABILITIES_DIGEST_BYTES);
}

static bool digest_of(const void *bytes, size_t length, unsigned char *ret_digest)
{
	unsigned int digest_length = CAPABILITIES_DIGEST_BYTES;

	return EVP_Digest(bytes, length, ret_digest, &digest_length, EVP_sha256(), NULL) == 1;
}

void libvirt_cpu_note_capabilities(struct libvirt_host *host, virConnectPtr connection, const char *capabilities)
{
	LOCK_SCOPE(&host->mutex);

	host->has_capabilities =
		host->connection == connection && digest_of(capabilities, strlen(capabilities), host->capabilities);
}

/* With its length, so that no two lists of strings make one text. */
static void append_part(struct text *text, const char *part)
{
	text_append_format(text, "%zu:%s\n", part ? strlen(part) : 0, part ? part : "");
}

/* Of the question and of whom it is asked; false: the host's capabilities are not known, and nothing is remembered. */
static bool digest_question(struct libvirt_host *host, virConnectPtr connection, const struct cpu_question *question,
			    unsigned char *ret_digest)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;
	LOCK_SCOPE(&host->mutex);

	if (!host->has_capabilities || host->connection != connection)
		return false;
	text_append_format(&text, "%lld %llu\n", (long long)host->base.host_id,
			   (unsigned long long)host->connection_number);
	text_append_bytes(&text, host->capabilities, sizeof(host->capabilities));
	append_part(&text, question->cpu);
	append_part(&text, question->emulator);
	append_part(&text, question->arch);
	append_part(&text, question->machine);
	append_part(&text, question->kind);
	return !text_failed(&text) && digest_of(text.data, text.length, ret_digest);
}

void cpu_question_clear(struct cpu_question *question)
{
	free(question->cpu);
	free(question->emulator);
	free(question->arch);
	free(question->machine);
	free(question->kind);
	*question = (struct cpu_question){ 0 };
}

static xmlNodePtr find_node(xmlXPathContextPtr context, const char *path)
{
	CLEANUP_OBJECT xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)path, context);

	return found && found->nodesetval && found->nodesetval->nodeNr > 0 ? found->nodesetval->nodeTab[0] : NULL;
}

/* The text at the path (heap); NULL in *ret_text when there is none. False: out of memory. */
static bool take_text(xmlXPathContextPtr context, const char *path, char **ret_text)
{
	xmlNodePtr node = find_node(context, path);
	xmlChar *content = node ? xmlNodeGetContent(node) : NULL;

	*ret_text = content && *content ? strdup((const char *)content) : NULL;
	bool is_taken = !content || !*content || *ret_text;
	xmlFree(content);
	return is_taken;
}

/* The element as it stands in the document. */
static bool take_element(xmlNodePtr node, char **ret_text)
{
	xmlBufferPtr buffer = xmlBufferCreate();

	if (buffer && xmlNodeDump(buffer, node->doc, node, 0, 0) > 0)
		*ret_text = strdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return *ret_text != NULL;
}

static bool has_something_to_compare(xmlXPathContextPtr context, enum cpu_document document)
{
	if (!find_node(context, "/domain/cpu[not(@mode='host-passthrough')]"))
		return false;
	return document == CPU_AS_IT_RUNS || find_node(context, "/domain/cpu[not(@check='none')]/model");
}

int cpu_question_read(const char *definition, enum cpu_document document, struct cpu_question *ret_question,
		      struct error *error)
{
	CLEANUP_DOCUMENT xmlDocPtr xml = xmlReadMemory(definition, (int)strlen(definition), NULL, NULL,
						       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	CLEANUP_CONTEXT xmlXPathContextPtr context = xml ? xmlXPathNewContext(xml) : NULL;
	CLEANUP_CPU_QUESTION struct cpu_question question = { 0 };

	if (!context)
		return xml ? error_no_memory(error) : error_set(error, EIO, "a guest's definition cannot be read");
	bool is_read = take_text(context, "/domain/devices/emulator", &question.emulator)
		       && take_text(context, "/domain/os/type/@arch", &question.arch)
		       && take_text(context, "/domain/os/type/@machine", &question.machine)
		       && take_text(context, "/domain/@type", &question.kind);
	if (is_read && has_something_to_compare(context, document))
		is_read = take_element(find_node(context, "/domain/cpu"), &question.cpu);
	if (!is_read)
		return error_no_memory(error);
	*ret_question = question;
	question = (struct cpu_question){ 0 };
	return 0;
}

/* libvirt compares for some architectures only, and old ones not at all. */
static bool is_not_compared_there(int code)
{
	return code == VIR_ERR_NO_SUPPORT || code == VIR_ERR_OPERATION_UNSUPPORTED
	       || code == VIR_ERR_CONFIG_UNSUPPORTED;
}

/* What libvirt's failure to say yes comes to. */
static int explain(struct libvirt_host *host, int comparison, struct error *error)
{
	const virError *cause = comparison == VIR_CPU_COMPARE_ERROR ? virGetLastError() : NULL;

	if (cause && is_not_compared_there(cause->code))
		return 0;
	if (!cause || cause->code == VIR_ERR_CPU_INCOMPATIBLE)
		return error_set(error, ECANCELED, "host %s cannot give the guest its CPU: %s", host->name,
				 cause && cause->message ? cause->message : "libvirt gave no reason");
	int result = libvirt_error(host, error, "compare the guest's CPU");
	if (result == -EHOSTUNREACH || result == -ENOMEM)
		return result;
	if (error)
		error->code = ECANCELED; /* an answer: no such emulator, machine type or kind of guest there */
	return -ECANCELED;
}

int libvirt_cpu_compare(struct libvirt_host *host, const struct cpu_question *question, struct error *error)
{
	CLEANUP_CONNECTION virConnectPtr connection = NULL;
	unsigned char digest[CAPABILITIES_DIGEST_BYTES];

	if (!question->cpu)
		return 0;
	int result = libvirt_connection_get(host, &connection, error);
	if (result < 0)
		return result;
	bool has_digest = digest_question(host, connection, question, digest);
	if (has_digest && is_remembered(host->driver->cpu_verdicts, digest))
		return 0;
	int comparison = virConnectCompareHypervisorCPU(connection, question->emulator, question->arch,
							question->machine, question->kind, question->cpu,
							VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE);
	if (comparison != VIR_CPU_COMPARE_IDENTICAL && comparison != VIR_CPU_COMPARE_SUPERSET)
		return explain(host, comparison, error);
	if (has_digest)
		remember(host->driver->cpu_verdicts, digest);
	return 0;
}

static int read_question(struct libvirt_host *source, const char *uuid, bool is_live, enum cpu_document *ret_document,
			 struct cpu_question *ret_question, struct error *error)
{
	CLEANUP_DOMAIN virDomainPtr domain = NULL;
	int result = libvirt_domain_get(source, uuid, &domain, error);

	if (result < 0)
		return result;
	int is_active = virDomainIsActive(domain);
	if (is_active < 0)
		return libvirt_error(source, error, "read the guest's state");
	*ret_document = is_live && is_active ? CPU_AS_IT_RUNS : CPU_AS_DEFINED;
	CLEANUP_FREE char *definition =
		virDomainGetXMLDesc(domain, *ret_document == CPU_AS_DEFINED ? VIR_DOMAIN_XML_INACTIVE : 0);
	if (!definition)
		return libvirt_error(source, error, "read the guest's definition");
	return cpu_question_read(definition, *ret_document, ret_question, error);
}

int libvirt_check_cpu(struct libvirt_host *source, struct libvirt_host *target, const char *uuid, bool is_live,
		      struct check_result *check, struct error *error)
{
	CLEANUP_CPU_QUESTION struct cpu_question question = { 0 };
	enum cpu_document document = CPU_AS_DEFINED;
	struct error ignored = { 0 };
	int result = read_question(source, uuid, is_live, &document, &question, error);

	if (result == 0)
		result = libvirt_cpu_compare(target, &question, error);
	if (result != -ECANCELED)
		return result;
	/* Starting a guest, libvirt takes out of its CPU what it may; comparing a definition, it does not. So a host that would be
	 * refused its own guest proves nothing against another one. */
	if (document == CPU_AS_DEFINED && libvirt_cpu_compare(source, &question, &ignored) == -ECANCELED) {
		error_clear(error);
		return 0;
	}
	check->refusal = CHECK_REFUSED_BY_TARGET;
	return result;
}
