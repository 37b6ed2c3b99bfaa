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

/* With one thread, the run thread runs handlers: no thread is started, and no call waits here. */
typedef struct mfi_handlers {
    const mfi_serving *serving;
    mfi_child_state *state;
    mfi_handler_thread *threads; /* NULL: not made */
    uint32_t count;
    mfi_mutex mutex;
    mfi_cond cond;
    /* Calls that wait for a thread; guarded by mutex, as are the next two. */
    mfi_chain calls;
    uint32_t idle;            /* number of threads that wait for a call */
    bool ending;              /* a thread ends when it finds no call */
    uint32_t started;         /* the run thread's alone */
    _Atomic(uint32_t) living; /* the ending thread releases, the run thread acquires */
} mfi_handlers;

/* Fills zeroed handlers, and adds the threads' marks to state. */
mf_status mfi_handlers_init(mfi_handlers *handlers, uint32_t count, const mfi_serving *serving,
                            mfi_child_state *state, mf_error *error);
/* Also for zeroed handlers. */
void mfi_handlers_fini(mfi_handlers *handlers);

/* ---- The run thread ---- */

mf_status mfi_handlers_start(mfi_handlers *handlers, mf_error *error);
/* Role held: passes the calls to the threads, and leaves the chain empty. */
void mfi_handlers_submit(mfi_handlers *handlers, mfi_chain *calls);
/* Role held: cancels the calls that no thread has begun. Every thread ends after its running call.
 */
void mfi_handlers_end(mfi_handlers *handlers);
bool mfi_handlers_ended(const mfi_handlers *handlers);
void mfi_handlers_join(mfi_handlers *handlers);

#endif
