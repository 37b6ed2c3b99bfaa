/* Reads msgpack from strangers: iteratively, within bounds, and without trusting a length.
 *
 * Format: github.com/msgpack/msgpack/blob/master/spec.md. Every encoding of a value is accepted,
 * also a longer one than needed. */
#ifndef MFI_WIRE_READER_H
#define MFI_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/value.h>

#include "core/wire/limits.h"
#include "core/wire/slice.h"

/* A position in borrowed bytes, which begin with a whole value. */
typedef struct mfi_reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    size_t start;             /* of the last value that was read */
    const mfi_limits *limits; /* NULL: the defaults */
    const char *root;         /* the name of the whole value in errors; NULL: it is a message */
    bool structure_only;      /* check neither limits nor UTF-8 */
} mfi_reader;

/* Reads one header: the value's kind, and its length or number. Passes over the bytes of str, bin
 * and ext, to which `as` points; the elements of a container follow. Checks all caps of limits.h,
 * lengths first against the bytes left. Errors name the path of the value. */
mf_status mfi_reader_next(mfi_reader *reader, mf_value *ret_value, mf_error *error);

/* Checks and passes over one whole value that lies `depth` containers deep. */
mf_status mfi_reader_skip(mfi_reader *reader, uint32_t depth, mfi_extent *extent, mf_error *error);
/* Passes over one whole value of any depth if its structure holds. Checks neither limits nor UTF-8.
 */
mf_status mfi_reader_skip_structure(mfi_reader *reader, mf_error *error);

#endif
