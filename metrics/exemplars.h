/* Exemplars: for each exposed bucket of a histogram the newest traced call that it counted. */
#ifndef MFI_METRICS_EXEMPLARS_H
#define MFI_METRICS_EXEMPLARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/instruments.h"

#define MFI_EXEMPLAR_TRACE_SIZE 32 /* digits of a trace id */
#define MFI_EXEMPLAR_SPAN_SIZE 16  /* digits of a span id */

typedef struct mfi_exemplar {
    char trace_id[MFI_EXEMPLAR_TRACE_SIZE + 1];
    char span_id[MFI_EXEMPLAR_SPAN_SIZE + 1];
    double value;     /* seconds or bytes */
    uint64_t wall_ns; /* when the call ended */
} mfi_exemplar;

/* Keeps the call as the exemplar of its bucket. Lock-free; the first one of a histogram allocates
 * the places of all. An id of another length is not kept, and neither is a call whose place is
 * being written by another thread, because that thread's call is as new. */
void mfi_exemplar_keep(mf_histogram *histogram, uint64_t integer, const char *trace_id,
                       const char *span_id, uint64_t wall_ns);

/* False if the bucket has none, or one whose ids are not lower-case hexadecimal digits. The bucket
 * behind the last bound is that of +Inf. */
bool mfi_exemplar_read(const mf_histogram *histogram, size_t bucket, mfi_exemplar *ret_exemplar);

#endif
