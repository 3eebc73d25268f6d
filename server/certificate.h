/* The listener's certificate and key: read, judged, and exchanged while the listener runs. The only place that sees GnuTLS.
 * The library asks for the pair by a function without a context, so that there is one pair for the process. */
#pragma once

#include <stdint.h>

struct error;

/* Can the two be used together? -EINVAL with the file and what is wrong; -errno of a file. *ret_expires_s: when the certificate
 * ends, seconds since 1970; may be NULL. */
int certificate_check(const char *certificate_file, const char *key_file, int64_t *ret_expires_s, struct error *error);
/* From now on handshakes use this pair; one that cannot be used leaves the one before. */
int certificate_use(const char *certificate_file, const char *key_file, struct error *error);
/* What libmicrohttpd takes as MHD_OPTION_HTTPS_CERT_CALLBACK. */
void *certificate_callback(void);
/* Frees all pairs; when no listener is left. */
void certificate_forget(void);
