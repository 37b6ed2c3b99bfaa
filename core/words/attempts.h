/* The attempts of a call, and why an attempt that the policy allows is not made. */
#ifndef MFI_WORDS_ATTEMPTS_H
#define MFI_WORDS_ATTEMPTS_H

#include "core/words/words.h"

#define MFI_ATTEMPT_KINDS(X)                                                                       \
    X(MFI_ATTEMPT_FIRST, "first")                                                                  \
    X(MFI_ATTEMPT_RETRY, "retry")

typedef enum mfi_attempt_kind {
    MFI_ATTEMPT_KINDS(MFI_WORD_VALUE) MFI_ATTEMPT_COUNT
} mfi_attempt_kind;

static inline const char *mfi_attempt_word(mfi_attempt_kind kind)
{
    static const char *const words[] = {MFI_ATTEMPT_KINDS(MFI_WORD_TEXT)};
    return words[kind];
}

#define MFI_SUPPRESSIONS(X)                                                                        \
    X(MFI_SUPPRESSED_BY_BUDGET, "budget")                                                          \
    X(MFI_SUPPRESSED_BY_DEADLINE, "deadline")                                                      \
    X(MFI_SUPPRESSED_NOT_IDEMPOTENT, "not_idempotent")                                             \
    X(MFI_SUPPRESSED_BY_PUSHBACK, "pushback")                                                      \
    X(MFI_SUPPRESSED_BY_CIRCUIT, "circuit")

typedef enum mfi_suppression {
    MFI_SUPPRESSED_NOT, /* the policy allows none, or another attempt follows */
    MFI_SUPPRESSIONS(MFI_WORD_VALUE) MFI_SUPPRESSED_COUNT
} mfi_suppression;

/* NULL for MFI_SUPPRESSED_NOT. */
static inline const char *mfi_suppression_word(mfi_suppression reason)
{
    static const char *const words[] = {MFI_SUPPRESSIONS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
