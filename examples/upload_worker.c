/* Receives a file in chunks of 1 MiB: begin(name, size) returns an id; chunk(id, offset, bytes) may
 * arrive in any order and more than once; finish(id, crc32) checks the whole file and returns its
 * size. One upload at a time. A file gets its name only when it is complete and correct. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include <multifrost/multifrost.h>

#define CHUNK_BYTES ((int64_t)1 << 20)
enum { CHUNKS_MAX = 1024 };
static const char part[] = ".upload.part"; /* the file's name until it is complete */

typedef struct upload {
    int64_t id, size;
    int file; /* -1: no upload */
    bool there[CHUNKS_MAX];
    char name[128];
} upload;

static void forget(void *user_data)
{
    upload *at = user_data;
    if (at->file >= 0) {
        (void)close(at->file);
        (void)unlink(part);
    }
    at->file = -1;
}

static mf_status begin(mf_request *request, mf_reply *reply, void *user_data)
{
    upload *at = user_data;
    const char *name;
    int64_t size;
    if (mf_request_unpack(request, &name, &size) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
        strlen(name) >= sizeof at->name) {
        return mf_reply_error(reply, "ValueError", "the name must be a plain file name");
    }
    if (size < 1 || size > CHUNKS_MAX * CHUNK_BYTES) {
        return mf_reply_error(reply, "ValueError", "the size must be 1 to %" PRId64,
                              CHUNKS_MAX * CHUNK_BYTES);
    }
    forget(at); /* a new upload ends the one before */
    at->file = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (at->file < 0) {
        return mf_reply_error(reply, "OSError", "cannot make '%s': %s", part, strerror(errno));
    }
    (void)snprintf(at->name, sizeof at->name, "%s", name);
    memset(at->there, 0, sizeof at->there);
    at->size = size;
    return mf_reply_value(reply, ++at->id);
}

static mf_status chunk(mf_request *request, mf_reply *reply, void *user_data)
{
    upload *at = user_data;
    int64_t id, offset;
    mf_value bytes;
    if (mf_request_unpack(request, &id, &offset, &bytes) != MF_OK || bytes.type != MF_TYPE_BIN) {
        return mf_reply_error(reply, "TypeError", "chunk takes an id, an offset and bytes");
    }
    if (at->file < 0 || id != at->id) {
        return mf_reply_error(reply, "KeyError", "there is no upload %" PRId64, id);
    }
    if (offset < 0 || offset >= at->size || offset % CHUNK_BYTES != 0) {
        return mf_reply_error(reply, "ValueError", "no chunk begins at %" PRId64, offset);
    }
    int64_t left = at->size - offset;
    if (bytes.length != (left < CHUNK_BYTES ? left : CHUNK_BYTES)) {
        return mf_reply_error(reply, "ValueError", "the chunk has the wrong size");
    }
    if (pwrite(at->file, bytes.as.bytes, bytes.length, offset) != (ssize_t)bytes.length) {
        return mf_reply_error(reply, "OSError", "cannot write: %s", strerror(errno));
    }
    at->there[offset / CHUNK_BYTES] = true;
    return mf_reply_value(reply, offset);
}

static int64_t missing_chunks(const upload *at)
{
    int64_t missing = 0;
    for (int64_t i = 0; i * CHUNK_BYTES < at->size; i++) {
        missing += !at->there[i];
    }
    return missing;
}

/* The CRC-32 of the bytes that the file has now. */
static int64_t checksum(const upload *at)
{
    uint8_t block[65536];
    uLong crc = 0;
    ssize_t got;
    for (off_t offset = 0; (got = pread(at->file, block, sizeof block, offset)) > 0;
         offset += got) {
        crc = crc32_z(crc, block, (z_size_t)got);
    }
    return (int64_t)crc;
}

static mf_status finish(mf_request *request, mf_reply *reply, void *user_data)
{
    upload *at = user_data;
    int64_t id, wanted;
    if (mf_request_unpack(request, &id, &wanted) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (at->file < 0 || id != at->id) {
        return mf_reply_error(reply, "KeyError", "there is no upload %" PRId64, id);
    }
    int64_t missing = missing_chunks(at);
    if (missing != 0) { /* the upload may go on */
        return mf_reply_error(reply, "ValueError", "%" PRId64 " missing chunks", missing);
    }
    if (checksum(at) != wanted) {
        return mf_reply_error(reply, "ValueError", "the checksum differs: send the chunks again");
    }
    if (fsync(at->file) != 0 || rename(part, at->name) != 0) {
        return mf_reply_error(reply, "OSError", "cannot make '%s': %s", at->name, strerror(errno));
    }
    (void)close(at->file);
    at->file = -1;
    return mf_reply_value(reply, at->size);
}

int main(void)
{
    static upload at = {.file = -1};
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.service_id = "uploads"; /* if it is not spawned by a parent */
    options.on_stop = forget;
    options.user_data = &at;
    mf_status status = mf_child_create(&child, &options, &error);
    if (status == MF_OK) {
        mf_child_handle(child, "begin", begin, &at);
        mf_child_handle(child, "chunk", chunk, &at);
        mf_child_handle(child, "finish", finish, &at);
        status = mf_child_run(child, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_child_destroy(child);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
