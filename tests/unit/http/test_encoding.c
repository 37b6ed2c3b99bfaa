/* Which clients take gzip, and that they get back what was packed. */
#include "http/encoding.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "mf_alloc.h"
#include "mf_test.h"

static void test_headers(void)
{
    static const char *const takes[] = {"gzip",
                                        "GZIP",
                                        "x-gzip",
                                        "*",
                                        "deflate, gzip",
                                        "gzip;q=0.001",
                                        "gzip; q=1.0, identity;q=0",
                                        "*;q=0, gzip",
                                        "br;q=1.0, gzip;q=0.8, *;q=0.1",
                                        "gzip, deflate, br"};
    static const char *const refuses[] = {"",         "identity",    "gzip;q=0",    "gzip;q=0.000",
                                          "*;q=0",    "gzip;q=0, *", "*, gzip;q=0", "gzip;q=x",
                                          "gzip;q=2", "gzipped",     "br, deflate", "x-gzip;q=0",
                                          ",,;;=,"};
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++) {
        mf_check(mfi_encoding_takes_gzip(takes[i]));
    }
    for (size_t i = 0; i < sizeof refuses / sizeof refuses[0]; i++) {
        mf_check(!mfi_encoding_takes_gzip(refuses[i]));
    }
    mf_check(!mfi_encoding_takes_gzip(NULL));
}

/* Unpacks one gzip member that must be all of the bytes. */
static void check_unpacked(const char *packed, size_t packed_size, const char *wanted, size_t size)
{
    char *got = malloc(size + 1);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed,
                       .avail_in = (uInt)packed_size,
                       .next_out = (Bytef *)got,
                       .avail_out = (uInt)size + 1};
    mf_check_int(inflateInit2(&stream, 15 + 16), Z_OK);
    mf_check_int(inflate(&stream, Z_FINISH), Z_STREAM_END);
    mf_check_int(stream.avail_in, 0);
    mf_check_int(stream.total_out, size);
    mf_check(memcmp(got, wanted, size) == 0);
    (void)inflateEnd(&stream);
    free(got);
}

static void test_round_trip(void)
{
    static const size_t sizes[] = {0, 1, MFI_ENCODING_LEAST, 100000, 3000000};
    char *body = malloc(3000000);
    uint32_t state = 1;
    for (size_t i = 0; i < 3000000; i++) { /* the second half does not shrink */
        state = state * 1664525u + 1013904223u;
        body[i] = (char)(i < 1500000 ? "metric 1\n"[i % 9] : (int)(state >> 24));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t packed_size = 0;
        char *packed = mfi_encoding_gzip(body, sizes[i], &packed_size);
        if (mf_check(packed != NULL)) {
            check_unpacked(packed, packed_size, body, sizes[i]);
            mf_check(sizes[i] != 100000 || packed_size < 10000);
        }
        free(packed);
    }
    free(body);
}

static void test_without_memory(void)
{
    static const char body[] = "body";
    size_t size = 0;
    mf_alloc_fail_at(0);
    char *packed = mfi_encoding_gzip(body, sizeof body, &size);
    mf_check(mf_alloc_stop());
    mf_check(packed == NULL);
    packed = mfi_encoding_gzip(body, sizeof body, &size);
    mf_check(packed != NULL && size > 0);
    free(packed);
}

static const mf_test tests[] = {
    {"encoding__follows_the_header", test_headers},
    {"encoding__unpacks_to_what_was_packed", test_round_trip},
    {"encoding__without_memory_gives_nothing", test_without_memory},
};
MF_TEST_MAIN(tests)
