/* Certificates with their keys, made for one test. */
#pragma once

#include <stdint.h>

/* A self-signed certificate that ends then (seconds since 1970), and its key, in PEM. Either path may be NULL. */
void certificate_fixture_write(const char *certificate_path, const char *key_path, int64_t expires_s);
