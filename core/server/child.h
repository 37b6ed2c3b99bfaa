/* The inside of mf_child, shared by the files that make it up:
 *
 *   child.c           registration of functions, creation, health
 *   child_options.c   options, checked and copied
 *   child_request.c   requests and replies as handlers see them
 *   child_builtin.c   functions that every worker has
 *   child_io.c        the driver's burst: messages in and out, heartbeats answered at once
 *   child_peers.c     who is there, and what waits for whom
 *   child_call.c      one call: checks, handler, answer
 *   child_deferred.c  answers that are given later
 *   child_pool.c      the threads that run handlers, where there are several
 *   child_run.c       the run loop, its start and its end
 *   child_service.c   binding and registration where no parent spawned the worker
 *   child_output.c    what the process prints, caught and forwarded
 *
 * With one thread, the run thread drives the socket and runs handlers itself. While a handler runs
 * nobody drives; when it has run longer than a tick of 1 ms, the engine thread takes the socket
 * over (driver.c): it answers heartbeats and queues calls. With several, the run thread only drives
 * and hands calls over. */
#ifndef MFI_SERVER_CHILD_H
#define MFI_SERVER_CHILD_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/child.h>
#include <multifrost/registry.h>

#include "core/engine/driver.h"
#include "core/engine/lines.h"
#include "core/engine/runtime.h"
#include "core/engine/transport.h"
#include "core/wire/envelope.h"
#include "core/wire/tree.h"

#define MFI_CHILD_FUNCTIONS_MAX 4096
#define MFI_CHILD_OUTPUTS_MAX 4096 /* lines that wait to be sent */
#define MFI_CHILD_PEERS_MAX 256
#define MFI_CHILD_PEER_WAITING_MAX 10000 /* messages that one peer does not take */
#define MFI_CHILD_THREADS_MAX 256
#define MFI_CHILD_NAME_MAX 64 /* of a worker in metrics */

/* A message that was received; a call is kept in it until its handler has run. */
typedef struct mfi_call_in {
    struct mfi_call_in *next;
    mfi_route route;
    mfi_message message;
    mfi_envelope envelope;       /* views into message */
    struct mfi_handler *handler; /* NULL: there is none of that name */
    uint64_t received_ns;
} mfi_call_in;

typedef struct mfi_call_list {
    mfi_call_in *first, *last;
} mfi_call_list;

/* A message on its way out. */
typedef struct mfi_out {
    mfi_mpsc_node node; /* first member */
    struct mfi_out *next;
    mfi_traffic traffic;
    mfi_route route; /* empty for output: it goes to every peer */
    mfi_buf buf;
} mfi_out;

typedef struct mfi_out_list {
    mfi_out *first, *last;
    uint32_t count;
    size_t bytes; /* that they take in memory */
} mfi_out_list;

/* Somebody who has spoken, until a message for it turns out not to be routable. */
typedef struct mfi_peer {
    mfi_route route;
    uint64_t heard;       /* greater: spoke later */
    mfi_out_list waiting; /* what it does not take at present */
} mfi_peer;

typedef struct mfi_peers {
    mfi_peer *all;
    uint32_t count, capacity;
    uint32_t latest;      /* index of who spoke last */
    uint32_t stalled;     /* how many have something waiting */
    size_t waiting_bytes; /* what that takes in memory; at most max_queued_bytes */
    uint64_t heard;       /* messages so far */
    mfi_out_list early;   /* output from before the first peer */
} mfi_peers;

typedef struct mfi_handler {
    char *name;
    mf_handler_fn run;
    void *user_data;
    _Atomic(uint64_t) last_run_ns; /* how long it ran the last time */
    bool builtin;
    bool hidden; /* a builtin that list_functions does not show */
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

/* What one thread needs to run handlers, kept from call to call. */
typedef struct mfi_server {
    struct mf_child *child;
    mfi_tree args, metadata;
    _Atomic(uint64_t) since_ns; /* when the running handler began; 0: none runs */
    pthread_t thread;           /* of a pool */
} mfi_server;

/* The calls that wait for a thread of the pool. */
typedef struct mfi_handler_pool {
    mfi_mutex mutex;
    mfi_cond cond;
    mfi_call_list calls;      /* guarded by mutex, as are the next two */
    uint32_t idle;            /* threads that wait */
    bool ending;              /* threads end when no call is left */
    uint32_t started;         /* the run thread's own */
    _Atomic(uint32_t) living; /* release by the thread that ends, acquire by the run thread */
} mfi_handler_pool;

typedef struct mfi_deferrals mfi_deferrals;

struct mf_child {
    mf_runtime *runtime;
    char *namespace_name;
    char *service_id;   /* NULL in spawn mode */
    char *bind_address; /* service mode */
    uint16_t port;      /* of the parent, or to be bound (0: a free one) */
    uint32_t max_queued;
    size_t max_queued_bytes;
    size_t max_message_bytes;
    mfi_limits limits;
    int64_t deferred_timeout_ms;
    bool no_signals, no_output_capture;
    void (*on_stop)(void *user_data);
    void *user_data;
    char name[MFI_CHILD_NAME_MAX + 1]; /* in metrics and health */
    mfi_component component;
    mfi_target *observed;
    mf_registry *registry; /* NULL in spawn mode */
    mfi_handler *handlers; /* sorted by name */
    size_t handler_count;
    mf_status first_failure; /* of mf_child_handle */
    mf_error failure;
    bool ran;
    uint64_t started_ns, started_wall_ns;

    mfi_driver driver;
    mfi_transport *transport;
    _Atomic(bool) stopping;
    _Atomic(bool) registered;
    _Atomic(uint32_t) bound_port; /* service mode; 0: not bound */
    _Atomic(uint32_t) closed;     /* futex: the transport is gone */
    _Atomic(uint32_t) queued;
    _Atomic(size_t) queued_bytes; /* of the messages of these */
    _Atomic(uint32_t) deferred;   /* answers that are still to be given */

    /* Role held. */
    mfi_call_list calls;
    mfi_call_in *spare; /* what the next message is received into */
    /* The run thread's, while a handler runs: the calls that it took and will begin after that. Who
     * exchanges it for NULL has them. */
    _Atomic(mfi_call_in *) taken;
    uint64_t received_in_row; /* messages since the wire had nothing */
    bool one_by_one;          /* the last time that was at most one */
    mfi_peers peers;

    mfi_server *servers; /* one for each thread that runs handlers */
    uint32_t server_count;
    mfi_handler_pool pool; /* where there are several */
    mfi_deferrals *deferrals;

    /* The engine thread's own. */
    mfi_capture captures[2];
    _Atomic(uint32_t) outputs_waiting;
    mfi_source parent_source, monitor_source;
    mfi_task stall_task; /* a peer does not take its messages now: looks again a little later */
    mfi_timer stall_timer;
    mfi_timer orphan_timer; /* ends the worker, if it was not connected by then */
    int parent_fd;
    bool was_connected;
};

struct mf_request {
    mfi_server *server;
    const mfi_call_in *call;
    const char *name; /* of the function */
    const mf_context *context;
    char function[MFI_NAME_MAX_BYTES + 1];    /* the name, where it is not registered */
    char client_name[MFI_NAME_MAX_BYTES + 1]; /* filled when asked for */
    uint64_t deadline_ns;
    bool metadata_decoded;
    mf_error error; /* of the last unpack that failed */
};

/* Pairs for an answer's metadata. */
typedef struct mfi_reply_pairs mfi_reply_pairs;

/* An answer that is being made. Setting it touches nothing of the child. */
struct mf_reply {
    struct mf_child *child;
    mfi_span *span;
    mfi_text id;
    mfi_out *out; /* the answer so far: a response without its metadata */
    mfi_limits limits;
    double received;      /* wall clock, seconds */
    uint64_t deadline_ns; /* of the caller */
    bool has_result;
    bool has_error;
    mfi_buf error_text;
    mfi_reply_pairs *pairs; /* NULL: none */
    uint64_t deferred;      /* number of the deferred answer that took over; 0: none */
};

/* The time of a message: wall clock, seconds. */
static inline double mfi_wall_seconds(uint64_t monotonic_ns)
{
    return (double)mfi_wall_at_ns(monotonic_ns) / (double)MFI_NS_PER_S;
}

/* ---- child.c ---- */
mfi_handler *mfi_child_find(struct mf_child *child, const char *name, size_t length);
/* handler->name is not looked at. */
mf_status mfi_child_add_handler(struct mf_child *child, const char *name,
                                const mfi_handler *handler, mf_error *error);
/* Handlers that run, and when the longest of them began (0: none runs). */
uint32_t mfi_child_busy(struct mf_child *child, uint64_t *ret_since_ns);

/* ---- child_options.c ---- */
mf_status mfi_child_take_options(struct mf_child *child, const mf_child_options *from,
                                 mf_error *error);

/* ---- child_builtin.c ---- */
mf_status mfi_child_add_builtins(struct mf_child *child, mf_error *error);

/* ---- child_request.c ---- */
/* False without memory: it can then only be finished, and is lost. */
bool mfi_reply_init(mf_reply *reply, struct mf_child *child, const mfi_route *route, mfi_text id,
                    mfi_span *span, uint64_t now_ns);
void mfi_reply_fini(mf_reply *reply);
void mfi_reply_verror(mf_reply *reply, const char *type, const char *format, va_list args)
    MF_PRINTF(3, 0);
/* A map, or NULL. */
const mf_value *mfi_reply_more(const mf_reply *reply);

/* ---- child_io.c ---- */
extern const mfi_driver_ops mfi_child_driver_ops;
/* Role held, by the run thread: moves messages, a bounded number of them. True if
 * nothing was left. */
void mfi_child_on_stall(mfi_task *task);
void mfi_child_on_stall_timer(mfi_timer *timer);
bool mfi_child_burst(struct mf_child *child);
/* Takes all calls that wait; they still count as queued. */
mfi_call_list mfi_child_take_calls(struct mf_child *child);
/* Puts back what was taken and not begun, before all others. */
void mfi_child_return_calls(struct mf_child *child, mfi_call_list *taken);
/* Any list; the call still counts as queued. */
mfi_call_in *mfi_call_list_pop(mfi_call_list *list);
/* Any thread. A call that is begun, or cancelled, counts as queued no more. */
static inline void mfi_child_unqueue(struct mf_child *child, const mfi_call_in *call)
{
    atomic_fetch_sub_explicit(&child->queued, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&child->queued_bytes, call->message.size, memory_order_relaxed);
}
void mfi_call_in_free(mfi_call_in *call);
mfi_call_in *mfi_child_make_spare(void); /* NULL without memory */
/* NULL without memory. */
mfi_out *mfi_out_make(const struct mf_child *child, mfi_traffic traffic, const mfi_route *route);
void mfi_out_free(mfi_out *out);
/* Any thread; takes it over. The caller sees to it that somebody looks. */
void mfi_child_push(struct mf_child *child, mfi_out *out);
void mfi_child_drop_all(struct mf_child *child);
void mfi_child_dropped(struct mf_child *child, const char *reason, const char *text, size_t bytes);

/* ---- child_peers.c: role held ---- */
void mfi_peers_heard(struct mf_child *child, const mfi_route *route);
/* Sends it, or keeps it until its peer takes it, or drops it and counts that. Takes it over. */
void mfi_peers_send(struct mf_child *child, mfi_out *out);
/* What waits is tried again. */
void mfi_peers_retry(struct mf_child *child);
void mfi_peers_fini(struct mf_child *child);

/* ---- child_call.c ---- */
/* Runs one call; the answer is in the queue afterwards, if it was not deferred. Role not held.
 * Gives the time at the handler's end. */
uint64_t mfi_child_serve(mfi_server *server, mfi_call_in *call);
/* How long its handler ran the last time; UINT64_MAX if it never did. */
uint64_t mfi_child_expected_ns(const mfi_call_in *call);
/* Answers a call that the worker has no time for any more. */
void mfi_child_cancel(struct mf_child *child, mfi_call_in *call);
/* Instead of what the buffer holds. One that is too large for a message is sent with a shorter text
 * and without the handler's own metadata: a caller must not wait for its timeout. */
bool mfi_child_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                            const mfi_reply_times *times);
/* Completes and queues the answer, and ends the span; frees what the reply has. */
void mfi_reply_finish(mf_reply *reply, mf_status status);

/* ---- child_deferred.c ---- */
mf_status mfi_deferrals_create(struct mf_child *child, mf_error *error);
void mfi_deferrals_unref(mfi_deferrals *deferrals);
/* The handler that deferred its answer has returned; a status other than MF_OK is the answer, if
 * none was given yet. */
void mfi_deferred_handler_returned(const mf_reply *reply, mf_status status, const mf_error *error);
/* Answers all that are open; none can be opened any more. Not on the engine thread. */
void mfi_deferrals_close(mfi_deferrals *deferrals);

/* ---- child_pool.c: the run thread ---- */
mf_status mfi_pool_start(struct mf_child *child, mf_error *error);
/* Role held: hands over the calls that were received. */
void mfi_pool_submit(struct mf_child *child);
/* Role held: calls that no thread has begun are cancelled; threads end after the one they run. */
void mfi_pool_end(struct mf_child *child);
bool mfi_pool_ended(const struct mf_child *child);
void mfi_pool_join(struct mf_child *child);

/* ---- child_run.c ---- */
void mfi_child_on_orphan_timer(mfi_timer *timer);

/* ---- child_service.c ---- */
mf_status mfi_service_create(struct mf_child *child, const mf_child_options *from, mf_error *error);
/* The run thread; nothing in spawn mode. */
mf_status mfi_service_register(struct mf_child *child, mf_error *error);
/* The same; nothing unless it is registered. */
void mfi_service_unregister(struct mf_child *child);
/* Engine thread: notes the port that the transport is bound to. */
void mfi_service_bound(struct mf_child *child);

/* ---- child_output.c: engine thread ---- */
mf_status mfi_child_capture_start(struct mf_child *child, mf_error *error);
/* Gives the streams back, and queues what was still in the pipes. */
void mfi_child_capture_stop(struct mf_child *child);

#endif
