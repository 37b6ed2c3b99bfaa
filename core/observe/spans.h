/* What the program's span observer gets: made from the engine's spans when they end. Called only if
 * there is an observer. Included by the files of core/observe and their tests alone. */
#ifndef MFI_OBSERVE_SPANS_H
#define MFI_OBSERVE_SPANS_H

#include "core/observe/parts.h"

/* Whether the program wants spans. */
static inline bool mfi_spans_wanted(const mfi_target *target)
{
    return __builtin_expect(target->observer->spans.fn != NULL, 0);
}

/* An attempt has failed and another one follows: its span ends. The call's goes on. */
void mfi_spans_retry(mfi_client_span *span, mf_status status, const mf_error *error);
/* The call has ended, and its last attempt with it. */
void mfi_spans_client_end(const mfi_client_span *span, const mf_error *error);
void mfi_spans_server_end(const mfi_server_span *span, const mf_error *error);
void mfi_spans_start_ended(const mfi_target *target, const mfi_start_event *event);

#endif
