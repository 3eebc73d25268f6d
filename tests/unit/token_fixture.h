/* Tokens that any hand could write, for tests. */
#pragma once

#include <stdint.h>

#define SECRET       "0123456789abcdef0123456789abcdef"
#define OTHER_SECRET "fedcba9876543210fedcba9876543210"
#define SECOND_US    INT64_C(1000000)
#define NOW_S        INT64_C(1767312000)
#define NOW_US       (NOW_S * SECOND_US)

#define HEADER       "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
/* A payload that is good but for what a test adds. */
#define PAYLOAD(more) "{\"sub\":\"user-1\",\"exp\":1767312600" more "}"

/* A token of any header and payload, signed with HMAC-SHA256 by `secret`; NULL: an empty signature. The asker's to free. */
char *forge(const char *header, const char *payload, const char *secret);
