/* How an objective counts a call: the label `result`. */
#ifndef MFI_WORDS_SLOS_H
#define MFI_WORDS_SLOS_H

#include "core/words/words.h"

#define MFI_SLO_RESULTS(X)                                                                         \
    X(MFI_SLO_GOOD, "good")                                                                        \
    X(MFI_SLO_BAD, "bad")

typedef enum mfi_slo_result { MFI_SLO_RESULTS(MFI_WORD_VALUE) MFI_SLO_RESULT_COUNT } mfi_slo_result;

static inline const char *mfi_slo_word(mfi_slo_result result)
{
    static const char *const words[] = {MFI_SLO_RESULTS(MFI_WORD_TEXT)};
    return words[result];
}

#endif
