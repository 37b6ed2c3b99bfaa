/* One call: checks, handler, answer. */
#ifndef MFI_SERVER_SERVE_H
#define MFI_SERVER_SERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/server/functions.h"
#include "core/server/message.h"
#include "core/server/request.h"
#include "core/server/state.h"

struct mfi_deferrals;
struct mfi_handlers;

/* What every call of a worker is served with. */
typedef struct mfi_serving {
    mfi_channel *channel;
    struct mfi_deferrals *deferrals;
    const char *namespace_name;
} mfi_serving;

/* What one thread needs to run handlers. */
typedef struct mfi_handler_thread {
    const mfi_serving *serving;
    mfi_request_trees trees;
    mfi_handler_mark mark;
    struct mfi_handlers *handlers; /* the set that the thread belongs to */
    pthread_t thread;              /* handlers.c's own, where it starts threads */
} mfi_handler_thread;

/* Runs one call and frees it. The answer is in the driver's queue afterwards, if it was not
 * deferred. Role not held. Gives the time at the handler's end. */
uint64_t mfi_serve_call(mfi_handler_thread *thread, mfi_call_in *call);
/* How long the call's handler ran the last time; UINT64_MAX if it never ran. */
uint64_t mfi_serve_expected_ns(const mfi_call_in *call);
/* Answers a call for which the worker has no time any more, and frees it. */
void mfi_serve_cancel(const mfi_serving *serving, mfi_call_in *call);

#endif
