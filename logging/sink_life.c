/* Makes and ends sinks, and runs the thread of a sink whose writes may block: a function, or a
 * descriptor that cannot be opened anew. The end of a logger waits for such a thread only until a
 * deadline. A thread that is still in its write then keeps the sink, and frees the sink when the
 * write returns. So the thread touches nothing but its sink. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "logging/sink.h"

#define FRONT_ROOM (2 * MFI_LINE_MAX_BYTES) /* more than a declaration or a half line takes */

static void sink_free(mfi_sink *sink)
{
    if (sink->fd >= 0) {
        (void)close(sink->fd);
    }
    mfi_outbox_fini(&sink->outbox);
    mfi_buf_fini(&sink->front.text);
    mfi_buf_fini(&sink->scratch);
    mfi_buf_fini(&sink->head.constant);
    mfi_mutex_fini(&sink->mutex);
    mfi_cond_fini(&sink->moved);
    free(sink->path);
    free(sink);
}

/* ---- The thread ---- */

/* Waits for lines. False at the end. */
static bool wait_for_lines(mfi_sink *sink)
{
    mfi_mutex_lock(&sink->mutex);
    while (mfi_outbox_peek_at(&sink->outbox, 0) == NULL && !sink->stopping && !sink->abandoned &&
           !sink->retry) {
        mfi_cond_wait(&sink->moved, &sink->mutex);
    }
    bool is_last = sink->stopping && mfi_outbox_peek_at(&sink->outbox, 0) == NULL;
    bool goes_on = !is_last && !sink->abandoned;
    sink->retry = false;
    mfi_mutex_unlock(&sink->mutex);
    return goes_on;
}

static void *run_sink(void *argument)
{
    mfi_sink *sink = argument;
    while (wait_for_lines(sink)) {
        mfi_sink_deliver(sink);
    }
    mfi_mutex_lock(&sink->mutex);
    sink->ended = true;
    bool is_owner = sink->left;
    mfi_cond_broadcast(&sink->moved);
    mfi_mutex_unlock(&sink->mutex);
    if (is_owner) {
        sink_free(sink);
    }
    return NULL;
}

/* ---- The logger's calls ---- */

mf_status mfi_sink_create(mfi_sink **ret_sink, const mfi_sink *from, const mfi_line_head *head,
                          mf_error *error)
{
    mfi_sink *sink = malloc(sizeof *sink);
    if (sink == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a log sink");
    }
    memcpy(sink, from, sizeof *sink);
    sink->fd = -1; /* the caller's, until the sink is made */
    sink->path = NULL;
    sink->fork_generation = mfi_fork_generation();
    sink->line_max = mfi_sink_line_max(sink);
    mfi_mutex_init(&sink->mutex);
    mfi_cond_init(&sink->moved);
    mfi_buf_init(&sink->front.text, 0);
    mfi_buf_init(&sink->scratch, 0);
    mfi_buf_init(&sink->head.constant, 0);
    mfi_buf_append(&sink->head.constant, head->constant.data, head->constant.size);
    sink->head.cut = head->cut;
    bool made = mfi_outbox_init(&sink->outbox) &&
                mfi_buf_reserve(&sink->front.text, FRONT_ROOM) != NULL &&
                mfi_buf_reserve(&sink->scratch, FRONT_ROOM) != NULL && !sink->head.constant.failed;
    if (!made) {
        sink_free(sink);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a log sink");
    }
    sink->fd = from->fd;
    sink->path = from->path;
    int failed =
        sink->has_thread ? mfi_thread_start(&sink->thread, "mf-log-sink", run_sink, sink) : 0;
    if (failed != 0) {
        sink->path = NULL;
        sink->fd = -1;
        sink_free(sink);
        return mfi_fail_errno(error, MF_ERR_SYSTEM, failed, "cannot start the thread of a sink");
    }
    *ret_sink = sink;
    return MF_OK;
}

/* Lets the thread end once the outbox is empty, and waits for that. */
static bool stop_thread(mfi_sink *sink, uint64_t deadline_ns)
{
    bool in_time = true;
    mfi_mutex_lock(&sink->mutex);
    sink->stopping = true;
    mfi_cond_broadcast(&sink->moved);
    while (in_time && !sink->ended) {
        in_time = mfi_cond_wait_until(&sink->moved, &sink->mutex, deadline_ns);
    }
    mfi_mutex_unlock(&sink->mutex);
    return in_time;
}

void mfi_sink_finish(mfi_sink *sink, uint64_t deadline_ns)
{
    bool in_time = true;
    do { /* a gap finds its place only when there is room */
        mfi_sink_move(sink, true);
        in_time = mfi_sink_wait(sink, mfi_outbox_head(&sink->outbox), deadline_ns);
    } while (in_time && sink->overflow.last_seq != 0);
    if (sink->has_thread) {
        (void)stop_thread(sink, deadline_ns);
    }
}

void mfi_sink_destroy(mfi_sink *sink)
{
    bool is_left = false;
    /* A process that was forked since has no such thread. */
    if (sink->has_thread && sink->fork_generation == mfi_fork_generation()) {
        pthread_t thread = sink->thread; /* a thread that is left frees the sink at any moment */
        mfi_mutex_lock(&sink->mutex);
        sink->abandoned = true;
        sink->left = sink->busy;
        is_left = sink->left;
        mfi_cond_broadcast(&sink->moved);
        mfi_mutex_unlock(&sink->mutex);
        if (is_left) {
            (void)pthread_detach(thread);
        } else {
            (void)pthread_join(thread, NULL);
        }
    }
    if (!is_left) {
        sink_free(sink);
    }
}
