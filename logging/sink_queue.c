/* The log writer's side of a sink: puts lines into the outbox, and never waits for a reader that
 * does not read. A reader that is only slow gets a short grace: the writer waits for room at most
 * GRACE_NS, and only if the reader has read half an outbox since the last such wait. So a reader
 * that stops is waited for once, and a reader that crawls costs the others next to nothing. */
#include <poll.h>

#include "base/clock.h"
#include "logging/sink.h"

#define GRACE_NS (50 * MFI_NS_PER_MS)

static void wake_thread(mfi_sink *sink)
{
    mfi_mutex_lock(&sink->mutex);
    mfi_cond_broadcast(&sink->moved);
    mfi_mutex_unlock(&sink->mutex);
    sink->has_new = false;
}

/* ---- Room ---- */

static void wait_for_room(mfi_sink *sink, size_t size, uint64_t deadline)
{
    if (sink->has_thread) {
        uint64_t tail = mfi_outbox_tail(&sink->outbox);
        wake_thread(sink);
        while (!mfi_outbox_fits(&sink->outbox, size) && mfi_sink_wait(sink, ++tail, deadline)) {
        }
        return;
    }
    for (uint64_t now = mfi_monotonic_ns();
         now < deadline && mfi_sink_is_full(sink) && !mfi_outbox_fits(&sink->outbox, size);
         now = mfi_monotonic_ns()) {
        struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
        (void)poll(&ready, 1, mfi_poll_timeout_ms(deadline, now));
        mfi_sink_deliver(sink);
    }
}

static bool find_room(mfi_sink *sink, size_t size)
{
    if (sink->overflow.last_seq != 0) { /* a loss ends only when there is room for many lines */
        return mfi_outbox_half_free(&sink->outbox);
    }
    if (mfi_outbox_fits(&sink->outbox, size)) {
        return true;
    }
    if (!sink->has_thread) {
        mfi_sink_deliver(sink);
    }
    uint64_t read = atomic_load_explicit(&sink->outbox.text_end, memory_order_acquire);
    if (!mfi_outbox_fits(&sink->outbox, size) && read - sink->grace_at >= MFI_OUTBOX_BYTES / 2) {
        wait_for_room(sink, size, mfi_monotonic_ns() + GRACE_NS);
        sink->grace_at = read;
    }
    return mfi_outbox_fits(&sink->outbox, size);
}

/* Puts the gap into the outbox, at its place between the lines. */
static void put_overflow(mfi_sink *sink)
{
    if (sink->overflow.last_seq != 0 && mfi_outbox_half_free(&sink->outbox)) {
        mfi_outbox_put(&sink->outbox,
                       (mfi_line){.first_seq = sink->overflow.first_seq,
                                  .last_seq = sink->overflow.last_seq,
                                  .error = (int16_t)sink->overflow.error},
                       NULL);
        sink->overflow.last_seq = 0;
        sink->has_new = true;
    }
}

/* ---- The log writer's calls ---- */

void mfi_sink_lose(mfi_sink *sink, mfi_line line, int error)
{
    mfi_loss *loss = &sink->overflow;
    loss->first_seq = loss->last_seq != 0 ? loss->first_seq : line.first_seq;
    loss->last_seq = line.last_seq;
    loss->error = error;
    atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
}

void mfi_sink_put(mfi_sink *sink, mfi_line line, const char *text)
{
    if (!find_room(sink, line.size)) {
        mfi_sink_lose(sink, line, 0);
        return;
    }
    put_overflow(sink);
    if (!sink->has_thread) {
        mfi_outbox_rewind(&sink->outbox);
    }
    mfi_outbox_put(&sink->outbox, line, text);
    sink->has_new = true;
}

void mfi_sink_move(mfi_sink *sink, bool retry)
{
    put_overflow(sink);
    if (sink->has_thread) {
        if (retry) {
            mfi_mutex_lock(&sink->mutex);
            sink->retry = true;
            mfi_mutex_unlock(&sink->mutex);
        }
        if (sink->has_new || retry) {
            wake_thread(sink);
        }
        return;
    }
    bool failed = atomic_load_explicit(&sink->failed, memory_order_relaxed);
    bool is_empty = mfi_outbox_peek_at(&sink->outbox, 0) == NULL;
    if (retry || !failed || !is_empty) {
        mfi_sink_deliver(sink);
        put_overflow(sink);
    }
}

bool mfi_sink_is_full(const mfi_sink *sink)
{
    return !sink->has_thread && atomic_load_explicit(&sink->is_full, memory_order_relaxed);
}

bool mfi_sink_wait(mfi_sink *sink, uint64_t position, uint64_t deadline_ns)
{
    bool in_time = true;
    atomic_fetch_add(&sink->waiters, 1);
    mfi_mutex_lock(&sink->mutex);
    while (in_time && (mfi_outbox_tail(&sink->outbox) < position || atomic_load(&sink->is_full))) {
        in_time = mfi_cond_wait_until(&sink->moved, &sink->mutex, deadline_ns);
    }
    mfi_mutex_unlock(&sink->mutex);
    atomic_fetch_sub(&sink->waiters, 1);
    return in_time;
}
