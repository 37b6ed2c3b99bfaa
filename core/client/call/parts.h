/* What the files of a call share: call_request.c, call.c, call_async.c, future.c.
 *
 * A call is opened once, makes one or more attempts, and is closed once. Each attempt has a slot
 * and a message id of its own; the span is the call's, and goes from attempt to attempt. */
#ifndef MFI_ENGINE_CALL_PARTS_H
#define MFI_ENGINE_CALL_PARTS_H

#include "core/client/parent.h"

typedef struct mfi_call_request {
    const char *function; /* borrowed, as the arguments and the options' texts */
    size_t function_length;
    mf_args args;
    mf_call_options options;
    mf_retry_policy retry; /* max_attempts 1: none */
    int64_t timeout_ms;
    uint64_t start_ns, deadline_ns;
    bool inherits; /* the deadline is that of the call which runs on this thread */
} mfi_call_request;

/* ---- call_request.c ---- */
mf_status mfi_call_check_name(const char *what, const char *name, mf_error *error);
mf_status mfi_call_read(mf_parent *parent, const char *function, mf_args args,
                        const mf_call_options *options, mfi_call_request *ret, mf_error *error);
void mfi_call_fill_span(mf_parent *parent, mfi_client_span *span, const mfi_call_request *request);

/* ---- call.c ---- */
/* Counts and reports the beginning. MF_ERR_TOO_MANY_CALLS: it has ended already. */
mf_status mfi_call_open(mf_parent *parent, const mfi_call_request *request, mfi_client_span *span,
                        mf_error *error);
/* One attempt: admitted by the circuit, encoded, ready to be activated. On failure it has ended,
 * and nothing was sent; the slot is still the caller's. NULL, for want of one, is such a failure.
 */
mf_status mfi_attempt_begin(mf_parent *parent, const mfi_call_request *request,
                            mfi_client_span *span, mfi_slot *slot, mf_error *error);
/* The outcome that was written to the slot becomes status, error (not NULL) and result. Once for
 * each slot that was activated, on the thread that gets the result. */
mf_status mfi_attempt_end(mf_parent *parent, mfi_slot *slot, mf_result **ret_result,
                          mf_error *error);
/* The attempt failed: whether another one follows, and after how long. Prepares the span for it. */
bool mfi_call_again(mf_parent *parent, const mfi_call_request *request, mfi_client_span *span,
                    mf_status status, const mf_error *error, uint64_t *ret_wait_ns);
/* Counts and reports the end. */
void mfi_call_close(mf_parent *parent, mfi_client_span *span, mf_status status,
                    const mf_error *error);
/* A call that no parent could be asked to take; error says why, reason is how it is counted.
 * It is counted and logged as one that this parent refused. Gives error's code, unless an argument
 * is bad. */
mf_status mfi_call_refuse(mf_parent *parent, const char *function, mf_args args,
                          const mf_call_options *options, mfi_refusal reason, mf_error *error);

/* ---- call_async.c ---- */
/* What cancels an asynchronous call; valid as long as the parent. */
typedef struct mfi_call_handle {
    mfi_slot *slot; /* without retries: its only slot, and the slot's state while it is active */
    uint64_t state;
    struct mfi_async_retry *retry; /* with retries: one reference */
} mfi_call_handle;
mf_status mfi_call_start_async(mf_parent *parent, const char *function, mf_args args,
                               const mf_call_options *options, mf_call_fn done, void *user_data,
                               mfi_call_handle *ret_handle, mf_error *error);
void mfi_call_cancel(mf_parent *parent, const mfi_call_handle *handle);
void mfi_call_handle_fini(mfi_call_handle *handle);

#endif
