/* Decodes values into trees. A short flat value takes one pass. Others take two: the first checks
 * and counts, the second fills one block of memory of exactly that size. */
#include "core/wire/tree.h"

#include <stdlib.h>

#include "base/error.h"
#include "core/wire/head.h"
#include "core/wire/limits.h"
#include "core/wire/put.h"

/* Longer values take two passes, because one pass would reserve memory by bytes, not by values. */
#define FLAT_MAX_BYTES ((size_t)4096)

void mfi_tree_init(mfi_tree *tree)
{
    *tree = (mfi_tree){.root = mf_nil()};
}

void mfi_tree_fini(mfi_tree *tree)
{
    free(tree->memory);
    mfi_tree_init(tree);
}

void mfi_tree_trim(mfi_tree *tree, size_t most)
{
    if (tree->capacity > most) {
        free(tree->memory);
        tree->memory = NULL;
        tree->capacity = 0;
        tree->root = mf_nil();
    }
}

static mf_status reserve_more(mfi_tree *tree, size_t needed, mf_error *error)
{
    if (needed > MFI_TREE_MUCH && tree->admit != NULL && !tree->admit(tree->admit_self, needed)) {
        return mfi_fail(error, MF_ERR_LIMIT,
                        "%s takes %zu bytes decoded, more than max_queued_bytes leaves",
                        tree->name != NULL ? tree->name : "value", needed);
    }
    if (needed > tree->capacity) {
        void *memory = realloc(tree->memory, needed);
        if (memory == NULL) {
            return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a value of %zu bytes", needed);
        }
        tree->memory = memory;
        tree->capacity = needed;
    }
    return MF_OK;
}

static inline mf_status reserve(mfi_tree *tree, size_t needed, mf_error *error)
{
    return needed <= tree->capacity && needed <= MFI_TREE_MUCH ? MF_OK
                                                               : reserve_more(tree, needed, error);
}

/* Returns the value; copies the text of a str to *texts. */
static inline mf_value with_text(mf_value value, uint8_t **texts)
{
    if (value.type == MF_TYPE_STR) {
        const char *text = value.as.str;
        value.as.bytes = *texts;
        *texts = mfi_put_byte(mfi_put_bytes(*texts, text, value.length), '\0');
    }
    return value;
}

/* The place for the elements of one open container. */
typedef struct frame {
    mf_value *next;
    uint64_t left;
} frame;

/* Cannot fail, because the bytes were checked. */
static void fill(mfi_tree *tree, mfi_slice bytes, size_t value_count)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = bytes.data + bytes.size;
    mf_value *values = tree->memory; /* the root, then the elements of each container */
    uint8_t *texts = (uint8_t *)(values + value_count);
    mf_value *unused = values + 1;
    frame outer[MFI_DEPTH_MAX + 1];
    uint32_t open = 0;
    frame inner = {.next = values, .left = 1};
    for (;;) {
        mf_value value;
        at = mfi_head(at, end, &value);
        value = with_text(value, &texts);
        mf_value *place = inner.next++;
        inner.left--;
        if (value.type == MF_TYPE_ARRAY || value.type == MF_TYPE_MAP) {
            uint64_t count = value.type == MF_TYPE_MAP ? (uint64_t)value.length * 2 : value.length;
            value.as.items = unused;
            outer[open++] = inner;
            inner = (frame){.next = unused, .left = count};
            unused += count;
        }
        *place = value;
        while (inner.left == 0) {
            if (open == 0) {
                tree->count = value_count;
                tree->root = values[0];
                return;
            }
            inner = outer[--open];
        }
    }
}

/* Decodes a scalar or an array of scalars in one pass; false if the value is of another form or
 * malformed. Reserves memory by the bytes, because each element has at least one. */
static bool decode_flat(mfi_tree *tree, mfi_slice bytes, const mfi_limits *limits,
                        mf_status *ret_status, mf_error *error)
{
    mf_value value;
    const uint8_t *end = bytes.data + bytes.size;
    const uint8_t *at = mfi_head(bytes.data, end, &value);
    if (at == NULL || value.type == MF_TYPE_MAP || !mfi_head_fits(&value, limits)) {
        return false;
    }
    uint32_t count = value.type == MF_TYPE_ARRAY ? value.length : 0;
    *ret_status = reserve(tree, (count + 1u) * sizeof(mf_value) + bytes.size, error);
    if (*ret_status != MF_OK) {
        tree->root = mf_nil();
        return true;
    }
    mf_value *values = tree->memory;
    uint8_t *texts = (uint8_t *)(values + count + 1);
    mf_value root = with_text(value, &texts);
    if (root.type == MF_TYPE_ARRAY) {
        root.as.items = values + 1;
    }
    values[0] = root;
    for (uint32_t i = 1; i <= count; i++) {
        at = mfi_head(at, end, &value);
        if (at == NULL || value.type == MF_TYPE_ARRAY || value.type == MF_TYPE_MAP ||
            !mfi_head_fits(&value, limits)) {
            return false;
        }
        values[i] = with_text(value, &texts);
    }
    if (at == end) {
        tree->count = count + 1u;
        tree->root = root;
    }
    return at == end;
}

static mf_status decode_any(mfi_tree *tree, mfi_slice bytes, mf_error *error)
{
    mfi_reader reader = {.data = bytes.data,
                         .size = bytes.size,
                         .limits = tree->limits,
                         .root = tree->name != NULL ? tree->name : "value"};
    mfi_extent extent = {0};
    tree->root = mf_nil();
    mf_status status = mfi_reader_skip(&reader, 0, &extent, error);
    if (status == MF_OK && reader.at != reader.size) {
        status = mfi_fail(error, MF_ERR_PROTOCOL, "%zu bytes follow the msgpack value",
                          reader.size - reader.at);
    }
    if (status == MF_OK) {
        status = reserve(tree, extent.values * sizeof(mf_value) + extent.string_bytes, error);
    }
    if (status == MF_OK) {
        fill(tree, bytes, extent.values);
    }
    return status;
}

mf_status mfi_tree_decode(mfi_tree *tree, mfi_slice bytes, mf_error *error)
{
    mf_status status = MF_OK;
    const mfi_limits *limits = tree->limits != NULL ? tree->limits : &mfi_limits_default;
    bool decided = bytes.size > 0 && bytes.size <= FLAT_MAX_BYTES &&
                   decode_flat(tree, bytes, limits, &status, error);
    return decided ? status : decode_any(tree, bytes, error);
}
