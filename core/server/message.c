/* Messages that were received or are to be sent, and the channel between them and the wire.
 *
 * Handlers, deferred answers, captured output and the socket's own thread all make and free
 * messages, on different threads. This file is below all of them, so that none needs another one
 * only to send. Messages come from caches, so that a worker in steady use allocates nothing. */
#include "core/server/message.h"

#include <string.h>

#include "base/cache.h"

#define KEPT_BUFFER_BYTES ((size_t)4096) /* that a freed message keeps for the next one */

/* ---- Calls ---- */

static mfi_cache calls = MFI_CACHE_INIT(mfi_incoming, NULL);

mfi_incoming *mfi_incoming_make(void)
{
    return mfi_cache_get(&calls);
}

void mfi_incoming_free(mfi_incoming *call)
{
    if (call != NULL) {
        mfi_message_release(&call->message);
        mfi_cache_put(&calls, call);
    }
}

/* ---- Outgoing messages ---- */

static void empty_out(void *object)
{
    mfi_buf_fini(&((mfi_out *)object)->buf);
}

static mfi_cache outs = MFI_CACHE_INIT(mfi_out, empty_out);

mfi_out *mfi_out_make(const mfi_channel *channel, mfi_traffic traffic, const mfi_route *route)
{
    mfi_out *out = mfi_cache_get(&outs);
    if (out != NULL) {
        out->traffic = traffic;
        out->route.size = 0;
        out->is_short = false;
        if (route != NULL) {
            out->route.size = route->size;
            memcpy(out->route.bytes, route->bytes, route->size);
        }
        mfi_buf_reuse(&out->buf, KEPT_BUFFER_BYTES, channel->max_message_bytes);
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

/* ---- The channel ---- */

void mfi_channel_push(mfi_channel *channel, mfi_out *out)
{
    if (out->traffic == MFI_TRAFFIC_OUTPUT) {
        atomic_fetch_add_explicit(&channel->outputs_waiting, 1, memory_order_relaxed);
    }
    mfi_mpsc_push(&channel->driver.queue, &out->queued);
}

mfi_out *mfi_channel_pop(mfi_channel *channel)
{
    mfi_out *out = (mfi_out *)(void *)mfi_mpsc_pop(&channel->driver.queue);
    if (out != NULL && out->traffic == MFI_TRAFFIC_OUTPUT) {
        atomic_fetch_sub_explicit(&channel->outputs_waiting, 1, memory_order_relaxed);
    }
    return out;
}

void mfi_channel_dropped(const mfi_channel *channel, mfi_drop_reason reason, const char *text,
                         size_t bytes)
{
    mfi_observe_transport_event(
        channel->observed,
        &(mfi_transport_event){
            .what = MFI_TRANSPORT_DROPPED, .drop = reason, .text = text, .bytes = bytes});
}
