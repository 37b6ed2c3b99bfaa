/* Objects go through their codecs, unknown codes are not sent, and timestamps take the shortest
 * form. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/ext.h>

#include "base/mutex.h"
#include "mf_test.h"

#define POINT 5

typedef struct point {
    int x, y;
} point;

static int allocated; /* points that unpacking made and nobody freed */

static mf_status pack_point(const void *object, mf_ext_writer *writer, void *user_data)
{
    const point *at = object;
    const uint8_t *most = user_data;
    if (at->x > *most || at->y > *most) {
        return MF_ERR_UNSUPPORTED;
    }
    uint8_t byte = (uint8_t)at->x;
    mf_ext_write(writer, &byte, 1);
    byte = (uint8_t)at->y;
    mf_ext_write(writer, &byte, 1);
    return MF_OK;
}

static mf_status unpack_point(const uint8_t *bytes, size_t size, void **ret_object, void *user_data)
{
    (void)user_data;
    if (size != 2) {
        return MF_ERR_PROTOCOL;
    }
    point *at = malloc(sizeof *at);
    *at = (point){bytes[0], bytes[1]};
    allocated++;
    *ret_object = at;
    return MF_OK;
}

static mf_status pack_endless(const void *object, mf_ext_writer *writer, void *user_data)
{
    (void)user_data;
    for (int i = 0; i < 11; i++) {
        mf_ext_write(writer, object, 1000000);
    }
    return MF_OK;
}

static uint8_t most = 200;

static void register_points(void)
{
    mf_ext_codec codec = MF_EXT_CODEC_INIT;
    codec.pack = pack_point;
    codec.unpack = unpack_point;
    codec.user_data = &most;
    mf_check_int(mf_ext_register(POINT, &codec, NULL), MF_OK);
}

static mf_document *round_trip(mf_value value)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_encode(&value, &bytes, &size, &error), MF_OK);
    mf_check_int(mf_document_decode(bytes, size, &document, &error), MF_OK);
    free(bytes);
    return document;
}

static void check_refused(mf_value value, mf_status wanted, const char *path, const char *what)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_value_encode(&value, &bytes, &size, &error), wanted);
    mf_check(bytes == NULL);
    mf_check_contains(error.message, path);
    mf_check_contains(error.message, what);
}

static void test_objects_go_through_their_codec(void)
{
    point at = {7, 9};
    void *object = NULL;
    mf_error error = MF_ERROR_INIT;
    register_points();
    mf_document *document = round_trip(MF_ARRAY(1, mf_object(POINT, &at)));
    const mf_value *ext = mf_value_at(mf_document_root(document), 1);
    mf_check_int(ext->type, MF_TYPE_EXT);
    mf_check_int(ext->length, 2);
    mf_check_int(mf_value_get_object(ext, POINT, &object, &error), MF_OK);
    mf_check(((point *)object)->x == 7 && ((point *)object)->y == 9);
    free(object);
    allocated--;
    mf_check_int(mf_value_get_object(ext, POINT + 1, &object, &error), MF_ERR_TYPE);
    mf_check_contains(error.message, "code 6");
    mf_check_int(mf_value_get_object(mf_document_root(document), POINT, &object, &error),
                 MF_ERR_TYPE);
    mf_check_contains(error.message, "array");
    mf_ext_unregister(POINT);
    mf_check_int(mf_value_get_object(ext, POINT, &object, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "code 5");
    mf_document_destroy(document);
    mf_check_int(allocated, 0);
}

static void test_what_a_codec_says_counts(void)
{
    point far = {1, 201};
    void *object = NULL;
    mf_error error = MF_ERROR_INIT;
    register_points();
    check_refused(MF_MAP("at", mf_object(POINT, &far)), MF_ERR_UNSUPPORTED, "value.at: ", "code 5");
    mf_value wrong = mf_ext(POINT, "abc", 3);
    mf_check_int(mf_value_get_object(&wrong, POINT, &object, &error), MF_ERR_PROTOCOL);
    mf_check(object == NULL);
    mf_ext_unregister(POINT);
    mf_ext_codec endless = MF_EXT_CODEC_INIT;
    endless.pack = pack_endless;
    void *block = calloc(1, 1000000);
    mf_check_int(mf_ext_register(POINT, &endless, NULL), MF_OK);
    check_refused(mf_object(POINT, block), MF_ERR_LIMIT, "value: ", "max_string_bytes (10485760)");
    mf_ext_unregister(POINT);
    free(block);
}

static void test_only_known_codes_are_sent(void)
{
    point at = {1, 2};
    check_refused(MF_ARRAY(mf_ext(POINT, "ab", 2)), MF_ERR_INVALID_ARGUMENT,
                  "value[0]: ", "code 5");
    check_refused(MF_ARRAY(mf_ext(-2, "ab", 2)), MF_ERR_INVALID_ARGUMENT, "value[0]: ", "code -2");
    check_refused(MF_ARRAY(mf_object(POINT, &at)), MF_ERR_INVALID_ARGUMENT, "value[0]: ", "code 5");
    check_refused(mf_ext(MF_EXT_TIMESTAMP, "ab", 2), MF_ERR_INVALID_ARGUMENT,
                  "value: ", "no timestamp");
    mf_check_int(mf_ext_register(POINT, NULL, NULL), MF_OK); /* for bytes alone */
    mf_value sizes[] = {mf_ext(POINT, "", 0),      mf_ext(POINT, "a", 1),
                        mf_ext(POINT, "ab", 2),    mf_ext(POINT, "abc", 3),
                        mf_ext(POINT, "abcd", 4),  mf_ext(POINT, "abcdefgh", 8),
                        mf_ext(POINT, "abcde", 5), mf_ext(POINT, "0123456789abcdef", 16)};
    mf_value all = mf_array(sizes, 8);
    mf_document *document = round_trip(all);
    mf_check(mf_value_equal(mf_document_root(document), &all));
    mf_document_destroy(document);
    check_refused(MF_ARRAY(mf_object(POINT, &at)), MF_ERR_INVALID_ARGUMENT, "value[0]: ", "code 5");
    mf_ext_unregister(POINT);
}

static void test_table_refuses_what_it_should(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_ext_codec codec = MF_EXT_CODEC_INIT;
    mf_check_int(mf_ext_register(-1, &codec, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_ext_register(128, &codec, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "128");
    mf_check_int(mf_ext_register(0, &codec, &error), MF_OK);
    mf_check_int(mf_ext_register(127, &codec, &error), MF_OK);
    mf_check_int(mf_ext_register(127, &codec, &error), MF_ERR_EXISTS);
    mf_ext_unregister(127);
    mf_check_int(mf_ext_register(127, &codec, &error), MF_OK);
    mf_ext_unregister(0);
    mf_ext_unregister(127);
    mf_ext_unregister(-1);
    mf_ext_unregister(128);
    codec.struct_size = 3;
    mf_check_int(mf_ext_register(1, &codec, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "mf_ext_codec");
}

/* ---- Threads ---- */

typedef struct table_use {
    atomic_int registered, wrong;
} table_use;

/* CUnit's assertions belong to the main thread. */
static void *use_table(void *argument)
{
    table_use *use = argument;
    point at = {3, 4};
    mf_value value = mf_object(POINT, &at);
    mf_ext_codec codec = MF_EXT_CODEC_INIT;
    codec.pack = pack_point;
    codec.user_data = &most;
    for (int i = 0; i < 2000; i++) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        bool ours = mf_ext_register(POINT, &codec, NULL) == MF_OK;
        bool encoded = mf_value_encode(&value, &bytes, &size, NULL) == MF_OK;
        /* Without an own registration another thread's may be there: whole, or not at all. */
        (void)atomic_fetch_add(&use->wrong, (ours && !encoded) || (encoded && size != 4));
        if (ours) {
            (void)atomic_fetch_add(&use->registered, 1);
            mf_ext_unregister(POINT);
        }
        free(bytes);
    }
    return NULL;
}

static void test_table_is_shared_by_threads(void)
{
    pthread_t threads[4];
    table_use use = {0};
    for (int i = 0; i < 4; i++) {
        mf_check_int(mfi_thread_start(&threads[i], "codecs", use_table, &use), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mf_check(atomic_load(&use.registered) > 0);
    mf_check_int(atomic_load(&use.wrong), 0);
    mf_check_int(mf_ext_register(POINT, NULL, NULL), MF_OK);
    mf_ext_unregister(POINT);
}

/* ---- Timestamps ---- */

static void check_timestamp(int64_t seconds, uint32_t nanoseconds, const char *bytes, size_t size)
{
    uint8_t storage[MF_TIMESTAMP_BYTES];
    int64_t got_seconds = 0;
    uint32_t got_nanoseconds = 0;
    mf_value value = mf_timestamp(seconds, nanoseconds, storage);
    mf_check_int(value.length, size);
    mf_check(memcmp(value.as.bytes, bytes, size) == 0);
    mf_document *document = round_trip(value);
    mf_check_int(mf_value_get_timestamp(mf_document_root(document), &got_seconds, &got_nanoseconds),
                 MF_OK);
    mf_check_int(got_seconds, seconds);
    mf_check_int(got_nanoseconds, nanoseconds);
    mf_document_destroy(document);
}

static void test_timestamps_take_the_shortest_form(void)
{
    check_timestamp(0, 0, "\0\0\0\0", 4);
    check_timestamp(UINT32_MAX, 0, "\xff\xff\xff\xff", 4);
    check_timestamp(1, 1, "\0\0\0\4\0\0\0\1", 8);
    check_timestamp(INT64_C(1) << 32, 0, "\0\0\0\1\0\0\0\0", 8);
    check_timestamp((INT64_C(1) << 34) - 1, 999999999, "\xee\x6b\x27\xff\xff\xff\xff\xff", 8);
    check_timestamp(INT64_C(1) << 34, 7, "\0\0\0\7\0\0\0\4\0\0\0\0", 12);
    check_timestamp(-1, 999999999, "\x3b\x9a\xc9\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    check_timestamp(INT64_MIN, 0, "\0\0\0\0\x80\0\0\0\0\0\0\0", 12);
}

static void test_whole_seconds_are_carried(void)
{
    uint8_t storage[MF_TIMESTAMP_BYTES];
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    mf_value value = mf_timestamp(10, UINT32_C(2500000000), storage);
    mf_check_int(mf_value_get_timestamp(&value, &seconds, &nanoseconds), MF_OK);
    mf_check_int(seconds, 12);
    mf_check_int(nanoseconds, 500000000);
    value = mf_timestamp(INT64_MAX, 1000000000, storage);
    mf_check_int(mf_value_get_timestamp(&value, &seconds, &nanoseconds), MF_OK);
    mf_check(seconds == INT64_MAX && nanoseconds == 999999999);
}

static void test_what_is_no_timestamp_is_refused(void)
{
    int64_t seconds = 42;
    uint32_t nanoseconds = 43;
    mf_value bad[] = {mf_ext(MF_EXT_TIMESTAMP, "abc", 3),
                      mf_ext(1, "abcd", 4),
                      mf_bin("abcd", 4),
                      mf_ext(MF_EXT_TIMESTAMP, "\xee\x6b\x28\0\0\0\0\0", 8), /* 10^9 ns */
                      mf_ext(MF_EXT_TIMESTAMP, "\x3b\x9a\xca\0\0\0\0\0\0\0\0\0", 12),
                      mf_nil()};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_check_int(mf_value_get_timestamp(&bad[i], &seconds, &nanoseconds), MF_ERR_TYPE);
    }
    mf_check(seconds == 42 && nanoseconds == 43);
}

static const mf_test tests[] = {
    {"ext__objects_go_through_their_codec", test_objects_go_through_their_codec},
    {"ext__what_a_codec_says_counts", test_what_a_codec_says_counts},
    {"ext__only_known_codes_are_sent", test_only_known_codes_are_sent},
    {"ext__table_refuses_what_it_should", test_table_refuses_what_it_should},
    {"ext__table_is_shared_by_threads", test_table_is_shared_by_threads},
    {"timestamp__takes_the_shortest_form", test_timestamps_take_the_shortest_form},
    {"timestamp__carries_whole_seconds", test_whole_seconds_are_carried},
    {"timestamp__refuses_what_is_none", test_what_is_no_timestamp_is_refused},
};
MF_TEST_MAIN(tests)
