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

#include "core/words/handler_states.h"

/* Where the time of a sampled handler went. The sum of the states is the time that the handler
 * took, until it returned. */
typedef struct mfi_handler_times {
    uint64_t ns[MFI_HANDLER_STATE_COUNT];
    uint32_t one_in; /* calls for each sampled one, in the mean; 0: the call was not sampled */
} mfi_handler_times;

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
    uint64_t attempt_ns; /* the present attempt began; 0: it has not */
    uint64_t call_id;    /* span id of a call whose attempts have spans; 0: none was drawn yet */
    uint32_t request_bytes;
    uint32_t response_bytes;
    uint16_t attempt;  /* 1 for the first attempt */
    bool has_attempts; /* retries are on: each attempt is a span of its own */
    bool has_server_times;
    bool has_pushback;   /* the answer says when another attempt may follow */
    int64_t pushback_ms; /* then: after this wait; negative: none may */
    bool is_refused;     /* the present attempt was refused before it was queued */
    uint8_t refusal;     /* mfi_refusal; if is_refused */
    mf_status status;    /* set at the end */
    mfi_recorded recorded;
} mfi_client_span;

#define MFI_NO_HANDLER UINT32_MAX /* the call is answered without a handler's thread */

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
    uint32_t handler;             /* number of the thread that runs the handler */
    bool has_run;                 /* a handler was started for the call */
    mfi_handler_times handler_times;
    mf_status status; /* at the end */
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
    context->carried = 0;
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
