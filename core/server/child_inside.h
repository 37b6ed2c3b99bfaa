/* struct mf_child: the parts of a worker, put together.
 *
 *   message.c    messages, and the channel to the wire
 *   output.c     what the process prints, caught and forwarded
 *   functions.c  the functions by their names
 *   state.c      whether the worker stops, what waits, what runs
 *   load.c       the busy share of the handler threads, for answers
 *   sampling.c   where the time of a handler went, for one call in N
 *   request.c    a call as its handler sees it
 *   reply.c      an answer, from the handler to the channel
 *   deferred.c   answers that are given later
 *   serve.c      one call: checks, handler, answer
 *   peers.c      the peers, and what waits for them
 *   handlers.c   the threads that run handlers
 *   io.c         the driver's burst: messages in and out, heartbeats answered at once
 *   announce.c   the entry in the service registry, where no parent spawned the worker
 *   watch.c      the parent process and the connection, as the engine thread sees them
 *   options.c    options, checked and copied
 *   builtin.c    functions that every worker has
 *   run.c        the run loop, its start and its end
 *   child.c      creation, and what users and probes ask for
 *
 * Each part has a header and a struct of its own, and calls only parts above it in this list. The
 * files that put the parts together, child.c and run.c, include this header; no part does.
 *
 * With one handler thread, the run thread drives the socket and runs handlers itself. While a
 * handler runs no thread drives; when it has run longer than a tick of 1 ms, the engine thread
 * takes the socket over (driver.c): it answers heartbeats and queues calls. With several handler
 * threads, the run thread only drives and hands calls over. */
#ifndef MFI_SERVER_CHILD_INSIDE_H
#define MFI_SERVER_CHILD_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/child.h>

#include "core/runtime/runtime.h"
#include "core/server/announce.h"
#include "core/server/builtin.h"
#include "core/server/deferred.h"
#include "core/server/functions.h"
#include "core/server/handlers.h"
#include "core/server/io.h"
#include "core/server/load.h"
#include "core/server/options.h"
#include "core/server/output.h"
#include "core/server/serve.h"
#include "core/server/state.h"
#include "core/server/watch.h"

struct mf_child {
    mf_runtime *runtime;
    mfi_component component;
    mfi_child_settings settings;
    mfi_functions functions;
    mfi_builtins builtins;
    mfi_child_state state;
    mfi_load load;
    mfi_server_io io; /* with the channel and the peers */
    mfi_serving serving;
    mfi_deferrals *deferrals;
    mfi_handlers handlers;
    mfi_announcement announcement;
    mfi_forwarding forwarding;
    mfi_watch watch;
    _Atomic(uint32_t) closed; /* futex: set when the transport is closed */
    bool ran;
};

#endif
