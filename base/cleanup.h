/* Scope-bound release of resources: each resource has one owner, and the owner's declaration says how it ends. */
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(const int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

/* A heap block that is freed when the scope ends. */
#define CLEANUP_FREE CLEANUP(cleanup_free)
/* A descriptor that is closed when the scope ends; -1 is none. */
#define CLEANUP_CLOSE  CLEANUP(cleanup_close)
#define CLEANUP_FCLOSE CLEANUP(cleanup_fclose)

/* Locks until the scope ends. */
#define LOCK_SCOPE_NAME(line) lock_scope_##line
#define LOCK_SCOPE_AT(mutex, line)                                                                                     \
	CLEANUP(cleanup_unlock) __attribute__((unused)) pthread_mutex_t *LOCK_SCOPE_NAME(line) = lock_mutex(mutex)
#define LOCK_SCOPE_EXPAND(mutex, line) LOCK_SCOPE_AT(mutex, line)
#define LOCK_SCOPE(mutex)              LOCK_SCOPE_EXPAND(mutex, __LINE__)

static inline pthread_mutex_t *lock_mutex(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

/* Hands a pointer to a new owner and forgets it here. */
#define TAKE_POINTER(pointer)                                                                                          \
	__extension__({                                                                                                \
		__typeof__(pointer) *taken_from = &(pointer);                                                          \
		__typeof__(pointer) taken = *taken_from;                                                               \
		*taken_from = NULL;                                                                                    \
		taken;                                                                                                 \
	})

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
