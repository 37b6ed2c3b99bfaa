/* Finds the path of a faulty value. Only errors need paths, so readers keep none; this file finds a
 * path afterwards by reading the bytes once more, up to the fault. */
#include "core/wire/path.h"

#include <string.h>

#include "base/str.h"
#include "core/wire/head.h"
#include "core/wire/key.h"
#include "core/wire/limits.h"

#define KEY_MAX_BYTES ((size_t)64)

void mfi_path_begin(mfi_path *path, const char *root)
{
    path->full = false;
    path->length = mfi_str_copy(path->text, sizeof path->text, root != NULL ? root : "");
}

/* Whether `needed` more bytes fit; if not, the path ends here. Room for "..." and for the number of
 * the byte is always reserved. */
static bool has_room(mfi_path *path, size_t needed)
{
    if (!path->full && path->length + needed + 48 > sizeof path->text) {
        path->full = true;
        path->length +=
            mfi_str_copy(path->text + path->length, sizeof path->text - path->length, "...");
    }
    return !path->full;
}

void mfi_path_index(mfi_path *path, uint64_t index)
{
    if (has_room(path, 24)) {
        path->length += mfi_str_format(path->text + path->length, sizeof path->text - path->length,
                                       "[%llu]", (unsigned long long)index);
    }
}

void mfi_path_pair(mfi_path *path, const mf_value *key, uint64_t number)
{
    char made[MFI_KEY_TEXT];
    const char *text = made;
    size_t length = 0;
    if (key->type == MF_TYPE_STR && key->length > 0 && key->as.str != NULL) {
        text = key->as.str;
        length = mfi_utf8_prefix(text, key->length, KEY_MAX_BYTES);
    } else if (mfi_key_text(key, made)) {
        length = strlen(made);
    }
    if (length == 0 || !mfi_utf8_valid(text, length)) {
        mfi_path_index(path, number);
    } else if (has_room(path, length + 1)) {
        path->length += mfi_str_format(path->text + path->length, sizeof path->text - path->length,
                                       "%s%.*s", path->length > 0 ? "." : "", (int)length, text);
    }
}

/* One open container on the way to the target. */
typedef struct step {
    mf_value key; /* of the pair that the walk is in */
    uint64_t left;
    uint64_t taken;
    bool is_map;
} step;

/* Counts a value in the innermost open container, to which it belongs. */
static void count_in(step *innermost, const mf_value *value)
{
    if (innermost->is_map && innermost->taken % 2 == 0) {
        innermost->key = *value;
    }
    innermost->taken++;
    innermost->left--;
}

static void add_steps(mfi_path *path, step *steps, size_t open)
{
    for (size_t i = 1; i <= open; i++) {
        uint64_t index = steps[i].taken - 1;
        if (steps[i].is_map) {
            mfi_path_pair(path, &steps[i].key, index / 2);
        } else {
            mfi_path_index(path, index);
        }
    }
}

void mfi_path_find(mfi_path *path, const char *root, const uint8_t *data, size_t size,
                   size_t target)
{
    const uint8_t *at = data;
    const uint8_t *end = data + size;
    step steps[MFI_DEPTH_MAX + 2];
    size_t open = 0;
    mf_value value = mf_nil();
    steps[0] = (step){.left = 1};
    mfi_path_begin(path, root);
    for (;;) {
        while (open > 0 && steps[open].left == 0) {
            open--;
        }
        bool found = (size_t)(at - data) >= target;
        const uint8_t *next = mfi_head(at, end, &value);
        if (next == NULL) {
            value = mf_array(NULL, 0); /* a faulty key is shown by its number */
            next = at < end ? at + 1 : end;
        }
        at = next;
        count_in(&steps[open], &value);
        if (found) {
            break;
        }
        bool is_map = value.type == MF_TYPE_MAP;
        if ((is_map || value.type == MF_TYPE_ARRAY) && value.length > 0) {
            if (open == MFI_DEPTH_MAX + 1) {
                break; /* deeper than any value that readers check */
            }
            uint64_t left = is_map ? (uint64_t)value.length * 2 : value.length;
            steps[++open] = (step){.left = left, .is_map = is_map};
        }
    }
    add_steps(path, steps, open);
    if (path->length == 0) {
        path->length = mfi_str_copy(path->text, sizeof path->text, "message");
    }
    path->length += mfi_str_format(path->text + path->length, sizeof path->text - path->length,
                                   " (byte %zu)", target);
}
