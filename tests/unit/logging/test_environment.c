/* COMLINK_LOG_SINK adds a sink, or is refused by name. */
#include <stdlib.h>

#include "logging/environment.h"
#include "mf_test.h"
#include "sink_support.h"

static void test_environment(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_logger *logger = sink_logger();
    const char *path = new_path();
    (void)unsetenv("COMLINK_LOG_SINK");
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_OK);
    (void)setenv("COMLINK_LOG_SINK", "", 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_OK);
    mf_check(!mfi_log_enabled(logger, MF_LOG_FATAL)); /* no sink yet */
    (void)setenv("COMLINK_LOG_SINK", "syslog", 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "COMLINK_LOG_SINK is 'syslog'");
    (void)setenv("COMLINK_LOG_SINK", "/nonexistent/log", 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_ERR_IO);
    mf_check_contains(error.message, "COMLINK_LOG_SINK: cannot open the log file");
    (void)setenv("COMLINK_LOG_SINK", path, 1);
    mf_check_int(mfi_log_add_from_environment(logger, &error), MF_OK);
    (void)unsetenv("COMLINK_LOG_SINK");
    log_ticks(logger, 4);
    mf_logger_destroy(logger);
    account at = account_of(path);
    check_account(&at, 4);
}

static const mf_test tests[] = {
    {"environment__adds_a_sink", test_environment},
};
MF_TEST_MAIN(tests)
