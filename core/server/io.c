/* The burst of a worker's driver. The thread that holds the driver's role sends queued messages,
 * receives new ones, answers heartbeats at once, and queues calls for a handler.
 *
 * It exists so that the run thread, and the engine thread in its place while a handler runs long,
 * do the same. Nothing here waits. */
#include "core/server/io.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/str.h"
#include "core/server/reply.h"
#include "core/wire/envelope_fast.h"
#include "core/wire/reject.h"

#define TAKE_OVER_NS MFI_NS_PER_MS /* a handler's run after which the engine drives: a tick */
/* One burst moves as much as a parent's (core/client/calls/io.c). */
#define BURST_MESSAGES 64
#define BURST_BYTES ((size_t)256 * 1024)
/* A heartbeat's arguments and time are repeated up to this; a parent's take some ten bytes. */
#define ECHO_BYTES ((size_t)1024)
/* Of a message that is too large: enough for its id, in whatever order its fields come. */
#define OVERSIZE_READ_BYTES ((size_t)4096)
#define SHARES_OF_QUEUE                                                                            \
    16 /* of max_queued: this part of it is free for a peer with fewer calls                       \
        */
#define STALL_LOOK_NS (20 * MFI_NS_PER_MS) /* time until a stalled message is sent again */

/* ---- Out ---- */

/* False if something is left. */
static bool send_queued(mfi_server_io *io)
{
    mfi_peers_retry(&io->peers);
    for (int i = 0; i < BURST_MESSAGES; i++) {
        mfi_out *out = mfi_channel_pop(&io->channel);
        if (out == NULL) {
            return mfi_mpsc_empty(&io->channel.driver.queue);
        }
        mfi_peers_send(&io->peers, out);
    }
    return false;
}

/* ---- In ---- */

static bool text_equals(mfi_text text, const char *word)
{
    return text.data != NULL && text.size == strlen(word) &&
           memcmp(text.data, word, text.size) == 0;
}

/* A value that the answer repeats; none if it is too large. */
static mfi_slice to_echo(mfi_slice value)
{
    return value.size <= ECHO_BYTES ? value : (mfi_slice){NULL, 0};
}

static void answer_heartbeat(mfi_server_io *io, const mfi_route *route,
                             const mfi_envelope *envelope)
{
    mfi_metadata metadata;
    uint64_t since = 0;
    mfi_metadata_read(envelope->metadata, &metadata);
    (void)mfi_child_state_busy(io->state, &since);
    mfi_heartbeat_answer answer = {
        .id = envelope->id,
        .args = to_echo(envelope->args),
        .hb_timestamp = to_echo(metadata.hb_timestamp),
        .busy_ms = since != 0 ? (mfi_monotonic_ns() - since) / MFI_NS_PER_MS : 0,
        .queue_length = atomic_load_explicit(&io->state->queued, memory_order_relaxed),
        .handlers = mfi_child_state_handlers(io->state),
        .draining = atomic_load_explicit(&io->state->leaves, memory_order_relaxed)};
    mfi_out *out = mfi_out_make(&io->channel, MFI_TRAFFIC_HEARTBEAT, route);
    if (out != NULL && envelope->id.data != NULL && envelope->id.size <= MFI_ID_MAX_BYTES &&
        mfi_encode_heartbeat_answer(&out->buf, &answer, mfi_wall_seconds(mfi_monotonic_ns()),
                                    NULL) == MF_OK) {
        mfi_channel_push(&io->channel, out);
        return;
    }
    mfi_out_free(out);
    mfi_channel_dropped(&io->channel, MFI_DROP_DECODE_ERROR, "a heartbeat that cannot be answered",
                        0);
}

static bool can_answer(const mfi_envelope *envelope)
{
    return envelope->id.size != 0 && envelope->id.size <= MFI_ID_MAX_BYTES;
}

/* Refuses a call that finds no room in the queue. The answer is sent at once. */
static void answer_at_once(mfi_server_io *io, const mfi_route *route, const mfi_envelope *envelope,
                           const char *text)
{
    mfi_reply_times times = {.timestamp_received = mfi_wall_seconds(mfi_monotonic_ns())};
    mfi_out *out = mfi_out_make(&io->channel, MFI_TRAFFIC_ERROR, route);
    if (out != NULL &&
        mfi_reply_encode_error(&out->buf, envelope->id, (mfi_text){text, strlen(text)},
                               times.timestamp_received, &times)) {
        mfi_channel_push(&io->channel, out);
    } else {
        mfi_out_free(out);
    }
}

static void refuse_call(mfi_server_io *io, const mfi_route *route, const mfi_envelope *envelope)
{
    mfi_observe_transport_event(io->channel.observed,
                                &(mfi_transport_event){.what = MFI_TRANSPORT_QUEUE_FULL});
    answer_at_once(io, route, envelope, "ServerOverloaded: too many calls are waiting");
}

/* The place in which a peer's calls are counted. */
static uint32_t share_of(const mfi_route *route)
{
    const uint8_t *bytes = route->size == 5 ? route->bytes + 1 : route->bytes;
    return route->size >= 4 ? mfi_load_be32(bytes) % MFI_CHILD_SHARES : route->size;
}

/* Role held, so that no other thread adds a call. A peer with few waiting calls finds room also
 * where others have filled the queue. */
static bool has_place(const mfi_server_io *io, const mfi_incoming *call)
{
    const mfi_child_share *own = &io->state->shares[call->share];
    uint32_t deferred = atomic_load_explicit(&io->state->deferred, memory_order_relaxed);
    uint64_t waiting =
        (uint64_t)atomic_load_explicit(&io->state->queued, memory_order_relaxed) + deferred;
    uint32_t least = io->max_queued / SHARES_OF_QUEUE + 1;
    return waiting < io->max_queued ||
           (waiting < (uint64_t)io->max_queued * 2 && deferred < io->max_queued &&
            atomic_load_explicit(&own->calls, memory_order_relaxed) < least);
}

/* The calls of one peer may have three quarters of what others leave. A first call needs no more
 * than what is free: with nothing else there it always fits, because max_message_bytes is not
 * larger than the bound. */
static bool has_bytes(const mfi_server_io *io, const mfi_incoming *call)
{
    if (mfi_budget_held(io->state->budget) == 0) {
        return true;
    }
    size_t free = mfi_budget_free(io->state->budget);
    size_t own = atomic_load_explicit(&io->state->shares[call->share].bytes, memory_order_relaxed);
    size_t most = (free + own) / 4 * 3;
    return call->message.size <= free && (own == 0 || own + call->message.size <= most);
}

static bool has_room(mfi_server_io *io, const mfi_incoming *call)
{
    return has_place(io, call) &&
           (has_bytes(io, call) ||
            (mfi_peers_make_room(&io->peers, &call->route, call->message.size) &&
             has_bytes(io, call)));
}

/* Queues the call, and makes a new one for the next message. */
static void queue_call(mfi_server_io *io, mfi_incoming *call)
{
    const mfi_envelope *envelope = &call->envelope;
    if (!can_answer(envelope)) {
        mfi_channel_dropped(&io->channel, MFI_DROP_DECODE_ERROR,
                            "a call without an id that can be answered", call->message.size);
        return;
    }
    call->share = share_of(&call->route);
    mfi_incoming *spare = has_room(io, call) ? mfi_incoming_make() : NULL;
    if (spare == NULL) {
        refuse_call(io, &call->route, envelope);
        return;
    }
    io->spare = spare;
    call->handler =
        mfi_functions_find(io->functions, envelope->function.data, envelope->function.size);
    call->received_ns = mfi_monotonic_ns();
    io->call_ns = call->received_ns;
    if (atomic_load_explicit(&io->state->refusing, memory_order_relaxed)) {
        mfi_serve_cancel(io->serving, call);
        return;
    }
    mfi_chain_push_back(&io->calls, &call->node);
    mfi_child_state_queue(io->state, call->share, call->message.size);
}

static mfi_incoming *next_call(mfi_server_io *io)
{
    mfi_incoming *call = mfi_incoming_pop(&io->calls);
    if (call != NULL) {
        mfi_child_state_unqueue(io->state, call->share, call->message.size);
    }
    return call;
}

static bool is_for_another(const mfi_server_io *io, const mfi_envelope *envelope)
{
    return envelope->namespace_present &&
           !text_equals(envelope->namespace_name, io->serving->namespace_name);
}

/* Rejects a message that breaks a limit or is malformed inside. A call that has an id is answered,
 * so that its caller need not wait for its timeout. */
static void reject(mfi_server_io *io, const mfi_route *route, const mfi_envelope *envelope,
                   mfi_reject why, const char *text, size_t size)
{
    char answer[MF_ERROR_MESSAGE_MAX + 16];
    mfi_channel_dropped(&io->channel, mfi_reject_drop(why), text, size);
    if ((why == MFI_REJECT_DECODE_ERROR || why == MFI_REJECT_OVERSIZE) &&
        envelope->type == MFI_MESSAGE_CALL && can_answer(envelope) &&
        !is_for_another(io, envelope)) {
        (void)mfi_str_format(answer, sizeof answer, "ValueError: %s", text);
        answer_at_once(io, route, envelope, answer);
    }
}

/* A message beyond max_message_bytes. Its first bytes may name a call, whose caller gets an error.
 */
static void reject_oversize(mfi_server_io *io, mfi_incoming *in)
{
    char text[128];
    mfi_reject why = MFI_REJECT_NONE;
    uint64_t bytes = in->message.size + in->message.cut;
    size_t read = in->message.size < OVERSIZE_READ_BYTES ? in->message.size : OVERSIZE_READ_BYTES;
    (void)!mfi_envelope_decode_general(in->message.data, read, &io->channel.limits, &in->envelope,
                                       &why, NULL);
    (void)mfi_str_format(text, sizeof text,
                         "the message has %llu bytes, more than max_message_bytes (%zu)",
                         (unsigned long long)bytes, io->channel.max_message_bytes);
    reject(io, &in->route, &in->envelope, MFI_REJECT_OVERSIZE, text, (size_t)bytes);
}

static void take_message(mfi_server_io *io, mfi_incoming *in)
{
    static const mfi_traffic traffics[] = {
        MFI_TRAFFIC_OTHER,  MFI_TRAFFIC_CALL,      MFI_TRAFFIC_RESPONSE,
        MFI_TRAFFIC_ERROR,  MFI_TRAFFIC_HEARTBEAT, MFI_TRAFFIC_CONTROL,
        MFI_TRAFFIC_OUTPUT, MFI_TRAFFIC_OUTPUT,    MFI_TRAFFIC_CONTROL};
    const mfi_route *route = &in->route;
    const mfi_message *message = &in->message;
    mfi_envelope *envelope = &in->envelope;
    mfi_reject why = MFI_REJECT_NONE;
    mf_error error;
    mfi_error_clear(&error);
    if (message->size > io->channel.max_message_bytes || message->cut != 0) {
        reject_oversize(io, in);
        return;
    }
    if (mfi_envelope_decode(message->data, message->size, &io->channel.limits, envelope, &why,
                            &error) != MF_OK) {
        reject(io, route, envelope, why, error.message, message->size);
        return;
    }
    mfi_observe_traffic(io->channel.observed, MFI_DIRECTION_RECEIVED, traffics[envelope->type],
                        message->size);
    if (is_for_another(io, envelope)) {
        return; /* for another child; the protocol sends no answer */
    }
    mfi_peers_heard(&io->peers, route);
    if (envelope->type == MFI_MESSAGE_CALL) {
        queue_call(io, in);
    } else if (envelope->type == MFI_MESSAGE_HEARTBEAT) {
        answer_heartbeat(io, route, envelope);
    } else if (envelope->type == MFI_MESSAGE_SHUTDOWN) {
        mfi_child_state_stop(io->state);
    }
}

/* True if the wire had nothing more. Finding that out takes a system call. If messages come one by
 * one, the call is run before it, because a caller that waits for each answer would wait for the
 * system call too. */
static bool receive_all(mfi_server_io *io)
{
    size_t bytes = 0;
    mfi_transport *transport = io->channel.transport;
    for (int i = 0; i < BURST_MESSAGES && bytes < BURST_BYTES; i++) {
        mfi_incoming *in = io->spare;
        mfi_io got = transport->ops->receive(transport, &in->route, &in->message);
        if (got == MFI_IO_MALFORMED) {
            mfi_channel_dropped(&io->channel, MFI_DROP_DECODE_ERROR,
                                "a message with too few frames", 0);
            continue;
        }
        if (got == MFI_IO_WRONG_PEER) {
            mfi_channel_dropped(&io->channel, MFI_DROP_WRONG_PEER, "a message of a stranger", 0);
            continue;
        }
        if (got != MFI_IO_DONE) {
            io->one_by_one = io->received_in_row <= 1;
            io->received_in_row = 0;
            return true;
        }
        bytes += in->message.size;
        take_message(io, in);
        mfi_message_release(&io->spare->message);
        io->one_by_one = io->one_by_one && io->received_in_row == 0;
        io->received_in_row++;
        if (io->one_by_one && io->calls.first != NULL) {
            return false;
        }
    }
    return false;
}

static bool has_more(void *self)
{
    return !mfi_mpsc_empty(&((const mfi_server_io *)self)->channel.driver.queue);
}

/* Cancels the queued calls, and those that the run thread has taken and not begun. No thread begins
 * these calls any more. */
static void cancel_queued(mfi_server_io *io)
{
    mfi_chain taken = {.first = atomic_exchange_explicit(&io->taken, NULL, memory_order_acq_rel)};
    for (mfi_incoming *call = NULL; (call = mfi_incoming_pop(&taken)) != NULL;) {
        mfi_child_state_unqueue(io->state, call->share, call->message.size);
        mfi_serve_cancel(io->serving, call);
    }
    for (mfi_incoming *call = NULL; (call = next_call(io)) != NULL;) {
        mfi_serve_cancel(io->serving, call);
    }
}

bool mfi_server_io_burst(mfi_server_io *io)
{
    for (;;) {
        bool sent = send_queued(io);
        bool received = receive_all(io);
        if (atomic_load_explicit(&io->state->cancelling, memory_order_acquire)) {
            cancel_queued(io);
        }
        if (!received || !sent) {
            return false;
        }
        if (!has_more(io)) {
            if (io->peers.stalled != 0) {
                (void)mfi_loop_post(io->channel.loop, &io->stall_task);
            }
            return true;
        }
    }
}

bool mfi_server_io_has_unsent(const mfi_server_io *io, bool with_early)
{
    return io->peers.stalled != 0 || !mfi_mpsc_empty(&io->channel.driver.queue) ||
           (with_early && io->peers.early.count != 0);
}

static bool burst(void *self, const mfi_waiter *until)
{
    (void)until;
    return mfi_server_io_burst(self);
}

static bool needs_watch(void *self)
{
    return ((const mfi_server_io *)self)->peers.stalled != 0;
}

static const mfi_driver_ops driver_ops = {
    .burst = burst, .needs_watch = needs_watch, .has_more = has_more};

/* ---- Peers that accept no message: engine thread ---- */

/* Sends stalled messages again after a while. A timer is needed, because a receive may consume the
 * signal that a peer has room, and a ROUTER does not say which of its peers has room. */
static void on_stall(mfi_task *task)
{
    mfi_server_io *io = MFI_CONTAINER(task, mfi_server_io, stall_task);
    mfi_loop *loop = io->channel.loop;
    if (io->channel.transport != NULL && !mfi_timer_is_set(&io->stall_timer)) {
        (void)mfi_timer_set(loop, &io->stall_timer, mfi_loop_now(loop) + STALL_LOOK_NS);
    }
}

static void on_stall_timer(mfi_timer *timer)
{
    (void)mfi_driver_kick(&MFI_CONTAINER(timer, mfi_server_io, stall_timer)->channel.driver);
}

void mfi_server_io_cancel_timers(mfi_server_io *io)
{
    mfi_timer_cancel(io->channel.loop, &io->stall_timer);
}

/* ---- Life ---- */

mf_status mfi_server_io_init(mfi_server_io *io, const mfi_server_io_options *options,
                             mf_error *error)
{
    mf_runtime *runtime = options->runtime;
    io->channel.loop = runtime->loop;
    io->channel.limits = options->limits;
    io->channel.max_message_bytes = options->max_message_bytes;
    io->state = options->state;
    io->functions = options->functions;
    io->serving = options->serving;
    io->max_queued = options->max_queued;
    io->state->budget = mfi_budget_create(options->max_queued_bytes);
    if (io->state->budget == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    mfi_peers_init(&io->peers, &io->channel, io->state->budget);
    mfi_task_init(&io->stall_task, on_stall);
    mfi_timer_init(&io->stall_timer, on_stall_timer);
    mf_status status =
        mfi_driver_init(&io->channel.driver, runtime->loop, &driver_ops, io, TAKE_OVER_NS, error);
    if (status != MF_OK) {
        return status;
    }
    io->has_driver = true;
    io->spare = mfi_incoming_make();
    return io->spare != NULL ? MF_OK : mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
}

void mfi_server_io_drop_all(mfi_server_io *io)
{
    for (mfi_out *out = NULL; (out = mfi_channel_pop(&io->channel)) != NULL;) {
        mfi_out_free(out);
    }
    mfi_peers_clear(&io->peers);
    for (mfi_incoming *call = NULL; (call = next_call(io)) != NULL;) {
        mfi_incoming_free(call);
    }
}

void mfi_server_io_fini(mfi_server_io *io)
{
    if (io->has_driver) {
        mfi_server_io_drop_all(io);
        mfi_driver_fini(&io->channel.driver);
    }
    mfi_incoming_free(io->spare);
    if (io->state != NULL) {
        mfi_budget_unref(io->state->budget);
        io->state->budget = NULL;
    }
}
