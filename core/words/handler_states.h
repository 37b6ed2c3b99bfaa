/* The states that the time of a handler is divided into. */
#ifndef MFI_WORDS_HANDLER_STATES_H
#define MFI_WORDS_HANDLER_STATES_H

#include "core/words/words.h"

#define MFI_HANDLER_STATES(X)                                                                      \
    X(MFI_HANDLER_ON_CPU, "on_cpu")     /* a processor ran its thread */                           \
    X(MFI_HANDLER_RUNNABLE, "runnable") /* its thread could run, and waited for a processor */     \
    X(MFI_HANDLER_BLOCKED, "blocked")   /* its thread slept, or waited for something else */

typedef enum mfi_handler_state {
    MFI_HANDLER_STATES(MFI_WORD_VALUE) MFI_HANDLER_STATE_COUNT
} mfi_handler_state;

static inline const char *mfi_handler_state_word(mfi_handler_state state)
{
    static const char *const words[] = {MFI_HANDLER_STATES(MFI_WORD_TEXT)};
    return words[state];
}

#endif
