/* Parts of a received message: where their bytes are, and the memory that a tree of them needs. */
#ifndef MFI_WIRE_SLICE_H
#define MFI_WIRE_SLICE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a message, borrowed from it. */
typedef struct mfi_slice {
    const uint8_t *data; /* NULL: absent */
    size_t size;
} mfi_slice;

/* Totals of one value, counted while it is checked. */
typedef struct mfi_extent {
    size_t values;       /* the value itself and all values in it */
    size_t string_bytes; /* of all str, with a NUL for each */
} mfi_extent;

#endif
