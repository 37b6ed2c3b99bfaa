/**
 * @file context.h
 * The context that joins log lines and nested calls into one chain.
 */
#ifndef MULTIFROST_CONTEXT_H
#define MULTIFROST_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

#define MF_CORRELATION_ID_MAX 129 /**< Bytes with NUL. */
#define MF_TRACE_ID_MAX 33
#define MF_SPAN_ID_MAX 17
#define MF_REQUEST_ID_MAX 37

/** Ids of the call that a thread works for. Plain data, may be copied and kept. Empty texts mean
 *  none. */
typedef struct mf_context {
    char correlation_id[MF_CORRELATION_ID_MAX];
    char trace_id[MF_TRACE_ID_MAX];
    char span_id[MF_SPAN_ID_MAX];
    char parent_span_id[MF_SPAN_ID_MAX];
    char request_id[MF_REQUEST_ID_MAX];
    char parent_request_id[MF_REQUEST_ID_MAX];
    uint8_t trace_flags;
} mf_context;

/** Copies the calling thread's context; false (and all empty) if it has none. */
MF_API bool mf_context_get(mf_context *ret_context);
/** Makes a copy of context current on the calling thread, NULL for none: for a thread that works
 *  on behalf of a call. Put back what was there with mf_context_get() before. */
MF_API void mf_context_set(const mf_context *context);

MF_EXTERN_C_END

#endif
