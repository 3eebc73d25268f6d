/* Nova's hostId: tells an owner that two servers share a host without telling which. The only place that makes digests. */
#include "api/view.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <openssl/evp.h>

bool view_host_id(const char *project_id, const char *host, char ret_host_id[VIEW_HOST_ID_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	CLEANUP_FREE char *input = NULL;

	ret_host_id[0] = '\0';
	if (!host[0])
		return true;
	input = text_format("%s%s", project_id, host);
	if (!input || EVP_Digest(input, strlen(input), digest, &size, EVP_sha224(), NULL) != 1
	    || size * 2 + 1 != VIEW_HOST_ID_SIZE)
		return false;
	text_hex(digest, size, ret_host_id);
	return true;
}
