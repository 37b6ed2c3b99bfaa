/* How a worker ended that nobody asked to end, and what happens next. */
#ifndef MFI_WORDS_CRASHES_H
#define MFI_WORDS_CRASHES_H

#include "core/words/words.h"

/* Killed: by its parent, for a reason of core/words/restarts.h. */
#define MFI_CRASH_ENDS(X)                                                                          \
    X(MFI_CRASH_UNKNOWN, "unknown")                                                                \
    X(MFI_CRASH_EXIT, "exit")                                                                      \
    X(MFI_CRASH_SIGNAL, "signal")                                                                  \
    X(MFI_CRASH_KILLED, "killed")                                                                  \
    X(MFI_CRASH_VANISHED, "vanished")

typedef enum mfi_crash_end { MFI_CRASH_ENDS(MFI_WORD_VALUE) MFI_CRASH_END_COUNT } mfi_crash_end;

static inline const char *mfi_crash_end_word(mfi_crash_end end)
{
    static const char *const words[] = {MFI_CRASH_ENDS(MFI_WORD_TEXT)};
    return words[end];
}

#define MFI_CRASH_NEXTS(X)                                                                         \
    X(MFI_NEXT_NONE, "none")                                                                       \
    X(MFI_NEXT_RESTART, "restart")                                                                 \
    X(MFI_NEXT_GAVE_UP, "gave_up")                                                                 \
    X(MFI_NEXT_SEARCH, "search")

typedef enum mfi_crash_next { MFI_CRASH_NEXTS(MFI_WORD_VALUE) MFI_NEXT_COUNT } mfi_crash_next;

static inline const char *mfi_crash_next_word(mfi_crash_next next)
{
    static const char *const words[] = {MFI_CRASH_NEXTS(MFI_WORD_TEXT)};
    return words[next];
}

#endif
