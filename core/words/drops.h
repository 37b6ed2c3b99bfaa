/* Why a message was not delivered, or not accepted. */
#ifndef MFI_WORDS_DROPS_H
#define MFI_WORDS_DROPS_H

#include "core/words/words.h"

#define MFI_DROP_REASONS(X)                                                                        \
    X(MFI_DROP_HWM, "hwm")                                                                         \
    X(MFI_DROP_UNROUTABLE, "unroutable")                                                           \
    X(MFI_DROP_WRONG_PEER, "wrong_peer")                                                           \
    X(MFI_DROP_DECODE_ERROR, "decode_error")                                                       \
    X(MFI_DROP_OVERSIZE, "oversize")                                                               \
    X(MFI_DROP_WRONG_APP, "wrong_app")                                                             \
    X(MFI_DROP_UNKNOWN_TYPE, "unknown_type")

typedef enum mfi_drop_reason { MFI_DROP_REASONS(MFI_WORD_VALUE) MFI_DROP_COUNT } mfi_drop_reason;

static inline const char *mfi_drop_word(mfi_drop_reason reason)
{
    static const char *const words[] = {MFI_DROP_REASONS(MFI_WORD_TEXT)};
    return words[reason];
}

#endif
