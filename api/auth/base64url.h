/* Inside the token files: base64url without padding (RFC 7515), read strictly. Tokens and published keys pass this reader
 * before a library sees them: the readers of libraries skip, stop at or abort on what does not belong there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Decodes into `bytes`, which holds `size`. False, with `bytes` undefined: an empty text, any character that is no digit (also
 * '=', '+', '/', blanks and zero bytes), a length that no bytes have, bits behind the last byte that are not zero, or more
 * than `size` bytes. So each row of bytes has exactly one text. Thread-safe. */
bool base64url_decode(const char *text, size_t length, void *bytes, size_t size, size_t *ret_length);
