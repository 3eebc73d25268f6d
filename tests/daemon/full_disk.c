/* A disk that is full while the file named by FULL_DISK_WHILE exists, read-only while READ_ONLY_DISK_WHILE does, and that cannot
 * make anything durable while NO_SYNC_WHILE does: loaded before libc into the real daemon, so that what it does then can be seen
 * on any machine, also where nothing may be mounted. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int is_while(const char *variable)
{
	const char *path = getenv(variable);

	return path && access(path, F_OK) == 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the library names them as only it may. */
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = NULL;

	if (is_while("FULL_DISK_WHILE") || is_while("READ_ONLY_DISK_WHILE")) {
		errno = is_while("FULL_DISK_WHILE") ? ENOSPC : EROFS;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
	return real(file, bytes, length, offset);
}

static int synchronise(const char *name, int file)
{
	int (*real)(int) = NULL;

	if (is_while("NO_SYNC_WHILE")) {
		errno = EIO;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, name);
	return real(file);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int fdatasync(int file)
{
	return synchronise("fdatasync", file);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int fsync(int file)
{
	return synchronise("fsync", file);
}
