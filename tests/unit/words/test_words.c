/* The closed sets of words: each word occurs once, and is spelled as in docs/observability.md and
 * the dashboards. */
#include <string.h>

#include "core/observe/statuses.h"
#include "core/words/admin.h"
#include "core/words/attempts.h"
#include "core/words/circuits.h"
#include "core/words/crashes.h"
#include "core/words/disconnects.h"
#include "core/words/drains.h"
#include "core/words/drops.h"
#include "core/words/handler_states.h"
#include "core/words/log_drops.h"
#include "core/words/outcomes.h"
#include "core/words/phases.h"
#include "core/words/pools.h"
#include "core/words/refusals.h"
#include "core/words/registry.h"
#include "core/words/restarts.h"
#include "core/words/serving.h"
#include "core/words/traffic.h"
#include "core/words/windows.h"
#include "core/words/workers.h"
#include "mf_test.h"

#define WORDS_MAX 16

/* The words of one set, in the order of its values; `first` is the first value that has one. */
#define CHECK_SET(word_of, type, first, count, ...)                                                \
    do {                                                                                           \
        static const char *const wanted[] = {__VA_ARGS__};                                         \
        const char *got[WORDS_MAX];                                                                \
        size_t length = 0;                                                                         \
        mf_check_int((count) - (first), sizeof wanted / sizeof wanted[0]);                         \
        for (int value = (first); value < (int)(count); value++) {                                 \
            got[length++] = word_of((type)value);                                                  \
        }                                                                                          \
        check_words(got, wanted, length);                                                          \
    } while (0)

static void check_words(const char *const *got, const char *const *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mf_check_str(got[i], wanted[i]);
        for (size_t before = 0; before < i; before++) {
            mf_check(strcmp(got[before], got[i]) != 0);
        }
    }
}

static void test_words_of_calls(void)
{
    CHECK_SET(mfi_call_status_word, mfi_call_status, 0, MFI_STATUS_COUNT, "ok", "app_error",
              "function_not_found", "invalid_argument", "timeout", "cancelled", "circuit_open",
              "rejected", "unavailable", "worker_crashed", "protocol_error", "internal");
    CHECK_SET(mfi_refusal_word, mfi_refusal, 0, MFI_REFUSAL_COUNT, "circuit_open", "queue_full",
              "concurrency_limit", "draining", "no_worker");
    CHECK_SET(mfi_attempt_word, mfi_attempt_kind, 0, MFI_ATTEMPT_COUNT, "first", "retry");
    CHECK_SET(mfi_suppression_word, mfi_suppression, MFI_SUPPRESSED_NOT + 1, MFI_SUPPRESSED_COUNT,
              "budget", "deadline", "not_idempotent", "pushback", "circuit");
    mf_check(mfi_suppression_word(MFI_SUPPRESSED_NOT) == NULL);
    CHECK_SET(mfi_call_phase_word, mfi_call_phase, 0, MFI_CALL_PHASE_COUNT, "send_wait", "wire",
              "peer_queue", "handler", "receive_wait");
    CHECK_SET(mfi_outcome_word, mfi_outcome, 0, MFI_OUTCOME_COUNT, "ok", "error");
    CHECK_SET(mfi_handler_state_word, mfi_handler_state, 0, MFI_HANDLER_STATE_COUNT, "on_cpu",
              "runnable", "blocked");
    CHECK_SET(mfi_expiry_word, mfi_expiry, 0, MFI_EXPIRY_COUNT, "before_start", "at_reply");
    CHECK_SET(mfi_thread_word, mfi_thread_state, 0, MFI_THREAD_COUNT, "busy", "idle");
}

static void test_words_of_messages(void)
{
    CHECK_SET(mfi_traffic_word, mfi_traffic, 0, MFI_TRAFFIC_COUNT, "call", "response", "error",
              "heartbeat", "output", "control", "other");
    CHECK_SET(mfi_direction_word, mfi_direction, 0, MFI_DIRECTION_COUNT, "received", "sent");
    CHECK_SET(mfi_drop_word, mfi_drop_reason, 0, MFI_DROP_COUNT, "hwm", "unroutable", "wrong_peer",
              "decode_error", "oversize", "wrong_app", "unknown_type");
    CHECK_SET(mfi_disconnect_word, mfi_disconnect_reason, 0, MFI_DISCONNECT_COUNT, "closed",
              "handshake_failed", "timeout", "refused", "shutdown", "unknown");
}

static void test_words_of_workers(void)
{
    CHECK_SET(mfi_restart_word, mfi_restart_reason, MFI_RESTART_NONE + 1, MFI_RESTART_COUNT,
              "exit_ok", "exit_error", "signal", "heartbeat", "handler_timeout", "disconnected",
              "start_timeout", "manual");
    mf_check(mfi_restart_word(MFI_RESTART_NONE) == NULL);
    CHECK_SET(mfi_drain_word, mfi_drain_reason, 0, MFI_DRAIN_COUNT, "rolling_restart", "asked_for");
    CHECK_SET(mfi_pool_word, mfi_pool_state, MFI_POOL_NONE + 1, MFI_POOL_COUNT, "ready", "starting",
              "draining", "down");
    mf_check(mfi_pool_word(MFI_POOL_NONE) == NULL);
    CHECK_SET(mfi_worker_word, mfi_worker_state, 0, MFI_WORKER_STATE_COUNT, "down", "starting",
              "ready", "frozen", "draining", "restarting");
    CHECK_SET(mfi_circuit_state_word, mfi_circuit_state, 0, MFI_CIRCUIT_STATE_COUNT, "closed",
              "open", "half_open", "forced_open", "disabled");
    CHECK_SET(mfi_circuit_cause_word, mfi_circuit_cause, MFI_CAUSE_NONE + 1, MFI_CAUSE_COUNT,
              "consecutive_failures", "heartbeat", "process_exit", "handler_timeout",
              "disconnected", "failure_ratio", "slow_ratio", "cool_down", "heartbeat_answered",
              "probes_passed", "probe_failed", "probe_expired", "admin");
    mf_check(mfi_circuit_cause_word(MFI_CAUSE_NONE) == NULL);
    CHECK_SET(mfi_window_kind_word, mfi_window_kind, 0, MFI_WINDOW_KIND_COUNT, "ok", "failed",
              "slow", "excluded");
    CHECK_SET(mfi_probe_result_word, mfi_probe_result, 0, MFI_PROBE_RESULT_COUNT, "ok", "failed",
              "expired");
    CHECK_SET(mfi_trial_policy_word, mfi_trial_policy, 0, MFI_TRIAL_POLICY_COUNT, "failure_ratio",
              "slow_ratio");
}

static void test_words_of_other_parts(void)
{
    CHECK_SET(mfi_crash_end_word, mfi_crash_end, 0, MFI_CRASH_END_COUNT, "unknown", "exit",
              "signal", "killed", "vanished");
    CHECK_SET(mfi_crash_next_word, mfi_crash_next, 0, MFI_NEXT_COUNT, "none", "restart", "gave_up",
              "search");
    CHECK_SET(mfi_admin_command_word, mfi_admin_command, 0, MFI_ADMIN_COMMAND_COUNT, "log_level",
              "circuit", "drain", "restart", "fault", "status", "help", "unknown", "connect");
    CHECK_SET(mfi_admin_result_word, mfi_admin_result, 0, MFI_ADMIN_RESULT_COUNT, "ok", "error");
    CHECK_SET(mfi_circuit_order_word, mfi_circuit_order, 0, MFI_ORDER_COUNT, "force_open",
              "force_closed", "reset", "auto");
    CHECK_SET(mfi_fault_word, mfi_fault_kind, 0, MFI_FAULT_COUNT, "delay", "drop", "error", "crash",
              "freeze");
    CHECK_SET(mfi_registry_op_word, mfi_registry_op, 0, MFI_REGISTRY_OP_COUNT, "register",
              "unregister", "discover", "list");
    CHECK_SET(mfi_registry_result_word, mfi_registry_result, 0, MFI_REGISTRY_RESULT_COUNT, "ok",
              "conflict", "locked", "corrupt", "error");
    CHECK_SET(mfi_log_drop_word, mfi_log_drop, 0, MFI_LOG_DROP_COUNT, "ring_full", "oversize",
              "sampled", "sink_error");
}

/* The public table of codes has words, the counters have values: both say the same. */
static void test_codes_are_counted_as_their_table_says(void)
{
    static const mf_status codes[] = {
#define CODE(NAME, number, name, status, level, kind, text) MF_##NAME,
        MF_STATUS_TABLE(CODE)
#undef CODE
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        mf_check_str(mfi_call_status_word(mfi_call_status_of(codes[i])), mf_err_status(codes[i]));
    }
    mf_check_int(mfi_call_status_of((mf_status)9999), MFI_STATUS_INTERNAL);
    mf_check_str(mf_err_status((mf_status)9999), "internal");
}

static const mf_test tests[] = {
    {"words__of_calls_are_as_documented", test_words_of_calls},
    {"words__of_messages_are_as_documented", test_words_of_messages},
    {"words__of_workers_are_as_documented", test_words_of_workers},
    {"words__of_other_parts_are_as_documented", test_words_of_other_parts},
    {"words__codes_are_counted_as_their_table_says", test_codes_are_counted_as_their_table_says},
};
MF_TEST_MAIN(tests)
