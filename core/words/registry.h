/* Operations on the service registry, and their results. */
#ifndef MFI_WORDS_REGISTRY_H
#define MFI_WORDS_REGISTRY_H

#include "core/words/words.h"

#define MFI_REGISTRY_OPS(X)                                                                        \
    X(MFI_REGISTRY_OP_REGISTER, "register")                                                        \
    X(MFI_REGISTRY_OP_UNREGISTER, "unregister")                                                    \
    X(MFI_REGISTRY_OP_DISCOVER, "discover")                                                        \
    X(MFI_REGISTRY_OP_LIST, "list")

typedef enum mfi_registry_op {
    MFI_REGISTRY_OPS(MFI_WORD_VALUE) MFI_REGISTRY_OP_COUNT
} mfi_registry_op;

static inline const char *mfi_registry_op_word(mfi_registry_op op)
{
    static const char *const words[] = {MFI_REGISTRY_OPS(MFI_WORD_TEXT)};
    return words[op];
}

#define MFI_REGISTRY_RESULTS(X)                                                                    \
    X(MFI_REGISTRY_RESULT_OK, "ok") /* whatever the operation found */                             \
    X(MFI_REGISTRY_RESULT_CONFLICT, "conflict")                                                    \
    X(MFI_REGISTRY_RESULT_LOCKED, "locked")                                                        \
    X(MFI_REGISTRY_RESULT_CORRUPT, "corrupt")                                                      \
    X(MFI_REGISTRY_RESULT_ERROR, "error")

typedef enum mfi_registry_result {
    MFI_REGISTRY_RESULTS(MFI_WORD_VALUE) MFI_REGISTRY_RESULT_COUNT
} mfi_registry_result;

static inline const char *mfi_registry_result_word(mfi_registry_result result)
{
    static const char *const words[] = {MFI_REGISTRY_RESULTS(MFI_WORD_TEXT)};
    return words[result];
}

#endif
