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

#define MF_CORRELATION_ID_MAX 129 /**< Bytes: 128 characters and the NUL. */
#define MF_TRACE_ID_MAX 33        /**< Bytes: 32 hexadecimal digits and the NUL. */
#define MF_SPAN_ID_MAX 17         /**< Bytes: 16 hexadecimal digits and the NUL. */
#define MF_REQUEST_ID_MAX 37      /**< Bytes: the 36 characters of a UUID and the NUL. */

/** Ids of the call that a thread works for. Plain data, may be copied and kept. An empty text means
 *  that there is no such id. */
typedef struct mf_context {
    char correlation_id[MF_CORRELATION_ID_MAX];
    char trace_id[MF_TRACE_ID_MAX];
    char span_id[MF_SPAN_ID_MAX];
    char parent_span_id[MF_SPAN_ID_MAX];
    char request_id[MF_REQUEST_ID_MAX];
    char parent_request_id[MF_REQUEST_ID_MAX];
    uint8_t trace_flags;
    /** Finds the tracestate and the baggage of the call, which calls that are made under this
     *  context carry on. 0: none. Programs copy it with the rest. The library keeps the texts until
     *  the call has ended, and longer as long as fewer than 1,024 later calls carried such texts.
     */
    uint64_t carried;
} mf_context;

/**
 * Copies the calling thread's context.
 *
 * @param ret_context Receives the copy; all empty if the thread has no context. NULL only asks.
 * @return Whether the thread has a context.
 * @par Threads Thread-safe: each thread has a context of its own.
 */
MF_API bool mf_context_get(mf_context *ret_context);
/**
 * Makes a context current on the calling thread, for a thread that works on behalf of a call.
 * A thread that replaces a context saves it with mf_context_get() before and sets it again after.
 *
 * @param context Copied. NULL removes the current context.
 * @par Threads Thread-safe: each thread has a context of its own.
 */
MF_API void mf_context_set(const mf_context *context);

MF_EXTERN_C_END

#endif
