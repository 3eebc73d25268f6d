/* JSON of clients, read as Nova's server reads it. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* What NaN and Infinity are read as: numbers that nobody sends in earnest. python_repr prints them as nan and inf. */
#define JSON_BODY_NAN      "8.9884656743115795e307"
#define JSON_BODY_INFINITY "1.7976931348623157e308"

/* NULL when it is no JSON, or memory ran out. The value is the caller's. */
json_t *json_body_read(const char *bytes, size_t size);
