/* A decoded tree of values. Its memory is kept from one decode to the next. */
#ifndef MFI_WIRE_TREE_H
#define MFI_WIRE_TREE_H

#include "core/wire/reader.h"

typedef struct mfi_tree {
    void *memory; /* values, then texts */
    size_t capacity;
    const mfi_limits *limits; /* borrowed; NULL: the defaults */
    const char *name;         /* of the value in errors, borrowed; NULL: "value" */
    size_t count;             /* of values in memory */
    /* Asked before much memory is reserved; false refuses the value with MF_ERR_LIMIT. NULL: never
     * asked. */
    bool (*admit)(void *self, size_t bytes);
    void *admit_self;
    mf_value root;
} mfi_tree;

#define MFI_TREE_MUCH ((size_t)256 * 1024) /* bytes for which admit is not asked */

void mfi_tree_init(mfi_tree *tree);
void mfi_tree_fini(mfi_tree *tree);
/* Frees the memory if it has more than `most` bytes; the root is then nil. */
void mfi_tree_trim(mfi_tree *tree, size_t most);
/* Decodes one value that fills the slice. Texts are copied and NUL-terminated; bin and ext are
 * views into the slice. On failure the root is nil. */
mf_status mfi_tree_decode(mfi_tree *tree, mfi_slice bytes, mf_error *error);

/* Reads a value as a C type. The error names `what` and both types. */
mf_status mfi_value_read(const mf_value *value, const mf_out *out, const char *what,
                         mf_error *error);

#endif
