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
#include "core/wire/slice.h"

/* A position in bytes that somebody else owns and that begin with a whole value. */
typedef struct mfi_reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    size_t start;             /* of the value that was read last */
    const mfi_limits *limits; /* NULL: the defaults */
    const char *root;         /* how errors call the whole value; NULL: it is a message */
    bool structure_only;      /* check neither limits nor UTF-8, only what is needed to go on */
} mfi_reader;

/* Reads one header: the value's kind, its length or number. For str, bin and ext the bytes are
 * passed over and `as` points to them; the elements of containers follow and are not read. All
 * caps of limits.h are checked, lengths first against the bytes that are there. Errors name the
 * value by its path, which is looked for only then. */
mf_status mfi_reader_next(mfi_reader *reader, mf_value *ret_value, mf_error *error);

/* Checks and passes over one whole value that lies `depth` containers deep. */
mf_status mfi_reader_skip(mfi_reader *reader, uint32_t depth, mfi_extent *extent, mf_error *error);
/* Passes over one whole value of whatever depth, as far as its structure holds: neither limits nor
 * UTF-8 matter. */
mf_status mfi_reader_skip_structure(mfi_reader *reader, mf_error *error);

#endif
