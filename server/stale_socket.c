/* Clears a socket's path. A slip in the configuration may name any file of the machine, and the daemon often runs as root. */
#include "server/stale_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

int stale_socket_remove(const char *path, struct error *error)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return 0; /* what else is wrong with it bind tells */
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, EINVAL, "%s is there and is no socket: it stays, name another path", path);
	unlink(path);
	return 0;
}
