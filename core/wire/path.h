/* Where in a tree a value is: "args[2].name". Made only when an error has to say so. */
#ifndef MFI_WIRE_PATH_H
#define MFI_WIRE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/value.h>

typedef struct mfi_path {
    char text[256]; /* NUL-terminated UTF-8; a path that is too long ends in "..." */
    size_t length;
    bool full;
} mfi_path;

/* NULL: a message, whose fields begin the path. */
void mfi_path_begin(mfi_path *path, const char *root);
void mfi_path_index(mfi_path *path, uint64_t index);
/* One pair of a map: by its key, or by its number where the key has no text. */
void mfi_path_pair(mfi_path *path, const mf_value *key, uint64_t number);

/* The path of the value that begins at byte `target` of a msgpack value, which must be well-formed
 * up to there; followed by that number: "args[2].name (byte 117)". */
void mfi_path_find(mfi_path *path, const char *root, const uint8_t *data, size_t size,
                   size_t target);

#endif
