/* The burst of a parent's driver: messages from the queue to the wire, and from the wire to their
 * calls. It exists so that a calling thread and the engine thread do exactly the same while they
 * hold the driver's role. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/calls/calls.h"
#include "core/client/calls/result.h"
#include "core/wire/envelope_fast.h"
#include "core/wire/reject.h"

/* Messages of one burst. After that the driver checks whether its own call is done, and whether
 * another thread wants to drive. */
#define BURST_MESSAGES 64
/* Bytes of one burst: large answers are delivered before more of them are received. */
#define BURST_BYTES ((size_t)256 * 1024)
/* Messages of one burst that share a reading of the clock. Eight take a few microseconds. */
#define MESSAGES_PER_READ 8
/* Of a message that is too large: enough for its id, in whatever order its fields come. */
#define OVERSIZE_READ_BYTES ((size_t)4096)

/* ---- Out ---- */

static void drop(mfi_calls *calls, mfi_drop_reason reason, const char *text, size_t bytes)
{
    mfi_observe_transport_event(
        calls->state->observed,
        &(mfi_transport_event){
            .what = MFI_TRANSPORT_DROPPED, .drop = reason, .text = text, .bytes = bytes});
}

/* The time for the next message. Every eighth message reads the clock. */
static uint64_t message_ns(mfi_calls *calls)
{
    if (calls->burst_reads++ % MESSAGES_PER_READ == 0) {
        calls->burst_ns = mfi_monotonic_ns();
    }
    return calls->burst_ns;
}

/* As mfi_calls_deliver(), but asynchronous calls are delivered together when the burst ends. */
static void deliver(mfi_calls *calls, mfi_slot *slot, uint64_t state)
{
    if ((state & 3u) == MFI_SLOT_SYNC) {
        mfi_calls_deliver(calls, slot, state);
        return;
    }
    if (calls->batch_last != NULL) {
        atomic_store_explicit(&calls->batch_last->delivered_node.next, &slot->delivered_node,
                              memory_order_relaxed);
    } else {
        calls->batch_first = slot;
    }
    calls->batch_last = slot;
}

static void deliver_batch(mfi_calls *calls)
{
    if (calls->batch_first != NULL) {
        mfi_mpsc_push_all(&calls->delivered, &calls->batch_first->delivered_node,
                          &calls->batch_last->delivered_node);
        calls->batch_first = NULL;
        calls->batch_last = NULL;
        (void)mfi_loop_post(calls->state->loop, &calls->delivered_task);
    }
}

/* A message that cannot be sent ends its attempt. */
static void fail_unsent(mfi_calls *calls, mfi_slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (mfi_slot_claim(slot, state)) {
        slot->status = MF_ERR_IO;
        deliver(calls, slot, state);
    }
}

/* Gives one message to the transport. False if the message must wait: then it is `stalled`. */
static bool send_slot(mfi_calls *calls, mfi_slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (mfi_faults_armed(&calls->faults) && mfi_slot_is_active(state) &&
        atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL &&
        mfi_calls_suffer(calls, slot, state)) {
        return true;
    }
    /* The time is written before the send, because another thread may read the answer right after
     * it. */
    if (!mfi_slot_is_active(state) || !mfi_slot_begin_send(slot, message_ns(calls))) {
        mfi_slot_release(&calls->slots, slot); /* its call ended while the message waited */
        return true;
    }
    size_t bytes = slot->out.size;
    mfi_traffic traffic = (mfi_traffic)atomic_load_explicit(&slot->traffic, memory_order_relaxed);
    mfi_io io = calls->transport->ops->send(calls->transport, NULL, &slot->out);
    if (io == MFI_IO_AGAIN) {
        /* Before that there is no peer yet that could take anything. */
        if (calls->stalled == NULL && mfi_state_get(calls->state) == MF_PARENT_READY) {
            mfi_observe_transport_event(calls->state->observed,
                                        &(mfi_transport_event){.what = MFI_TRANSPORT_SEND_BLOCKED});
        }
        mfi_slot_undo_send(slot);
        calls->stalled = slot;
        return false;
    }
    calls->stalled = NULL;
    mfi_slot_uncharge(&calls->slots, slot);
    if (io == MFI_IO_DONE) {
        mfi_observe_traffic(calls->state->observed, MFI_DIRECTION_SENT, traffic, bytes);
        if (traffic == MFI_TRAFFIC_CALL) {
            mfi_observe_client_attempt(calls->state->observed, slot->kind, bytes);
            mfi_observe_client_sent(&slot->recorded);
        }
    } else {
        fail_unsent(calls, slot);
    }
    mfi_slot_release(&calls->slots, slot);
    return true;
}

static bool has_urgent(const mfi_calls *calls)
{
    return atomic_load_explicit(&calls->urgent, memory_order_relaxed) != NULL;
}

/* A look before the exchange, which costs more, and finds nothing for almost every message. */
static mfi_slot *take_urgent(mfi_calls *calls)
{
    return has_urgent(calls) ? atomic_exchange_explicit(&calls->urgent, NULL, memory_order_acquire)
                             : NULL;
}

static mfi_slot *next_to_send(mfi_calls *calls)
{
    if (calls->stalled != NULL) {
        return calls->stalled;
    }
    mfi_slot *urgent = take_urgent(calls);
    if (urgent != NULL) {
        return urgent;
    }
    if (calls->front.first != NULL) {
        return MFI_CONTAINER(mfi_chain_pop_front(&calls->front), mfi_slot, front_node);
    }
    mfi_mpsc_node *node = mfi_mpsc_pop(&calls->driver.queue);
    return node != NULL ? MFI_CONTAINER(node, mfi_slot, out_node) : NULL;
}

static bool queue_is_empty(const mfi_calls *calls)
{
    return calls->front.first == NULL && mfi_mpsc_empty(&calls->driver.queue);
}

/* True if nothing is left that could be sent now. */
static bool send_queued(mfi_calls *calls)
{
    calls->burst_reads = 0;
    if (atomic_load_explicit(&calls->sweeping, memory_order_relaxed)) {
        mfi_calls_sweep_queue(calls);
    }
    for (int i = 0; i < BURST_MESSAGES; i++) {
        if (atomic_load_explicit(&calls->holding, memory_order_relaxed)) {
            mfi_slot *urgent = calls->stalled == NULL ? take_urgent(calls) : NULL;
            if (urgent != NULL) {
                (void)send_slot(calls, urgent);
            }
            return true; /* the queue waits for the next worker */
        }
        mfi_slot *slot = next_to_send(calls);
        if (slot == NULL) {
            return queue_is_empty(calls);
        }
        if (!send_slot(calls, slot)) {
            return true;
        }
        if (calls->stalled == slot) { /* the stalled slot is done with */
            calls->stalled = NULL;
        }
    }
    return false;
}

void mfi_calls_drop_queue(mfi_calls *calls)
{
    for (mfi_slot *slot = NULL; (slot = next_to_send(calls)) != NULL;) {
        calls->stalled = NULL;
        mfi_slot_release(&calls->slots, slot);
    }
}

void mfi_calls_sweep_queue(mfi_calls *calls)
{
    mfi_chain kept = {0};
    atomic_store_explicit(&calls->sweeping, false, memory_order_relaxed);
    for (mfi_slot *slot = NULL; (slot = next_to_send(calls)) != NULL;) {
        calls->stalled = NULL;
        if (mfi_slot_is_active(atomic_load_explicit(&slot->state, memory_order_acquire))) {
            mfi_chain_push_back(&kept, &slot->front_node);
        } else {
            mfi_slot_release(&calls->slots, slot);
        }
    }
    calls->front = kept;
}

/* Where the driver is open, the thread that holds the role, or takes it next, sweeps. */
static void sweep(mfi_task *task)
{
    mfi_calls *calls = MFI_CONTAINER(task, mfi_calls, sweep_task);
    if (mfi_driver_is_closed(&calls->driver)) {
        mfi_calls_sweep_queue(calls);
    } else {
        atomic_store_explicit(&calls->sweeping, true, memory_order_relaxed);
        (void)mfi_driver_kick(&calls->driver);
    }
}

/* ---- In ---- */

static mfi_traffic traffic_of(mfi_message_type type)
{
    switch (type) {
    case MFI_MESSAGE_CALL:
        return MFI_TRAFFIC_CALL;
    case MFI_MESSAGE_RESPONSE:
        return MFI_TRAFFIC_RESPONSE;
    case MFI_MESSAGE_ERROR:
        return MFI_TRAFFIC_ERROR;
    case MFI_MESSAGE_HEARTBEAT:
        return MFI_TRAFFIC_HEARTBEAT;
    case MFI_MESSAGE_STDOUT:
    case MFI_MESSAGE_STDERR:
        return MFI_TRAFFIC_OUTPUT;
    case MFI_MESSAGE_SHUTDOWN:
    case MFI_MESSAGE_READY:
        return MFI_TRAFFIC_CONTROL;
    }
    return MFI_TRAFFIC_OTHER;
}

/* The answer stays in the result that it was received into; the next answer gets a new result. */
static void keep_answer(mfi_calls *calls, const mfi_envelope *envelope, mfi_slot *slot)
{
    mf_result *spare = mfi_result_new();
    if (spare == NULL) {
        slot->status = MF_ERR_NO_MEMORY;
        return;
    }
    slot->answer = calls->spare;
    slot->error_text = envelope->error;
    calls->spare = spare;
    mfi_result_set(slot->answer, envelope->result, envelope->metadata,
                   &calls->state->settings.limits);
}

/* An answer that no attempt waits for any more. */
static void take_late_answer(mfi_calls *calls, const mfi_envelope *envelope)
{
    if (envelope->type == MFI_MESSAGE_HEARTBEAT) { /* it answers no call */
        mfi_metadata metadata;
        mfi_metadata_read(envelope->metadata, &metadata);
        mfi_signs_beat(&calls->signs, &metadata, true);
        return;
    }
    mfi_signs_late(&calls->signs);
    atomic_fetch_add_explicit(&calls->late_replies, 1, memory_order_relaxed);
    mfi_observe_transport_event(calls->state->observed,
                                &(mfi_transport_event){.what = MFI_TRANSPORT_LATE_REPLY});
}

/* Finds the call of an answer, and ends it. */
static void take_answer(mfi_calls *calls, const mfi_envelope *envelope)
{
    uint64_t state = 0;
    bool is_beat = envelope->type == MFI_MESSAGE_HEARTBEAT;
    mfi_output_before_answer(&calls->output);
    mfi_slot *slot = mfi_slots_find(&calls->slots, envelope->id.data, envelope->id.size, &state);
    bool fits = slot != NULL && (atomic_load_explicit(&slot->traffic, memory_order_relaxed) ==
                                 MFI_TRAFFIC_HEARTBEAT) == is_beat;
    bool is_claimed = fits && mfi_slot_claim(slot, state);
    if (!is_claimed) {
        take_late_answer(calls, envelope);
        return;
    }
    mfi_metadata metadata;
    mfi_metadata_read(envelope->metadata, &metadata);
    slot->span->received_ns = calls->burst_ns; /* read for this message */
    slot->span->response_bytes = (uint32_t)mfi_result_message(calls->spare)->size;
    slot->span->has_server_times = metadata.has_server_times;
    slot->span->server_queue_ns = metadata.server_queue_us * MFI_NS_PER_US;
    slot->span->server_handler_ns = metadata.server_handler_us * MFI_NS_PER_US;
    slot->span->has_pushback = metadata.has_pushback;
    slot->span->pushback_ms = metadata.pushback_ms;
    slot->status = envelope->type == MFI_MESSAGE_ERROR ? MF_ERR_REMOTE : MF_OK;
    if (is_beat) {
        mfi_signs_beat(&calls->signs, &metadata, false);
    } else {
        mfi_signs_answered(&calls->signs,
                           atomic_load_explicit(&slot->sent_ns, memory_order_relaxed));
        mfi_signs_load(&calls->signs, &metadata);
        keep_answer(calls, envelope, slot);
    }
    deliver(calls, slot, state);
}

static bool refused_is_claimed(mfi_calls *calls, mfi_slot *slot, uint64_t state)
{
    mfi_output_before_answer(&calls->output);
    bool is_claimed = mfi_slot_claim(slot, state);
    if (is_claimed) {
        mfi_signs_answered(&calls->signs,
                           atomic_load_explicit(&slot->sent_ns, memory_order_relaxed));
    } else {
        mfi_signs_late(&calls->signs);
    }
    return is_claimed;
}

/* An answer that is malformed but names its call: the call ends now, not at its deadline. Of a
 * broken structure only the fields before the fault are known; an id that was issued for a call is
 * enough then, because the type may stand behind the fault. */
static void refuse_answer(mfi_calls *calls, const mfi_envelope *envelope, mfi_reject reject,
                          mf_status status, const char *why)
{
    uint64_t state = 0;
    bool is_answer =
        (reject == MFI_REJECT_OVERSIZE || reject == MFI_REJECT_DECODE_ERROR) &&
        (envelope->type == MFI_MESSAGE_RESPONSE || envelope->type == MFI_MESSAGE_ERROR ||
         (!envelope->well_formed && envelope->type == 0));
    mfi_slot *slot =
        is_answer ? mfi_slots_find(&calls->slots, envelope->id.data, envelope->id.size, &state)
                  : NULL;
    if (slot != NULL &&
        atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL &&
        refused_is_claimed(calls, slot, state)) {
        slot->status = status == MF_ERR_LIMIT ? MF_ERR_LIMIT : MF_ERR_PROTOCOL;
        (void)mfi_str_copy(slot->refusal, sizeof slot->refusal, why);
        deliver(calls, slot, state);
    }
}

/* A message beyond max_message_bytes. Its first bytes name the call that it answers. */
static void refuse_oversize(mfi_calls *calls, const mfi_message *message)
{
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    char why[sizeof((mfi_slot *)NULL)->refusal];
    uint64_t bytes = message->size + message->cut;
    size_t most = calls->state->settings.max_message_bytes;
    size_t read = message->size < OVERSIZE_READ_BYTES ? message->size : OVERSIZE_READ_BYTES;
    drop(calls, MFI_DROP_OVERSIZE, "an answer is larger than max_message_bytes", (size_t)bytes);
    (void)mfi_str_format(why, sizeof why, "it has %llu bytes, more than max_message_bytes (%zu)",
                         (unsigned long long)bytes, most);
    (void)!mfi_envelope_decode_general(message->data, read, &calls->state->settings.limits,
                                       &envelope, &reject, NULL);
    refuse_answer(calls, &envelope, MFI_REJECT_OVERSIZE, MF_ERR_LIMIT, why);
}

static void take_output(mfi_calls *calls, const mfi_envelope *envelope)
{
    if (envelope->output.size != 0 && envelope->id.size != 0 &&
        !mfi_output_message(&calls->output, envelope)) {
        drop(calls, MFI_DROP_HWM, "too much worker output is waiting", envelope->output.size);
    }
}

static void take_message(mfi_calls *calls, const mfi_message *message)
{
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    mf_error error; /* its fields are set one by one, because it has kilobytes */
    mfi_error_clear(&error);
    mfi_signs_heard(&calls->signs, message_ns(calls));
    if (message->size > calls->state->settings.max_message_bytes || message->cut != 0) {
        refuse_oversize(calls, message);
        return;
    }
    mf_status status = mfi_envelope_decode(
        message->data, message->size, &calls->state->settings.limits, &envelope, &reject, &error);
    if (status != MF_OK) {
        drop(calls, mfi_reject_drop(reject), error.message, message->size);
        refuse_answer(calls, &envelope, reject, status, error.message);
        return;
    }
    mfi_observe_traffic(calls->state->observed, MFI_DIRECTION_RECEIVED, traffic_of(envelope.type),
                        message->size);
    switch (envelope.type) {
    case MFI_MESSAGE_RESPONSE:
    case MFI_MESSAGE_ERROR:
    case MFI_MESSAGE_HEARTBEAT:
        take_answer(calls, &envelope);
        break;
    case MFI_MESSAGE_STDOUT:
    case MFI_MESSAGE_STDERR:
        take_output(calls, &envelope);
        break;
    case MFI_MESSAGE_CALL:
    case MFI_MESSAGE_SHUTDOWN:
    case MFI_MESSAGE_READY:
        break; /* a worker may not send its parent anything else */
    }
}

/* True if the transport had nothing more. */
static bool receive_all(mfi_calls *calls, const mfi_waiter *until)
{
    mfi_route route;
    size_t bytes = 0;
    calls->burst_reads = 0;
    for (int i = 0; i < BURST_MESSAGES && bytes < BURST_BYTES; i++) {
        mfi_message *message = mfi_result_message(calls->spare);
        mfi_io io = calls->transport->ops->receive(calls->transport, &route, message);
        if (io == MFI_IO_MALFORMED) {
            drop(calls, MFI_DROP_DECODE_ERROR, "a message without delimiter frame", 0);
            continue;
        }
        if (io == MFI_IO_WRONG_PEER) {
            drop(calls, MFI_DROP_WRONG_PEER, "a message of a connection that calls do not go to",
                 0);
            continue;
        }
        if (io != MFI_IO_DONE) {
            return true;
        }
        bytes += message->size;
        take_message(calls, message);
        mfi_message_release(mfi_result_message(calls->spare)); /* if no call keeps it */
        if (until != NULL && mfi_waiter_is_done(until)) {
            return false;
        }
    }
    return false;
}

static bool has_more(void *self)
{
    mfi_calls *calls = self;
    return calls->stalled == NULL &&
           (has_urgent(calls) || (!queue_is_empty(calls) &&
                                  !atomic_load_explicit(&calls->holding, memory_order_relaxed)));
}

/* The last receive may have consumed the event that the stalled message waits for. */
static bool stalled_can_move(mfi_calls *calls)
{
    return calls->stalled != NULL && !atomic_load_explicit(&calls->holding, memory_order_relaxed) &&
           calls->transport->ops->can_go_on(calls->transport);
}

static bool burst(void *self, const mfi_waiter *until)
{
    mfi_calls *calls = self;
    for (;;) {
        bool sent = send_queued(calls);
        bool received = receive_all(calls, until);
        deliver_batch(calls);
        if (!received) {
            return false;
        }
        /* A send may have consumed the event that announces a message, so a receive must come last.
         * The burst has ended only if nothing was pushed to the queue meanwhile. */
        if (!sent || !(has_more(calls) || stalled_can_move(calls))) {
            return sent;
        }
    }
}

static bool needs_watch(void *self)
{
    const mfi_calls *calls = self;
    return atomic_load_explicit(&calls->async_open, memory_order_acquire) > 0;
}

const mfi_driver_ops mfi_calls_driver_ops = {
    .burst = burst, .needs_watch = needs_watch, .has_more = has_more};

void mfi_calls_init_io(mfi_calls *calls)
{
    mfi_task_init(&calls->sweep_task, sweep);
}
