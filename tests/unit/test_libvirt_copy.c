/* A disk that is copied between hosts counts only when what lies there is what was sent, and no stream is left open: over
 * libvirt's own test driver, which has no streams, with these replaced by a disk in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libvirt_fixture.h"

#include "base/cleanup.h"
#include "base/text.h"

#define DISK        "<disk type='file'><source file='/" LIBVIRT_POOL "/one'/><target dev='vda'/></disk>"
#define PART_BYTES  1000 /* what a read gives at most: no block's length */
#define STREAMS_MAX 8
#define NOWHERE     SIZE_MAX

struct extent {
	bool is_hole;
	size_t length; /* bytes */
};

/* Where data and holes begin and end on no block's border, and on one. */
static const struct extent extents[] = {
	{ false, 100 }, { true, 3 * 4096 + 50 }, { false, 5000 }, { true, 7 },     { false, 1 },
	{ true, 8000 }, { true, 192 },           { false, 4096 }, { true, 16384 }, { false, 3000 },
};

enum stream_end {
	STREAM_OPEN,
	STREAM_FINISHED,
	STREAM_ABORTED,
	STREAM_ENDED_TWICE,
};

struct stream {
	virStreamPtr stream;
	bool is_upload, is_of_copy;
	size_t place; /* bytes */
	enum stream_end end;
};

/* Calls that can be made to fail, from the one after `fails_after` on. */
enum stream_call {
	CALL_NONE,
	CALL_DOWNLOAD,
	CALL_UPLOAD,
	CALL_READ,
	CALL_READ_HOLE,
	CALL_WRITE,
	CALL_WRITE_HOLE,
	CALL_READ_BACK,
	CALL_FINISH_READING,
	CALL_FINISH_WRITING,
	CALL_FINISH_READING_BACK,
	CALL_COUNT,
};

static struct {
	struct stream streams[STREAMS_MAX];
	size_t stream_count;
	char disk[64 * 1024], copy[64 * 1024];
	size_t disk_length, copy_length;
	size_t flipped; /* this byte of the copy comes back as another */
	enum stream_call failing;
	int fails_after;
	bool is_cancelled;
	int begun, completed; /* by the journal */
} fake;

/* NULL: nothing was begun with it. */
static struct stream *find_stream(virStreamPtr stream)
{
	for (size_t i = 0; i < fake.stream_count; i++)
		if (fake.streams[i].stream == stream)
			return &fake.streams[i];
	return NULL;
}

static struct stream *stream_of(virStreamPtr stream)
{
	struct stream *found = find_stream(stream);

	assert_non_null(found);
	return found;
}

static void begin_stream(virStreamPtr stream, bool is_upload, bool is_of_copy)
{
	assert_true(fake.stream_count < STREAMS_MAX);
	assert_int_equal(virStreamRef(stream), 0); /* so that no other one gets its address */
	fake.streams[fake.stream_count++] =
		(struct stream){ .stream = stream, .is_upload = is_upload, .is_of_copy = is_of_copy };
}

static bool fails(enum stream_call call)
{
	return fake.failing == call && fake.fails_after-- <= 0;
}

/* The extent at that place, and how much of it is left from there. */
static const struct extent *extent_at(size_t place, size_t *ret_left)
{
	for (size_t i = 0; i < sizeof(extents) / sizeof(*extents); i++) {
		if (place < extents[i].length) {
			*ret_left = extents[i].length - place;
			return &extents[i];
		}
		place -= extents[i].length;
	}
	return NULL;
}

int virStorageVolDownload(virStorageVolPtr vol, virStreamPtr stream, unsigned long long offset,
			  unsigned long long length, unsigned int flags)
{
	(void)vol;
	assert_int_equal(offset, 0);
	assert_int_equal(length, 0);
	assert_int_equal(flags, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM);
	if (fails(CALL_DOWNLOAD))
		return -1;
	begin_stream(stream, false, fake.copy_length > 0);
	return 0;
}

int virStorageVolUpload(virStorageVolPtr vol, virStreamPtr stream, unsigned long long offset, unsigned long long length,
			unsigned int flags)
{
	(void)vol;
	assert_int_equal(offset, 0);
	assert_int_equal(length, 0);
	assert_int_equal(flags, VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM);
	if (fails(CALL_UPLOAD))
		return -1;
	begin_stream(stream, true, true);
	return 0;
}

/* The copy is one whole piece of data: a file system may keep it so. */
static int read_copy(struct stream *stream, char *data, size_t nbytes)
{
	size_t part = fake.copy_length - stream->place;

	if (fails(CALL_READ_BACK))
		return -1;
	part = part < nbytes ? part : nbytes;
	part = part < PART_BYTES ? part : PART_BYTES;
	memcpy(data, fake.copy + stream->place, part);
	if (fake.flipped >= stream->place && fake.flipped < stream->place + part)
		data[fake.flipped - stream->place] ^= 1;
	stream->place += part;
	return (int)part;
}

int virStreamRecvFlags(virStreamPtr stream, char *data, size_t nbytes, unsigned int flags)
{
	struct stream *from = stream_of(stream);
	size_t left = 0;

	assert_int_equal(flags, VIR_STREAM_RECV_STOP_AT_HOLE);
	if (from->is_of_copy)
		return read_copy(from, data, nbytes);
	const struct extent *extent = extent_at(from->place, &left);
	if (fails(CALL_READ))
		return -1;
	if (!extent || extent->is_hole)
		return extent ? -3 : 0;
	left = left < nbytes ? left : nbytes;
	left = left < PART_BYTES ? left : PART_BYTES;
	memcpy(data, fake.disk + from->place, left);
	from->place += left;
	return (int)left;
}

int virStreamRecvHole(virStreamPtr stream, long long *length, unsigned int flags)
{
	struct stream *from = stream_of(stream);
	size_t left = 0;

	(void)flags;
	if (fails(CALL_READ_HOLE))
		return -1;
	assert_non_null(extent_at(from->place, &left));
	*length = (long long)left;
	from->place += left;
	return 0;
}

static int write_copy(virStreamPtr stream, const char *data, size_t nbytes)
{
	struct stream *to = stream_of(stream);

	assert_true(to->is_upload && fake.copy_length + nbytes <= sizeof(fake.copy));
	if (data)
		memcpy(fake.copy + fake.copy_length, data, nbytes);
	else
		memset(fake.copy + fake.copy_length, 0, nbytes);
	fake.copy_length += nbytes;
	return (int)nbytes;
}

/* It takes less than it is given. */
int virStreamSend(virStreamPtr stream, const char *data, size_t nbytes)
{
	return fails(CALL_WRITE) ? -1 : write_copy(stream, data, nbytes > 1 ? nbytes / 2 : nbytes);
}

int virStreamSendHole(virStreamPtr stream, long long length, unsigned int flags)
{
	(void)flags;
	return fails(CALL_WRITE_HOLE) || write_copy(stream, NULL, (size_t)length) < 0 ? -1 : 0;
}

static void end_stream(struct stream *stream, enum stream_end end)
{
	stream->end = stream->end == STREAM_OPEN ? end : STREAM_ENDED_TWICE;
}

int virStreamFinish(virStreamPtr stream)
{
	struct stream *finished = stream_of(stream);
	enum stream_call call = finished->is_upload    ? CALL_FINISH_WRITING
				: finished->is_of_copy ? CALL_FINISH_READING_BACK
						       : CALL_FINISH_READING;

	end_stream(finished, STREAM_FINISHED);
	return fails(call) ? -1 : 0;
}

int virStreamAbort(virStreamPtr stream)
{
	struct stream *aborted = find_stream(stream);

	if (aborted)
		end_stream(aborted, STREAM_ABORTED);
	return aborted ? 0 : -1;
}

int virStorageVolGetInfoFlags(virStorageVolPtr vol, virStorageVolInfoPtr info, unsigned int flags)
{
	int result = virStorageVolGetInfo(vol, info); /* the test driver has no files */

	assert_int_equal(flags, VIR_STORAGE_VOL_GET_PHYSICAL);
	info->allocation = fake.disk_length;
	return result;
}

static int journal_begin(void *context, const char *pool, const char *name, int64_t bytes, int64_t *ret_volume_id,
			 struct error *error)
{
	(void)context;
	(void)error;
	assert_string_equal(pool, LIBVIRT_POOL);
	assert_string_equal(name, "one");
	assert_int_equal(bytes, fake.disk_length);
	*ret_volume_id = 7;
	fake.begun++;
	return 0;
}

static int journal_complete(void *context, int64_t volume_id, struct error *error)
{
	(void)context;
	(void)error;
	assert_int_equal(volume_id, 7);
	fake.completed++;
	return 0;
}

static int journal_forget(void *context, int64_t volume_id, struct error *error)
{
	(void)context;
	(void)volume_id;
	(void)error;
	fail_msg("nobody else has the name");
	return 0;
}

static bool is_cancelled(void *context)
{
	(void)context;
	return fake.is_cancelled;
}

static int begin(void **state)
{
	static struct libvirt_two_hosts bench;

	memset(&fake, 0, sizeof(fake));
	fake.flipped = NOWHERE;
	for (size_t i = 0; i < sizeof(extents) / sizeof(*extents); i++)
		for (size_t end = fake.disk_length + extents[i].length; fake.disk_length < end; fake.disk_length++)
			fake.disk[fake.disk_length] = extents[i].is_hole ? 0 : (char)(fake.disk_length % 251 + 1);
	libvirt_two_hosts_begin(&bench);
	*state = &bench;
	return 0;
}

static int end(void **state)
{
	struct libvirt_two_hosts *bench = *state;

	for (size_t i = 0; i < fake.stream_count; i++)
		virStreamFree(fake.streams[i].stream);
	libvirt_two_hosts_end(bench);
	return 0;
}

static int copy(struct libvirt_two_hosts *bench)
{
	static const struct volume_journal journal = { journal_begin, journal_complete, journal_forget, NULL };
	CLEANUP_FREE char *definition = libvirt_guest_definition(LIBVIRT_GUEST, DISK);
	CLEANUP_FREE char *made = NULL;
	int result =
		bench->fixture.driver->operations->copy_cold(bench->source, bench->fixture.host, definition, &journal,
							     is_cancelled, NULL, &made, &bench->fixture.error);

	if (result == 0)
		assert_non_null(strstr(made, "/" LIBVIRT_POOL "/one"));
	else
		assert_null(made);
	return result;
}

static void check_streams(enum stream_end expected)
{
	for (size_t i = 0; i < fake.stream_count; i++)
		if (fake.streams[i].end != expected)
			fail_msg("call %d: stream %zu of %zu: %d", fake.failing, i + 1, fake.stream_count,
				 fake.streams[i].end);
}

static void a_disk_with_holes_is_copied_as_it_is(void **state)
{
	struct libvirt_two_hosts *bench = *state;

	if (copy(bench) < 0)
		fail_msg("%s", bench->fixture.error.text);
	assert_int_equal(fake.copy_length, fake.disk_length);
	assert_memory_equal(fake.copy, fake.disk, fake.disk_length);
	assert_int_equal(fake.begun, 1);
	assert_int_equal(fake.completed, 1);
	assert_int_equal(fake.stream_count, 3);
	check_streams(STREAM_FINISHED);
}

/* Wherever it differs: in data, in a hole, at its borders. */
static void a_copy_that_is_not_what_was_sent_does_not_count(void **state)
{
	size_t place = 0;

	for (size_t i = 0; i < sizeof(extents) / sizeof(*extents); i++) {
		const size_t places[] = { place, place + extents[i].length / 2, place + extents[i].length - 1 };

		place += extents[i].length;
		for (size_t j = 0; j < sizeof(places) / sizeof(*places); j++) {
			struct libvirt_two_hosts *bench = *state;

			fake.flipped = places[j];
			if (copy(bench) != -EIO || !strstr(bench->fixture.error.text, "is not what was sent there"))
				fail_msg("byte %zu: %s", places[j], bench->fixture.error.text);
			assert_int_equal(fake.completed, 0);
			end(state);
			begin(state);
		}
	}
}

/* An error of one is not the end of the other: libvirt goes on with a stream that is released without an end. */
static void every_stream_is_ended_once_whatever_fails(void **state)
{
	for (int after = 0; after <= 2; after++)
		for (enum stream_call call = CALL_DOWNLOAD; call < CALL_COUNT; call++) {
			struct libvirt_two_hosts *bench = *state;

			if (after > 0 && (call >= CALL_FINISH_READING || call <= CALL_UPLOAD))
				continue;
			fake.failing = call;
			fake.fails_after = after;
			if (copy(bench) >= 0)
				fail_msg("call %d failed, and the copy went well", call);
			assert_int_equal(fake.completed, 0);
			for (size_t i = 0; i < fake.stream_count; i++)
				if (fake.streams[i].end != STREAM_FINISHED && fake.streams[i].end != STREAM_ABORTED)
					fail_msg("call %d: stream %zu of %zu: %d", call, i + 1, fake.stream_count,
						 fake.streams[i].end);
			end(state);
			begin(state);
		}
}

static void a_copy_that_is_ended_gives_up_its_streams(void **state)
{
	struct libvirt_two_hosts *bench = *state;

	fake.is_cancelled = true;
	assert_int_equal(copy(bench), -ECANCELED);
	assert_int_equal(fake.stream_count, 2);
	check_streams(STREAM_ABORTED);
	assert_int_equal(fake.completed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_with_holes_is_copied_as_it_is),
		TEST(a_copy_that_is_not_what_was_sent_does_not_count),
		TEST(every_stream_is_ended_once_whatever_fails),
		TEST(a_copy_that_is_ended_gives_up_its_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
