/* The parts of a call's duration, as its caller sees them. */
#ifndef MFI_WORDS_PHASES_H
#define MFI_WORDS_PHASES_H

#include "core/words/words.h"

#define MFI_CALL_PHASES(X)                                                                         \
    X(MFI_CALL_PHASE_SEND_WAIT, "send_wait")                                                       \
    X(MFI_CALL_PHASE_WIRE, "wire")                                                                 \
    X(MFI_CALL_PHASE_PEER_QUEUE, "peer_queue")                                                     \
    X(MFI_CALL_PHASE_HANDLER, "handler")                                                           \
    X(MFI_CALL_PHASE_RECEIVE_WAIT, "receive_wait")

typedef enum mfi_call_phase { MFI_CALL_PHASES(MFI_WORD_VALUE) MFI_CALL_PHASE_COUNT } mfi_call_phase;

static inline const char *mfi_call_phase_word(mfi_call_phase phase)
{
    static const char *const words[] = {MFI_CALL_PHASES(MFI_WORD_TEXT)};
    return words[phase];
}

#endif
