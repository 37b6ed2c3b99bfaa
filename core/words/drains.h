/* Why a worker gets no new calls. */
#ifndef MFI_WORDS_DRAINS_H
#define MFI_WORDS_DRAINS_H

#include "core/words/words.h"

#define MFI_DRAIN_REASONS(X)                                                                       \
    X(MFI_DRAIN_ROLLING_RESTART, "rolling_restart")                                                \
    X(MFI_DRAIN_ASKED_FOR, "asked_for")

typedef enum mfi_drain_reason {
    MFI_DRAIN_REASONS(MFI_WORD_VALUE) MFI_DRAIN_COUNT
} mfi_drain_reason;

static inline const char *mfi_drain_word(mfi_drain_reason reason)
{
    static const char *const words[] = {MFI_DRAIN_REASONS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
