/* What is logged of worker processes: starts, ends, crashes, and what a crash left behind. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "log_support.h"
#include "mf_test.h"

/* ---- Processes ---- */

static void test_processes(void)
{
    static const struct {
        mfi_process_event event;
        const char *wanted;
    } cases[] = {
        {{.what = MFI_PROCESS_SPAWNED, .pid = 7},
         "info process_spawn|Worker math-0 spawned|" MATH ",\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_READY, .pid = 7, .duration_ns = 1500000},
         "info worker_start|Worker math-0 is ready|" MATH
         ",\"duration_ms\":1.500000,\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_EXITED, .pid = 7, .expected = true, .exit_known = true},
         "info process_exit|Worker math-0 ended|" MATH
         ",\"exit_code\":0,\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_EXITED, .exit_known = true, .text = "exited with 0"},
         "info process_exit|Worker math-0 ended: exited with 0|" MATH
         ",\"exit_code\":0,\"reason\":\"exited with 0\",\"fields\":{}}\n"
         "error worker_crash|Worker math-0 ended by itself: exited with 0|" MATH
         ",\"exit_code\":0,\"reason\":\"exited with 0\",\"fields\":{\"next\":\"none\"}}"},
        {{.what = MFI_PROCESS_EXITED,
          .exit_known = true,
          .exit_code = -1,
          .signal = 9,
          .text = "killed",
          .pending_failed = 3,
          .uptime_ns = 1500000,
          .next = MFI_NEXT_RESTART,
          .restart_in_ms = 800,
          .restarts_in_period = 2,
          .restarts_allowed = 5},
         "warn process_exit|Worker math-0 ended: killed|" MATH
         ",\"signal\":9,\"reason\":\"killed\",\"fields\":{\"pending_failed\":3}}\n"
         "error worker_crash|Worker math-0 ended by itself: killed|" MATH
         ",\"signal\":9,\"reason\":\"killed\",\"restart_in_ms\":800,\"restarts_in_period\":2,"
         "\"fields\":{\"pending_failed\":3,\"next\":\"restart\",\"max\":5,\"uptime_ms\":1,"
         "\"core_dumped\":false}}"},
        {{.what = MFI_PROCESS_EXITED,
          .exit_known = true,
          .exit_code = -1,
          .signal = 11,
          .dumped_core = true,
          .core_pattern = "core.%p",
          .next = MFI_NEXT_GAVE_UP},
         "warn process_exit|Worker math-0 ended|" MATH ",\"signal\":11,\"fields\":{}}\n"
         "error worker_crash|Worker math-0 ended by itself|" MATH
         ",\"signal\":11,\"fields\":{\"next\":\"gave_up\",\"core_dumped\":true,"
         "\"core_pattern\":\"core.%p\"}}"},
        {{.what = MFI_PROCESS_EXITED, .expected = true},
         "info process_exit|Worker math-0 ended|" MATH ",\"fields\":{}}"},
        {{.what = MFI_PROCESS_FAILED, .text = "no such file"},
         "error worker_stop|Worker math-0 did not start: no such file|" MATH
         ",\"reason\":\"no such file\",\"fields\":{}}"},
        {{.what = MFI_PROCESS_STOPPED, .pid = 7},
         "info worker_stop|Worker math-0 stopped|" MATH ",\"fields\":{\"worker_pid\":7}}"},
        {{.what = MFI_PROCESS_RESTART,
          .reason = MFI_RESTART_SIGNAL,
          .text = "killed",
          .restart_in_ms = 800,
          .restart_attempt = 2,
          .restarts_in_period = 3,
          .restarts_allowed = 5},
         "warn worker_restart|Worker math-0 will start again: killed|" MATH
         ",\"reason\":\"signal\",\"restart_in_ms\":800,\"restarts_in_period\":3,"
         "\"fields\":{\"attempt\":2,\"max\":5}}"},
        {{.what = MFI_PROCESS_RESTART, .reason = MFI_RESTART_MANUAL, .restart_attempt = 1},
         "warn worker_restart|Worker math-0 will start again|" MATH
         ",\"reason\":\"manual\",\"restart_in_ms\":0,\"restarts_in_period\":0,"
         "\"fields\":{\"attempt\":1}}"},
        {{.what = MFI_PROCESS_GAVE_UP, .text = "5 restarts in 60 s"},
         "error worker_stop|Worker math-0 is given up: 5 restarts in 60 s|" MATH
         ",\"reason\":\"5 restarts in 60 s\",\"fields\":{}}"},
    };
    log_fixture at;
    log_setup(&at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_observe_process_changed(at.client, &cases[i].event);
        check_logged(&at, cases[i].wanted);
    }
    log_teardown(&at);
}

static void test_crash_names_what_was_open(void)
{
    log_fixture at;
    mfi_open_call calls[MFI_OPEN_CALLS_MAX] = {
        {.function = "add", .correlation_id = "c-1", .age_ns = 12900000},
        {.function = "mul", .age_ns = 3000000}};
    mfi_remains remains = {.calls = calls,
                           .named = 2,
                           .out = "out\nmore",
                           .err = "E: no",
                           .out_size = 3,
                           .err_size = 5,
                           .user_us = 1500999,
                           .system_us = 20000,
                           .max_rss_kib = 4096};
    mfi_process_event event = {.what = MFI_PROCESS_EXITED,
                               .exit_known = true,
                               .exit_code = 3,
                               .text = "exited with status 3",
                               .pending_failed = 5,
                               .remains = &remains};
    log_setup(&at);
    mfi_observe_process_changed(at.client, &event);
    check_logged(&at, "warn process_exit|Worker math-0 ended: exited with status 3|" MATH
                      ",\"exit_code\":3,\"reason\":\"exited with status 3\","
                      "\"fields\":{\"pending_failed\":5}}\n"
                      "error worker_crash|Worker math-0 ended by itself: exited with status 3|" MATH
                      ",\"exit_code\":3,\"reason\":\"exited with status 3\","
                      "\"fields\":{\"pending_failed\":5,\"next\":\"none\","
                      "\"open_calls\":\"add id=c-1 age_ms=12; mul age_ms=3\",\"more_calls\":3,"
                      "\"cpu_user_ms\":1500,\"cpu_system_ms\":20,\"max_rss_kib\":4096,"
                      "\"stderr\":\"E: no\",\"stdout\":\"out\"}}");
    remains.max_rss_kib = 0; /* the last lines alone */
    event = (mfi_process_event){.what = MFI_PROCESS_RESTART, .text = "ended", .remains = &remains};
    mfi_observe_process_changed(at.client, &event);
    check_logged(&at, "warn worker_restart|Worker math-0 will start again: ended|" MATH
                      ",\"reason\":\"ended\",\"restart_in_ms\":0,\"restarts_in_period\":0,"
                      "\"fields\":{\"attempt\":0,\"stderr\":\"E: no\",\"stdout\":\"out\"}}");
    log_teardown(&at);
}

/* Names and ids of any length: those that fit are named, the others are counted. */
static void test_crash_with_long_names(void)
{
    log_fixture at;
    mfi_open_call calls[MFI_OPEN_CALLS_MAX];
    mfi_remains remains = {.calls = calls, .named = MFI_OPEN_CALLS_MAX};
    mfi_process_event event = {
        .what = MFI_PROCESS_EXITED, .pending_failed = 9, .remains = &remains};
    for (size_t i = 0; i < MFI_OPEN_CALLS_MAX; i++) {
        memset(&calls[i], 'x', sizeof calls[i]);
        calls[i].function[sizeof calls[i].function - 1] = '\0';
        calls[i].correlation_id[sizeof calls[i].correlation_id - 1] = '\0';
        calls[i].age_ns = 0;
    }
    log_setup(&at);
    mfi_observe_process_changed(at.client, &event);
    mf_check(mf_log_flush(at.logger, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.all, "x age_ms=0; xxx");
    mf_check_contains(at.all, "x age_ms=0\",\"more_calls\":6}}");
    log_teardown(&at);
}

static const mf_test tests[] = {
    {"crash__names_what_was_open", test_crash_names_what_was_open},
    {"crash__with_long_names", test_crash_with_long_names},
    {"log_events__processes", test_processes},
};
MF_TEST_MAIN(tests)
