/* head.h reads back what put.h writes, in the shortest form. */
#include "core/wire/put.h"

#include <string.h>

#include "core/wire/head.h"
#include "mf_test.h"

static void check_int(int64_t number, size_t wanted)
{
    uint8_t bytes[MFI_PUT_NUMBER_MAX];
    mf_value value = mf_nil();
    const uint8_t *end = mfi_put_int(bytes, number);
    mf_check_int(end - bytes, wanted);
    mf_check(mfi_head(bytes, end, &value) == end);
    mf_check_int(value.type, MF_TYPE_INT);
    mf_check(value.as.integer == number);
}

static void test_integers(void)
{
    check_int(0, 1);
    check_int(127, 1);
    check_int(128, 2);
    check_int(255, 2);
    check_int(256, 3);
    check_int(65535, 3);
    check_int(65536, 5);
    check_int(UINT32_MAX, 5);
    check_int((int64_t)UINT32_MAX + 1, 9);
    check_int(INT64_MAX, 9);
    check_int(-1, 1);
    check_int(-32, 1);
    check_int(-33, 2);
    check_int(-128, 2);
    check_int(-129, 3);
    check_int(-32768, 3);
    check_int(-32769, 5);
    check_int(INT32_MIN, 5);
    check_int((int64_t)INT32_MIN - 1, 9);
    check_int(INT64_MIN, 9);
}

/* Around every length at which the header or the way of copying changes. */
static void test_texts(void)
{
    static const size_t sizes[] = {0,  1,  2,  3,   4,   7,   8,   9,   15,    16,    17,
                                   31, 32, 33, 127, 128, 129, 255, 256, 65535, 65536, 70000};
    static char text[70000];
    static uint8_t bytes[sizeof text + MFI_PUT_HEADER_MAX];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 26);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t header = sizes[i] <= 31 ? 1 : sizes[i] <= 255 ? 2 : sizes[i] <= 65535 ? 3 : 5;
        mf_value value = mf_nil();
        const uint8_t *end = mfi_put_text(bytes, text, sizes[i]);
        mf_check_int(end - bytes, header + sizes[i]);
        mf_check(mfi_head(bytes, end, &value) == end);
        mf_check_int(value.length, sizes[i]);
        mf_check_int(memcmp(value.as.str, text, sizes[i]), 0);
    }
}

static void test_containers(void)
{
    static const uint32_t counts[] = {0, 15, 16, 65535, 65536};
    static const size_t headers[] = {1, 1, 3, 3, 5};
    uint8_t bytes[MFI_PUT_HEADER_MAX];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        mf_check_int(mfi_put_array(bytes, counts[i]) - bytes, headers[i]);
        mf_check_int(mfi_put_map(bytes, counts[i]) - bytes, headers[i]);
    }
}

static bool is_plain(mf_value value, size_t wanted)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    bool plain = mfi_put_plain(&buf, &value, &mfi_limits_default);
    mf_check_int(buf.size, wanted);
    mfi_buf_fini(&buf);
    return plain;
}

static void test_plain_values(void)
{
    mf_value items[40];
    for (size_t i = 0; i < 40; i++) {
        items[i] = mf_int(1);
    }
    mf_check(is_plain(mf_str("text"), 5));
    mf_check(is_plain(mf_array(items, 3), 4));
    mf_check(!is_plain(mf_array(items, 40), 0)); /* too many for the short way */
    mf_check(!is_plain(mf_str("\xff"), 0));
    items[1] = mf_array(items + 2, 1);
    mf_check(!is_plain(mf_array(items, 2), 0));
}

/* The general way refuses them with words. */
static void test_what_is_at_null_is_not_plain(void)
{
    mfi_buf buf;
    mf_value text = mf_str_n(NULL, 3);
    mf_value array = mf_array(NULL, 3);
    mfi_buf_init(&buf, 0);
    mf_check(!mfi_put_plain(&buf, &text, NULL));
    mf_check(!mfi_put_plain(&buf, &array, NULL));
    mf_check_int(buf.size, 0);
    mfi_buf_fini(&buf);
}

static const mf_test tests[] = {
    {"put__what_is_at_null_is_not_plain", test_what_is_at_null_is_not_plain},
    {"put__integers_take_the_shortest_form", test_integers},
    {"put__texts_of_all_lengths_are_whole", test_texts},
    {"put__containers_take_the_shortest_form", test_containers},
    {"put__plain_values_alone_are_appended", test_plain_values},
};
MF_TEST_MAIN(tests)
