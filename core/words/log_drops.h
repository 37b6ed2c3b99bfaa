/* Why a log record was not written. */
#ifndef MFI_WORDS_LOG_DROPS_H
#define MFI_WORDS_LOG_DROPS_H

#include "core/words/words.h"

#define MFI_LOG_DROPS(X)                                                                           \
    X(MFI_LOG_DROP_RING_FULL, "ring_full")                                                         \
    X(MFI_LOG_DROP_OVERSIZE, "oversize")                                                           \
    X(MFI_LOG_DROP_SAMPLED, "sampled")                                                             \
    X(MFI_LOG_DROP_SINK_ERROR, "sink_error")

typedef enum mfi_log_drop { MFI_LOG_DROPS(MFI_WORD_VALUE) MFI_LOG_DROP_COUNT } mfi_log_drop;

static inline const char *mfi_log_drop_word(mfi_log_drop reason)
{
    static const char *const words[] = {MFI_LOG_DROPS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
