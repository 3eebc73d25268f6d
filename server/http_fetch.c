/* libcurl, as far as we need it: bounded in time and size, no redirects, certificates always checked. */
#include "server/http_fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

struct exchange {
	struct http_response *response;
	size_t body_max;
	const char *wanted_header;
	bool is_too_long;
};

int http_fetch_prepare(struct error *error)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(error, EIO, "libcurl cannot be started");
	return 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	struct http_response *response = exchange->response;
	size_t length = size * count;

	if (length > exchange->body_max - response->size) {
		exchange->is_too_long = true;
		return 0;
	}
	char *more = realloc(response->body, response->size + length + 1);
	if (!more)
		return 0;
	response->body = more;
	memcpy(more + response->size, bytes, length);
	response->size += length;
	more[response->size] = '\0';
	return length;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
	const struct exchange *exchange = context;
	struct http_response *response = exchange->response;
	size_t length = size * count, name = exchange->wanted_header ? strlen(exchange->wanted_header) : 0;

	if (name == 0 || length <= name || strncasecmp(bytes, exchange->wanted_header, name) != 0 || bytes[name] != ':')
		return length;
	const char *value = bytes + name + 1, *end = bytes + length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	if ((size_t)(end - value) < sizeof(response->header)) {
		memcpy(response->header, value, (size_t)(end - value));
		response->header[end - value] = '\0';
	}
	return length;
}

static void free_curl(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

static void free_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static bool add_header(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);

	if (longer)
		*list = longer;
	return longer != NULL;
}

static bool set_up(CURL *curl, const struct http_request *request, struct curl_slist **list, struct exchange *exchange)
{
	bool is_good = true;

	for (const char *const *header = request->headers; header && *header; header++)
		is_good = is_good && add_header(list, *header);
	if (request->body)
		is_good = is_good && add_header(list, "Content-Type: application/json");
	is_good = is_good && curl_easy_setopt(curl, CURLOPT_URL, request->url) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *list) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)request->timeout_s) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK
		  && curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange) == CURLE_OK;
	if (is_good && request->body)
		is_good = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body) == CURLE_OK;
	if (is_good && request->method)
		is_good = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
	if (is_good && request->ca_file)
		is_good = curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file) == CURLE_OK;
	if (is_good && request->ca_file && request->ignores_name)
		is_good = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
	if (is_good && request->goes_direct)
		is_good = curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") == CURLE_OK;
	return is_good;
}

int http_fetch(const struct http_request *request, struct http_response *ret_response, struct error *error)
{
	__attribute__((cleanup(free_curl))) CURL *curl = curl_easy_init();
	__attribute__((cleanup(free_list))) struct curl_slist *list = NULL;
	struct exchange exchange = { .response = ret_response,
				     .body_max = request->body_max,
				     .wanted_header = request->wanted_header };

	*ret_response = (struct http_response){ .body = strdup("") };
	if (!curl || !ret_response->body || !set_up(curl, request, &list, &exchange))
		return error_no_memory(error);
	CURLcode result = curl_easy_perform(curl);
	if (exchange.is_too_long)
		return error_set(error, EHOSTUNREACH, "%s: the answer is longer than %zu bytes", request->url,
				 request->body_max);
	if (result != CURLE_OK)
		return error_set(error, EHOSTUNREACH, "%s: %s", request->url, curl_easy_strerror(result));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret_response->status);
	return 0;
}

void http_response_clear(struct http_response *response)
{
	free(response->body);
	response->body = NULL;
}

void http_append_escaped(const char *string, struct text *text)
{
	for (; *string; string++) {
		unsigned char byte = (unsigned char)*string;

		if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')
		    || (byte && strchr("-._~", byte)))
			text_append_bytes(text, &byte, 1);
		else
			text_append_format(text, "%%%02X", byte);
	}
}
