/* The bytes of a segment, for its writer and its reader. Every number is in the machine's order,
 * because both run on one machine. Another layout needs another MFI_SEGMENT_VERSION; the fields up
 * to `size` stay where they are in every version. */
#ifndef MFI_METRICS_SEGMENT_LAYOUT_H
#define MFI_METRICS_SEGMENT_LAYOUT_H

#include <stddef.h>

#include "metrics/segment.h"

#define MFI_SEGMENT_MAGIC UINT64_C(0x6d66736567000d0a)
#define MFI_SEGMENT_LINE ((size_t)64)
#define MFI_SEGMENT_PAGE ((size_t)4096)

/* ---- Running entries ---- */

enum {
    MFI_SEGMENT_TEXT_FUNCTION,
    MFI_SEGMENT_TEXT_CORRELATION,
    MFI_SEGMENT_TEXT_TRACE,
    MFI_SEGMENT_TEXT_SPAN,
    MFI_SEGMENT_TEXT_REQUEST,
    MFI_SEGMENT_TEXT_NAMESPACE,
    MFI_SEGMENT_TEXTS
};

/* Limits of the texts in bytes: multiples of 8, below 256. */
static const uint8_t mfi_segment_text_max[MFI_SEGMENT_TEXTS] = {
    MFI_SEGMENT_FUNCTION_MAX, MFI_SEGMENT_CORRELATION_MAX, MFI_SEGMENT_TRACE_MAX,
    MFI_SEGMENT_SPAN_MAX,     MFI_SEGMENT_REQUEST_MAX,     MFI_SEGMENT_NAMESPACE_MAX};
/* Where they begin, in words. */
static const uint8_t mfi_segment_text_at[MFI_SEGMENT_TEXTS] = {
    0,
    MFI_SEGMENT_FUNCTION_MAX / 8,
    (MFI_SEGMENT_FUNCTION_MAX + MFI_SEGMENT_CORRELATION_MAX) / 8,
    (MFI_SEGMENT_FUNCTION_MAX + MFI_SEGMENT_CORRELATION_MAX + MFI_SEGMENT_TRACE_MAX) / 8,
    (MFI_SEGMENT_FUNCTION_MAX + MFI_SEGMENT_CORRELATION_MAX + MFI_SEGMENT_TRACE_MAX +
     MFI_SEGMENT_SPAN_MAX) /
        8,
    (MFI_SEGMENT_FUNCTION_MAX + MFI_SEGMENT_CORRELATION_MAX + MFI_SEGMENT_TRACE_MAX +
     MFI_SEGMENT_SPAN_MAX + MFI_SEGMENT_REQUEST_MAX) /
        8};
/* In place of the size of a correlation id that is the trace id. */
#define MFI_SEGMENT_SAME_AS_TRACE UINT64_C(255)
#define MFI_SEGMENT_TEXT_WORDS                                                                     \
    ((MFI_SEGMENT_FUNCTION_MAX + MFI_SEGMENT_CORRELATION_MAX + MFI_SEGMENT_TRACE_MAX +             \
      MFI_SEGMENT_SPAN_MAX + MFI_SEGMENT_REQUEST_MAX + MFI_SEGMENT_NAMESPACE_MAX) /                \
     8)

typedef struct mfi_segment_entry {
    _Alignas(64) _Atomic(uint64_t) version; /* odd while the handler thread writes */
    _Atomic(uint64_t) started_ns;           /* 0: nothing runs */
    _Atomic(uint64_t) sizes;                /* a byte for each text */
    _Atomic(uint64_t) words[MFI_SEGMENT_TEXT_WORDS];
} mfi_segment_entry;

/* ---- The whole ---- */

/* Both numbers of what waits change at once, so they share a word. */
#define MFI_SEGMENT_ONE_CALL (UINT64_C(1) << 40)

typedef struct mfi_segment_head {
    uint64_t magic;
    uint32_t version;                    /* of the parent, who made it */
    _Atomic(uint32_t) worker_version;    /* 0: no worker has attached */
    uint64_t size;                       /* bytes of the segment */
    _Alignas(64) _Atomic(uint64_t) used; /* bytes of complete blocks; released */
    _Atomic(uint64_t) lost_series;
    _Alignas(64) _Atomic(uint64_t) log_from,
        log_to;                             /* bytes ever written: what is kept lies between */
    _Alignas(64) _Atomic(uint64_t) waiting; /* calls that wait, and below them their bytes */
    _Atomic(uint64_t) gauges[MFI_SEGMENT_GAUGES];
    _Alignas(4096) mfi_segment_entry running[MFI_SEGMENT_RUNNING];
    _Alignas(4096) _Atomic(char) log[MFI_SEGMENT_LOG_BYTES];
    _Alignas(4096) unsigned char blocks[]; /* up to the end of the segment */
} mfi_segment_head;

_Static_assert(offsetof(mfi_segment_head, version) == 8 &&
                   offsetof(mfi_segment_head, worker_version) == 12 &&
                   offsetof(mfi_segment_head, size) == 16,
               "the same in every version");
_Static_assert(sizeof(mfi_segment_head) == offsetof(mfi_segment_head, blocks) &&
                   sizeof(mfi_segment_head) < MFI_SEGMENT_BYTES_LEAST,
               "blocks begin where the head ends");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && sizeof(_Atomic(uint64_t)) == 8,
               "processes share no lock of atomics");

/* ---- Blocks ---- */

#define MFI_SEGMENT_SERIES 4u /* a kind beside those of mfi_cells_kind */

/* Blocks follow each other without gaps, each as long as whole lines. The payload lies at the end.
 * The block of kind SERIES with number n is the nth one, and its cells refer to it by that number.
 * Once `used` covers a block, nothing in it changes but cells. */
typedef struct mfi_segment_block {
    _Atomic(uint32_t) size; /* bytes, with the payload */
    _Atomic(uint32_t) series;
    _Atomic(uint8_t) kind, shard, octave, unused;
    _Atomic(uint32_t) more; /* nothing yet */
} mfi_segment_block;

typedef struct mfi_segment_series {
    _Atomic(uint32_t) family, word;
    _Atomic(uint32_t) cell; /* of a counter: page * MFI_PAGE_COUNTERS + index; pages count from 0 */
    _Atomic(uint32_t) function_size;
    _Atomic(uint64_t) function[MFI_SEGMENT_FUNCTION_MAX / 8];
} mfi_segment_series;

/* Bytes of a block with a payload of this size. */
static inline size_t mfi_segment_block_size(size_t payload)
{
    return (sizeof(mfi_segment_block) + payload + MFI_SEGMENT_LINE - 1) & ~(MFI_SEGMENT_LINE - 1);
}

static inline size_t mfi_segment_blocks_size(size_t segment)
{
    return (segment - sizeof(mfi_segment_head)) & ~(MFI_SEGMENT_LINE - 1);
}

/* Whether fd is a segment's memory: sealed, and of a size within the bounds. */
bool mfi_segment_is_sealed(int fd, size_t *ret_size);

#endif
