/* What a call that is open waits for: the field `phase` of /calls. An ended call has `ended`. */
#ifndef MFI_WORDS_CALL_PHASES_H
#define MFI_WORDS_CALL_PHASES_H

#include "core/words/words.h"

#define MFI_OPEN_PHASES(X)                                                                         \
    X(MFI_OPEN_FREE, "free") /* an entry that no call has */                                       \
    X(MFI_OPEN_ENDED, "ended")                                                                     \
    X(MFI_OPEN_QUEUED, "queued")         /* the message waits to be sent */                        \
    X(MFI_OPEN_SENT, "sent")             /* the answer is waited for */                            \
    X(MFI_OPEN_RETRY_WAIT, "retry_wait") /* the next attempt is waited for */                      \
    X(MFI_OPEN_RUNNING, "running")       /* worker: the handler runs */                            \
    X(MFI_OPEN_DEFERRED, "deferred")     /* worker: the handler returned, its answer follows */

typedef enum mfi_open_phase { MFI_OPEN_PHASES(MFI_WORD_VALUE) MFI_OPEN_PHASE_COUNT } mfi_open_phase;

static inline const char *mfi_open_phase_word(mfi_open_phase phase)
{
    static const char *const words[] = {MFI_OPEN_PHASES(MFI_WORD_TEXT)};
    return words[phase];
}

#endif
