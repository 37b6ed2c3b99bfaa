/* The time limit of a scrape: nine tenths of the header, or none; whatever the locale is. */
#include "http/patience.h"

#include <locale.h>

#include "mf_locale.h"
#include "mf_test.h"

static void test_nine_tenths(void)
{
    mf_check(mfi_patience_ns("10") == 9000000000);
    mf_check(mfi_patience_ns("0.5") == 450000000);
    mf_check(mfi_patience_ns("1e-9") == 1); /* never nothing */
    mf_check(mfi_patience_ns("86400") == 77760000000000);
    mf_check(mfi_patience_ns("1e300") == 77760000000000);
}

static void test_bad_values_say_nothing(void)
{
    static const char *const bad[] = {"",    "0",   "-1",  "-0.0", "ten", "1s", " 1", "1 ",
                                      "nan", "inf", "0x1", "1,5",  "1..", "+",  "1e"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_check_str(mfi_patience_ns(bad[i]) == 0 ? "" : bad[i], "");
    }
}

static void test_locale_is_no_matter(void)
{
    if (mf_locale_enter(LC_ALL)) {
        test_nine_tenths();
        test_bad_values_say_nothing();
        mf_locale_leave(LC_ALL);
    }
}

static const mf_test tests[] = {
    {"patience__is_nine_tenths_of_the_limit", test_nine_tenths},
    {"patience__bad_values_say_nothing", test_bad_values_say_nothing},
    {"patience__knows_no_locale", test_locale_is_no_matter},
};
MF_TEST_MAIN(tests)
