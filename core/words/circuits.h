/* The states of a circuit breaker, and the reasons of its changes. */
#ifndef MFI_WORDS_CIRCUITS_H
#define MFI_WORDS_CIRCUITS_H

#include "core/words/words.h"

#define MFI_CIRCUIT_STATES(X)                                                                      \
    X(MFI_CIRCUIT_CLOSED, "closed")                                                                \
    X(MFI_CIRCUIT_OPEN, "open")                                                                    \
    X(MFI_CIRCUIT_HALF_OPEN, "half_open")                                                          \
    X(MFI_CIRCUIT_FORCED_OPEN, "forced_open")                                                      \
    X(MFI_CIRCUIT_DISABLED, "disabled")

typedef enum mfi_circuit_state {
    MFI_CIRCUIT_STATES(MFI_WORD_VALUE) MFI_CIRCUIT_STATE_COUNT
} mfi_circuit_state;

static inline const char *mfi_circuit_state_word(mfi_circuit_state state)
{
    static const char *const words[] = {MFI_CIRCUIT_STATES(MFI_WORD_TEXT)};
    return words[state];
}

/* The rules that open a circuit. */
#define MFI_CIRCUIT_RULES(X)                                                                       \
    X(MFI_RULE_FAILURES, "consecutive_failures")                                                   \
    X(MFI_RULE_HEARTBEAT, "heartbeat")                                                             \
    X(MFI_RULE_EXIT, "process_exit")                                                               \
    X(MFI_RULE_HANDLER_TIMEOUT, "handler_timeout")                                                 \
    X(MFI_RULE_DISCONNECTED, "disconnected")                                                       \
    X(MFI_RULE_FAILURE_RATIO, "failure_ratio")                                                     \
    X(MFI_RULE_SLOW_RATIO, "slow_ratio")

/* Why a circuit changed its state: a rule, or a later event. */
#define MFI_CIRCUIT_CAUSES(X)                                                                      \
    MFI_CIRCUIT_RULES(X)                                                                           \
    X(MFI_CAUSE_COOL_DOWN, "cool_down")                                                            \
    X(MFI_CAUSE_HEARTBEAT_ANSWERED, "heartbeat_answered")                                          \
    X(MFI_CAUSE_PROBES_PASSED, "probes_passed")                                                    \
    X(MFI_CAUSE_PROBE_FAILED, "probe_failed")                                                      \
    X(MFI_CAUSE_PROBE_EXPIRED, "probe_expired")                                                    \
    X(MFI_CAUSE_ADMIN, "admin")

typedef enum mfi_circuit_cause {
    MFI_CAUSE_NONE, /* there was no change yet */
    MFI_CIRCUIT_CAUSES(MFI_WORD_VALUE) MFI_CAUSE_COUNT
} mfi_circuit_cause;

/* NULL for MFI_CAUSE_NONE. */
static inline const char *mfi_circuit_cause_word(mfi_circuit_cause cause)
{
    static const char *const words[] = {MFI_CIRCUIT_CAUSES(MFI_WORD_TEXT)};
    return words[cause];
}

#endif
