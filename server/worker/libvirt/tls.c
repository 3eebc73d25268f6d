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
	const char *why;
	enum side whose;
	bool names_address;
} reasons[] = {
	{ "Unable to access credentials", "server-cert", NULL, "has no certificate", SIDE_TARGET, false },
	{ "Unable to access credentials", "client-cert", NULL, "has no certificate", SIDE_SOURCE, false },
	{ "Unable to access credentials", "ca-cert", NULL, "has no certificate of its CA", SIDE_TARGET, false },
	{ "The server certificate", "has expired", NULL, "has a certificate that has expired", SIDE_TARGET, false },
	{ "The client certificate", "has expired", NULL, "has a certificate that has expired", SIDE_SOURCE, false },
	{ "The server certificate", "is not yet active", NULL, "has a certificate that is not valid yet", SIDE_TARGET,
	  false },
	{ "The client certificate", "is not yet active", NULL, "has a certificate that is not valid yet", SIDE_SOURCE,
	  false },
	{ "Our own certificate", "server-cert", "failed validation",
	  "has a certificate that the CA beside it has not signed", SIDE_TARGET, false },
	{ "Our own certificate", "client-cert", "failed validation",
	  "has a certificate that the CA beside it has not signed", SIDE_SOURCE, false },
	{ "known issuer", NULL, NULL, "has a certificate of a CA that the other side does not know", SIDE_TARGET,
	  false },
	{ "Certificate does not match the hostname", NULL, NULL, "has a certificate that is not for the name",
	  SIDE_TARGET, true },
	{ "Cannot read from TLS channel", "Not a migration stream", NULL,
	  "has a certificate that the source does not accept: it is not for the name", SIDE_TARGET, true },
	{ "Cannot write to TLS channel", NULL, NULL, "shows no certificate that the target accepts", SIDE_SOURCE,
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
