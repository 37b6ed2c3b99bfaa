/* The states of a pool's members. */
#ifndef MFI_WORDS_POOLS_H
#define MFI_WORDS_POOLS_H

#include "core/words/words.h"

#define MFI_POOL_STATES(X)                                                                         \
    X(MFI_POOL_READY, "ready")                                                                     \
    X(MFI_POOL_STARTING, "starting")                                                               \
    X(MFI_POOL_DRAINING, "draining")                                                               \
    X(MFI_POOL_DOWN, "down")

typedef enum mfi_pool_state {
    MFI_POOL_NONE, /* not a member of a pool */
    MFI_POOL_STATES(MFI_WORD_VALUE) MFI_POOL_COUNT
} mfi_pool_state;

/* NULL for MFI_POOL_NONE. */
static inline const char *mfi_pool_word(mfi_pool_state state)
{
    static const char *const words[] = {MFI_POOL_STATES(MFI_WORD_TEXT)};
    return words[state];
}

#endif
