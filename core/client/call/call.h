/* The steps of one call, for the ways to make one: a call is opened once, makes one or more
 * attempts, and is finished once. Each attempt has a slot and a message id of its own; the span is
 * the call's, and goes from attempt to attempt. */
#ifndef MFI_CLIENT_CALL_CALL_H
#define MFI_CLIENT_CALL_CALL_H

#include "core/client/call/request.h"
#include "core/words/refusals.h"

/* Counts and reports the beginning. MF_ERR_TOO_MANY_CALLS: it is finished already. */
mf_status mfi_call_open(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                        mf_error *error);
/* One attempt: admitted by the circuit, encoded, ready to be activated. On failure it has ended,
 * and nothing was sent; the slot is still the caller's. NULL, for want of one, is such a failure.
 */
mf_status mfi_attempt_begin(mfi_calls *calls, const mfi_call_request *request,
                            mfi_client_span *span, mfi_slot *slot, mf_error *error);
/* The outcome that was written to the slot becomes status, error (not NULL) and result. Once for
 * each slot that was activated, on the thread that gets the result. */
mf_status mfi_attempt_read(mfi_calls *calls, mfi_slot *slot, mf_result **ret_result,
                           mf_error *error);
/* The attempt failed: whether another one follows, and after how long. Prepares the span for it. */
bool mfi_call_again(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                    mf_status status, const mf_error *error, uint64_t *ret_wait_ns);
/* Counts and reports the end. */
void mfi_call_finish(mfi_calls *calls, mfi_client_span *span, mf_status status,
                     const mf_error *error);
/* A call that no parent could be asked to take; error says why, reason is how it is counted.
 * It is counted and logged as one that this parent refused. Gives error's code, unless an argument
 * is bad. */
mf_status mfi_call_refuse(mfi_calls *calls, const char *function, mf_args args,
                          const mf_call_options *options, mfi_refusal reason, mf_error *error);

#endif
