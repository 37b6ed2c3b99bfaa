/* The black box: what it keeps of a crash, for how long, and in which order it shows it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_alloc.h"
#include "mf_test.h"

#define SHOWN_MAX 4096

/* What a visit showed. */
typedef struct shown {
    uint64_t numbers[SHOWN_MAX];
    size_t count, of_first; /* of_first: of the worker "math-0" */
    size_t text_bytes;
    mfi_crashes *box; /* NULL, or crashes come during the visit */
} shown;

static mf_crash_row a_crash(const char *worker)
{
    return (mf_crash_row){.target = "math", .worker = worker, .how = "exit", .exit_code = 3};
}

static void see(const mf_crash_row *row, void *user_data)
{
    shown *at = user_data;
    mf_check_int(row->struct_size, sizeof *row);
    mf_check(at->count < SHOWN_MAX);
    at->numbers[at->count++ % SHOWN_MAX] = row->number;
    at->of_first += strcmp(row->worker, "math-0") == 0 ? 1 : 0;
    at->text_bytes += row->err != NULL ? strlen(row->err) : 0;
    for (int i = 0; at->box != NULL && i < 2; i++) {
        mf_crash_row another = a_crash("math-0");
        another.struct_size = sizeof another;
        mfi_crashes_add(at->box, &another);
        mf_check_str(row->worker, "math-0"); /* though the box has dropped this one */
    }
}

static void add(mfi_crashes *box, const char *worker, const char *err)
{
    mf_crash_row row = a_crash(worker);
    row.struct_size = sizeof row;
    row.err = err;
    mfi_crashes_add(box, &row);
}

static void test_the_last_of_each_worker_are_kept(void)
{
    mfi_crashes box;
    shown at = {.count = 0};
    mfi_crashes_init(&box);
    add(&box, "math-1", NULL);
    for (int i = 0; i < 40; i++) {
        add(&box, "math-0", NULL);
    }
    mf_check_int(mfi_crashes_visit(&box, see, &at), 41);
    mf_check_int(at.of_first, MFI_CRASHES_KEPT);
    mf_check_int(at.count, MFI_CRASHES_KEPT + 1);
    for (size_t i = 0; i < MFI_CRASHES_KEPT; i++) {
        mf_check_int(at.numbers[i], 41 - i); /* the newest first */
    }
    mf_check_int(at.numbers[MFI_CRASHES_KEPT], 1); /* another worker's is not pushed out */
    mfi_crashes_keep(&box, 1);
    at = (shown){.count = 0};
    add(&box, "math-1", NULL);
    mf_check_int(mfi_crashes_visit(&box, see, &at), 42);
    mf_check_int(at.numbers[0], 42);
    mf_check_int(at.count - at.of_first, 1);
    mfi_crashes_fini(&box);
}

/* A storm of crashes of ever new workers: the oldest go. */
static void test_the_bytes_are_bounded(void)
{
    static shown at;
    char err[4 * MFI_CRASH_LINES_MAX];
    char worker[32];
    mfi_crashes box;
    memset(err, 'e', sizeof err - 1);
    err[sizeof err - 1] = '\0';
    mfi_crashes_init(&box);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(worker, sizeof worker, "math-%d", i);
        add(&box, worker, err);
        mf_check(box.bytes <= MFI_CRASHES_BYTES);
    }
    at = (shown){.count = 0};
    mf_check_int(mfi_crashes_visit(&box, see, &at), 2000);
    mf_check_int(at.numbers[0], 2000);
    mf_check_int(at.numbers[at.count - 1], 2000 - at.count + 1);
    mf_check_int(at.text_bytes, at.count * (MFI_CRASH_LINES_MAX - 1));
    mf_check(at.text_bytes < MFI_CRASHES_BYTES);
    mf_check(box.bytes + 2 * (box.bytes / at.count) > MFI_CRASHES_BYTES); /* and they are used */
    mfi_crashes_fini(&box);
}

/* No crash is freed while it is shown, and those that come meanwhile are not shown. */
static void test_crashes_may_come_during_a_visit(void)
{
    mfi_crashes box;
    shown at = {.box = &box};
    mfi_crashes_init(&box);
    mfi_crashes_keep(&box, 2);
    for (int i = 0; i < 2; i++) {
        add(&box, "math-0", NULL);
    }
    mf_check_int(mfi_crashes_visit(&box, see, &at), 2);
    mf_check_int(at.count, 1); /* the other one had made room */
    mf_check_int(at.numbers[0], 2);
    at = (shown){.count = 0};
    mf_check_int(mfi_crashes_visit(&box, see, &at), 4);
    mf_check_int(at.count, 2);
    mf_check_int(at.numbers[0], 4);
    mfi_crashes_fini(&box);
}

static void test_without_memory_a_crash_is_counted(void)
{
    for (long n = 0; n < 2; n++) { /* of the crash, and of the list */
        mfi_crashes box;
        shown at = {.count = 0};
        mfi_crashes_init(&box);
        mf_alloc_fail_at(n);
        add(&box, "math-0", NULL);
        mf_check(mf_alloc_stop());
        mf_check_int(mfi_crashes_visit(&box, see, &at), 1);
        mf_check_int(at.count, 0);
        add(&box, "math-0", NULL);
        mf_check_int(mfi_crashes_visit(&box, see, &at), 2);
        mf_check_int(at.count, 1);
        mfi_crashes_fini(&box);
    }
}

/* ---- Reports ---- */

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
    {"crashes__the_last_of_each_worker_are_kept", test_the_last_of_each_worker_are_kept},
    {"crashes__bytes_are_bounded", test_the_bytes_are_bounded},
    {"crashes__may_come_during_a_visit", test_crashes_may_come_during_a_visit},
    {"crashes__without_memory_are_counted", test_without_memory_a_crash_is_counted},
    {"crashes__hold_all_that_is_known", test_a_crash_holds_all_that_is_known},
    {"crashes__escapes_push_no_last_words_out", test_escapes_push_no_last_words_out},
    {"crashes__are_ends_that_nobody_asked_for", test_only_ends_that_nobody_asked_for_are_kept},
    {"crashes__unknown_end_claims_no_exit", test_an_unknown_end_claims_no_exit},
    {"crashes__service_that_vanished_is_kept", test_a_service_that_vanished_is_kept},
};
MF_TEST_MAIN(tests)
