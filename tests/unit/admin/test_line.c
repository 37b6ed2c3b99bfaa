/* A line at the admin socket: what is read from it, and what is said of one that is wrong. */
#include <string.h>

#include "admin/line.h"
#include "base/error.h"
#include "mf_test.h"

static mfi_admin_line good(const char *text)
{
    mfi_admin_line line;
    mf_error error;
    mfi_error_clear(&error);
    mf_check_int(mfi_admin_line_read(&line, text, strlen(text), &error), MF_OK);
    mf_check_str(error.message, "");
    return line;
}

static void bad(const char *text, mfi_admin_command what, const char *why)
{
    mfi_admin_line line;
    mf_error error;
    mfi_error_clear(&error);
    mf_check_int(mfi_admin_line_read(&line, text, strlen(text), &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(line.what, what);
    mf_check_contains(error.message, why);
}

static void test_log_level(void)
{
    mfi_admin_line line = good("{\"command\":\"log_level\",\"level\":\"DEBUG\"}");
    mf_check_int(line.what, MFI_ADMIN_LOG_LEVEL);
    mf_check_int(line.level, MF_LOG_DEBUG);
    (void)good("{\"command\":\"log_level\",\"level\":\"off\",\"part\":\"all\"}");
    bad("{\"command\":\"log_level\"}", MFI_ADMIN_LOG_LEVEL, "is no log level");
    bad("{\"command\":\"log_level\",\"level\":\"info\",\"part\":\"transport\"}",
        MFI_ADMIN_LOG_LEVEL, "known: all");
}

static void test_names(void)
{
    mfi_admin_line line = good("{\"command\":\"circuit\",\"action\":\"force_closed\","
                               "\"target\":\"math\",\"worker\":\"math-1\"}");
    mf_check_int(line.order, MFI_ORDER_FORCE_CLOSED);
    mf_check_str(line.target, "math");
    mf_check_str(line.worker, "math-1");
    bad("{\"command\":\"circuit\",\"action\":\"open\",\"target\":\"math\"}", MFI_ADMIN_CIRCUIT,
        "action 'open' is not known; known: force_open, force_closed, reset, auto");
    bad("{\"command\":\"circuit\",\"target\":\"math\"}", MFI_ADMIN_CIRCUIT, "action is missing");
    bad("{\"command\":\"circuit\",\"action\":\"auto\"}", MFI_ADMIN_CIRCUIT,
        "target or worker is missing");
    bad("{\"command\":\"circuit\",\"action\":\"auto\",\"target\":\"\"}", MFI_ADMIN_CIRCUIT,
        "target has 0 bytes");
    bad("{\"command\":\"restart\",\"target\":\"math\"}", MFI_ADMIN_RESTART, "worker is missing");
    line = good("{\"command\":\"drain\",\"worker\":\"math-1\"}");
    mf_check(!line.ends);
    mf_check(good("{\"command\":\"drain\",\"worker\":\"w\",\"action\":\"end\"}").ends);
}

static void test_fault(void)
{
    mfi_admin_line line = good("{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"drop\"}");
    mf_check_int(line.fault.kind, MFI_FAULT_DROP);
    mf_check(line.fault.share == 1);
    mf_check_int(line.fault.for_ms, 60000);
    mf_check_int(line.fault.seed, 1);
    mf_check_int(line.fault.count, 0);
    line = good("{\"command\":\"fault\",\"worker\":\"w\",\"kind\":\"delay\",\"function\":\"add\","
                "\"share\":0.25,\"delay_ms\":40,\"seed\":9,\"for_ms\":7,\"count\":3}");
    mf_check_str(line.fault.function, "add");
    mf_check(line.fault.share == 0.25);
    mf_check_int(line.fault.delay_ms, 40);
    mf_check_int(line.fault.seed, 9);
    mf_check_int(line.fault.for_ms, 7);
    mf_check_int(line.fault.count, 3);
    mf_check(good("{\"command\":\"fault\",\"target\":\"math\",\"action\":\"clear\"}").ends);
}

static void test_bad_faults(void)
{
    bad("{\"command\":\"fault\",\"target\":\"math\"}", MFI_ADMIN_FAULT,
        "kind is missing; known: delay, drop, error, crash, freeze");
    bad("{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"delay\"}", MFI_ADMIN_FAULT,
        "delay_ms must be an integer from 1 to 600000");
    bad("{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"drop\",\"delay_ms\":5}",
        MFI_ADMIN_FAULT, "delay_ms must be an integer from 0 to 0");
    bad("{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"drop\",\"share\":1.5}",
        MFI_ADMIN_FAULT, "share must be a number from 0 to 1");
    bad("{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"drop\",\"for_ms\":0}",
        MFI_ADMIN_FAULT, "for_ms must be an integer from 1 to 3600000");
}

static void test_other_lines(void)
{
    mf_check_int(good("{\"command\":\"status\"}").what, MFI_ADMIN_STATUS);
    mf_check_int(good(" {\"command\" : \"help\" } ").what, MFI_ADMIN_HELP);
    bad("", MFI_ADMIN_UNKNOWN, "the line is no JSON object");
    bad("{\"command\":\"status\"} x", MFI_ADMIN_UNKNOWN, "the line is no JSON object");
    bad("7", MFI_ADMIN_UNKNOWN, "a line must be one JSON object, not int");
    bad("{}", MFI_ADMIN_UNKNOWN,
        "command is missing; known: log_level, circuit, drain, restart, "
        "fault, status, help");
    bad("{\"command\":\"unknown\"}", MFI_ADMIN_UNKNOWN, "command 'unknown' is not known");
    bad("{\"command\":\"connect\"}", MFI_ADMIN_UNKNOWN, "command 'connect' is not known");
    bad("{\"command\":\"restart\",\"worker\":\"w\",\"now\":true}", MFI_ADMIN_RESTART,
        "the command restart has no field 'now'; known: command, target, worker");
}

static const mf_test tests[] = {
    {"line__log_level", test_log_level},
    {"line__names_of_targets_and_workers", test_names},
    {"line__fault", test_fault},
    {"line__faults_that_are_wrong", test_bad_faults},
    {"line__others_name_what_is_wrong", test_other_lines},
};
MF_TEST_MAIN(tests)
