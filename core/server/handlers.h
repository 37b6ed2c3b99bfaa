/* The threads that run handlers. */
#ifndef MFI_SERVER_HANDLERS_H
#define MFI_SERVER_HANDLERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mutex.h"
#include "core/server/serve.h"
#include "core/server/state.h"

/* Where there is one thread, the run thread is it: nothing is started, and no call waits here. */
typedef struct mfi_handlers {
    const mfi_serving *serving;
    mfi_child_state *state;
    mfi_handler_thread *threads; /* NULL: not made */
    uint32_t count;
    mfi_mutex mutex;
    mfi_cond cond;
    mfi_chain calls;          /* that wait for a thread; guarded by mutex, as are the next two */
    uint32_t idle;            /* threads that wait for a call */
    bool ending;              /* threads end when no call is left */
    uint32_t started;         /* the run thread's own */
    _Atomic(uint32_t) living; /* release by the thread that ends, acquire by the run thread */
} mfi_handlers;

/* Fills zeroed handlers, and tells the state of its threads. */
mf_status mfi_handlers_init(mfi_handlers *handlers, uint32_t count, const mfi_serving *serving,
                            mfi_child_state *state, mf_error *error);
/* Also of zeroed ones. */
void mfi_handlers_fini(mfi_handlers *handlers);

/* ---- The run thread ---- */

mf_status mfi_handlers_start(mfi_handlers *handlers, mf_error *error);
/* Role held: hands the calls over; the chain is empty then. */
void mfi_handlers_submit(mfi_handlers *handlers, mfi_chain *calls);
/* Role held: cancels the calls that no thread has begun. Each thread ends after its running one. */
void mfi_handlers_end(mfi_handlers *handlers);
bool mfi_handlers_ended(const mfi_handlers *handlers);
void mfi_handlers_join(mfi_handlers *handlers);

#endif
