/* Private disks of guests that are off: copied through libvirt's own streams. Its difficulty: a copy that broke
 * half way looks whole (capacity right, name right), so each is read back from the target and compared by digest before it
 * counts; holes are sent as holes, and the digest does not tell a hole from zeros. */
#include <libvirt/virterror.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/worker/libvirt/disks.h"
#include "server/worker/libvirt/volume.h"

#define BUFFER_BYTES (256 * 1024)
#define BLOCK_BYTES  4096

/* Of the blocks that are not all zeros, each with its place. */
struct digest {
	EVP_MD_CTX *hash;
	uint64_t bytes; /* fed so far */
	unsigned char block[BLOCK_BYTES];
	unsigned char result[EVP_MAX_MD_SIZE];
	unsigned int result_length;
};

/* A disk on both hosts, over connections of its own: a stream lasts. */
struct copy {
	struct libvirt_host *source, *target;
	virConnectPtr source_connection, target_connection;
	const struct guest_disk *disk;
	bool (*is_cancelled)(void *context);
	void *context;
};

static void digest_end(struct digest *digest)
{
	EVP_MD_CTX_free(digest->hash);
}

static void copy_end(struct copy *copy)
{
	libvirt_cleanup_connection(&copy->source_connection);
	libvirt_cleanup_connection(&copy->target_connection);
}

/* One that did not finish: released alone, it would go on on its host. */
static void abort_stream(virStreamPtr *stream)
{
	if (!*stream)
		return;
	virStreamAbort(*stream);
	virStreamFree(*stream);
}

static int finish_stream(struct libvirt_host *host, virStreamPtr *stream, const char *what, struct error *error)
{
	virStreamPtr finished = TAKE_POINTER(*stream);
	int result = virStreamFinish(finished) < 0 ? libvirt_error(host, error, what) : 0;

	virStreamFree(finished);
	return result;
}

static bool digest_begin(struct digest *digest)
{
	digest->hash = EVP_MD_CTX_new();
	return digest->hash && EVP_DigestInit_ex(digest->hash, EVP_sha256(), NULL) == 1;
}

static void digest_block(struct digest *digest, size_t length)
{
	static const unsigned char zeros[BLOCK_BYTES];
	uint64_t place = digest->bytes - length;

	if (!length || memcmp(digest->block, zeros, length) == 0)
		return;
	EVP_DigestUpdate(digest->hash, &place, sizeof(place));
	EVP_DigestUpdate(digest->hash, digest->block, length);
}

static void digest_feed(struct digest *digest, const char *bytes, size_t length)
{
	while (length) {
		size_t fill = digest->bytes % BLOCK_BYTES, part = BLOCK_BYTES - fill;

		part = part < length ? part : length;
		memcpy(digest->block + fill, bytes, part);
		digest->bytes += part;
		bytes += part;
		length -= part;
		if (digest->bytes % BLOCK_BYTES == 0)
			digest_block(digest, BLOCK_BYTES);
	}
}

static void digest_feed_hole(struct digest *digest, uint64_t length)
{
	static const char zeros[BLOCK_BYTES];
	uint64_t first = (BLOCK_BYTES - digest->bytes % BLOCK_BYTES) % BLOCK_BYTES;

	first = first < length ? first : length;
	digest_feed(digest, zeros, first);
	length -= first;
	digest->bytes += length - length % BLOCK_BYTES;
	digest_feed(digest, zeros, length % BLOCK_BYTES);
}

static void digest_finish(struct digest *digest)
{
	digest_block(digest, digest->bytes % BLOCK_BYTES);
	EVP_DigestFinal_ex(digest->hash, digest->result, &digest->result_length);
}

static int send_all(struct copy *copy, virStreamPtr stream, const char *bytes, size_t length, struct error *error)
{
	while (length) {
		int sent = virStreamSend(stream, bytes, length);

		if (sent < 0)
			return libvirt_error(copy->target, error, "write a disk");
		bytes += sent;
		length -= (size_t)sent;
	}
	return 0;
}

/* Reads `from` to its end into the digest, and sends it on; `to` NULL: only reads. */
static int pump(struct copy *copy, struct libvirt_host *reader, virStreamPtr from, virStreamPtr to,
		struct digest *digest, struct error *error)
{
	CLEANUP_FREE char *buffer = malloc(BUFFER_BYTES);

	if (!buffer)
		return error_no_memory(error);
	for (;;) {
		long long hole = 0;
		int got = virStreamRecvFlags(from, buffer, BUFFER_BYTES, VIR_STREAM_RECV_STOP_AT_HOLE);

		if (copy->is_cancelled && copy->is_cancelled(copy->context))
			return error_set(error, ECANCELED, "the copy of disk %s was ended", copy->disk->path);
		if (got == 0)
			return 0;
		if (got == -3) {
			if (virStreamRecvHole(from, &hole, 0) < 0)
				return libvirt_error(reader, error, "read a disk");
			digest_feed_hole(digest, (uint64_t)hole);
			if (to && virStreamSendHole(to, hole, 0) < 0)
				return libvirt_error(copy->target, error, "write a disk");
			continue;
		}
		if (got < 0)
			return libvirt_error(reader, error, "read a disk");
		digest_feed(digest, buffer, (size_t)got);
		int result = to ? send_all(copy, to, buffer, (size_t)got, error) : 0;
		if (result < 0)
			return result;
	}
}

static int begin_reading(struct libvirt_host *host, virConnectPtr connection, virStorageVolPtr volume,
			 virStreamPtr *ret_stream, struct error *error)
{
	CLEANUP(abort_stream) virStreamPtr stream = virStreamNew(connection, 0);

	if (!stream || virStorageVolDownload(volume, stream, 0, 0, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM) < 0)
		return libvirt_error(host, error, "read a disk");
	*ret_stream = TAKE_POINTER(stream);
	return 0;
}

static int transfer(struct copy *copy, virStorageVolPtr from, virStorageVolPtr to, struct digest *digest,
		    struct error *error)
{
	CLEANUP(abort_stream) virStreamPtr reading = NULL;
	CLEANUP(abort_stream) virStreamPtr writing = virStreamNew(copy->target_connection, 0);
	int result = begin_reading(copy->source, copy->source_connection, from, &reading, error);

	if (result < 0)
		return result;
	if (!writing || virStorageVolUpload(to, writing, 0, 0, VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM) < 0)
		return libvirt_error(copy->target, error, "write a disk");
	result = pump(copy, copy->source, reading, writing, digest, error);
	if (result == 0)
		result = finish_stream(copy->source, &reading, "read a disk to its end", error);
	if (result == 0)
		result = finish_stream(copy->target, &writing, "write a disk to its end", error);
	if (result == 0)
		digest_finish(digest);
	return result;
}

/* Reads the copy, and holds it against what was sent. */
static int compare(struct copy *copy, virStorageVolPtr made, const struct digest *sent, struct error *error)
{
	CLEANUP(abort_stream) virStreamPtr reading = NULL;
	CLEANUP(digest_end) struct digest found = { 0 };
	int result = digest_begin(&found) ? begin_reading(copy->target, copy->target_connection, made, &reading, error)
					  : error_no_memory(error);

	if (result == 0)
		result = pump(copy, copy->target, reading, NULL, &found, error);
	if (result == 0)
		result = finish_stream(copy->target, &reading, "read a copied disk to its end", error);
	if (result < 0)
		return result;
	digest_finish(&found);
	if (found.bytes != sent->bytes || found.result_length != sent->result_length
	    || memcmp(found.result, sent->result, sent->result_length) != 0)
		return error_set(error, EIO, "host %s: the copy of disk %s is not what was sent there",
				 copy->target->name, copy->disk->path);
	return 0;
}

static int copy_one(struct copy *copy, const struct volume_journal *journal, struct error *error)
{
	CLEANUP_VOLUME virStorageVolPtr from = libvirt_volume_by_path(copy->source_connection, copy->disk->path);
	CLEANUP_POOL virStoragePoolPtr pool = virStoragePoolLookupByName(copy->target_connection, copy->disk->pool);
	CLEANUP(digest_end) struct digest digest = { 0 };
	virStorageVolInfo info;
	int64_t id;

	/* The file itself is copied, whatever it holds: so its own length counts, not that of the disk in it. */
	if (!from || virStorageVolGetInfoFlags(from, &info, VIR_STORAGE_VOL_GET_PHYSICAL) < 0)
		return libvirt_error(copy->source, error, "read a disk's length");
	if (!pool)
		return libvirt_error(copy->target, error, "find the storage pool");
	if (!digest_begin(&digest))
		return error_no_memory(error);
	CLEANUP_VOLUME virStorageVolPtr made = NULL;
	int result = libvirt_volume_make_recorded(copy->target, pool, copy->disk->volume, info.allocation, "raw",
						  journal, &id, &made, error);
	if (result < 0)
		return result;
	result = transfer(copy, from, made, &digest, error);
	if (result == 0)
		result = compare(copy, made, &digest, error);
	return result < 0 ? result : journal->complete(journal->context, id, error);
}

static bool answers(virConnectPtr connection)
{
	unsigned long version;

	return virConnectIsAlive(connection) == 1 && virConnectGetLibVersion(connection, &version) == 0;
}

/* A stream that broke says "connection reset" or the like, by chance: whether its host can still be asked is asked. */
static int tell_lost_host(const struct copy *copy, int result, struct error *error)
{
	struct error trouble = *error;

	if (answers(copy->source_connection) && answers(copy->target_connection))
		return result;
	return error_set(error, EHOSTUNREACH, "%s", trouble.text);
}

int libvirt_copy_cold(struct hypervisor_host *source, struct hypervisor_host *target, const char *definition,
		      const struct volume_journal *journal, bool (*is_cancelled)(void *context), void *context,
		      char **ret_definition, struct error *error)
{
	CLEANUP_DISKS struct guest_disks disks = { 0 };
	CLEANUP(copy_end)
	struct copy copy = { .source = libvirt_host_of(source),
			     .target = libvirt_host_of(target),
			     .is_cancelled = is_cancelled,
			     .context = context };
	int result = libvirt_disks_find(copy.source, copy.target, definition, &disks, error);

	if (result == 0 && disks.private_count > 0)
		result = libvirt_connection_open(copy.source, &copy.source_connection, error);
	if (result == 0 && disks.private_count > 0)
		result = libvirt_connection_open(copy.target, &copy.target_connection, error);
	for (size_t i = 0; result == 0 && i < disks.count; i++) {
		copy.disk = &disks.items[i];
		if (!copy.disk->is_shared)
			result = copy_one(&copy, journal, error);
		if (result < 0 && result != -ECANCELED)
			result = tell_lost_host(&copy, result, error);
	}
	return result < 0 ? result : libvirt_disks_rewrite(&disks, definition, ret_definition, error);
}
