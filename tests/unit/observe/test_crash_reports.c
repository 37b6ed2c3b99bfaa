/* What the black box makes of the reports of ends. */
#include <string.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_test.h"

typedef struct fixture {
    mfi_observer *observer;
    mfi_target *client;
    int rows;
    void (*check)(const mf_crash_row *row);
} fixture;

static void setup(fixture *at, void (*check)(const mf_crash_row *row))
{
    mfi_client_options options = {.target = "math", .worker = "math-0"};
    *at = (fixture){.check = check};
    mf_check_int(mfi_observer_create(&at->observer, NULL, NULL, 64, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&at->client, at->observer, &options, NULL), MF_OK);
}

static void visit(const mf_crash_row *row, void *user_data)
{
    fixture *at = user_data;
    at->rows++;
    at->check(row);
}

/* The target ends first: its crashes outlive it. */
static void finish(fixture *at, int rows)
{
    mfi_target_hide(at->client);
    mfi_target_destroy(at->client);
    (void)mfi_observer_visit_crashes(at->observer, visit, at);
    mf_check_int(at->rows, rows);
    mfi_observer_destroy(at->observer);
}

static void check_all(const mf_crash_row *row)
{
    mf_check_int(row->number, 1);
    mf_check(row->at_wall_ns != 0);
    mf_check_str(row->target, "math");
    mf_check_str(row->worker, "math-0");
    mf_check_int(row->pid, 7);
    mf_check_str(row->how, "signal");
    mf_check(row->killed_for == NULL);
    mf_check_str(row->text, "was killed by signal 11 (SIGSEGV)");
    mf_check_int(row->exit_code, -1);
    mf_check_int(row->signal, 11);
    mf_check_str(row->signal_name, "SIGSEGV");
    mf_check(row->core_dumped && row->was_ready && row->has_usage);
    mf_check_str(row->core_pattern, "core.%p");
    mf_check(row->uptime_seconds == 1.5 && row->cpu_user_seconds == 0.25);
    mf_check(row->cpu_system_seconds == 0.5);
    mf_check_int(row->max_rss_bytes, 4096 * 1024);
    mf_check_str(row->next, "restart");
    mf_check(row->restart_in_seconds == 0.8);
    mf_check_int(row->restarts_in_period, 2);
    mf_check_int(row->restarts_permitted, 5);
    mf_check_int(row->open_calls, 12);
    mf_check_int(row->call_count, 2);
    mf_check_str(row->calls[0].function, "a\\x1b[31m\xef\xbf\xbd");
    mf_check_str(row->calls[0].correlation_id, "c-1");
    mf_check(row->calls[0].age_seconds == 2);
    mf_check_int(row->calls[0].attempt, 3);
    mf_check(row->calls[1].correlation_id == NULL);
    mf_check_int(row->running_calls, 10);
    mf_check_int(row->running_count, MFI_OPEN_CALLS_MAX);
    mf_check_str(row->running[7].function, "mul");
    mf_check_str(row->err, "E: no\nE: twice");
    mf_check_str(row->out, "out");
    mf_check_str(row->log, "L");
}

static void test_a_crash_holds_all_that_is_known(void)
{
    fixture at;
    mfi_running_calls running = {.named = 0};
    mfi_open_call calls[] = {{"a\x1b[31m\xff", "c-1", 2 * MFI_NS_PER_S, 3}, {"mul", "", 1, 1}};
    for (int i = 0; i < 10; i++) {
        mfi_crash_add_running(&running, "mul", i == 0 ? NULL : "c-2", 5);
    }
    mfi_remains remains = {.calls = calls,
                           .named = 2,
                           .out = "out, which goes on",
                           .err = "E: no\nE: twice",
                           .log = "L",
                           .out_size = 3,
                           .err_size = 14,
                           .log_size = 1,
                           .user_us = 250000,
                           .system_us = 500000,
                           .max_rss_kib = 4096,
                           .running = &running};
    mfi_process_event event = {.what = MFI_PROCESS_EXITED,
                               .pid = 7,
                               .exit_known = true,
                               .exit_code = -1,
                               .signal = 11,
                               .text = "was killed by signal 11 (SIGSEGV)",
                               .pending_failed = 12,
                               .remains = &remains,
                               .was_ready = true,
                               .dumped_core = true,
                               .core_pattern = "core.%p",
                               .uptime_ns = 1500 * MFI_NS_PER_MS,
                               .next = MFI_NEXT_RESTART,
                               .restart_in_ms = 800,
                               .restarts_in_period = 2,
                               .restarts_allowed = 5};
    setup(&at, check_all);
    mfi_observe_process_changed(at.client, &event);
    memset(calls, 0, sizeof calls); /* the box has copies */
    finish(&at, 1);
}

static void check_last_line(const mf_crash_row *row)
{
    size_t length = strlen(row->err);
    mf_check(length > 640);
    mf_check_str(row->err + length - 3, "end");
}

/* Escapes are longer than what they stand for, and the last words tell most. */
static void test_escapes_push_no_last_words_out(void)
{
    fixture at;
    char err[640];
    memset(err, '\x01', sizeof err);
    memcpy(err + sizeof err - 3, "end", 3);
    mfi_remains remains = {.err = err, .err_size = sizeof err};
    setup(&at, check_last_line);
    mfi_observe_process_changed(
        at.client, &(mfi_process_event){.what = MFI_PROCESS_EXITED, .pid = 7, .remains = &remains});
    finish(&at, 1);
}

static void check_killed(const mf_crash_row *row)
{
    mf_check_str(row->how, "killed");
    mf_check_str(row->killed_for, "heartbeat");
    mf_check_int(row->signal, 9);
    mf_check(row->err == NULL && row->core_pattern == NULL && !row->has_usage);
    mf_check_str(row->next, "gave_up");
}

static void test_only_ends_that_nobody_asked_for_are_kept(void)
{
    fixture at;
    static const mfi_process_event others[] = {
        {.what = MFI_PROCESS_SPAWNED, .pid = 7},
        {.what = MFI_PROCESS_EXITED, .pid = 7, .expected = true, .exit_known = true},
        {.what = MFI_PROCESS_RESTART, .text = "x", .reason = MFI_RESTART_SIGNAL},
        {.what = MFI_PROCESS_GAVE_UP, .text = "x"},
        {.what = MFI_PROCESS_STOPPED, .pid = 7}};
    setup(&at, check_killed);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        mfi_observe_process_changed(at.client, &others[i]);
    }
    mfi_observe_process_changed(at.client, &(mfi_process_event){.what = MFI_PROCESS_EXITED,
                                                                .exit_known = true,
                                                                .exit_code = -1,
                                                                .signal = 9,
                                                                .reason = MFI_RESTART_HEARTBEAT,
                                                                .next = MFI_NEXT_GAVE_UP});
    finish(&at, 1);
}

static void check_unknown(const mf_crash_row *row)
{
    mf_check_str(row->how, "unknown");
    mf_check(row->exit_code == -1 && row->signal == 0 && row->signal_name == NULL);
}

static void test_an_unknown_end_claims_no_exit(void)
{
    fixture at;
    setup(&at, check_unknown);
    mfi_observe_process_changed(at.client, &(mfi_process_event){.what = MFI_PROCESS_EXITED});
    finish(&at, 1);
}

static void check_vanished(const mf_crash_row *row)
{
    mf_check_str(row->how, "vanished");
    mf_check_str(row->next, "search");
    mf_check_str(row->text, "closed the connection");
    mf_check_int(row->at_wall_ns, 5);
    mf_check_int(row->pid, 9);
    mf_check_int(row->open_calls, 2);
    mf_check_int(row->call_count, 1);
    mf_check_str(row->calls[0].function, "add");
}

static void test_a_service_that_vanished_is_kept(void)
{
    fixture at;
    mfi_open_call call = {.function = "add"};
    setup(&at, check_vanished);
    mfi_observe_service_vanished(at.client, &(mfi_vanished_event){.at_wall_ns = 5,
                                                                  .pid = 9,
                                                                  .text = "closed the connection",
                                                                  .pending_failed = 2,
                                                                  .calls = &call,
                                                                  .named = 1});
    finish(&at, 1);
}

static const mf_test tests[] = {
    {"crash_reports__hold_all_that_is_known", test_a_crash_holds_all_that_is_known},
    {"crash_reports__escapes_push_no_last_words_out", test_escapes_push_no_last_words_out},
    {"crash_reports__are_ends_that_nobody_asked_for",
     test_only_ends_that_nobody_asked_for_are_kept},
    {"crash_reports__unknown_end_claims_no_exit", test_an_unknown_end_claims_no_exit},
    {"crash_reports__service_that_vanished_is_kept", test_a_service_that_vanished_is_kept},
};
MF_TEST_MAIN(tests)
