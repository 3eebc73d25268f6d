/* JSON of clients, read as Nova's server reads it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What NaN and Infinity are read as: numbers that nobody sends in earnest. python_repr prints them as nan and inf. */
#define JSON_BODY_NAN      "8.9884656743115795e307"
#define JSON_BODY_INFINITY "1.7976931348623157e308"

/* Half of a surrogate pair, which is no character, is read as one of the last 2048 characters there are, which nobody has a
 * use for: U+10F800 for U+D800, and so on. */
#define JSON_BODY_SURROGATE_BYTES 4

/* The digits of an integer that no machine word holds, as they were sent; NULL for anything else. */
const char *json_body_long_integer(const json_t *value);
/* A text; a long integer is none, though it is kept as one. */
bool json_body_is_text(const json_t *value);
/* The half of a pair that these bytes stand for; 0: they are no such. */
unsigned int json_body_surrogate(const char *bytes, size_t size);

/* NULL when it is no JSON, or memory ran out. The value is the caller's. */
json_t *json_body_read(const char *bytes, size_t size);
