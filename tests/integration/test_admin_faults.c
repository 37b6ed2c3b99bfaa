/* Faults that an operator injects into calls of real workers: what each kind does to a call, and
 * that all of them end. */
#include <stdint.h>
#include <stdio.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "operator.h"

#define DELAY_MS 150

static void check_hits(scene *at, const char *kind, int hits)
{
    char sample[128];
    (void)snprintf(sample, sizeof sample, "faults_injected_total{target=\"math\",kind=\"%s\"} %d",
                   kind, hits);
    check_metric(at, sample);
}

static void test_faults_are_off(void)
{
    scene at;
    begin_with_worker(&at, false);
    ask_bad(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\"}",
            "fault injection is off");
    add(&at, MF_OK);
    end(&at);
}

static void test_fault_error(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    begin_with_worker(&at, true);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\","
                "\"function\":\"add\",\"count\":1}");
    mf_check_int(mf_call(at.parent, "divide", MF_ARGS(4, 2), NULL, NULL), MF_OK);
    mf_check_int(mf_call(at.parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_check_str(error.message, "the call of 'add' to 'math' was ended by an injected fault");
    add(&at, MF_OK); /* one was asked for */
    check_hits(&at, "error", 1);
    check_log(&at, "\"setting\":\"fault\"");
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\",\"share\":0}");
    add(&at, MF_OK);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"error\"}");
    add(&at, MF_ERR_NOT_RUNNING);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"action\":\"clear\"}");
    mf_check_contains(at.line,
                      "\"from\":\"error of any function, share 1.000, for 60000 ms, 1 calls "
                      "hit\",\"to\":\"none\"");
    add(&at, MF_OK);
    end(&at);
}

static void count_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)error;
    mf_check_int(status, MF_OK);
    mf_result_destroy(result);
    __atomic_add_fetch((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

static bool are_two(void *user_data)
{
    return __atomic_load_n((int *)user_data, __ATOMIC_SEQ_CST) == 2;
}

static void test_fault_delay(void)
{
    scene at;
    int ended = 0;
    begin_with_worker(&at, true);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"delay\",\"delay_ms\":150}");
    int64_t began = mf_test_now_ms();
    mf_check_int(mf_call_async(at.parent, "add", MF_ARGS(1, 2), NULL, count_end, &ended, NULL),
                 MF_OK);
    mf_check_int(mf_call_async(at.parent, "add", MF_ARGS(1, 2), NULL, count_end, &ended, NULL),
                 MF_OK);
    add(&at, MF_OK);
    mf_check(mf_test_now_ms() - began >= DELAY_MS);
    mf_check(mf_test_until(are_two, &ended, MF_TEST_PATIENCE_MS));
    check_hits(&at, "delay", 3);
    end(&at);
}

static void test_fault_drop(void)
{
    scene at;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin_with_worker(&at, true);
    options.timeout_ms = 50;
    ask_ok(&at, "{\"command\":\"fault\",\"worker\":\"math-0\",\"kind\":\"drop\",\"count\":1}");
    mf_check_int(mf_call_with(at.parent, "add", MF_ARGS(1, 2), &options, NULL, NULL),
                 MF_ERR_TIMEOUT);
    add(&at, MF_OK);
    check_hits(&at, "drop", 1);
    end(&at);
}

static void test_fault_crash(void)
{
    scene at;
    begin_with_worker(&at, true);
    int64_t pid = mf_parent_pid(at.parent);
    ask_ok(&at, "{\"command\":\"fault\",\"worker\":\"math-0\",\"kind\":\"crash\",\"count\":1}");
    add(&at, MF_ERR_WORKER_EXITED);
    wait_for_other_worker(&at, pid);
    check_log(&at, "\"event\":\"worker_crash\"");
    get(&at, "/crashes");
    mf_check_contains(at.body, "\"signal\":9");
    check_hits(&at, "crash", 1);
    end(&at);
}

static void test_fault_freeze(void)
{
    scene at;
    begin_with_worker(&at, true);
    int64_t pid = mf_parent_pid(at.parent);
    ask_ok(&at, "{\"command\":\"fault\",\"worker\":\"math-0\",\"kind\":\"freeze\","
                "\"delay_ms\":150,\"count\":1}");
    add(&at, MF_OK); /* before it stopped, or after it went on */
    check_hits(&at, "freeze", 1);
    mf_check_int(mf_call(at.parent, "sleep_ms", MF_ARGS(DELAY_MS), NULL, NULL), MF_OK);
    add(&at, MF_OK);
    mf_check_int(mf_parent_pid(at.parent), pid);
    end(&at);
}

/* Late messages that nobody sends any more are given back. */
static void test_stop_with_late_calls(void)
{
    scene at;
    mf_future *future = NULL;
    begin_with_worker(&at, true);
    ask_ok(&at, "{\"command\":\"fault\",\"target\":\"math\",\"kind\":\"delay\","
                "\"delay_ms\":600000}");
    mf_check_int(mf_call_future(at.parent, "add", MF_ARGS(1, 2), NULL, &future, NULL), MF_OK);
    mf_check_int(mf_parent_stop(at.parent, NULL), MF_OK);
    mf_check(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, NULL) != MF_OK);
    mf_future_destroy(future);
    end(&at);
}

static const mf_test tests[] = {
    {"admin__faults_are_off_by_default", test_faults_are_off},
    {"admin__fault_error", test_fault_error},
    {"admin__fault_delay", test_fault_delay},
    {"admin__fault_drop", test_fault_drop},
    {"admin__fault_crash", test_fault_crash},
    {"admin__fault_freeze", test_fault_freeze},
    {"admin__a_stop_ends_late_calls", test_stop_with_late_calls},
};
MF_TEST_MAIN(tests)
