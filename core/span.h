/* One call as the engine saw it: filled while the call lives, handed to core/observe. Plain data;
 * times are monotonic nanoseconds, 0 where a step was not reached. */
#ifndef MFI_CORE_SPAN_H
#define MFI_CORE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <multifrost/context.h>
#include <multifrost/error.h>

typedef struct mfi_target mfi_target; /* observe's handle for one parent's target or one worker */
typedef struct mfi_function mfi_function; /* observe's handle for one function of a target */

typedef struct mfi_span {
    mfi_target *target;
    mfi_function *function;    /* its series; may be the one of `_OTHER` */
    const char *function_name; /* as called; valid from call_begin to call_end */
    const char *namespace_name;
    mf_context context;       /* ids of this call */
    uint64_t start_ns;        /* client: call entered; server: message received */
    uint64_t sent_ns;         /* client: handed to the transport; server: handler started */
    uint64_t received_ns;     /* client: answer read; server: handler returned */
    uint64_t released_ns;     /* server: a deferred answer's thread was free again, else 0 */
    uint64_t end_ns;          /* client: result at the caller; server: answer handed over */
    uint64_t server_queue_ns; /* client: from the answer's metadata */
    uint64_t server_handler_ns;
    int64_t deadline_ms; /* the call's timeout; MF_TIMEOUT_INFINITE for none */
    uint32_t request_bytes;
    uint32_t response_bytes;
    uint16_t attempt; /* 1 for the first */
    bool is_server;
    bool has_server_times;
    bool correlation_id_replaced; /* the peer's or caller's was not fit for use */
    mf_status status;             /* at the end */
} mfi_span;

/* Everything empty. Of the ids only the first characters are written: they have half a kilobyte. */
static inline void mfi_span_clear(mfi_span *span)
{
    const size_t behind = offsetof(mfi_span, start_ns);
    memset(span, 0, offsetof(mfi_span, context));
    memset((char *)span + behind, 0, sizeof *span - behind);
    span->context.correlation_id[0] = '\0';
    span->context.trace_id[0] = '\0';
    span->context.span_id[0] = '\0';
    span->context.parent_span_id[0] = '\0';
    span->context.request_id[0] = '\0';
    span->context.parent_request_id[0] = '\0';
    span->context.trace_flags = 0;
}

#endif
