/* Which fields of the program's own events are masked: by built-in words, by the program's words,
 * and by length; and that each one counts. */
#include <locale.h>
#include <string.h>

#include "logging/logger.h"
#include "logging/redact.h"
#include "mf_locale.h"
#include "mf_test.h"

static mf_logger *make(const char *const *keys, int64_t value_bytes)
{
    mf_logger *logger = NULL;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.redact_keys = keys;
    options.redact_value_bytes = value_bytes;
    mf_check_int(mf_logger_create(&logger, &options, NULL), MF_OK);
    return logger;
}

static uint64_t count_of(mf_logger *logger)
{
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_log_stats_read(logger, &stats);
    return stats.redactions;
}

static void check_masked(mf_logger *logger, const char *key, bool wanted)
{
    const mf_log_field field = mf_log_field_str(key, "value");
    uint64_t before = count_of(logger);
    if (mfi_redact(&logger->redaction, &field) != wanted) {
        mf_check_str(key, wanted ? "masked" : "not masked");
    }
    mf_check_int(count_of(logger) - before, wanted ? 1 : 0);
}

static void test_built_in_words(void)
{
    static const char *const masked[] = {"password",     "db_password", "PassWord",
                                         "access_token", "tokens",      "Authorization",
                                         "x_secret",     "cookie",      "API_KEY"};
    static const char *const kept[] = {"", "key", "pass", "size", "api", "author"};
    mf_logger *logger = make(NULL, 0);
    for (size_t i = 0; i < sizeof masked / sizeof masked[0]; i++) {
        check_masked(logger, masked[i], true);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        check_masked(logger, kept[i], false);
    }
    const mf_log_field number = mf_log_field_int("token", 3);
    mf_check(mfi_redact(&logger->redaction, &number));
    mf_check(mfi_redact(NULL, &number));
    mf_logger_destroy(logger);
}

static void test_words_of_the_program(void)
{
    char pin[] = "pin";
    mf_logger *logger = make((const char *const[]){pin, "iban", NULL}, 0);
    pin[0] = 'x'; /* it was copied */
    check_masked(logger, "pin", true);
    check_masked(logger, "card_PIN", true);
    check_masked(logger, "Iban", true);
    check_masked(logger, "password", true); /* beside them */
    check_masked(logger, "spin", false);
    check_masked(logger, "pin_length", false);
    check_masked(logger, "xin", false);
    mf_logger_destroy(logger);
}

static void test_length_of_the_value(void)
{
    const mf_log_field fits = mf_log_field_str("note", "four");
    const mf_log_field is_longer = mf_log_field_str("note", "fives");
    const mf_log_field none = mf_log_field_str("note", NULL);
    const mf_log_field number = mf_log_field_int("note", 123456789);
    mf_logger *logger = make(NULL, 4);
    mf_check(!mfi_redact(&logger->redaction, &fits));
    mf_check(mfi_redact(&logger->redaction, &is_longer));
    mf_check(!mfi_redact(&logger->redaction, &none));
    mf_check(!mfi_redact(&logger->redaction, &number));
    mf_check_int(count_of(logger), 1);
    mf_logger_destroy(logger);
}

static void check_refused(const char *const *keys, int64_t value_bytes, const char *text)
{
    mf_logger *logger = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.redact_keys = keys;
    options.redact_value_bytes = value_bytes;
    mf_check_int(mf_logger_create(&logger, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, text);
    mf_check(logger == NULL);
}

static void test_what_is_refused(void)
{
    const char *many[MFI_REDACT_KEYS_MAX + 2] = {NULL};
    for (size_t i = 0; i <= MFI_REDACT_KEYS_MAX; i++) {
        many[i] = "k";
    }
    check_refused(many, 0, "redact_keys");
    check_refused((const char *const[]){"pin", "", NULL}, 0, "redact_keys");
    check_refused(NULL, -1, "redact_value_bytes");
    many[MFI_REDACT_KEYS_MAX] = NULL;
    mf_logger_destroy(make(many, 0));
}

static void keep_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    (void)level;
    memcpy(user_data, line, length + 1);
}

static void test_lines(void)
{
    static char line[MFI_LINE_MAX_BYTES + 1];
    mf_logger *logger = make((const char *const[]){"pin", NULL}, 8);
    const mf_log_field fields[] = {mf_log_field_int("pin", 1234), mf_log_field_str("a", "short"),
                                   mf_log_field_str("b", "longer than eight")};
    mf_check_int(mf_log_add_callback(logger, keep_line, line, MF_LOG_JSON, NULL), MF_OK);
    mf_log_event(logger, MF_LOG_INFO, "paid", "m", fields, 3);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(line,
                      "\"fields\":{\"pin\":\"[redacted]\",\"a\":\"short\",\"b\":\"[redacted]\"}");
    mf_check_int(count_of(logger), 2);
    mf_logger_destroy(logger);
}

/* Whatever locale the program sets, a secret is one. */
static void test_no_locale(void)
{
    mf_logger *logger = make((const char *const[]){"pin", NULL}, 0);
    if (mf_locale_enter_turkish(LC_ALL)) {
        check_masked(logger, "AUTHORIZATION", true);
        check_masked(logger, "API_KEY", true);
        check_masked(logger, "CARD_PIN", true);
        mf_locale_leave(LC_ALL);
    }
    mf_logger_destroy(logger);
}

static const mf_test tests[] = {
    {"redact__built_in_words", test_built_in_words},
    {"redact__words_of_the_program", test_words_of_the_program},
    {"redact__length_of_the_value", test_length_of_the_value},
    {"redact__what_is_refused", test_what_is_refused},
    {"redact__lines", test_lines},
    {"redact__knows_no_locale", test_no_locale},
};
MF_TEST_MAIN(tests)
