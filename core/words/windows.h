/* What a circuit breaker counts beside its states: the calls of its window, the probe calls, and
 * the calls that a trial policy would have refused. */
#ifndef MFI_WORDS_WINDOWS_H
#define MFI_WORDS_WINDOWS_H

#include "core/words/words.h"

/* Slow calls are a part of the ok ones. */
#define MFI_WINDOW_KINDS(X)                                                                        \
    X(MFI_WINDOW_OK, "ok")                                                                         \
    X(MFI_WINDOW_FAILED, "failed")                                                                 \
    X(MFI_WINDOW_SLOW, "slow")                                                                     \
    X(MFI_WINDOW_EXCLUDED, "excluded")

typedef enum mfi_window_kind {
    MFI_WINDOW_KINDS(MFI_WORD_VALUE) MFI_WINDOW_KIND_COUNT
} mfi_window_kind;

static inline const char *mfi_window_kind_word(mfi_window_kind kind)
{
    static const char *const words[] = {MFI_WINDOW_KINDS(MFI_WORD_TEXT)};
    return words[kind];
}

#define MFI_PROBE_RESULTS(X)                                                                       \
    X(MFI_PROBE_OK, "ok")                                                                          \
    X(MFI_PROBE_FAILED, "failed")                                                                  \
    X(MFI_PROBE_EXPIRED, "expired")

typedef enum mfi_probe_result {
    MFI_PROBE_RESULTS(MFI_WORD_VALUE) MFI_PROBE_RESULT_COUNT
} mfi_probe_result;

static inline const char *mfi_probe_result_word(mfi_probe_result result)
{
    static const char *const words[] = {MFI_PROBE_RESULTS(MFI_WORD_TEXT)};
    return words[result];
}

/* The rules that a trial policy can have. */
#define MFI_TRIAL_POLICIES(X)                                                                      \
    X(MFI_TRIAL_FAILURE_RATIO, "failure_ratio")                                                    \
    X(MFI_TRIAL_SLOW_RATIO, "slow_ratio")

typedef enum mfi_trial_policy {
    MFI_TRIAL_POLICIES(MFI_WORD_VALUE) MFI_TRIAL_POLICY_COUNT
} mfi_trial_policy;

static inline const char *mfi_trial_policy_word(mfi_trial_policy policy)
{
    static const char *const words[] = {MFI_TRIAL_POLICIES(MFI_WORD_TEXT)};
    return words[policy];
}

#endif
