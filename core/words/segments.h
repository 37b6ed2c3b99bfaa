/* How a worker took the memory that its parent made for it: the label `result`. */
#ifndef MFI_WORDS_SEGMENTS_H
#define MFI_WORDS_SEGMENTS_H

#include "core/words/words.h"

#define MFI_SEGMENT_RESULTS(X)                                                                     \
    X(MFI_SEGMENT_TAKEN, "taken")                                                                  \
    X(MFI_SEGMENT_OTHER_LAYOUT, "other_layout")                                                    \
    X(MFI_SEGMENT_UNUSED, "unused")

typedef enum mfi_segment_result {
    MFI_SEGMENT_RESULTS(MFI_WORD_VALUE) MFI_SEGMENT_RESULT_COUNT
} mfi_segment_result;

static inline const char *mfi_segment_word(mfi_segment_result result)
{
    static const char *const words[] = {MFI_SEGMENT_RESULTS(MFI_WORD_TEXT)};
    return words[result];
}

#endif
