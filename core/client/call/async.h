/* Calls that no thread waits for: their outcome goes to a callback on the engine thread. */
#ifndef MFI_CLIENT_CALL_ASYNC_H
#define MFI_CLIENT_CALL_ASYNC_H

#include "core/client/call/request.h"

/* What cancels an asynchronous call; valid as long as the parent. */
typedef struct mfi_call_handle {
    mfi_slot *slot; /* without retries: its only slot, and the slot's state while it is active */
    uint64_t state;
    struct mfi_async_retry *retry; /* with retries: one reference */
} mfi_call_handle;
mf_status mfi_call_start_async(mfi_calls *calls, const char *function, mf_args args,
                               const mf_call_options *options, mf_call_fn done, void *user_data,
                               mfi_call_handle *ret_handle, mf_error *error);
void mfi_call_cancel(mfi_calls *calls, const mfi_call_handle *handle);
void mfi_call_handle_fini(mfi_call_handle *handle);

/* Before the first call. */
void mfi_retries_init(mfi_calls *calls);
/* Engine thread: the parent ends, and calls that wait for their next attempt end too. */
void mfi_retries_end(mfi_calls *calls);

#endif
