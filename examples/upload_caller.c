/* Sends a file that is larger than a message may be: in chunks of 1 MiB, several of them at a time,
 * with a checksum of the whole file. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include <multifrost/multifrost.h>

#define CHUNK_BYTES ((int64_t)1 << 20)
enum { UNDER_WAY = 4 };

/* Sends up to UNDER_WAY of the remaining chunks, and waits for all of them. Each chunk has its
 * offset, so the last ones may go first; a chunk may arrive twice, so each may be sent again. */
static mf_status send_some(mf_parent *worker, int64_t id, const uint8_t *bytes, int64_t size,
                           int64_t *chunks_left, mf_error *error)
{
    mf_status status = MF_OK;
    mf_future *futures[UNDER_WAY] = {0};
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.retry = &retry;
    options.idempotent = true;
    for (int i = 0; i<UNDER_WAY && * chunks_left> 0 && status == MF_OK; i++) {
        int64_t offset = --*chunks_left * CHUNK_BYTES;
        int64_t length = size - offset < CHUNK_BYTES ? size - offset : CHUNK_BYTES;
        status = mf_call_future(worker, "chunk",
                                MF_ARGS(id, offset, mf_bin(bytes + offset, (size_t)length)),
                                &options, &futures[i], error);
    }
    for (int i = 0; i < UNDER_WAY; i++) {
        if (futures[i] != NULL && status == MF_OK) {
            status = mf_future_wait(futures[i], MF_TIMEOUT_INFINITE, NULL, error);
        }
        mf_future_destroy(futures[i]);
    }
    return status;
}

static mf_status upload(mf_parent *worker, const uint8_t *bytes, int64_t size, mf_error *error)
{
    mf_result *begun = NULL, *finished = NULL;
    int64_t chunks_left = (size + CHUNK_BYTES - 1) / CHUNK_BYTES;
    mf_status status = mf_call(worker, "begin", MF_ARGS("uploaded", size), &begun, error);
    int64_t id = mf_result_int(begun);
    while (status == MF_OK && chunks_left > 0) {
        status = send_some(worker, id, bytes, size, &chunks_left, error);
    }
    if (status == MF_OK) {
        int64_t checksum = (int64_t)crc32_z(0, bytes, (z_size_t)size);
        status = mf_call(worker, "finish", MF_ARGS(id, checksum), &finished, error);
    }
    if (status == MF_OK) {
        printf("%" PRId64 " bytes arrived\n", mf_result_int(finished));
    }
    mf_result_destroy(begun);
    mf_result_destroy(finished);
    return status;
}

/* Maps the file's bytes, for munmap(); NULL if the file cannot be read. */
static uint8_t *map_file(const char *path, int64_t *ret_size)
{
    struct stat facts = {0};
    void *bytes = MAP_FAILED;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && fstat(file, &facts) == 0 && facts.st_size > 0) {
        bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (file >= 0) {
        (void)close(file);
    }
    *ret_size = facts.st_size;
    return bytes != MAP_FAILED ? bytes : NULL;
}

int main(int argc, char **argv)
{
    int64_t size = 0;
    mf_parent *worker = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    if (argc < 3) {
        fprintf(stderr, "usage: upload_caller WORKER FILE\n");
        return EXIT_FAILURE;
    }
    uint8_t *bytes = map_file(argv[2], &size);
    if (bytes == NULL) {
        fprintf(stderr, "cannot read '%s'\n", argv[2]);
        return EXIT_FAILURE;
    }
    options.program = argv[1];
    mf_status status = mf_parent_create(&worker, &options, &error);
    if (status == MF_OK) {
        status = mf_parent_start(worker, &error);
    }
    if (status == MF_OK) {
        status = upload(worker, bytes, size, &error);
    }
    if (status != MF_OK) {
        fprintf(stderr, "%s\n", mf_error_text(&error));
    }
    mf_parent_destroy(worker);
    (void)munmap(bytes, (size_t)size);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
