#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/error.h"
#include "base/str.h"
#include "core/server/child.h"

#define BURST_MESSAGES 64
#define BURST_BYTES ((size_t)256 * 1024)
#define KEPT_BUFFER_BYTES ((size_t)4096)
#define STALL_LOOK_NS (20 * MFI_NS_PER_MS)

/* ---- Messages ---- */

static void empty_out(void *object)
{
    mfi_buf_fini(&((mfi_out *)object)->buf);
}

static mfi_cache outs = MFI_CACHE_INIT(mfi_out, empty_out);
static mfi_cache calls = MFI_CACHE_INIT(mfi_call_in, NULL);

mfi_out *mfi_out_make(const mf_child *child, mfi_traffic traffic, const mfi_route *route)
{
    mfi_out *out = mfi_cache_get(&outs);
    if (out != NULL) {
        out->traffic = traffic;
        out->route.size = 0;
        if (route != NULL) {
            out->route.size = route->size;
            memcpy(out->route.bytes, route->bytes, route->size);
        }
        mfi_buf_reuse(&out->buf, KEPT_BUFFER_BYTES, child->max_message_bytes);
    }
    return out;
}

void mfi_out_free(mfi_out *out)
{
    if (out != NULL) {
        mfi_buf_reuse(&out->buf, KEPT_BUFFER_BYTES, 0);
        mfi_cache_put(&outs, out);
    }
}

void mfi_child_push(mf_child *child, mfi_out *out)
{
    if (out->traffic == MFI_TRAFFIC_OUTPUT) {
        atomic_fetch_add_explicit(&child->outputs_waiting, 1, memory_order_relaxed);
    }
    mfi_mpsc_push(&child->driver.queue, &out->node);
}

mfi_call_in *mfi_child_make_spare(void)
{
    return mfi_cache_get(&calls);
}

void mfi_call_in_free(mfi_call_in *call)
{
    if (call != NULL) {
        mfi_message_release(&call->message);
        mfi_cache_put(&calls, call);
    }
}

void mfi_child_dropped(mf_child *child, const char *reason, const char *text, size_t bytes)
{
    mfi_observe_transport_event(child->runtime->observer, child->observed,
                                &(mfi_transport_event){.what = MFI_TRANSPORT_DROPPED,
                                                       .type = "other",
                                                       .reason = reason,
                                                       .text = text,
                                                       .bytes = bytes});
}

/* ---- Out ---- */

static mfi_out *next_out(mf_child *child)
{
    mfi_out *out = (mfi_out *)(void *)mfi_mpsc_pop(&child->driver.queue);
    if (out != NULL && out->traffic == MFI_TRAFFIC_OUTPUT) {
        atomic_fetch_sub_explicit(&child->outputs_waiting, 1, memory_order_relaxed);
    }
    return out;
}

/* False if there is more. */
static bool send_queued(mf_child *child)
{
    mfi_peers_retry(child);
    for (int i = 0; i < BURST_MESSAGES; i++) {
        mfi_out *out = next_out(child);
        if (out == NULL) {
            return mfi_mpsc_empty(&child->driver.queue);
        }
        mfi_peers_send(child, out);
    }
    return false;
}

/* ---- In ---- */

static bool text_equals(mfi_text text, const char *word)
{
    return text.data != NULL && text.size == strlen(word) &&
           memcmp(text.data, word, text.size) == 0;
}

static void answer_heartbeat(mf_child *child, const mfi_route *route, const mfi_envelope *envelope)
{
    mfi_metadata metadata;
    uint64_t since = 0;
    mfi_metadata_read(envelope->metadata, &metadata);
    (void)mfi_child_busy(child, &since);
    mfi_heartbeat_answer answer = {
        .id = envelope->id,
        .args = envelope->args,
        .hb_timestamp = metadata.hb_timestamp,
        .busy_ms = since != 0 ? (mfi_monotonic_ns() - since) / MFI_NS_PER_MS : 0,
        .queue_length = atomic_load_explicit(&child->queued, memory_order_relaxed)};
    mfi_out *out = mfi_out_make(child, MFI_TRAFFIC_HEARTBEAT, route);
    if (out != NULL && envelope->id.data != NULL && envelope->id.size <= MFI_ID_MAX_BYTES &&
        mfi_encode_heartbeat_answer(&out->buf, &answer, mfi_wall_seconds(mfi_monotonic_ns()),
                                    NULL) == MF_OK) {
        mfi_child_push(child, out);
        return;
    }
    mfi_out_free(out);
    mfi_child_dropped(child, "decode_error", "a heartbeat that cannot be answered", 0);
}

static bool can_answer(const mfi_envelope *envelope)
{
    return envelope->id.size != 0 && envelope->id.size <= MFI_ID_MAX_BYTES;
}

/* A call that does not even get to wait: the caller is told at once. */
static void answer_at_once(mf_child *child, const mfi_route *route, const mfi_envelope *envelope,
                           const char *text)
{
    mfi_reply_times times = {.timestamp_received = mfi_wall_seconds(mfi_monotonic_ns())};
    mfi_out *out = mfi_out_make(child, MFI_TRAFFIC_ERROR, route);
    if (out != NULL &&
        mfi_child_encode_error(&out->buf, envelope->id, (mfi_text){text, strlen(text)},
                               times.timestamp_received, &times)) {
        mfi_child_push(child, out);
    } else {
        mfi_out_free(out);
    }
}

static void refuse_call(mf_child *child, const mfi_route *route, const mfi_envelope *envelope)
{
    mfi_observe_transport_event(child->runtime->observer, child->observed,
                                &(mfi_transport_event){.what = MFI_TRANSPORT_QUEUE_FULL});
    answer_at_once(child, route, envelope, "ServerOverloaded: too many calls are waiting");
}

/* Role held: nobody else adds. A single call always fits, as max_message_bytes is no more. */
static bool has_room(const mf_child *child, const mfi_call_in *call)
{
    uint64_t waiting = (uint64_t)atomic_load_explicit(&child->queued, memory_order_relaxed) +
                       atomic_load_explicit(&child->deferred, memory_order_relaxed);
    return waiting < child->max_queued &&
           call->message.size <=
               child->max_queued_bytes -
                   atomic_load_explicit(&child->queued_bytes, memory_order_relaxed);
}

/* Keeps it, and leaves another one for the next message. */
static void queue_call(mf_child *child, mfi_call_in *call)
{
    const mfi_envelope *envelope = &call->envelope;
    if (!can_answer(envelope)) {
        mfi_child_dropped(child, "decode_error", "a call without an id that can be answered",
                          call->message.size);
        return;
    }
    mfi_call_in *spare = has_room(child, call) ? mfi_child_make_spare() : NULL;
    if (spare == NULL) {
        refuse_call(child, &call->route, envelope);
        return;
    }
    child->spare = spare;
    call->next = NULL;
    call->handler = mfi_child_find(child, envelope->function.data, envelope->function.size);
    call->received_ns = mfi_monotonic_ns();
    if (child->calls.last != NULL) {
        child->calls.last->next = call;
    } else {
        child->calls.first = call;
    }
    child->calls.last = call;
    atomic_fetch_add_explicit(&child->queued, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&child->queued_bytes, call->message.size, memory_order_relaxed);
}

mfi_call_in *mfi_call_list_pop(mfi_call_list *list)
{
    mfi_call_in *call = list->first;
    if (call != NULL) {
        list->first = call->next;
        list->last = list->first != NULL ? list->last : NULL;
    }
    return call;
}

static mfi_call_in *next_call(mf_child *child)
{
    mfi_call_in *call = mfi_call_list_pop(&child->calls);
    if (call != NULL) {
        mfi_child_unqueue(child, call);
    }
    return call;
}

mfi_call_list mfi_child_take_calls(mf_child *child)
{
    mfi_call_list taken = child->calls;
    child->calls = (mfi_call_list){0};
    return taken;
}

void mfi_child_return_calls(mf_child *child, mfi_call_list *taken)
{
    if (taken->first != NULL) {
        taken->last->next = child->calls.first;
        child->calls.last = child->calls.first != NULL ? child->calls.last : taken->last;
        child->calls.first = taken->first;
        *taken = (mfi_call_list){0};
    }
}

static bool is_for_another(const mf_child *child, const mfi_envelope *envelope)
{
    return envelope->namespace_present &&
           !text_equals(envelope->namespace_name, child->namespace_name);
}

/* A message that breaks a limit or is malformed inside: if it is a call that says who it is, its
 * caller need not wait for a timeout. */
static void reject(mf_child *child, const mfi_route *route, const mfi_envelope *envelope,
                   mfi_reject why, const char *text, size_t size)
{
    char answer[MF_ERROR_MESSAGE_MAX + 16];
    mfi_child_dropped(child, mfi_reject_word(why), text, size);
    if ((why == MFI_REJECT_DECODE_ERROR || why == MFI_REJECT_OVERSIZE) &&
        envelope->type == MFI_MESSAGE_CALL && can_answer(envelope) &&
        !is_for_another(child, envelope)) {
        (void)mfi_str_format(answer, sizeof answer, "ValueError: %s", text);
        answer_at_once(child, route, envelope, answer);
    }
}

static void take_message(mf_child *child, mfi_call_in *in)
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
    if (message->size > child->max_message_bytes) {
        mfi_child_dropped(child, "oversize", "a message is larger than max_message_bytes",
                          message->size);
        return;
    }
    if (mfi_envelope_decode(message->data, message->size, &child->limits, envelope, &why, &error) !=
        MF_OK) {
        reject(child, route, envelope, why, error.message, message->size);
        return;
    }
    mfi_observe_traffic(child->observed, false, traffics[envelope->type], message->size);
    if (is_for_another(child, envelope)) {
        return; /* for another child; the protocol answers nothing */
    }
    mfi_peers_heard(child, route);
    if (envelope->type == MFI_MESSAGE_CALL) {
        queue_call(child, in);
    } else if (envelope->type == MFI_MESSAGE_HEARTBEAT) {
        answer_heartbeat(child, route, envelope);
    } else if (envelope->type == MFI_MESSAGE_SHUTDOWN) {
        mf_child_stop(child);
    }
}

/* True when the wire had nothing more. To find that out takes a system call, which a caller that
 * waits for each answer before it calls again need not wait for: where messages come one by one, a
 * call is run first. */
static bool receive_all(mf_child *child)
{
    size_t bytes = 0;
    for (int i = 0; i < BURST_MESSAGES && bytes < BURST_BYTES; i++) {
        mfi_call_in *in = child->spare;
        mfi_io io = child->transport->ops->receive(child->transport, &in->route, &in->message);
        if (io == MFI_IO_MALFORMED) {
            mfi_child_dropped(child, "decode_error", "a message with too few frames", 0);
            continue;
        }
        if (io != MFI_IO_DONE) {
            child->one_by_one = child->received_in_row <= 1;
            child->received_in_row = 0;
            return true;
        }
        bytes += in->message.size;
        take_message(child, in);
        mfi_message_release(&child->spare->message);
        child->one_by_one = child->one_by_one && child->received_in_row == 0;
        child->received_in_row++;
        if (child->one_by_one && child->calls.first != NULL) {
            return false;
        }
    }
    return false;
}

static bool has_more(void *self)
{
    return !mfi_mpsc_empty(&((const mf_child *)self)->driver.queue);
}

/* Nobody begins them any more, nor those that the run thread has taken behind a long handler. */
static void cancel_queued(mf_child *child)
{
    mfi_call_in *taken = atomic_exchange_explicit(&child->taken, NULL, memory_order_acq_rel);
    while (taken != NULL) {
        mfi_call_in *call = taken;
        taken = call->next;
        mfi_child_unqueue(child, call);
        mfi_child_cancel(child, call);
    }
    for (mfi_call_in *call = NULL; (call = next_call(child)) != NULL;) {
        mfi_child_cancel(child, call);
    }
}

bool mfi_child_burst(mf_child *child)
{
    for (;;) {
        bool sent = send_queued(child);
        bool received = receive_all(child);
        if (atomic_load_explicit(&child->stopping, memory_order_acquire)) {
            cancel_queued(child);
        }
        if (!received || !sent) {
            return false;
        }
        if (!has_more(child)) {
            if (child->peers.stalled != 0) {
                (void)mfi_loop_post(child->runtime->loop, &child->stall_task);
            }
            return true;
        }
    }
}

/* Receiving may consume the signal that room was made for a stalled message, and a ROUTER does not
 * say which of its peers takes something: so it is tried again from time to time. */
void mfi_child_on_stall(mfi_task *task)
{
    mf_child *child = MFI_CONTAINER(task, mf_child, stall_task);
    mfi_loop *loop = child->runtime->loop;
    if (child->transport != NULL && !mfi_timer_is_set(&child->stall_timer)) {
        (void)mfi_timer_set(loop, &child->stall_timer, mfi_loop_now(loop) + STALL_LOOK_NS);
    }
}

void mfi_child_on_stall_timer(mfi_timer *timer)
{
    (void)mfi_driver_kick(&MFI_CONTAINER(timer, mf_child, stall_timer)->driver);
}

static bool burst(void *self, const mfi_waiter *until)
{
    (void)until;
    return mfi_child_burst(self);
}

static bool needs_watch(void *self)
{
    return ((const mf_child *)self)->peers.stalled != 0;
}

const mfi_driver_ops mfi_child_driver_ops = {
    .burst = burst, .needs_watch = needs_watch, .has_more = has_more};

void mfi_child_drop_all(mf_child *child)
{
    for (mfi_out *out = NULL; (out = next_out(child)) != NULL;) {
        mfi_out_free(out);
    }
    mfi_peers_fini(child);
    for (mfi_call_in *call = NULL; (call = next_call(child)) != NULL;) {
        mfi_call_in_free(call);
    }
}
