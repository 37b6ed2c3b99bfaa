/* Keys and doubles have the text that Python's str() gives them. */
#include "core/wire/key.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "mf_test.h"

static void check_double(double number, const char *wanted)
{
    char text[MFI_KEY_TEXT];
    mfi_double_text(number, text);
    mf_check_str(text, wanted);
}

static void check_key(mf_value key, const char *wanted)
{
    char text[MFI_KEY_TEXT];
    mf_check(mfi_key_text(&key, text));
    mf_check_str(text, wanted);
}

static void test_doubles(void)
{
    check_double(1, "1.0");
    check_double(-0.0, "-0.0");
    check_double(0.1, "0.1");
    check_double(1e15, "1000000000000000.0");
    check_double(1e16, "1e+16");
    check_double(0.0001, "0.0001");
    check_double(0.00001, "1e-05");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(DBL_MAX, "1.7976931348623157e+308");
    check_double(NAN, "nan");
    check_double(INFINITY, "inf");
    check_double(-INFINITY, "-inf");
}

static void test_keys(void)
{
    mf_value array = mf_array(NULL, 0);
    char text[MFI_KEY_TEXT];
    check_key(mf_nil(), "None");
    check_key(mf_bool(true), "True");
    check_key(mf_bool(false), "False");
    check_key(mf_int(INT64_MIN), "-9223372036854775808");
    check_key(mf_uint(UINT64_MAX), "18446744073709551615");
    check_key(mf_float(1.5), "1.5");
    mf_check(!mfi_key_text(&array, text));
}

static const mf_test tests[] = {
    {"key__doubles_are_as_python_writes_them", test_doubles},
    {"key__keys_are_as_python_writes_them", test_keys},
};
MF_TEST_MAIN(tests)
