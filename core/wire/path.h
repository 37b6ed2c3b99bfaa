/* The place of a value in a tree: "args[2].name". Made only for errors. */
#ifndef MFI_WIRE_PATH_H
#define MFI_WIRE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/value.h>

typedef struct mfi_path {
    char text[256]; /* NUL-terminated UTF-8; a longer path is cut and ends in "..." */
    size_t length;
    bool full;
} mfi_path;

/* root NULL: the tree is a message, and its fields begin the path. */
void mfi_path_begin(mfi_path *path, const char *root);
void mfi_path_index(mfi_path *path, uint64_t index);
/* Adds one pair of a map: its key, or its number if the key has no text form. */
void mfi_path_pair(mfi_path *path, const mf_value *key, uint64_t number);

/* Finds the value that begins at byte `target` of a msgpack value, which must be well-formed up to
 * there. Writes its path and the number of the byte: "args[2].name (byte 117)". */
void mfi_path_find(mfi_path *path, const char *root, const uint8_t *data, size_t size,
                   size_t target);

#endif
