/* The two lists that travel with a trace: tracestate (w3.org/TR/trace-context, level 1) and baggage
 * (w3.org/TR/baggage). Both are texts "key=value,key=value", and come from other programs. */
#ifndef MFI_WIRE_TRACE_LISTS_H
#define MFI_WIRE_TRACE_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/wire/envelope.h"

#define MFI_TRACESTATE_MAX_BYTES ((size_t)512)
#define MFI_TRACESTATE_MAX_ENTRIES ((size_t)32)
#define MFI_BAGGAGE_MAX_BYTES ((size_t)1024)
/* A longer text from a peer is not read at all. */
#define MFI_TRACE_LIST_READ_MAX_BYTES ((size_t)16640)

/* Writes what may be passed on, without a NUL, and returns its size. A sound text of at most 512
 * bytes is copied as it is. Of a longer one whole entries are left out: those of more than 128
 * bytes first, from the end, then the last ones. 0: malformed (also if it has more than 32
 * entries), absent or empty. */
size_t mfi_tracestate_read(mfi_text from, char to[MFI_TRACESTATE_MAX_BYTES]);
/* The same for baggage: the members whose key is in `keys` (ends with NULL; NULL: none is), in
 * their order and with their bytes, without the blanks around them. Members that do not fit 1,024
 * bytes are left out. 0 if any member is malformed. */
size_t mfi_baggage_read(mfi_text from, const char *const *keys, char to[MFI_BAGGAGE_MAX_BYTES]);

/* Reads both and keeps them (base/carried.h). Returns the id, with one holder; 0: nothing is left.
 */
uint64_t mfi_trace_lists_keep(mfi_text tracestate, mfi_text baggage, const char *const *keys);

#endif
