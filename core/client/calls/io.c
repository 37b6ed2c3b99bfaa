/* The parent's burst: messages from the queue to the wire, and from the wire to their calls. Runs
 * with the driver's role held, on a calling thread or the engine thread. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/calls/result.h"
#include "core/client/parent.h"
#include "core/wire/reject.h"

/* So many messages at most in one burst: then the driver looks whether its own call is done and
 * who else wants to drive. */
#define BURST_MESSAGES 64
/* And so many bytes: large answers are given back before more of them are taken. */
#define BURST_BYTES ((size_t)256 * 1024)
/* Messages of one burst that share a reading of the clock: some microseconds' worth at most. */
#define MESSAGES_PER_READ 8
/* Output messages that may wait for the engine thread; more are dropped, and counted. */
#define OUTPUTS_MAX 1024

typedef struct output_message {
    mfi_mpsc_node node; /* first member */
    bool is_stderr;
    size_t length;
    char text[];
} output_message;

/* ---- Out ---- */

static void drop(mf_parent *parent, mfi_drop_reason reason, const char *text, size_t bytes)
{
    mfi_observe_transport_event(
        parent->observed,
        &(mfi_transport_event){
            .what = MFI_TRANSPORT_DROPPED, .drop = reason, .text = text, .bytes = bytes});
}

/* The clock's reading for the next message: a new one only for each of a few. */
static uint64_t message_ns(mf_parent *parent)
{
    if (parent->burst_reads++ % MESSAGES_PER_READ == 0) {
        parent->burst_ns = mfi_monotonic_ns();
    }
    return parent->burst_ns;
}

/* As mfi_call_ended, but asynchronous calls are told together when the burst ends. */
static void call_ended(mf_parent *parent, mfi_slot *slot, uint64_t state)
{
    if ((state & 3u) == MFI_PHASE_SYNC) {
        mfi_call_ended(parent, slot, state);
        return;
    }
    if (parent->done_last != NULL) {
        atomic_store_explicit(&parent->done_last->done_node.next, &slot->done_node,
                              memory_order_relaxed);
    } else {
        parent->done_first = slot;
    }
    parent->done_last = slot;
}

static void tell_ended(mf_parent *parent)
{
    if (parent->done_first != NULL) {
        mfi_mpsc_push_all(&parent->ended, &parent->done_first->done_node,
                          &parent->done_last->done_node);
        parent->done_first = NULL;
        parent->done_last = NULL;
        (void)mfi_loop_post(parent->runtime->loop, &parent->ended_task);
    }
}

/* A message that cannot be sent ends its call. */
static void fail_unsent(mf_parent *parent, mfi_slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (mfi_slot_claim(slot, state)) {
        slot->status = MF_ERR_IO;
        call_ended(parent, slot, state);
    }
}

/* Hands one message to the transport. False if it has to wait; it is then the stalled one. */
static bool send_slot(mf_parent *parent, mfi_slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    /* The time is written before the send: another thread may read the answer right after it. */
    if (!mfi_slot_is_active(state) || !mfi_slot_begin_send(slot, message_ns(parent))) {
        mfi_slot_release(&parent->pending, slot); /* its call ended while it waited */
        return true;
    }
    size_t bytes = slot->out.size;
    mfi_traffic traffic = (mfi_traffic)atomic_load_explicit(&slot->traffic, memory_order_relaxed);
    mfi_io io = parent->transport->ops->send(parent->transport, NULL, &slot->out);
    if (io == MFI_IO_AGAIN) {
        if (parent->stalled == NULL) {
            mfi_observe_transport_event(parent->observed,
                                        &(mfi_transport_event){.what = MFI_TRANSPORT_SEND_BLOCKED});
        }
        mfi_slot_undo_send(slot);
        parent->stalled = slot;
        return false;
    }
    parent->stalled = NULL;
    if (io == MFI_IO_DONE) {
        mfi_observe_traffic(parent->observed, MFI_DIRECTION_SENT, traffic, bytes);
    } else {
        fail_unsent(parent, slot);
    }
    mfi_slot_release(&parent->pending, slot);
    return true;
}

static mfi_slot *next_to_send(mf_parent *parent)
{
    if (parent->stalled != NULL) {
        return parent->stalled;
    }
    mfi_mpsc_node *node = mfi_mpsc_pop(&parent->driver.queue);
    return node != NULL ? MFI_CONTAINER(node, mfi_slot, out_node) : NULL;
}

/* True if nothing is left that could be sent now. */
static bool send_queued(mf_parent *parent)
{
    parent->burst_reads = 0;
    for (int i = 0; i < BURST_MESSAGES; i++) {
        if (atomic_load_explicit(&parent->holding, memory_order_relaxed)) {
            return true; /* what is queued waits for the next worker */
        }
        mfi_slot *slot = next_to_send(parent);
        if (slot == NULL) {
            return mfi_mpsc_empty(&parent->driver.queue);
        }
        if (!send_slot(parent, slot)) {
            return true;
        }
        if (parent->stalled == slot) { /* was stalled, is gone */
            parent->stalled = NULL;
        }
    }
    return false;
}

void mfi_parent_drop_queue(mf_parent *parent)
{
    for (mfi_slot *slot = NULL; (slot = next_to_send(parent)) != NULL;) {
        parent->stalled = NULL;
        mfi_slot_release(&parent->pending, slot);
    }
}

/* Calls that have ended give their slots back, though nobody will take them from the queue soon;
 * all others stay, in their order. */
void mfi_parent_sweep_queue(mf_parent *parent)
{
    mfi_slot *first = NULL;
    mfi_slot **end = &first;
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&parent->driver.queue)) != NULL;) {
        mfi_slot *slot = MFI_CONTAINER(node, mfi_slot, out_node);
        if (mfi_slot_is_active(atomic_load_explicit(&slot->state, memory_order_acquire))) {
            slot->sweep_next = NULL;
            *end = slot;
            end = &slot->sweep_next;
        } else {
            mfi_slot_release(&parent->pending, slot);
        }
    }
    while (first != NULL) {
        mfi_slot *slot = first;
        first = slot->sweep_next;
        mfi_mpsc_push(&parent->driver.queue, &slot->out_node);
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

/* The answer stays where it was received, and another place is made for the next one. */
static void keep_answer(mf_parent *parent, const mfi_envelope *envelope, mfi_slot *slot)
{
    mf_result *spare = mfi_result_new();
    if (spare == NULL) {
        slot->status = MF_ERR_NO_MEMORY;
        return;
    }
    slot->answer = parent->spare;
    slot->error_text = envelope->error;
    parent->spare = spare;
    mfi_result_set(slot->answer, envelope->result, envelope->metadata, &parent->settings.limits);
}

/* An answer: finds its call, and ends it. */
static void take_answer(mf_parent *parent, const mfi_envelope *envelope)
{
    uint64_t state = 0;
    mfi_slot *slot =
        mfi_pending_find(&parent->pending, envelope->id.data, envelope->id.size, &state);
    bool fits =
        slot != NULL && (atomic_load_explicit(&slot->traffic, memory_order_relaxed) ==
                         MFI_TRAFFIC_HEARTBEAT) == (envelope->type == MFI_MESSAGE_HEARTBEAT);
    if (!fits || !mfi_slot_claim(slot, state)) {
        atomic_fetch_add_explicit(&parent->late_replies, 1, memory_order_relaxed);
        mfi_observe_transport_event(parent->observed,
                                    &(mfi_transport_event){.what = MFI_TRANSPORT_LATE_REPLY});
        return;
    }
    mfi_metadata metadata;
    mfi_metadata_read(envelope->metadata, &metadata);
    slot->span->received_ns = message_ns(parent);
    slot->span->response_bytes = (uint32_t)mfi_result_message(parent->spare)->size;
    slot->span->has_server_times = metadata.has_server_times;
    slot->span->server_queue_ns = metadata.server_queue_us * MFI_NS_PER_US;
    slot->span->server_handler_ns = metadata.server_handler_us * MFI_NS_PER_US;
    slot->status = envelope->type == MFI_MESSAGE_ERROR ? MF_ERR_REMOTE : MF_OK;
    if (envelope->type != MFI_MESSAGE_HEARTBEAT) {
        keep_answer(parent, envelope, slot);
    }
    call_ended(parent, slot, state);
}

/* An answer that cannot be taken, but says which call it is for: that call need not wait for its
 * deadline. */
static void refuse_answer(mf_parent *parent, const mfi_envelope *envelope, mfi_reject reject,
                          mf_status status, const char *why)
{
    uint64_t state = 0;
    bool is_answer =
        envelope->well_formed &&
        (reject == MFI_REJECT_OVERSIZE || reject == MFI_REJECT_DECODE_ERROR) &&
        (envelope->type == MFI_MESSAGE_RESPONSE || envelope->type == MFI_MESSAGE_ERROR);
    mfi_slot *slot =
        is_answer ? mfi_pending_find(&parent->pending, envelope->id.data, envelope->id.size, &state)
                  : NULL;
    if (slot != NULL &&
        atomic_load_explicit(&slot->traffic, memory_order_relaxed) == MFI_TRAFFIC_CALL &&
        mfi_slot_claim(slot, state)) {
        slot->status = status == MF_ERR_LIMIT ? MF_ERR_LIMIT : MF_ERR_PROTOCOL;
        (void)mfi_str_copy(slot->refusal, sizeof slot->refusal, why);
        call_ended(parent, slot, state);
    }
}

/* What a worker printed is shown on the engine thread, whoever drives. */
static void take_output(mf_parent *parent, const mfi_envelope *envelope)
{
    if (envelope->output.size == 0 || envelope->id.size == 0) {
        return;
    }
    output_message *output = NULL;
    if (atomic_load_explicit(&parent->outputs_waiting, memory_order_relaxed) < OUTPUTS_MAX) {
        output = malloc(sizeof *output + envelope->output.size);
    }
    if (output == NULL) {
        drop(parent, MFI_DROP_HWM, "too much worker output is waiting", envelope->output.size);
        return;
    }
    output->is_stderr = envelope->type == MFI_MESSAGE_STDERR;
    output->length = envelope->output.size;
    memcpy(output->text, envelope->output.data, envelope->output.size);
    atomic_fetch_add_explicit(&parent->outputs_waiting, 1, memory_order_relaxed);
    mfi_mpsc_push(&parent->outputs, &output->node);
    (void)mfi_loop_post(parent->runtime->loop, &parent->outputs_task);
}

void mfi_parent_run_outputs(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, outputs_task);
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&parent->outputs)) != NULL;) {
        output_message *output = (output_message *)(void *)node;
        atomic_fetch_sub_explicit(&parent->outputs_waiting, 1, memory_order_relaxed);
        mfi_worker_output(parent, output->is_stderr, output->text, output->length);
        free(output);
    }
}

static void take_message(mf_parent *parent, const mfi_message *message)
{
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    mf_error error; /* not set as a whole: it has kilobytes */
    mfi_error_clear(&error);
    if (message->size > parent->settings.max_message_bytes) {
        drop(parent, MFI_DROP_OVERSIZE, "an answer is larger than max_message_bytes",
             message->size);
        return;
    }
    mf_status status = mfi_envelope_decode(message->data, message->size, &parent->settings.limits,
                                           &envelope, &reject, &error);
    if (status != MF_OK) {
        drop(parent, mfi_reject_drop(reject), error.message, message->size);
        refuse_answer(parent, &envelope, reject, status, error.message);
        return;
    }
    mfi_observe_traffic(parent->observed, MFI_DIRECTION_RECEIVED, traffic_of(envelope.type),
                        message->size);
    switch (envelope.type) {
    case MFI_MESSAGE_RESPONSE:
    case MFI_MESSAGE_ERROR:
    case MFI_MESSAGE_HEARTBEAT:
        take_answer(parent, &envelope);
        break;
    case MFI_MESSAGE_STDOUT:
    case MFI_MESSAGE_STDERR:
        take_output(parent, &envelope);
        break;
    case MFI_MESSAGE_CALL:
    case MFI_MESSAGE_SHUTDOWN:
    case MFI_MESSAGE_READY:
        break; /* nothing that a worker may ask of its parent */
    }
}

/* True when the wire had nothing more. */
static bool receive_all(mf_parent *parent, const mfi_waiter *until)
{
    mfi_route route;
    size_t bytes = 0;
    parent->burst_reads = 0;
    for (int i = 0; i < BURST_MESSAGES && bytes < BURST_BYTES; i++) {
        mfi_message *message = mfi_result_message(parent->spare);
        mfi_io io = parent->transport->ops->receive(parent->transport, &route, message);
        if (io == MFI_IO_MALFORMED) {
            drop(parent, MFI_DROP_DECODE_ERROR, "a message without delimiter frame", 0);
            continue;
        }
        if (io != MFI_IO_DONE) {
            return true;
        }
        bytes += message->size;
        take_message(parent, message);
        mfi_message_release(mfi_result_message(parent->spare)); /* if it was not kept */
        if (until != NULL && mfi_waiter_is_done(until)) {
            return false;
        }
    }
    return false;
}

static bool has_more(void *self)
{
    mf_parent *parent = self;
    return parent->stalled == NULL && !mfi_mpsc_empty(&parent->driver.queue) &&
           !atomic_load_explicit(&parent->holding, memory_order_relaxed);
}

/* What receive has consumed may have been what the stalled message waited for. */
static bool can_go_on(mf_parent *parent)
{
    return parent->stalled != NULL &&
           !atomic_load_explicit(&parent->holding, memory_order_relaxed) &&
           parent->transport->ops->can_go_on(parent->transport);
}

static bool burst(void *self, const mfi_waiter *until)
{
    mf_parent *parent = self;
    for (;;) {
        bool sent = send_queued(parent);
        bool received = receive_all(parent, until);
        tell_ended(parent);
        if (!received) {
            return false;
        }
        /* Sending may have consumed what would have woken us, so receive has the last word: only
         * when nothing came into the queue meanwhile is the burst at its end. */
        if (!sent || !(has_more(parent) || can_go_on(parent))) {
            return sent;
        }
    }
}

static bool needs_watch(void *self)
{
    const mf_parent *parent = self;
    return atomic_load_explicit(&parent->async_open, memory_order_acquire) > 0;
}

const mfi_driver_ops mfi_parent_driver_ops = {
    .burst = burst, .needs_watch = needs_watch, .has_more = has_more};
