/* The steps of one call, used by all ways to call. A call is opened once, makes one or more
 * attempts, and is finished once. Every attempt has a slot and a message id of its own. The span
 * belongs to the call, and passes from attempt to attempt. */
#ifndef MFI_CLIENT_CALL_CALL_H
#define MFI_CLIENT_CALL_CALL_H

#include "core/client/call/request.h"
#include "core/words/refusals.h"

/* Counts and reports the beginning of the call. On MF_ERR_TOO_MANY_CALLS the call is finished
 * already. */
mf_status mfi_call_open(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                        mf_error *error);
/* One attempt: asks the circuit and encodes the message; the caller then activates the slot. On
 * failure the attempt has ended and nothing was sent; the caller still owns the slot. slot NULL
 * (the table is full) is such a failure. */
mf_status mfi_attempt_begin(mfi_calls *calls, const mfi_call_request *request,
                            mfi_client_span *span, mfi_slot *slot, mf_error *error);
/* Reads the outcome from the slot into status, error (not NULL) and result. To be called once for
 * every slot that was activated, on the thread that gets the result. */
mf_status mfi_attempt_read(mfi_calls *calls, mfi_slot *slot, mf_result **ret_result,
                           mf_error *error);
/* The attempt failed. True if another attempt follows after *ret_wait_ns; prepares the span for it.
 */
bool mfi_call_again(mfi_calls *calls, const mfi_call_request *request, mfi_client_span *span,
                    mf_status status, const mf_error *error, uint64_t *ret_wait_ns);
/* Counts and reports the end of the call. */
void mfi_call_finish(mfi_calls *calls, mfi_client_span *span, mf_status status,
                     const mf_error *error);
/* Refuses a call that no parent could be asked to take. error says why; reason is the reason that
 * is counted. The call is counted and logged as refused by this parent. Returns error's code, or
 * MF_ERR_INVALID_ARGUMENT if an argument is bad. */
mf_status mfi_call_refuse(mfi_calls *calls, const char *function, mf_args args,
                          const mf_call_options *options, mfi_refusal reason, mf_error *error);

#endif
