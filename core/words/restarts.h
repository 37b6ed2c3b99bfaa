/* Why a worker is started again. */
#ifndef MFI_WORDS_RESTARTS_H
#define MFI_WORDS_RESTARTS_H

#include "core/words/words.h"

#define MFI_RESTART_REASONS(X)                                                                     \
    X(MFI_RESTART_EXIT_OK, "exit_ok")                                                              \
    X(MFI_RESTART_EXIT_ERROR, "exit_error")                                                        \
    X(MFI_RESTART_SIGNAL, "signal")                                                                \
    X(MFI_RESTART_HEARTBEAT, "heartbeat")                                                          \
    X(MFI_RESTART_HANDLER_TIMEOUT, "handler_timeout")                                              \
    X(MFI_RESTART_DISCONNECTED, "disconnected")                                                    \
    X(MFI_RESTART_START_TIMEOUT, "start_timeout")                                                  \
    X(MFI_RESTART_MANUAL, "manual")

typedef enum mfi_restart_reason {
    MFI_RESTART_NONE, /* no process ended, a service was lost */
    MFI_RESTART_REASONS(MFI_WORD_VALUE) MFI_RESTART_COUNT
} mfi_restart_reason;

/* NULL for MFI_RESTART_NONE. */
static inline const char *mfi_restart_word(mfi_restart_reason reason)
{
    static const char *const words[] = {MFI_RESTART_REASONS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
