/* The strict reader of base64url. */
#include "api/auth/base64url.h"

#include <string.h>

/* The value of a digit, -1 for none. */
static int digit_value(char digit)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *place = digit ? strchr(digits, digit) : NULL;

	return place ? (int)(place - digits) : -1;
}

bool base64url_decode(const char *text, size_t length, void *bytes, size_t size, size_t *ret_length)
{
	unsigned char *out = bytes;
	unsigned int gathered = 0;
	unsigned int bits = 0;

	if (length == 0 || length % 4 == 1 || length / 4 * 3 + length % 4 * 3 / 4 > size)
		return false;
	for (size_t i = 0; i < length; i++) {
		int value = digit_value(text[i]);

		if (value < 0)
			return false;
		gathered = (gathered << 6 | (unsigned int)value) & 0xfff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*out++ = (unsigned char)(gathered >> bits & 0xff);
		}
	}
	if (gathered & ((1U << bits) - 1))
		return false;
	*ret_length = (size_t)(out - (unsigned char *)bytes);
	return true;
}
