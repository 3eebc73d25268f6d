/* Words of libvirt 9 and QEMU 7.2 about certificates, tried one by one. QEMU says "server" of the target's certificate and
 * "client" of the source's; where one side refuses the other's, only the other side's broken stream is told, so that a row
 * may be a conclusion: an unknown issuer and a lapsed time are told by other words. */
#include "server/worker/libvirt/tls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

enum side { SIDE_SOURCE, SIDE_TARGET };

static const struct reason {
	const char *words; /* all of libvirt's that must be there, the next two may be NULL */
	const char *also;
	const char *and_also;
	enum side whose;
	const char *why;
	bool names_address;
} reasons[] = {
	{ "Unable to access credentials", "server-cert", NULL, SIDE_TARGET, "has no certificate", false },
	{ "Unable to access credentials", "client-cert", NULL, SIDE_SOURCE, "has no certificate", false },
	{ "Unable to access credentials", "ca-cert", NULL, SIDE_TARGET, "has no certificate of its CA", false },
	{ "The server certificate", "has expired", NULL, SIDE_TARGET, "has a certificate that has expired", false },
	{ "The client certificate", "has expired", NULL, SIDE_SOURCE, "has a certificate that has expired", false },
	{ "The server certificate", "is not yet active", NULL, SIDE_TARGET, "has a certificate that is not valid yet",
	  false },
	{ "The client certificate", "is not yet active", NULL, SIDE_SOURCE, "has a certificate that is not valid yet",
	  false },
	{ "Our own certificate", "server-cert", "failed validation", SIDE_TARGET,
	  "has a certificate that the CA beside it has not signed", false },
	{ "Our own certificate", "client-cert", "failed validation", SIDE_SOURCE,
	  "has a certificate that the CA beside it has not signed", false },
	{ "known issuer", NULL, NULL, SIDE_TARGET, "has a certificate of a CA that the other side does not know",
	  false },
	{ "Certificate does not match the hostname", NULL, NULL, SIDE_TARGET,
	  "has a certificate that is not for the name", true },
	{ "Cannot read from TLS channel", "Not a migration stream", NULL, SIDE_TARGET,
	  "has a certificate that the source does not accept: it is not for the name", true },
	{ "Cannot write to TLS channel", NULL, NULL, SIDE_SOURCE, "shows no certificate that the target accepts",
	  false },
};

static bool has(const char *text, const char *words)
{
	return !words || strstr(text, words);
}

void tls_explain_move(struct error *error, const struct tls_sides *sides)
{
	for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++) {
		const struct reason *reason = &reasons[i];

		if (!has(error->text, reason->words) || !has(error->text, reason->also)
		    || !has(error->text, reason->and_also))
			continue;
		error_wrap(error, "TLS: QEMU on host %s %s%s%s",
			   reason->whose == SIDE_SOURCE ? sides->source : sides->target, reason->why,
			   reason->names_address ? " " : "",
			   !reason->names_address ? ""
			   : sides->address       ? sides->address
						  : "that its libvirt gives as its address");
		return;
	}
}

const char *tls_explain_connection(const char *words)
{
	static const struct {
		const char *words;
		const char *why;
	} causes[] = {
		{ "Failed to verify peer's certificate",
		  " (the host's certificate has another CA, is for another name, or has expired)" },
		{ "Unable to verify TLS peer", " (the host's certificate has another CA, or has expired)" },
		{ "Certificate is not", " (the host's certificate is for another name)" },
		{ "hostname", " (the host's certificate is for another name)" },
		{ "Unable to read TLS confirmation", " (the host does not accept our certificate)" },
		{ "Cannot read CA certificate", " (our own; see hypervisor.pki_path)" },
		{ "Cannot read certificate", " (our own; see hypervisor.pki_path)" },
		{ "has expired", " (our own certificate or the host's)" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(causes); i++)
		if (strstr(words, causes[i].words))
			return causes[i].why;
	return "";
}
