/* The start of a worker as a span: which trace it joins, and when it ends. It exists so that every
 * start ends its span once, whether the worker became ready, failed, or was stopped before. Engine
 * thread, but for mfi_start_span_join(). */
#include <stdlib.h>
#include <string.h>

#include "base/carried.h"
#include "base/context.h"
#include "base/str.h"
#include "core/client/link/link.h"
#include "core/wire/trace.h"
#include "core/wire/trace_lists.h"

/* A trace that begins elsewhere: its ids become those of the parent span. */
static void join(mf_context *to, const char *trace_id, const char *span_id, uint8_t flags)
{
    memcpy(to->trace_id, trace_id, sizeof to->trace_id);
    memcpy(to->parent_span_id, span_id, sizeof to->parent_span_id);
    to->trace_flags = flags;
}

void mfi_start_span_join(mfi_state *state)
{
    const mf_context *current = mfi_context_current();
    if (current != NULL && current->trace_id[0] != '\0') {
        join(&state->first_start, current->trace_id, current->span_id, current->trace_flags);
        mfi_carried_drop(&state->first_start.carried); /* of an earlier start that was refused */
        state->first_start.carried = mfi_carried_hold(current->carried);
    }
}

/* The tracestate in this program's environment. */
static uint64_t inherited_state(void)
{
    const char *text = getenv(MFI_TRACESTATE_VARIABLE); /* NOLINT: no thread of ours sets it */
    mfi_text none = {NULL, 0};
    return text != NULL ? mfi_trace_lists_keep((mfi_text){text, strlen(text)}, none, NULL) : 0;
}

void mfi_start_span_begin(mfi_link *link)
{
    char trace_id[MF_TRACE_ID_MAX];
    char span_id[MF_SPAN_ID_MAX];
    uint8_t flags = 0;
    mf_context *context = &link->start_span;
    if (link->start_is_open) {
        return; /* the same start tries again */
    }
    *context = link->state->first_start;
    mfi_span_clear_ids(&link->state->first_start); /* later starts are no part of that call */
    link->start_is_inherited = false;
    if (context->trace_id[0] == '\0' && mfi_traceparent_inherited(trace_id, span_id, &flags)) {
        join(context, trace_id, span_id, flags);
        context->carried = inherited_state();
        link->start_is_inherited = true;
    } else if (context->trace_id[0] == '\0') {
        mfi_trace_new_id(context->trace_id);
        context->trace_flags = 2; /* random trace id */
    }
    mfi_trace_new_span_id(context->span_id);
    link->start_is_open = true;
    link->start_began_ns = mfi_monotonic_ns();
}

static bool names(const char *entry, const char *variable)
{
    size_t length = strlen(variable);
    return strncmp(entry, variable, length) == 0 && entry[length] == '=';
}

size_t mfi_start_span_environment(const mfi_link *link, const char *const *given,
                                  mfi_start_environment *texts, const char *to[2])
{
    char value[MFI_TRACEPARENT_TEXT];
    const mf_context *context = &link->start_span;
    for (size_t i = 0; given[i] != NULL; i++) {
        if (names(given[i], MFI_TRACEPARENT_VARIABLE)) {
            return 0; /* the program chose another trace for its worker */
        }
    }
    mfi_traceparent_format(value, context->trace_id, context->span_id, context->trace_flags);
    (void)mfi_str_format(texts->traceparent, sizeof texts->traceparent, "%s=%s",
                         MFI_TRACEPARENT_VARIABLE, value);
    to[0] = texts->traceparent;
    if (link->start_is_inherited) {
        return 1;
    }
    /* That of this program's environment belongs to another trace. */
    const char *state = mfi_carried_tracestate(context->carried);
    (void)mfi_str_format(texts->tracestate, sizeof texts->tracestate, "%s=%s",
                         MFI_TRACESTATE_VARIABLE, state != NULL ? state : "");
    to[1] = texts->tracestate;
    return 2;
}

void mfi_start_span_end(mfi_link *link, mf_status status, const char *text)
{
    if (!link->start_is_open) {
        return;
    }
    link->start_is_open = false;
    if (link->ops->owns_process) { /* a service is found, not started */
        mfi_observe_start_ended(link->state->observed,
                                &(mfi_start_event){.context = &link->start_span,
                                                   .status = status,
                                                   .text = text,
                                                   .began_ns = link->start_began_ns,
                                                   .ended_ns = mfi_monotonic_ns()});
    }
    mfi_carried_drop(&link->start_span.carried);
}
