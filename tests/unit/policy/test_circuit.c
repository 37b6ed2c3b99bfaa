/* The circuit breaker opens, probes and closes by its rules, with a clock that the test turns. */
#include <string.h>

#include "core/policy/circuit.h"
#include "mf_test.h"

static uint64_t middle(void *user_data)
{
    (void)user_data;
    return UINT64_C(1) << 63; /* no jitter */
}

typedef struct fixture {
    mfi_fake_clock clock;
    mfi_circuit circuit;
} fixture;

static void setup(fixture *at)
{
    mfi_circuit_config config = {.consecutive_failures = 3,
                                 .heartbeat_misses = 3,
                                 .open_ms = 1000,
                                 .open_max_ms = 3000,
                                 .jitter = 0.2,
                                 .probes = 3,
                                 .probe_slot_ms = 5000};
    mfi_fake_clock_init(&at->clock, MFI_NS_PER_S);
    mfi_circuit_init(&at->circuit, &config, &at->clock.clock, middle, NULL);
}

static mf_status call(fixture *at, mf_status outcome)
{
    mfi_circuit_ticket ticket;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mfi_circuit_admit(&at->circuit, &ticket, &error);
    if (status == MF_OK) {
        mfi_circuit_report(&at->circuit, ticket, outcome, "corr", "trace");
    }
    return status;
}

static void pass(fixture *at, uint64_t ms)
{
    mfi_fake_clock_advance(&at->clock, ms * MFI_NS_PER_MS);
}

static void check_state(fixture *at, const char *wanted)
{
    mf_check_str(mfi_circuit_state_word(mfi_circuit_get_state(&at->circuit)), wanted);
}

static void test_opens_after_n_failures(void)
{
    fixture at;
    mfi_circuit_ticket ticket;
    mf_error error = MF_ERROR_INIT;
    setup(&at);
    (void)call(&at, MF_ERR_TIMEOUT);
    (void)call(&at, MF_ERR_TIMEOUT);
    (void)call(&at, MF_OK);
    (void)call(&at, MF_ERR_TIMEOUT);
    (void)call(&at, MF_ERR_REMOTE); /* an answer, not a failure */
    (void)call(&at, MF_ERR_TIMEOUT);
    (void)call(&at, MF_ERR_TIMEOUT);
    check_state(&at, "closed");
    (void)call(&at, MF_ERR_TIMEOUT);
    check_state(&at, "open");
    mf_check_int(mfi_circuit_admit(&at.circuit, &ticket, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message, "Circuit breaker open after 3 consecutive failures");
    mfi_circuit_snapshot snapshot;
    mfi_circuit_read(&at.circuit, &snapshot);
    mf_check_int(snapshot.reason.rule, MFI_RULE_FAILURES);
    mf_check_str(snapshot.reason.correlation_id, "corr");
    mf_check_int(snapshot.refused, 1);
    mf_check_int(snapshot.trips, 1);
    mfi_circuit_fini(&at.circuit);
}

static void open_it(fixture *at)
{
    for (int i = 0; i < 3; i++) {
        (void)call(at, MF_ERR_TIMEOUT);
    }
    check_state(at, "open");
}

static void test_probes_close_it(void)
{
    fixture at;
    setup(&at);
    open_it(&at);
    pass(&at, 999);
    mf_check_int(call(&at, MF_OK), MF_ERR_CIRCUIT_OPEN);
    pass(&at, 1);
    mf_check_int(call(&at, MF_OK), MF_OK);
    check_state(&at, "half_open");
    (void)call(&at, MF_OK);
    (void)call(&at, MF_OK);
    check_state(&at, "closed");
    mfi_circuit_fini(&at.circuit);
}

static void test_failed_probe_doubles_the_cool_down(void)
{
    fixture at;
    setup(&at);
    open_it(&at);
    pass(&at, 1000);
    (void)call(&at, MF_ERR_TIMEOUT);
    check_state(&at, "open");
    pass(&at, 1999);
    mf_check_int(call(&at, MF_OK), MF_ERR_CIRCUIT_OPEN);
    pass(&at, 1);
    (void)call(&at, MF_ERR_TIMEOUT);
    pass(&at, 3000); /* capped */
    mf_check_int(call(&at, MF_OK), MF_OK);
    mfi_circuit_fini(&at.circuit);
}

static void test_only_so_many_probes_and_none_is_stuck(void)
{
    fixture at;
    mfi_circuit_ticket tickets[4];
    setup(&at);
    open_it(&at);
    pass(&at, 1000);
    for (int i = 0; i < 3; i++) {
        mf_check_int(mfi_circuit_admit(&at.circuit, &tickets[i], NULL), MF_OK);
    }
    mf_check_int(mfi_circuit_admit(&at.circuit, &tickets[3], NULL), MF_ERR_CIRCUIT_OPEN);
    mf_check(mfi_circuit_next_event_ns(&at.circuit) == at.clock.now_ns + 5000 * MFI_NS_PER_MS);
    pass(&at, 5000);
    mfi_circuit_tick(&at.circuit);
    check_state(&at, "open");
    mfi_circuit_report(&at.circuit, tickets[0], MF_OK, NULL, NULL); /* too late to matter */
    check_state(&at, "open");
    mfi_circuit_fini(&at.circuit);
}

static const mfi_circuit_reason frozen = {.rule = MFI_RULE_HEARTBEAT,
                                          .observed = 3,
                                          .threshold = 3,
                                          .text = "3 heartbeats of 3 unanswered",
                                          .status = MF_ERR_TIMEOUT};
static const mfi_circuit_reason ended = {
    .rule = MFI_RULE_EXIT, .observed = 3, .text = "exit code 3", .status = MF_ERR_WORKER_EXITED};

/* A worker that ended and came back heals without a call: each answered heartbeat is a probe. */
static void test_answered_heartbeats_close_it(void)
{
    static const mfi_circuit_reason *const reasons[] = {&frozen, &ended};
    for (size_t i = 0; i < 2; i++) {
        fixture at;
        setup(&at);
        mfi_circuit_trip(&at.circuit, reasons[i]);
        check_state(&at, "open");
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
        check_state(&at, "half_open");
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
        mfi_circuit_heartbeat_missed(&at.circuit); /* the row begins again */
        mfi_circuit_heartbeat_answered(&at.circuit, 0);
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
        check_state(&at, "half_open");
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
        check_state(&at, "closed");
        mfi_circuit_fini(&at.circuit);
    }
}

/* A heartbeat says nothing about the calls that failed. */
static void test_heartbeats_do_not_close_what_calls_opened(void)
{
    fixture at;
    setup(&at);
    open_it(&at);
    for (int i = 0; i < 4; i++) {
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    }
    check_state(&at, "open");
    mfi_circuit_fini(&at.circuit);
    setup(&at);
    mfi_circuit_trip(&at.circuit, &ended);
    mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    (void)call(&at, MF_ERR_TIMEOUT); /* a probe */
    for (int i = 0; i < 4; i++) {
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    }
    check_state(&at, "open");
    mfi_circuit_fini(&at.circuit);
}

/* A peer that was stopped answers at once all that was sent to it meanwhile. */
static void test_old_heartbeats_do_not_close_it(void)
{
    fixture at;
    setup(&at);
    uint64_t before = at.clock.now_ns;
    pass(&at, 1);
    mfi_circuit_trip(&at.circuit, &frozen);
    for (int i = 0; i < 4; i++) {
        mfi_circuit_heartbeat_answered(&at.circuit, before);
    }
    check_state(&at, "half_open");
    mfi_circuit_fini(&at.circuit);
}

static void test_closed_it_has_no_reason(void)
{
    fixture at;
    mfi_circuit_snapshot snapshot;
    setup(&at);
    mfi_circuit_trip(&at.circuit, &ended);
    mfi_circuit_read(&at.circuit, &snapshot);
    mf_check_int(snapshot.reason.rule, MFI_RULE_EXIT);
    mf_check_str(snapshot.reason.text, "exit code 3");
    for (int i = 0; i < 3; i++) {
        mfi_circuit_heartbeat_answered(&at.circuit, at.clock.now_ns);
    }
    mfi_circuit_read(&at.circuit, &snapshot);
    mf_check_int(snapshot.state, MFI_CIRCUIT_CLOSED);
    mf_check_int(snapshot.reason.rule, MFI_CAUSE_NONE);
    mf_check_int(snapshot.history_count, 3);
    mf_check_int(snapshot.history[0].why, MFI_RULE_EXIT);
    mf_check_int(snapshot.history[2].why, MFI_CAUSE_HEARTBEAT_ANSWERED);
    mfi_circuit_fini(&at.circuit);
}

static void test_refusals_say_what_is_so(void)
{
    fixture at;
    mfi_circuit_ticket ticket;
    mf_error error = MF_ERROR_INIT;
    setup(&at);
    mfi_circuit_trip(&at.circuit, &frozen);
    mf_check_int(mfi_circuit_admit(&at.circuit, &ticket, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message,
                 "Circuit breaker open by rule heartbeat: 3 heartbeats of 3 unanswered");
    pass(&at, 1000);
    for (int i = 0; i < 3; i++) {
        mf_check_int(mfi_circuit_admit(&at.circuit, &ticket, NULL), MF_OK);
        pass(&at, 1000);
    }
    mf_check_int(mfi_circuit_admit(&at.circuit, &ticket, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message,
                 "Circuit breaker half-open (3 heartbeats of 3 unanswered): 3 of 3 probes are "
                 "taken; more calls pass when these have ended, in 4.0 s at the latest");
    mfi_circuit_fini(&at.circuit);
}

static const mf_test tests[] = {
    {"circuit__opens_after_n_failures_in_a_row", test_opens_after_n_failures},
    {"circuit__probes_close_it", test_probes_close_it},
    {"circuit__failed_probe_doubles_the_cool_down", test_failed_probe_doubles_the_cool_down},
    {"circuit__only_so_many_probes_and_none_is_stuck", test_only_so_many_probes_and_none_is_stuck},
    {"circuit__answered_heartbeats_close_it", test_answered_heartbeats_close_it},
    {"circuit__heartbeats_do_not_close_what_calls_opened",
     test_heartbeats_do_not_close_what_calls_opened},
    {"circuit__old_heartbeats_do_not_close_it", test_old_heartbeats_do_not_close_it},
    {"circuit__closed_it_has_no_reason", test_closed_it_has_no_reason},
    {"circuit__refusals_say_what_is_so", test_refusals_say_what_is_so},
};
MF_TEST_MAIN(tests)
