/* The driver's burst on the worker's side: messages in and out. */
#ifndef MFI_SERVER_IO_H
#define MFI_SERVER_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "core/runtime/runtime.h"
#include "core/server/functions.h"
#include "core/server/message.h"
#include "core/server/peers.h"
#include "core/server/serve.h"
#include "core/server/state.h"

typedef struct mfi_server_io {
    mfi_channel channel;
    mfi_child_state *state;
    const mfi_functions *functions;
    const mfi_serving *serving;
    uint32_t max_queued;
    bool has_driver; /* channel.driver is initialised */

    /* Role held. */
    mfi_chain calls;     /* calls that wait */
    mfi_incoming *spare; /* the next message is received into it */
    /* Written by the run thread while a handler runs: calls that it has taken and not begun. The
     * thread that exchanges the pointer for NULL owns these calls. */
    _Atomic(mfi_chain_node *) taken;
    uint64_t received_in_row; /* messages received since the wire was last empty */
    bool one_by_one;          /* at the last emptying, that was one message at most */
    uint64_t call_ns;         /* when the last call was received */
    mfi_peers peers;

    /* The engine thread's alone: sends again to a peer that accepts no message now. */
    mfi_task stall_task;
    mfi_timer stall_timer;
} mfi_server_io;

typedef struct mfi_server_io_options {
    mf_runtime *runtime;
    mfi_limits limits;
    size_t max_message_bytes;
    uint32_t max_queued;
    size_t max_queued_bytes;
    mfi_child_state *state;
    const mfi_functions *functions;
    const mfi_serving *serving;
} mfi_server_io_options;

/* Fills zeroed io; to be released with _fini, also after a failure. channel.observed stays NULL; it
 * is set before the transport is. */
mf_status mfi_server_io_init(mfi_server_io *io, const mfi_server_io_options *options,
                             mf_error *error);
/* Also for zeroed io that _init was never called for. */
void mfi_server_io_fini(mfi_server_io *io);

/* Role held: sends and receives a bounded number of messages. True if nothing was left. */
bool mfi_server_io_burst(mfi_server_io *io);
/* Role held: true if something waits to be sent. with_early: output from before the first peer
 * counts too. */
bool mfi_server_io_has_unsent(const mfi_server_io *io, bool with_early);
/* Frees all waiting messages, both ways. No thread holds the role now or later. */
void mfi_server_io_drop_all(mfi_server_io *io);
/* Engine thread, after the driver was closed. */
void mfi_server_io_cancel_timers(mfi_server_io *io);

/* Role held: takes all calls that wait. They still count as queued. */
static inline mfi_chain mfi_server_io_take_calls(mfi_server_io *io)
{
    mfi_chain taken = io->calls;
    io->calls.first = NULL;
    return taken;
}

/* Role held: puts calls back that were taken and not begun, before all others. */
static inline void mfi_server_io_return_calls(mfi_server_io *io, mfi_chain *taken)
{
    mfi_chain_prepend(&io->calls, taken);
}

#endif
