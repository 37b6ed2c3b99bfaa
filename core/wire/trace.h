/* W3C Trace Context, level 1: the traceparent header (w3.org/TR/trace-context). */
#ifndef MFI_WIRE_TRACE_H
#define MFI_WIRE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFI_TRACEPARENT_VARIABLE "TRACEPARENT"
#define MFI_TRACESTATE_VARIABLE "TRACESTATE"
#define MFI_TRACEPARENT_TEXT 56 /* 55 characters and the NUL */

/* Reads "00-<32 hex>-<16 hex>-<2 hex>". Version ff and all-zero ids are invalid; of a higher
 * version the first 55 characters are read. Writes nothing if it returns false. */
bool mfi_traceparent_parse(const char *text, size_t length, char trace_id[33], char span_id[17],
                           uint8_t *ret_flags);
/* The same, from the environment variable TRACEPARENT: the trace that started this program. */
bool mfi_traceparent_inherited(char trace_id[33], char span_id[17], uint8_t *ret_flags);
/* Write new ids, never all zero. */
void mfi_trace_new_id(char to[33]);
void mfi_trace_new_span_id(char to[17]);

void mfi_traceparent_format(char to[MFI_TRACEPARENT_TEXT], const char *trace_id,
                            const char *span_id, uint8_t flags);

#endif
