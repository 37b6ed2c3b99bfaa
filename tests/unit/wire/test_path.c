/* The path of a value is found by the byte at which it begins. */
#include "core/wire/path.h"

#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

static void check_find(const char *root, const char *bytes, size_t size, size_t target,
                       const char *wanted)
{
    mfi_path path;
    mfi_path_find(&path, root, (const uint8_t *)bytes, size, target);
    mf_check_str(path.text, wanted);
    mf_check_int(path.length, strlen(path.text));
}

static void test_finds(void)
{
    /* {"args": [1, {"name": nil}], 7: true} */
    static const char bytes[] = "\x82\xa4"
                                "args\x92\x01\x81\xa4name\xc0\x07\xc3";
    size_t size = sizeof bytes - 1;
    check_find(NULL, bytes, size, 0, "message (byte 0)");
    check_find("args", bytes + 6, size - 6, 0, "args (byte 0)");
    check_find(NULL, bytes, size, 7, "args[0] (byte 7)");
    check_find(NULL, bytes, size, 8, "args[1] (byte 8)");
    check_find(NULL, bytes, size, 14, "args[1].name (byte 14)");
    check_find(NULL, bytes, size, 16, "7 (byte 16)");
}

/* The fault itself need not be msgpack: the path ends there. */
static void test_finds_faults(void)
{
    static const char bad[] = "\x92\x01\xc1";
    static const char cut[] = "\x92\x01\xa5"; /* a str whose bytes are missing */
    static const char bad_key[] = "\x81\xc1\x01";
    check_find("result", bad, 3, 2, "result[1] (byte 2)");
    check_find("result", cut, 3, 2, "result[1] (byte 2)");
    check_find("result", bad_key, 3, 1, "result[0] (byte 1)");
}

static void test_long_path_is_cut(void)
{
    char key[65];
    mfi_path path;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    mf_value name = mf_str(key);
    mfi_path_begin(&path, "args");
    for (int i = 0; i < 10; i++) {
        mfi_path_pair(&path, &name, 0);
        mfi_path_index(&path, 1);
    }
    mf_check(path.full);
    mf_check(path.length < sizeof path.text);
    mf_check_str(path.text + path.length - 3, "...");
}

static void test_keys_without_text_show_their_number(void)
{
    mf_value array = mf_array(NULL, 0);
    mf_value empty = mf_str("");
    mf_value number = mf_int(-3);
    mfi_path path;
    mfi_path_begin(&path, "args");
    mfi_path_pair(&path, &array, 4);
    mfi_path_pair(&path, &empty, 5);
    mfi_path_pair(&path, &number, 6);
    mf_check_str(path.text, "args[4][5].-3");
}

static const mf_test tests[] = {
    {"path__finds_values_by_their_byte", test_finds},
    {"path__finds_faults", test_finds_faults},
    {"path__long_one_is_cut", test_long_path_is_cut},
    {"path__keys_without_text_show_their_number", test_keys_without_text_show_their_number},
};
MF_TEST_MAIN(tests)
