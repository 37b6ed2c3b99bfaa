/* Reading msgpack from strangers: iterative, bounded, and never trusting a claimed length.
 *
 * Format: github.com/msgpack/msgpack/blob/master/spec.md. Every encoding of a value is accepted,
 * also those that are longer than needed. */
#ifndef MFI_WIRE_READER_H
#define MFI_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/value.h>

#include "core/wire/limits.h"

typedef struct mfi_slice {
    const uint8_t *data; /* NULL: absent */
    size_t size;
} mfi_slice;

/* A position in bytes that somebody else owns. */
typedef struct mfi_reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    const mfi_limits *limits; /* NULL: the defaults */
} mfi_reader;

/* Reads one header: the value's kind, its length or number. For str, bin and ext the bytes are
 * passed over and `as` points to them; the elements of containers follow and are not read. All
 * caps of limits.h are checked, lengths against the bytes that are there. */
mf_status mfi_reader_next(mfi_reader *reader, mf_value *ret_value, mf_error *error);

/* Totals of one value, counted while it is checked. */
typedef struct mfi_extent {
    size_t values;       /* itself and everything in it */
    size_t string_bytes; /* of all str, with a NUL for each */
} mfi_extent;
/* Checks and passes over one whole value that lies `depth` containers deep. */
mf_status mfi_reader_skip(mfi_reader *reader, uint32_t depth, mfi_extent *extent, mf_error *error);

#endif
