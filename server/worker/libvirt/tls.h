/* What libvirt and QEMU say when a certificate is not accepted, in words for whoever must mend it: whose certificate, and why.
 * Pure. */
#pragma once

struct error;

/* Who took part in a migration that failed. */
struct tls_sides {
	const char *source; /* names of hosts */
	const char *target;
	const char *address; /* that the stream went to, which the target's certificate must name; NULL: not known */
};

/* Puts words of ours before those of a failed migration when it was a certificate that stood in the way; else nothing. */
void tls_explain_move(struct error *error, const struct tls_sides *sides);
/* The same for a control connection to a host: what is behind the words, "" when it was no certificate. */
const char *tls_explain_connection(const char *words);
