/* The states of a worker, as the metrics count all workers by them. */
#ifndef MFI_WORDS_WORKERS_H
#define MFI_WORDS_WORKERS_H

#include "core/words/words.h"

#define MFI_WORKER_STATES(X)                                                                       \
    X(MFI_WORKER_DOWN, "down")                                                                     \
    X(MFI_WORKER_STARTING, "starting")                                                             \
    X(MFI_WORKER_READY, "ready")                                                                   \
    X(MFI_WORKER_FROZEN, "frozen")                                                                 \
    X(MFI_WORKER_DRAINING, "draining")                                                             \
    X(MFI_WORKER_RESTARTING, "restarting")

typedef enum mfi_worker_state {
    MFI_WORKER_STATES(MFI_WORD_VALUE) MFI_WORKER_STATE_COUNT
} mfi_worker_state;

static inline const char *mfi_worker_word(mfi_worker_state state)
{
    static const char *const words[] = {MFI_WORKER_STATES(MFI_WORD_TEXT)};
    return words[state];
}

#endif
