/* Random UUIDs from the kernel's generator. */
#include "base/uuid.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"

void uuid_make(char ret_uuid[UUID_SIZE])
{
	uint8_t bytes[16];
	char hex[33];

	/* 16 bytes are never delivered in part, and the call fails only before the pool is ready at boot. */
	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		;
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	text_hex(bytes, sizeof(bytes), hex);

	char *out = ret_uuid;
	for (size_t i = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*out++ = '-';
		*out++ = hex[i];
	}
	*out = '\0';
}

void request_id_make(char ret_request_id[REQUEST_ID_SIZE])
{
	memcpy(ret_request_id, "req-", 4);
	uuid_make(ret_request_id + 4);
}

bool uuid_is_valid(const char *string)
{
	for (size_t i = 0; i < UUID_SIZE - 1; i++) {
		char c = string[i];
		bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
		bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		if (is_dash_place ? c != '-' : !is_hex)
			return false;
	}
	return string[UUID_SIZE - 1] == '\0';
}
