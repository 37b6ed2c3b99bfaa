/* Level words are read in any case, and an option goes before the environment. */
#include <locale.h>
#include <stdlib.h>

#include "logging/logger.h"
#include "mf_locale.h"
#include "mf_test.h"

static void test_words(void)
{
    mf_log_level level = MF_LOG_DEFAULT;
    mf_error error;
    for (int each = MF_LOG_TRACE; each <= MF_LOG_OFF; each++) {
        mf_check_int(mf_log_parse_level(mfi_level_word((mf_log_level)each), &level, NULL), MF_OK);
        mf_check_int(level, each);
    }
    mf_check_int(mf_log_parse_level("WARNING", &level, NULL), MF_OK);
    mf_check_int(level, MF_LOG_WARN);
    mf_check_int(mf_log_parse_level("loud", &level, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "'loud'");
    mf_check_contains(error.message, "trace");
    mf_check_int(mf_log_parse_level("", &level, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_log_parse_level(NULL, &level, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(level, MF_LOG_WARN); /* untouched by failures */
}

static void test_option_goes_before_the_environment(void)
{
    mf_log_level level = MF_LOG_DEFAULT;
    mf_error error;
    (void)unsetenv("COMLINK_LOG_LEVEL");
    mf_check_int(mfi_level_pick(MF_LOG_DEFAULT, &level, NULL), MF_OK);
    mf_check_int(level, MF_LOG_INFO);
    (void)setenv("COMLINK_LOG_LEVEL", "Error", 1);
    mf_check_int(mfi_level_pick(MF_LOG_DEFAULT, &level, NULL), MF_OK);
    mf_check_int(level, MF_LOG_ERROR);
    mf_check_int(mfi_level_pick(MF_LOG_DEBUG, &level, NULL), MF_OK);
    mf_check_int(level, MF_LOG_DEBUG);
    (void)setenv("COMLINK_LOG_LEVEL", "loud", 1);
    mf_check_int(mfi_level_pick(MF_LOG_DEFAULT, &level, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "COMLINK_LOG_LEVEL: ");
    mf_check_int(mfi_level_pick(MF_LOG_DEBUG, &level, NULL), MF_OK);
    (void)setenv("COMLINK_LOG_LEVEL", "", 1);
    mf_check_int(mfi_level_pick(MF_LOG_DEFAULT, &level, NULL), MF_OK);
    mf_check_int(level, MF_LOG_INFO);
    (void)unsetenv("COMLINK_LOG_LEVEL");
    mf_check_int(mfi_level_pick((mf_log_level)8, &level, NULL), MF_ERR_INVALID_ARGUMENT);
}

static void test_no_locale(void)
{
    mf_log_level level = MF_LOG_DEFAULT;
    if (mf_locale_enter_turkish(LC_ALL)) {
        mf_check_int(mf_log_parse_level("INFO", &level, NULL), MF_OK);
        mf_check_int(level, MF_LOG_INFO);
        mf_check_int(mf_log_parse_level("WARNING", &level, NULL), MF_OK);
        mf_locale_leave(LC_ALL);
    }
}

static const mf_test tests[] = {
    {"level__words_are_read_in_any_case", test_words},
    {"level__option_goes_before_the_environment", test_option_goes_before_the_environment},
    {"level__knows_no_locale", test_no_locale},
};
MF_TEST_MAIN(tests)
