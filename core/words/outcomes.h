/* How calls and handlers are told apart where their status would be too much. */
#ifndef MFI_WORDS_OUTCOMES_H
#define MFI_WORDS_OUTCOMES_H

#include "core/words/words.h"

#define MFI_OUTCOMES(X)                                                                            \
    X(MFI_OUTCOME_OK, "ok")                                                                        \
    X(MFI_OUTCOME_ERROR, "error")

typedef enum mfi_outcome { MFI_OUTCOMES(MFI_WORD_VALUE) MFI_OUTCOME_COUNT } mfi_outcome;

static inline const char *mfi_outcome_word(mfi_outcome outcome)
{
    static const char *const words[] = {MFI_OUTCOMES(MFI_WORD_TEXT)};
    return words[outcome];
}

#endif
