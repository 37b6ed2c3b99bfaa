/* The rules that look at a window of calls: numbers alone, and in a circuit whose clock the test
 * turns. A circuit on trial refuses nothing. */
#include "core/policy/circuit_window.h"

#include <string.h>

#include "core/policy/circuit.h"
#include "mf_test.h"

/* ---- Numbers ---- */

static void test_ratios_need_a_volume(void)
{
    const mfi_window_rules rules = {.failure_ratio = 0.5, .min_calls = 4, .window_calls = 10};
    mfi_circuit_reason reason = {.rule = MFI_CAUSE_NONE};
    mfi_circuit_counts counts = {.calls = 3, .failed = 3};
    mf_check(!mfi_window_judge(&rules, &counts, &reason));
    mf_check(mfi_window_ratios_of(&rules, &counts).failure <= 0);
    counts = (mfi_circuit_counts){.calls = 4, .ok = 3, .failed = 1, .slow = 2};
    mf_check(!mfi_window_judge(&rules, &counts, &reason));
    mf_check_int(mfi_window_ratios_of(&rules, &counts).failure * 100, 25);
    mf_check_int(mfi_window_ratios_of(&rules, &counts).slow * 100, 50);
    mf_check_int(reason.rule, MFI_CAUSE_NONE);
}

static void test_exactly_the_threshold_is_enough(void)
{
    const mfi_window_rules rules = {
        .failure_ratio = 0.6, .slow_ratio = 0.3, .min_calls = 20, .window_calls = 50};
    mfi_circuit_reason reason;
    mfi_circuit_counts counts = {.calls = 50, .ok = 20, .failed = 30, .slow = 15};
    mf_check(mfi_window_judge(&rules, &counts, &reason));
    mf_check_int(reason.rule, MFI_RULE_FAILURE_RATIO); /* comes first */
    mf_check_int(reason.observed * 100, 60);
    mf_check_int(reason.threshold * 100, 60);
    mf_check_int(reason.window_calls, 50);
    mf_check_str(reason.text, "30 of the last 50 calls failed");
    counts.failed = 29;
    mf_check(mfi_window_judge(&rules, &counts, &reason));
    mf_check_int(reason.rule, MFI_RULE_SLOW_RATIO);
    counts.slow = 14;
    mf_check(!mfi_window_judge(&rules, &counts, &reason));
}

static void test_slow_calls_are_told_in_words(void)
{
    const mfi_window_rules rules = {
        .slow_ratio = 1, .slow_call_ms = 250, .min_calls = 2, .window_calls = 5};
    const mfi_circuit_counts counts = {.calls = 2, .ok = 2, .slow = 2};
    mfi_circuit_reason reason;
    mf_check(mfi_window_judge(&rules, &counts, &reason));
    mf_check_str(reason.text, "2 of the last 2 calls took 0.250 s or longer");
}

static void test_rules_that_are_off(void)
{
    const mfi_window_rules off = {.min_calls = 1, .window_calls = 5};
    const mfi_circuit_counts counts = {.calls = 5, .failed = 5, .slow = 5};
    mfi_circuit_reason reason;
    mf_check(!mfi_window_rules_on(&off));
    mf_check(!mfi_window_judge(&off, &counts, &reason));
}

/* ---- In a circuit ---- */

typedef struct fixture {
    mfi_fake_clock clock;
    mfi_circuit circuit;
    uint32_t probes[MFI_PROBE_RESULT_COUNT];
} fixture;

static uint64_t middle(void *user_data)
{
    (void)user_data;
    return UINT64_C(1) << 63; /* no jitter */
}

static void on_probed(void *user_data, mfi_probe_result result)
{
    fixture *at = user_data;
    at->probes[result]++;
}

static void setup(fixture *at, uint32_t failures, const mfi_window_rules *rules)
{
    mfi_circuit_config config = {.consecutive_failures = failures,
                                 .open_ms = 1000,
                                 .open_max_ms = 3000,
                                 .probes = 3,
                                 .probe_slot_ms = 5000,
                                 .rules = *rules};
    mfi_circuit_listener listener = {.probed = on_probed, .user_data = at};
    memset(at, 0, sizeof *at);
    mfi_fake_clock_init(&at->clock, MFI_NS_PER_S);
    mfi_circuit_init(&at->circuit, &config, &at->clock.clock, middle, &listener);
}

/* One call that takes so long. */
static mf_status call(fixture *at, mf_status outcome, uint64_t ms)
{
    mfi_circuit_ticket ticket;
    mf_status status = mfi_circuit_admit(&at->circuit, &ticket, NULL);
    mfi_fake_clock_advance(&at->clock, ms * MFI_NS_PER_MS);
    if (status == MF_OK) {
        mfi_circuit_report(&at->circuit, ticket, outcome, "corr", "trace");
    }
    return status;
}

static void check_state(fixture *at, const char *wanted)
{
    mf_check_str(mfi_circuit_state_word(mfi_circuit_get_state(&at->circuit)), wanted);
}

static mfi_circuit_snapshot snapshot_of(fixture *at)
{
    mfi_circuit_snapshot snapshot;
    mfi_circuit_read(&at->circuit, &snapshot);
    return snapshot;
}

static const mfi_window_rules halves = {
    .failure_ratio = 0.5, .min_calls = 4, .window_calls = 8, .slow_call_ms = 100};
static const mfi_window_rules slow = {
    .slow_ratio = 0.5, .slow_call_ms = 100, .min_calls = 4, .window_calls = 8};

/* Every second call fails: never two in a row. */
static void test_a_share_of_failures_opens_it(void)
{
    fixture at;
    setup(&at, 3, &halves);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    (void)call(&at, MF_OK, 0);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    check_state(&at, "closed");
    (void)call(&at, MF_OK, 0); /* makes up the volume */
    check_state(&at, "open");
    mfi_circuit_snapshot now = snapshot_of(&at);
    mf_check_int(now.reason.rule, MFI_RULE_FAILURE_RATIO);
    mf_check_str(now.reason.text, "2 of the last 4 calls failed");
    mf_check_str(now.reason.correlation_id, "corr");
    mf_check_int(now.counts_at_trip.failed, 2);
    mf_check_int(now.counts.calls, 4); /* nothing is cleared */
    mf_error error = MF_ERROR_INIT;
    mfi_circuit_ticket ticket;
    mf_check_int(mfi_circuit_admit(&at.circuit, &ticket, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message,
                 "Circuit breaker open by rule failure_ratio: 2 of the last 4 calls failed");
    mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns); /* calls opened it */
    check_state(&at, "open");
    mfi_circuit_fini(&at.circuit);
}

static void test_old_calls_leave_the_window(void)
{
    fixture at;
    setup(&at, 0, &halves);
    for (int i = 0; i < 30; i++) { /* 3 of 8 at most, whatever was before */
        (void)call(&at, i % 8 > 4 ? MF_ERR_TIMEOUT : MF_OK, 0);
        check_state(&at, "closed");
    }
    mf_check_int(snapshot_of(&at).counts.calls, 8);
    mfi_circuit_fini(&at.circuit);
}

static void test_slow_calls_open_it(void)
{
    fixture at;
    setup(&at, 3, &slow);
    (void)call(&at, MF_OK, 99);
    (void)call(&at, MF_OK, 100); /* exactly as long */
    (void)call(&at, MF_OK, 0);
    check_state(&at, "closed");
    mf_check_int(snapshot_of(&at).counts.slow, 1);
    (void)call(&at, MF_ERR_REMOTE, 5000); /* an answer */
    check_state(&at, "open");
    mfi_circuit_snapshot now = snapshot_of(&at);
    mf_check_int(now.reason.rule, MFI_RULE_SLOW_RATIO);
    mf_check_int(now.reason.observed * 100, 50);
    mf_check_str(now.reason.text, "2 of the last 4 calls took 0.100 s or longer");
    mf_check_int(now.counts_at_trip.slow, 2);
    mfi_circuit_fini(&at.circuit);
}

/* A failure is no slow answer, however long it took. */
static void test_what_is_not_slow(void)
{
    fixture at;
    setup(&at, 0, &slow);
    for (int i = 0; i < 8; i++) {
        (void)call(&at, i % 2 == 0 ? MF_ERR_TIMEOUT : MF_ERR_CANCELLED, 200);
    }
    check_state(&at, "closed");
    mfi_circuit_snapshot now = snapshot_of(&at);
    mf_check_int(now.counts.slow, 0);
    mf_check_int(now.counts.failed, 4);
    mf_check_int(now.counts.excluded, 4);
    mfi_circuit_fini(&at.circuit);
}

static void test_cancelled_and_refused_calls_count_neither_way(void)
{
    static const mf_status neither[] = {MF_ERR_CANCELLED, MF_ERR_TOO_MANY_CALLS,
                                        MF_ERR_INVALID_ARGUMENT, MF_ERR_CIRCUIT_OPEN};
    fixture at;
    setup(&at, 0, &halves);
    for (int i = 0; i < 3; i++) {
        (void)call(&at, MF_ERR_TIMEOUT, 0);
    }
    for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++) {
        (void)call(&at, neither[i], 0);
        check_state(&at, "closed"); /* three calls are no volume */
    }
    mf_check_int(snapshot_of(&at).counts.calls, 3);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    check_state(&at, "open");
    mfi_circuit_fini(&at.circuit);
}

/* Failures in a row, and the peer, open it whatever the window says. */
static void test_the_other_rules_hold(void)
{
    const mfi_circuit_reason ended = {.rule = MFI_RULE_EXIT, .text = "exit code 3"};
    fixture at;
    setup(&at, 3, &halves);
    for (int i = 0; i < 3; i++) {
        (void)call(&at, MF_ERR_TIMEOUT, 0);
    }
    mf_check_int(snapshot_of(&at).reason.rule, MFI_RULE_FAILURES);
    mf_check_int(snapshot_of(&at).reason.window_calls, 0);
    mfi_circuit_fini(&at.circuit);
    setup(&at, 3, &halves);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    mfi_circuit_trip(&at.circuit, &ended);
    mf_check_int(snapshot_of(&at).reason.rule, MFI_RULE_EXIT);
    for (int i = 0; i < 3; i++) {
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    }
    check_state(&at, "closed");
    mf_check_int(snapshot_of(&at).counts.calls, 1);
    mfi_circuit_fini(&at.circuit);
}

/* The failures that opened it stay in the window, and do not open it again. */
static void test_it_begins_anew_when_it_closes(void)
{
    fixture at;
    setup(&at, 0, &halves);
    for (int i = 0; i < 4; i++) {
        (void)call(&at, MF_ERR_TIMEOUT, 0);
    }
    check_state(&at, "open");
    mf_check_int(snapshot_of(&at).ratios.failure * 100, 100);
    mfi_fake_clock_advance(&at.clock, 1000 * MFI_NS_PER_MS);
    for (int i = 0; i < 3; i++) {
        (void)call(&at, MF_OK, 0);
    }
    check_state(&at, "closed");
    mf_check_int(at.probes[MFI_PROBE_OK], 3);
    mf_check_int(snapshot_of(&at).counts.failed, 4);
    mf_check_int(snapshot_of(&at).judged_calls, 0);
    mf_check_int(snapshot_of(&at).ratios.failure * 100, 0);
    for (int i = 0; i < 3; i++) {
        (void)call(&at, MF_ERR_TIMEOUT, 0);
        check_state(&at, "closed");
    }
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    check_state(&at, "open");
    mfi_circuit_fini(&at.circuit);
}

static void heal(fixture *at)
{
    for (int i = 0; i < 3; i++) {
        mfi_circuit_heartbeat_answered(&at->circuit, at->clock.now_ns);
    }
    check_state(at, "closed");
}

/* Calls that were open when the circuit opened end after it has closed: they count, and are not
 * judged, or the same fault would open it twice. */
static void test_calls_of_before_are_not_judged(void)
{
    const mfi_circuit_reason ended = {.rule = MFI_RULE_EXIT, .text = "exit code 3"};
    fixture at;
    mfi_circuit_ticket open[6];
    setup(&at, 0, &halves);
    for (int i = 0; i < 6; i++) {
        mf_check_int(mfi_circuit_admit(&at.circuit, &open[i], NULL), MF_OK);
    }
    mfi_circuit_trip(&at.circuit, &ended);
    heal(&at);
    for (int i = 0; i < 6; i++) {
        mfi_circuit_report(&at.circuit, open[i], MF_ERR_TIMEOUT, NULL, NULL);
    }
    mf_check_int(snapshot_of(&at).counts.failed, 6);
    mf_check_int(snapshot_of(&at).judged_calls, 0);
    for (int i = 0; i < 3; i++) {
        (void)call(&at, MF_ERR_TIMEOUT, 0);
        check_state(&at, "closed"); /* one to three calls are no volume */
    }
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    check_state(&at, "open");
    mf_check_str(snapshot_of(&at).reason.text, "4 of the last 4 calls failed");
    mfi_circuit_fini(&at.circuit);
}

/* Nor do they make up the volume in the place of one that is judged. */
static void test_a_call_of_before_makes_up_no_volume(void)
{
    const mfi_circuit_reason ended = {.rule = MFI_RULE_EXIT, .text = "exit code 3"};
    fixture at;
    mfi_circuit_ticket open;
    setup(&at, 0, &halves);
    mf_check_int(mfi_circuit_admit(&at.circuit, &open, NULL), MF_OK);
    mfi_circuit_trip(&at.circuit, &ended);
    heal(&at);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    (void)call(&at, MF_OK, 0);
    mfi_circuit_report(&at.circuit, open, MF_OK, NULL, NULL);
    check_state(&at, "closed");
    (void)call(&at, MF_OK, 0);
    check_state(&at, "open");
    mf_check_str(snapshot_of(&at).reason.text, "2 of the last 4 calls failed");
    mfi_circuit_fini(&at.circuit);
}

static void test_probes_are_reported_as_they_end(void)
{
    fixture at;
    mfi_circuit_ticket tickets[3];
    setup(&at, 1, &halves);
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    mfi_fake_clock_advance(&at.clock, 1000 * MFI_NS_PER_MS);
    (void)call(&at, MF_OK, 0);
    (void)call(&at, MF_ERR_CANCELLED, 0); /* says nothing */
    (void)call(&at, MF_ERR_TIMEOUT, 0);
    check_state(&at, "open");
    mf_check_int(at.probes[MFI_PROBE_OK], 1);
    mf_check_int(at.probes[MFI_PROBE_FAILED], 1);
    mfi_fake_clock_advance(&at.clock, 2000 * MFI_NS_PER_MS);
    mf_check_int(mfi_circuit_admit(&at.circuit, &tickets[0], NULL), MF_OK);
    mf_check_int(mfi_circuit_admit(&at.circuit, &tickets[1], NULL), MF_OK);
    mfi_fake_clock_advance(&at.clock, 5000 * MFI_NS_PER_MS);
    mfi_circuit_tick(&at.circuit);
    check_state(&at, "open");
    mf_check_int(at.probes[MFI_PROBE_EXPIRED], 2);
    mf_check_int(at.probes[MFI_PROBE_FAILED], 1);
    mfi_circuit_fini(&at.circuit);
}

/* ---- On trial ---- */

static bool try_call(fixture *at, mf_status outcome, mfi_circuit_cause *ret_rule)
{
    mfi_circuit_ticket ticket;
    bool admitted = mfi_circuit_would_admit(&at->circuit, &ticket, ret_rule);
    if (admitted) {
        mfi_circuit_report(&at->circuit, ticket, outcome, NULL, NULL);
    }
    return admitted;
}

static void test_a_trial_counts_what_it_would_refuse(void)
{
    fixture at;
    mfi_circuit_cause rule = MFI_CAUSE_NONE;
    setup(&at, 0, &halves);
    for (int i = 0; i < 4; i++) {
        mf_check(try_call(&at, i % 2 == 0 ? MF_ERR_TIMEOUT : MF_OK, &rule));
    }
    mf_check_int(rule, MFI_CAUSE_NONE);
    for (int i = 0; i < 5; i++) {
        mf_check(!try_call(&at, MF_OK, &rule));
    }
    mf_check_int(rule, MFI_RULE_FAILURE_RATIO);
    mf_check_int(snapshot_of(&at).refused_total, 5);
    mfi_fake_clock_advance(&at.clock, 1000 * MFI_NS_PER_MS);
    for (int i = 0; i < 3; i++) { /* its probes */
        mf_check(try_call(&at, MF_OK, &rule));
    }
    check_state(&at, "closed");
    mf_check_int(snapshot_of(&at).refused_total, 5);
    mfi_circuit_fini(&at.circuit);
}

static const mf_test tests[] = {
    {"circuit_window__ratios_need_a_volume", test_ratios_need_a_volume},
    {"circuit_window__exactly_the_threshold_is_enough", test_exactly_the_threshold_is_enough},
    {"circuit_window__slow_calls_are_told_in_words", test_slow_calls_are_told_in_words},
    {"circuit_window__rules_that_are_off", test_rules_that_are_off},
    {"circuit_window__a_share_of_failures_opens_it", test_a_share_of_failures_opens_it},
    {"circuit_window__old_calls_leave_the_window", test_old_calls_leave_the_window},
    {"circuit_window__slow_calls_open_it", test_slow_calls_open_it},
    {"circuit_window__what_is_not_slow", test_what_is_not_slow},
    {"circuit_window__cancelled_and_refused_calls_count_neither_way",
     test_cancelled_and_refused_calls_count_neither_way},
    {"circuit_window__the_other_rules_hold", test_the_other_rules_hold},
    {"circuit_window__it_begins_anew_when_it_closes", test_it_begins_anew_when_it_closes},
    {"circuit_window__calls_of_before_are_not_judged", test_calls_of_before_are_not_judged},
    {"circuit_window__a_call_of_before_makes_up_no_volume",
     test_a_call_of_before_makes_up_no_volume},
    {"circuit_window__probes_are_reported_as_they_end", test_probes_are_reported_as_they_end},
    {"circuit_window__a_trial_counts_what_it_would_refuse",
     test_a_trial_counts_what_it_would_refuse},
};
MF_TEST_MAIN(tests)
