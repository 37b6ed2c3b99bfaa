/* The worker's side: at which stage an expired call was noticed, and the states of handler threads.
 */
#ifndef MFI_WORDS_SERVING_H
#define MFI_WORDS_SERVING_H

#include "core/words/words.h"

#define MFI_EXPIRIES(X)                                                                            \
    X(MFI_EXPIRED_BEFORE_START, "before_start")                                                    \
    X(MFI_EXPIRED_AT_REPLY, "at_reply")

typedef enum mfi_expiry { MFI_EXPIRIES(MFI_WORD_VALUE) MFI_EXPIRY_COUNT } mfi_expiry;

static inline const char *mfi_expiry_word(mfi_expiry stage)
{
    static const char *const words[] = {MFI_EXPIRIES(MFI_WORD_TEXT)};
    return words[stage];
}

#define MFI_THREAD_STATES(X)                                                                       \
    X(MFI_THREAD_BUSY, "busy")                                                                     \
    X(MFI_THREAD_IDLE, "idle")

typedef enum mfi_thread_state {
    MFI_THREAD_STATES(MFI_WORD_VALUE) MFI_THREAD_COUNT
} mfi_thread_state;

static inline const char *mfi_thread_word(mfi_thread_state state)
{
    static const char *const words[] = {MFI_THREAD_STATES(MFI_WORD_TEXT)};
    return words[state];
}

#endif
