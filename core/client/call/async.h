/* Calls that no thread waits for: the engine thread passes their outcome to a callback. */
#ifndef MFI_CLIENT_CALL_ASYNC_H
#define MFI_CLIENT_CALL_ASYNC_H

#include "core/client/call/request.h"

/* Cancels an asynchronous call. Valid as long as the parent. */
typedef struct mfi_call_handle {
    mfi_slot *slot; /* without retries: the only slot, and its state while it is active */
    uint64_t state;
    struct mfi_async_retry *retry; /* with retries: one reference */
} mfi_call_handle;
mf_status mfi_call_start_async(mfi_calls *calls, const char *function, mf_args args,
                               const mf_call_options *options, mf_call_fn done, void *user_data,
                               mfi_call_handle *ret_handle, mf_error *error);
void mfi_call_cancel(mfi_calls *calls, const mfi_call_handle *handle);
void mfi_call_handle_fini(mfi_call_handle *handle);

/* To be called before the first call. */
void mfi_retries_init(mfi_calls *calls);
/* Engine thread: the parent ends, so calls that wait for their next attempt are finished. */
void mfi_retries_end(mfi_calls *calls);

#endif
