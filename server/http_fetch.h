/* One HTTP exchange; the only door to libcurl. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct text;

/* Once, before threads are started; the matching end is the process's. */
int http_fetch_prepare(struct error *error);

struct http_request {
	const char *url;
	const char *const *headers; /* "Name: value"; ends with NULL; NULL: none */
	const char *method; /* NULL: POST with a body, else GET */
	const char *body; /* JSON; NULL: none */
	const char *ca_file; /* PEM; NULL: the system's */
	bool ignores_name; /* the certificate is checked by ca_file, whatever name it is for */
	bool goes_direct; /* past any proxy of the environment */
	const char *wanted_header; /* of the answer; NULL: none */
	int64_t timeout_s; /* of the whole exchange */
	size_t body_max; /* bytes of the answer; a longer one is an error */
};

#define HTTP_HEADER_SIZE 8192

struct http_response {
	long status;
	char *body; /* terminated; "" when there is none */
	size_t size;
	char header[HTTP_HEADER_SIZE]; /* the wanted one; "" when it is not there */
};

/* Blocks. -EHOSTUNREACH: no whole answer came; 0 says nothing of the status. The response is to be cleared in any case. */
int http_fetch(const struct http_request *request, struct http_response *ret_response, struct error *error);
void http_response_clear(struct http_response *response);
#define CLEANUP_HTTP_RESPONSE __attribute__((cleanup(http_response_clear)))

/* Appends the text so that it may stand in a URL as one part or value. */
void http_append_escaped(const char *string, struct text *text);
