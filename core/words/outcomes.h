/* Outcomes of calls and handlers, for series that need no status. */
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
