/* The parameter `pkipath` in and out of libvirt URIs. */
#include "server/worker/libvirt/uri.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define PARAMETER "pkipath="

/* The parameter with its place in the query; NULL: there is none. */
static const char *find_parameter(const char *uri)
{
	for (const char *at = strchr(uri, '?'); at && *at; at += strcspn(at, "&;"))
		if (text_starts_with(++at, PARAMETER))
			return at;
	return NULL;
}

static bool is_tls(const char *uri)
{
	const char *colon = strchr(uri, ':');
	const char *plus = strchr(uri, '+');

	return colon && plus && plus < colon && text_starts_with(plus, "+tls:");
}

/* What may stand in a query as it is; the rest is percent-encoded. */
static bool is_plain(char c)
{
	return strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/", c) && c;
}

char *uri_with_pki(const char *uri, const char *pki_path)
{
	CLEANUP_TEXT struct text text = TEXT_EMPTY;

	text_append(&text, uri);
	if (pki_path && is_tls(uri) && !find_parameter(uri)) {
		text_append_format(&text, "%c" PARAMETER, strchr(uri, '?') ? '&' : '?');
		for (const char *at = pki_path; *at; at++)
			text_append_format(&text, is_plain(*at) ? "%c" : "%%%02X", (unsigned char)*at);
	}
	return text_failed(&text) ? NULL : text_take(&text);
}

char *uri_for_peer(const char *uri)
{
	const char *parameter = find_parameter(uri);
	const char *behind = parameter ? parameter + strcspn(parameter, "&;") : NULL;

	if (!parameter)
		return text_format("%s", uri);
	/* The mark before it goes with it, unless others follow: then the one behind it does. */
	if (*behind)
		return text_format("%.*s%s", (int)(parameter - uri), uri, behind + 1);
	return text_format("%.*s", (int)(parameter - 1 - uri), uri);
}
