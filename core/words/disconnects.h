/* Why a connection ended. */
#ifndef MFI_WORDS_DISCONNECTS_H
#define MFI_WORDS_DISCONNECTS_H

#include "core/words/words.h"

#define MFI_DISCONNECT_REASONS(X)                                                                  \
    X(MFI_DISCONNECT_CLOSED, "closed")                                                             \
    X(MFI_DISCONNECT_HANDSHAKE_FAILED, "handshake_failed")                                         \
    X(MFI_DISCONNECT_TIMEOUT, "timeout")                                                           \
    X(MFI_DISCONNECT_REFUSED, "refused")                                                           \
    X(MFI_DISCONNECT_SHUTDOWN, "shutdown")                                                         \
    X(MFI_DISCONNECT_UNKNOWN, "unknown")

typedef enum mfi_disconnect_reason {
    MFI_DISCONNECT_REASONS(MFI_WORD_VALUE) MFI_DISCONNECT_COUNT
} mfi_disconnect_reason;

static inline const char *mfi_disconnect_word(mfi_disconnect_reason reason)
{
    static const char *const words[] = {MFI_DISCONNECT_REASONS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
