/* Tokens that any hand could write. */
#include "token_fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/text.h"
#include "jwk_fixture.h"

char *forge(const char *header, const char *payload, const char *secret)
{
	struct text text = TEXT_EMPTY;
	unsigned char signature[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	append_base64url(&text, header, strlen(header));
	text_append(&text, ".");
	append_base64url(&text, payload, strlen(payload));
	if (secret)
		HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text.data, text.length,
		     signature, &length);
	text_append(&text, ".");
	append_base64url(&text, signature, length);
	return text_take(&text);
}
