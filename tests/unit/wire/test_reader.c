/* A reader reads one header at a time, skips whole values, and names the place of a fault. */
#include "core/wire/reader.h"

#include <string.h>

#include "mf_test.h"

static mfi_reader over(const char *bytes, size_t size)
{
    return (mfi_reader){.data = (const uint8_t *)bytes, .size = size, .root = "args"};
}

static void test_reads_one_by_one(void)
{
    mfi_reader reader = over("\x92\xa2hi\x07", 5);
    mf_value value = mf_nil();
    mf_check_int(mfi_reader_next(&reader, &value, NULL), MF_OK);
    mf_check_int(value.type, MF_TYPE_ARRAY);
    mf_check_int(mfi_reader_next(&reader, &value, NULL), MF_OK);
    mf_check_int(value.length, 2);
    mf_check_int(memcmp(value.as.str, "hi", 2), 0);
    mf_check_int(reader.start, 1);
    mf_check_int(mfi_reader_next(&reader, &value, NULL), MF_OK);
    mf_check_int(value.as.integer, 7);
    mf_check_int(reader.at, reader.size);
    mf_check_int(mfi_reader_next(&reader, &value, NULL), MF_ERR_PROTOCOL);
}

static void test_errors_name_the_place(void)
{
    const mfi_limits limits = {.string_bytes = 3, .items = 1};
    mf_error error;
    mf_value value;
    mfi_reader reader = over("\x92\x01\xc1", 3);
    mf_check_int(mfi_reader_skip(&reader, 0, &(mfi_extent){0, 0}, &error), MF_ERR_PROTOCOL);
    mf_check_contains(error.message, "args[1] (byte 2)");
    mf_check_contains(error.message, "0xc1");
    reader = over("\xa4long", 5);
    reader.limits = &limits;
    mf_check_int(mfi_reader_next(&reader, &value, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "max_string_bytes (3)");
    reader = over("\x92\x01\x02", 3);
    reader.limits = &limits;
    mf_check_int(mfi_reader_next(&reader, &value, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "max_items (1)");
    reader = over("\xa1\xff", 2);
    mf_check_int(mfi_reader_next(&reader, &value, &error), MF_ERR_PROTOCOL);
    mf_check_contains(error.message, "UTF-8");
}

static void test_skip_counts(void)
{
    mfi_extent extent = {0, 0};
    mfi_reader reader = over("\x82\xa1k\x01\x02\xa2hi?", 9);
    mf_check_int(mfi_reader_skip(&reader, 0, &extent, NULL), MF_OK);
    mf_check_int(reader.at, 8);
    mf_check_int(extent.values, 5);
    mf_check_int(extent.string_bytes, 2 + 3);
}

static void test_structure_passes_what_limits_refuse(void)
{
    const mfi_limits limits = {.string_bytes = 1, .items = 1};
    char deep[2 * MFI_DEPTH_MAX];
    mfi_reader reader = over("\x92\xa2\xff\xff\x01?", 6);
    reader.limits = &limits;
    mf_check_int(mfi_reader_skip_structure(&reader, NULL), MF_OK);
    mf_check_int(reader.at, 5);
    memset(deep, '\x91', sizeof deep);
    deep[sizeof deep - 1] = '\x01';
    reader = over(deep, sizeof deep);
    mf_check_int(mfi_reader_skip_structure(&reader, NULL), MF_OK);
    mf_check_int(reader.at, sizeof deep);
    reader = over(deep, sizeof deep - 1);
    mf_check_int(mfi_reader_skip_structure(&reader, NULL), MF_ERR_PROTOCOL);
    reader = over(deep, sizeof deep);
    mf_check_int(mfi_reader_skip(&reader, 0, &(mfi_extent){0, 0}, NULL), MF_ERR_LIMIT);
}

static const mf_test tests[] = {
    {"reader__reads_one_header_at_a_time", test_reads_one_by_one},
    {"reader__errors_name_the_place", test_errors_name_the_place},
    {"reader__skip_counts_what_it_passes", test_skip_counts},
    {"reader__structure_passes_what_limits_refuse", test_structure_passes_what_limits_refuse},
};
MF_TEST_MAIN(tests)
