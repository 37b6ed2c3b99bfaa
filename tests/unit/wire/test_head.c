/* Headers of msgpack values, complete and cut short at every byte. */
#include "core/wire/head.h"

#include <string.h>

#include "mf_test.h"

typedef struct sample {
    const char *bytes;
    size_t size; /* of the header; for str, bin and ext with what follows */
    mf_type type;
    uint32_t length;
} sample;

static const sample samples[] = {
    {"\x7f", 1, MF_TYPE_INT, 0},
    {"\xe0", 1, MF_TYPE_INT, 0},
    {"\xc0", 1, MF_TYPE_NIL, 0},
    {"\xc3", 1, MF_TYPE_BOOL, 0},
    {"\xcc\xff", 2, MF_TYPE_INT, 0},
    {"\xd1\x80\x00", 3, MF_TYPE_INT, 0},
    {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, MF_TYPE_UINT, 0},
    {"\xca\x3f\x80\x00\x00", 5, MF_TYPE_FLOAT, 0},
    {"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, MF_TYPE_FLOAT, 0},
    {"\xa2hi", 3, MF_TYPE_STR, 2},
    {"\xd9\x02hi", 4, MF_TYPE_STR, 2},
    {"\xda\x00\x02hi", 5, MF_TYPE_STR, 2},
    {"\xdb\x00\x00\x00\x02hi", 7, MF_TYPE_STR, 2},
    {"\xc4\x02hi", 4, MF_TYPE_BIN, 2},
    {"\xd4\x05x", 3, MF_TYPE_EXT, 1},
    {"\xc7\x02\xffhi", 5, MF_TYPE_EXT, 2},
    {"\x92\x01\x02", 1, MF_TYPE_ARRAY, 2},
    {"\xdc\x00\x01\x01", 3, MF_TYPE_ARRAY, 1},
    {"\x81\x01\x02", 1, MF_TYPE_MAP, 1},
    {"\xdf\x00\x00\x00\x01\x01\x02", 5, MF_TYPE_MAP, 1},
};

/* Bytes of a sample, with the elements of a container. */
static size_t whole(const sample *at)
{
    size_t elements = at->type == MF_TYPE_ARRAY ? at->length : 0;
    return at->size + (at->type == MF_TYPE_MAP ? 2 * (size_t)at->length : elements);
}

static void test_each_header(void)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const uint8_t *bytes = (const uint8_t *)samples[i].bytes;
        size_t size = whole(&samples[i]);
        mf_value value = mf_nil();
        const uint8_t *behind = mfi_head(bytes, bytes + size, &value);
        if (mf_check(behind != NULL)) {
            mf_check_int(behind - bytes, samples[i].size);
            mf_check_int(value.type, samples[i].type);
            mf_check_int(value.length, samples[i].length);
        }
        for (size_t cut = 0; cut < size; cut++) {
            mf_check(mfi_head(bytes, bytes + cut, &value) == NULL);
        }
    }
}

static void test_numbers(void)
{
    static const uint8_t least[] = {0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t minus[] = {0xd0, 0x80};
    static const uint8_t half[] = {0xca, 0x3f, 0, 0, 0};
    mf_value value = mf_nil();
    mf_check(mfi_head(least, least + sizeof least, &value) != NULL);
    mf_check(value.as.integer == INT64_MIN);
    mf_check(mfi_head(minus, minus + sizeof minus, &value) != NULL);
    mf_check_int(value.as.integer, -128);
    mf_check(mfi_head(half, half + sizeof half, &value) != NULL);
    mf_check(value.as.number == 0.5);
}

static void test_pass_counts(void)
{
    static const uint8_t bytes[] = "\x93\xa2hi\x81\xa1k\x92\x01\xd9\x02yo\xc0?";
    const uint8_t *end = bytes + sizeof bytes - 1;
    const uint8_t *fault = NULL;
    mfi_extent extent = {0, 0};
    mf_check(mfi_head_pass(bytes, end, 0, &mfi_limits_default, &fault) == end - 1);
    mf_check(mfi_head_count(bytes, end, 0, &mfi_limits_default, &extent, &fault) == end - 1);
    mf_check_int(extent.values, 8);
    mf_check_int(extent.string_bytes, 3 + 2 + 3);
}

static void test_pass_names_the_fault(void)
{
    static const uint8_t bad[] = {0x93, 0x01, 0xc1, 0x02};
    static const uint8_t text[] = {0x92, 0x01, 0xa1, 0xff}; /* not UTF-8 */
    static const uint8_t long_text[] = "\x91\xa5hello";
    const mfi_limits limits = {.string_bytes = 4, .items = 100};
    uint8_t deep[MFI_DEPTH_MAX + 2];
    const uint8_t *fault = NULL;
    mf_check(mfi_head_pass(bad, bad + 4, 0, &mfi_limits_default, &fault) == NULL);
    mf_check_int(fault - bad, 2);
    mf_check(mfi_head_pass(text, text + 4, 0, &mfi_limits_default, &fault) == NULL);
    mf_check_int(fault - text, 2);
    mf_check(mfi_head_pass(long_text, long_text + 7, 0, &limits, &fault) == NULL);
    mf_check_int(fault - long_text, 1);
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 0xc0;
    mf_check(mfi_head_pass(deep + 1, deep + sizeof deep, 0, &mfi_limits_default, &fault) != NULL);
    mf_check(mfi_head_pass(deep, deep + sizeof deep, 0, &mfi_limits_default, &fault) == NULL);
    mf_check_int(fault - deep, MFI_DEPTH_MAX);
}

static const mf_test tests[] = {
    {"head__each_form_is_read_and_refused_when_cut", test_each_header},
    {"head__numbers_keep_their_sign_and_width", test_numbers},
    {"head__pass_counts_values_and_text", test_pass_counts},
    {"head__pass_names_the_fault", test_pass_names_the_fault},
};
MF_TEST_MAIN(tests)
