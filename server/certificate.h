/* The listener's certificate and key: read, judged, and exchanged while the listener runs. The only place that sees GnuTLS.
 * The library asks for the pair by a function without a context, so that there is one pair for the process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Can the two be used together? -EINVAL with the file and what is wrong; -errno of a file. */
int certificate_check(const char *certificate_file, const char *key_file, struct error *error);
/* From now on handshakes use this pair; one that cannot be used leaves the one before. */
int certificate_use(const char *certificate_file, const char *key_file, struct error *error);
/* Whether a pair is in use, and when its certificate ends, in seconds since 1970. Thread-safe, also while it is exchanged or
 * forgotten. */
bool certificate_in_use(int64_t *ret_expires_s);
/* What libmicrohttpd takes as MHD_OPTION_HTTPS_CERT_CALLBACK. */
void *certificate_callback(void);
/* Frees all pairs; when no listener is left. */
void certificate_forget(void);
