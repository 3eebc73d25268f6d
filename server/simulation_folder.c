/* A folder for a while. */
#include "server/simulation_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

int simulation_folder_make(struct simulation_folder *folder, struct error *error)
{
	const char *parent = getenv("TMPDIR");
	CLEANUP_FREE char *path = text_format("%s/migrationd-simulation.XXXXXX", parent && *parent ? parent : "/tmp");

	if (!path)
		return error_no_memory(error);
	if (strlen(path) >= sizeof(folder->path))
		return error_set(error, ENAMETOOLONG, "TMPDIR is too long a path: give a shorter one");
	if (!mkdtemp(path))
		return error_set_errno(error, errno, "cannot make the folder %s for the simulated fleet", path);
	TEXT_COPY(folder->path, path);
	return 0;
}

/* It holds files alone. What cannot be removed is in a temporary folder anyway. */
void simulation_folder_remove(struct simulation_folder *folder)
{
	DIR *directory = folder->path[0] ? opendir(folder->path) : NULL;

	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	rmdir(folder->path);
	folder->path[0] = '\0';
}
