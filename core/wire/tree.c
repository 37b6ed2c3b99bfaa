/* Two passes: the first checks everything and counts, the second fills one block of memory that is
 * exactly large enough. */
#include "core/wire/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/wire/limits.h"

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

static mf_status reserve(mfi_tree *tree, size_t needed, mf_error *error)
{
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

/* Where the elements of one open container go. */
typedef struct frame {
    mf_value *next;
    uint32_t left;
} frame;

static mf_value with_text(mf_value value, char **texts)
{
    if (value.type == MF_TYPE_STR) {
        char *text = *texts;
        if (value.length > 0) {
            memcpy(text, value.as.str, value.length);
        }
        text[value.length] = '\0';
        value.as.str = text;
        *texts = text + value.length + 1;
    }
    return value;
}

/* The bytes were checked: nothing can go wrong any more. */
static void fill(mfi_tree *tree, mfi_slice bytes, size_t value_count)
{
    mfi_reader reader = {.data = bytes.data, .size = bytes.size, .structure_only = true};
    mf_value *values = tree->memory; /* the first is the root, then containers' elements */
    char *texts = (char *)(values + value_count);
    mf_value *unused = values + 1;
    frame frames[MFI_DEPTH_MAX + 1];
    uint32_t open = 0;
    frames[0] = (frame){.next = values, .left = 1};
    while (frames[0].left > 0 || open > 0) {
        if (frames[open].left == 0) {
            open--;
            continue;
        }
        mf_value value;
        (void)mfi_reader_next(&reader, &value, NULL);
        value = with_text(value, &texts);
        mf_value *place = frames[open].next++;
        frames[open].left--;
        if (value.type == MF_TYPE_ARRAY || value.type == MF_TYPE_MAP) {
            uint32_t count = value.type == MF_TYPE_MAP ? value.length * 2 : value.length;
            value.as.items = unused;
            frames[++open] = (frame){.next = unused, .left = count};
            unused += count;
        }
        *place = value;
    }
    tree->count = value_count;
    tree->root = values[0];
}

mf_status mfi_tree_decode(mfi_tree *tree, mfi_slice bytes, mf_error *error)
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
