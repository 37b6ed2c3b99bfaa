/* The inside of mf_child, shared by the files that make it up:
 *
 *   child.c         options, registration, creation, requests and replies as users see them
 *   child_io.c      the driver's burst: messages in and out, heartbeats answered at once
 *   child_call.c    one call: checks, handler, answer
 *   child_run.c     the run loop, its start and its end
 *   child_output.c  what the process prints, caught and forwarded
 *
 * The run thread drives the socket and runs handlers itself. While a handler runs nobody drives;
 * when it has run longer than a tick of 1 ms, the engine thread takes the socket over (driver.c):
 * it answers heartbeats and queues calls. */
#ifndef MFI_ENGINE_CHILD_H
#define MFI_ENGINE_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/child.h>

#include "core/engine/driver.h"
#include "core/engine/lines.h"
#include "core/engine/runtime.h"
#include "core/engine/transport.h"
#include "core/wire/envelope.h"
#include "core/wire/tree.h"

#define MFI_CHILD_FUNCTIONS_MAX 4096
#define MFI_CHILD_OUTPUTS_MAX 4096 /* lines that wait to be sent */

/* A call that was received, until its handler has run. */
typedef struct mfi_call_in {
    struct mfi_call_in *next;
    mfi_route route;
    mfi_message message;
    mfi_envelope envelope; /* views into message */
    uint64_t received_ns;
} mfi_call_in;

/* A message on its way out. */
typedef struct mfi_out {
    mfi_mpsc_node node; /* first member */
    mfi_traffic traffic;
    mfi_route route; /* empty for output: it goes to the peer that spoke last */
    mfi_buf buf;
} mfi_out;

typedef struct mfi_handler {
    char *name;
    mf_handler_fn run;
    void *user_data;
    bool builtin;
} mfi_handler;

/* One of the process's own streams while it is caught. */
typedef struct mfi_capture {
    mfi_source source;
    mfi_lines lines;
    struct mf_child *child;
    int fd;    /* 1 or 2 */
    int saved; /* what it was before; -1: not caught */
    int read_fd;
} mfi_capture;

struct mf_child {
    mf_runtime *runtime;
    char *namespace_name;
    uint16_t port;
    uint32_t max_queued;
    size_t max_message_bytes;
    mfi_limits limits;
    bool no_signals, no_output_capture;
    void (*on_stop)(void *user_data);
    void *user_data;
    mfi_component component;
    mfi_target *observed;
    mfi_handler *handlers;
    size_t handler_count;
    mf_status first_failure; /* of mf_child_handle */
    mf_error failure;
    bool ran;

    mfi_driver driver;
    mfi_transport *transport;
    _Atomic(bool) stopping;
    _Atomic(uint32_t) closed;           /* futex: the transport is gone */
    _Atomic(uint64_t) handler_since_ns; /* 0: none runs */
    _Atomic(uint32_t) queued;

    /* Role held. */
    mfi_call_in *first, *last;
    mfi_out *stalled;
    mfi_route peer; /* who spoke last */

    /* The run thread's own, kept from call to call. */
    mfi_tree args, metadata;

    /* The engine thread's own. */
    mfi_capture captures[2];
    _Atomic(uint32_t) outputs_waiting;
    mfi_source parent_source, monitor_source;
    int parent_fd;
    bool was_connected;
};

struct mf_request {
    struct mf_child *child;
    const mfi_call_in *call;
    char function[MFI_NAME_MAX_BYTES + 1];
    mf_context context;
    bool metadata_decoded;
    mf_error error; /* of the last unpack that failed */
};

struct mf_reply {
    struct mf_child *child;
    const mfi_call_in *call;
    mfi_out *out; /* the answer so far: a response without its metadata */
    bool has_result;
    bool has_error;
    mfi_buf error_text;
};

/* ---- child_io.c ---- */
extern const mfi_driver_ops mfi_child_driver_ops;
/* Role held, by the run thread: moves messages until a call waits. True if nothing was left. */
bool mfi_child_burst(struct mf_child *child);
mfi_call_in *mfi_child_next_call(struct mf_child *child);
void mfi_call_in_free(mfi_call_in *call);
/* NULL without memory. */
mfi_out *mfi_out_make(const struct mf_child *child, mfi_traffic traffic, const mfi_route *route);
void mfi_out_free(mfi_out *out);
/* Any thread; takes it over. The caller sees to it that somebody looks. */
void mfi_child_push(struct mf_child *child, mfi_out *out);
void mfi_child_drop_all(struct mf_child *child);
void mfi_child_dropped(struct mf_child *child, const char *reason, const char *text, size_t bytes);

/* ---- child_call.c: run thread, role not held ---- */
/* Runs one call; the answer is in the queue afterwards. */
void mfi_child_serve(struct mf_child *child, mfi_call_in *call);

/* ---- child_output.c: engine thread ---- */
mf_status mfi_child_capture_start(struct mf_child *child, mf_error *error);
/* Gives the streams back, and queues what was still in the pipes. */
void mfi_child_capture_stop(struct mf_child *child);

/* ---- child.c ---- */
mfi_handler *mfi_child_find(struct mf_child *child, const char *name, size_t length);

#endif
