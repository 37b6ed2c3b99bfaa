/* One call as the engine saw it: filled during the call, then given to core/observe. Plain data.
 * Times are monotonic nanoseconds; 0 if a step was not reached. The caller's side and the worker's
 * side each have a span. */
#ifndef MFI_OBSERVE_SPAN_H
#define MFI_OBSERVE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <multifrost/context.h>
#include <multifrost/error.h>

/* Observe's handle of one parent's target, or of one worker. */
typedef struct mfi_target mfi_target;
typedef struct mfi_function mfi_function; /* observe's handle of one function of a target */

/* The entry that the recorder keeps of a call (recorder.h). */
typedef struct mfi_recorded {
    struct mfi_recorder_entry *entry; /* NULL: the call has none */
    uint64_t turn;                    /* tells the entry's present attempt from those before it;
                                         without an entry not 0 if the call is counted as open */
} mfi_recorded;

/* A call as its caller sees it. */
typedef struct mfi_client_span {
    mfi_target *target;
    mfi_function *function;    /* its series; may be those of `_OTHER` */
    const char *function_name; /* as called; valid until the end was reported */
    const char *namespace_name;
    mf_context context;                          /* ids of this call */
    uint64_t start_ns;                           /* the call began */
    uint64_t sent_ns;                            /* the present attempt was sent */
    uint64_t received_ns;                        /* the answer was received */
    uint64_t end_ns;                             /* the caller has the result */
    uint64_t server_queue_ns, server_handler_ns; /* from the answer, if has_server_times */
    int64_t deadline_ms; /* the call's timeout; MF_TIMEOUT_INFINITE for none */
    uint32_t request_bytes;
    uint32_t response_bytes;
    uint16_t attempt; /* 1 for the first attempt */
    bool has_server_times;
    bool is_refused;  /* the present attempt was refused before it was queued */
    uint8_t refusal;  /* mfi_refusal; if is_refused */
    mf_status status; /* set at the end */
    mfi_recorded recorded;
} mfi_client_span;

/* A call as the worker sees it. */
typedef struct mfi_server_span {
    mfi_target *target;
    mfi_function *function;    /* its series; may be those of `_OTHER` */
    const char *function_name; /* as called; valid until the end was reported */
    const char *namespace_name;
    mf_context context;   /* ids of this call */
    uint64_t received_ns; /* the message was received */
    uint64_t begun_ns;    /* the handler was started */
    uint64_t done_ns;     /* the handler returned, or its deferred answer was given */
    uint64_t released_ns; /* the thread that deferred was free again; else 0 */
    uint64_t end_ns;      /* the answer was queued to be sent */
    uint64_t deadline_ns; /* when the caller stops to wait; 0: never, or not known */
    uint32_t request_bytes;
    uint32_t response_bytes;
    bool correlation_id_replaced; /* the caller's id was not valid */
    bool has_run;                 /* a handler was started for the call */
    mf_status status;             /* at the end */
    mfi_recorded recorded;
} mfi_server_span;

/* The ids are texts of half a kilobyte. Only their first characters are cleared. */
static inline void mfi_span_clear_ids(mf_context *context)
{
    context->correlation_id[0] = '\0';
    context->trace_id[0] = '\0';
    context->span_id[0] = '\0';
    context->parent_span_id[0] = '\0';
    context->request_id[0] = '\0';
    context->parent_request_id[0] = '\0';
    context->trace_flags = 0;
}

/* Both clear the whole span. */
static inline void mfi_client_span_clear(mfi_client_span *span)
{
    const size_t behind = offsetof(mfi_client_span, start_ns);
    memset(span, 0, offsetof(mfi_client_span, context));
    memset((char *)span + behind, 0, sizeof *span - behind);
    mfi_span_clear_ids(&span->context);
}

static inline void mfi_server_span_clear(mfi_server_span *span)
{
    const size_t behind = offsetof(mfi_server_span, received_ns);
    memset(span, 0, offsetof(mfi_server_span, context));
    memset((char *)span + behind, 0, sizeof *span - behind);
    mfi_span_clear_ids(&span->context);
}

#endif
