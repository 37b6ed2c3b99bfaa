/* Hexadecimal digits are written as printf does, and anything else is refused. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/id.h"
#include "base/str.h"
#include "mf_test.h"

static void test_writes_as_printf_does(void)
{
    for (uint64_t i = 0; i < 100000; i++) {
        char ours[9] = "";
        char theirs[9];
        uint32_t number = i < 256 ? (uint32_t)i * 0x01010101u : (uint32_t)mfi_random_u64();
        mfi_hex_write8(ours, number);
        (void)snprintf(theirs, sizeof theirs, "%08x", number);
        mf_check_str(ours, theirs);
    }
}

/* Every byte at every place, among digits. */
static void test_reads_digits_and_nothing_else(void)
{
    for (int place = 0; place < 8; place++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[9] = "9aF0c3E7";
            uint32_t number = 0;
            text[place] = (char)byte;
            bool read = mfi_hex_read8(text, &number);
            mf_check_int(read, isxdigit(byte) != 0);
            if (read) {
                mf_check_int((long long)number, (long long)strtoul(text, NULL, 16));
            }
        }
    }
}

static void test_knows_lower_case_digits(void)
{
    for (int place = 0; place < 8; place++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[9] = "9af0c3e7";
            text[place] = (char)byte;
            bool lower = isxdigit(byte) != 0 && isupper(byte) == 0;
            mf_check_int(mfi_hex_is_lower8(mfi_load_be64(text)), lower);
        }
    }
}

static void test_formats_any_count(void)
{
    const uint8_t bytes[] = {0x00, 0x1f, 0xa0, 0xff, 0x5c, 0x09, 0x90, 0xe1, 0x3d};
    const char *all = "001fa0ff5c0990e13d";
    for (size_t count = 0; count <= sizeof bytes; count++) {
        char text[2 * sizeof bytes + 1];
        mfi_format_hex(text, bytes, count);
        mf_check_int((long long)strlen(text), (long long)count * 2);
        mf_check(strncmp(text, all, count * 2) == 0);
    }
}

/* Any damage to one character of an id is seen. */
static void test_reads_its_own_uuids(void)
{
    char text[MFI_UUID_TEXT];
    mfi_uuid uuid = mfi_uuid_make();
    mfi_uuid back;
    mfi_uuid_format(&uuid, text);
    mf_check(mfi_uuid_parse(text, 36, &back));
    mf_check(memcmp(&uuid, &back, sizeof uuid) == 0);
    for (size_t i = 0; i < 36; i++) {
        char before = text[i];
        text[i] = before == '-' ? '0' : 'g';
        mf_check(!mfi_uuid_parse(text, 36, &back));
        text[i] = before;
    }
    mf_check(!mfi_uuid_parse(text, 35, &back));
}

static const mf_test tests[] = {
    {"writes_as_printf_does", test_writes_as_printf_does},
    {"reads_digits_and_nothing_else", test_reads_digits_and_nothing_else},
    {"knows_lower_case_digits", test_knows_lower_case_digits},
    {"formats_any_count", test_formats_any_count},
    {"reads_its_own_uuids", test_reads_its_own_uuids},
};
MF_TEST_MAIN(tests)
