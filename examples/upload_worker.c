/* Takes files in chunks: begin(name, size) gives an id, chunk(id, offset, bytes) may come in any
 * order and more than once, finish(id, crc32) checks the whole and gives its size. One upload at a
 * time. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#include <multifrost/multifrost.h>

#define SIZE_MAX_BYTES ((int64_t)1 << 30)

typedef struct upload {
    int64_t id, size;
    uint8_t *bytes; /* of the file, mapped */
} upload;

static void forget(upload *at)
{
    if (at->bytes != NULL) {
        (void)munmap(at->bytes, (size_t)at->size);
    }
    at->bytes = NULL;
}

static mf_status begin(mf_request *request, mf_reply *reply, void *user_data)
{
    upload *at = user_data;
    const char *name;
    int64_t size;
    if (mf_request_unpack(request, &name, &size) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (name[0] == '\0' || strchr(name, '/') != NULL || name[0] == '.') {
        return mf_reply_error(reply, "ValueError", "the name must be a plain file name");
    }
    if (size < 1 || size > SIZE_MAX_BYTES) {
        return mf_reply_error(reply, "ValueError", "the size must be 1 to %" PRId64,
                              SIZE_MAX_BYTES);
    }
    forget(at);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    void *bytes = MAP_FAILED;
    if (file >= 0 && ftruncate(file, size) == 0) {
        bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (file >= 0) {
        (void)close(file);
    }
    if (bytes == MAP_FAILED) {
        return mf_reply_error(reply, "OSError", "cannot make the file '%s'", name);
    }
    *at = (upload){.id = at->id + 1, .size = size, .bytes = bytes};
    return mf_reply_value(reply, at->id);
}

static mf_status chunk(mf_request *request, mf_reply *reply, void *user_data)
{
    const upload *at = user_data;
    int64_t id, offset;
    mf_value bytes;
    if (mf_request_unpack(request, &id, &offset, &bytes) != MF_OK || bytes.type != MF_TYPE_BIN) {
        return mf_reply_error(reply, "TypeError", "chunk takes an id, an offset and bytes");
    }
    if (at->bytes == NULL || id != at->id) {
        return mf_reply_error(reply, "KeyError", "there is no upload %" PRId64, id);
    }
    if (offset < 0 || offset > at->size || bytes.length > at->size - offset) {
        return mf_reply_error(reply, "ValueError", "the chunk lies outside of the file");
    }
    memcpy(at->bytes + offset, bytes.as.bytes, bytes.length);
    return mf_reply_value(reply, offset + (int64_t)bytes.length);
}

static mf_status finish(mf_request *request, mf_reply *reply, void *user_data)
{
    upload *at = user_data;
    int64_t id, wanted;
    if (mf_request_unpack(request, &id, &wanted) != MF_OK) {
        return MF_ERR_TYPE;
    }
    if (at->bytes == NULL || id != at->id) {
        return mf_reply_error(reply, "KeyError", "there is no upload %" PRId64, id);
    }
    if ((int64_t)crc32_z(0, at->bytes, (z_size_t)at->size) != wanted) {
        return mf_reply_error(reply, "ValueError", "the checksum differs: send the chunks again");
    }
    int64_t size = at->size;
    forget(at);
    return mf_reply_value(reply, size);
}

int main(void)
{
    upload at = {0};
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mf_child_create(&child, NULL, &error);
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
    forget(&at);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
