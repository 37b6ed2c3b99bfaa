/* The parameters of a call, checked and completed with the parent's defaults. */
#ifndef MFI_CLIENT_CALL_REQUEST_H
#define MFI_CLIENT_CALL_REQUEST_H

#include "core/client/calls/calls.h"

typedef struct mfi_call_request {
    const char *function; /* borrowed, as are the arguments and the options' texts */
    size_t function_length;
    mf_args args;
    mf_call_options options;
    mf_retry_policy retry; /* max_attempts 1: no retries */
    int64_t timeout_ms;
    uint64_t start_ns, deadline_ns;
    bool inherits; /* the deadline is that of the call that runs on this thread */
} mfi_call_request;

/* MF_OK if the name is UTF-8 of an allowed length; else MF_ERR_INVALID_ARGUMENT naming `what`. */
mf_status mfi_call_check_name(const char *what, const char *name, mf_error *error);
/* Reads and checks all that a caller passed. calls NULL is an error like others. */
mf_status mfi_call_read(mfi_calls *calls, const char *function, mf_args args,
                        const mf_call_options *options, mfi_call_request *ret, mf_error *error);
/* Fills the call's span and its ids: new ids, the caller's, or those of the call that runs on this
 * thread. */
void mfi_call_fill_span(mfi_calls *calls, mfi_client_span *span, const mfi_call_request *request);

#endif
