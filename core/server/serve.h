/* One call: checks, handler, answer. */
#ifndef MFI_SERVER_SERVE_H
#define MFI_SERVER_SERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/server/functions.h"
#include "core/server/load.h"
#include "core/server/message.h"
#include "core/server/request.h"
#include "core/server/sampling.h"
#include "core/server/state.h"

struct mfi_deferrals;
struct mfi_handlers;

/* The parts that all calls of a worker share. */
typedef struct mfi_serving {
    mfi_channel *channel;
    struct mfi_deferrals *deferrals;
    const char *namespace_name;
    mfi_load *load;            /* NULL: answers carry none */
    uint32_t handler_sampling; /* one call in so many is sampled; 0: none */
} mfi_serving;

/* The data of one handler thread. */
typedef struct mfi_handler_thread {
    const mfi_serving *serving;
    mfi_request_trees trees;
    mfi_budget *budget; /* of the child; NULL: none */
    size_t charged;     /* bytes of it that the trees take, where that is much */
    mfi_handler_mark mark;
    uint32_t number; /* 0 for the first */
    mfi_sampling sampling;
    struct mfi_handlers *handlers; /* the set that the thread belongs to */
    pthread_t thread;              /* set by handlers.c if it starts threads */
} mfi_handler_thread;

/* For mfi_tree.admit of a thread's trees: charges decoded values to the budget. */
bool mfi_serve_admit(void *thread, size_t bytes);
/* Runs one call and frees it. Then the answer is in the driver's queue, unless it was deferred.
 * Role not held. Returns the time at the handler's end, in monotonic nanoseconds. */
uint64_t mfi_serve_call(mfi_handler_thread *thread, mfi_incoming *call);
/* Duration of the last run of the call's handler; UINT64_MAX if it never ran. */
uint64_t mfi_serve_expected_ns(const mfi_incoming *call);
/* Answers a call that the worker has no time left for, and frees the call. */
void mfi_serve_cancel(const mfi_serving *serving, mfi_incoming *call);

#endif
