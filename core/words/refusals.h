/* Why a call was refused before anything of it was sent. */
#ifndef MFI_WORDS_REFUSALS_H
#define MFI_WORDS_REFUSALS_H

#include "core/words/words.h"

#define MFI_REFUSALS(X)                                                                            \
    X(MFI_REFUSAL_CIRCUIT_OPEN, "circuit_open")                                                    \
    X(MFI_REFUSAL_QUEUE_FULL, "queue_full")                                                        \
    X(MFI_REFUSAL_CONCURRENCY_LIMIT, "concurrency_limit")                                          \
    X(MFI_REFUSAL_DRAINING, "draining")                                                            \
    X(MFI_REFUSAL_NO_WORKER, "no_worker")

typedef enum mfi_refusal { MFI_REFUSALS(MFI_WORD_VALUE) MFI_REFUSAL_COUNT } mfi_refusal;

static inline const char *mfi_refusal_word(mfi_refusal reason)
{
    static const char *const words[] = {MFI_REFUSALS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
