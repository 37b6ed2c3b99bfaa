/* Lines that the worker prints, sent to its parents, where these do not read its pipes.
 *
 * While a child forwards, file descriptors 1 and 2 lead into pipes. A thread of its own reads the
 * pipes, cuts the text into lines and queues every line as a message, so that a parent that never
 * reads its child's pipes cannot block the child. That thread runs nothing of the program: a
 * callback or a handler that prints more than a pipe holds waits for it and goes on. The thread
 * that ran a handler empties the pipes before the answer leaves, so that each line is read while
 * its handler counts as running.
 *
 * The number of queued lines is bounded, so that a flood cannot fill the memory: lines beyond the
 * bound are dropped and counted. What is still in the pipes when the process dies is lost; a C
 * parent therefore reads the pipes of its worker itself. */
#include "core/server/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/id.h"
#include "base/lines.h"
#include "core/process/descriptors.h"
#include "core/process/private.h"

#define READ_BYTES 16384
#define READS_PER_TURN 8 /* 128 KiB: twice what a pipe holds */

/* One stream of the process. */
typedef struct stream {
    mfi_lines lines;
    int fd;      /* 1 or 2 */
    int saved;   /* what fd was before; -1: not captured */
    int read_fd; /* -1: not captured */
    bool ended;  /* no descriptor leads into the pipe any more */
} stream;

static struct capture {
    mfi_mutex life;  /* held over a start or a stop */
    mfi_mutex mutex; /* guards the rest */
    mfi_list forwardings;
    mfi_list printing; /* handlers that run */
    stream streams[2];
    pthread_t thread;
    int wake_fd;             /* readable: the thread ends */
    _Atomic(bool) is_active; /* a stream is captured, and the thread runs */
} capture = {.life = MFI_MUTEX_INIT, .mutex = MFI_MUTEX_INIT};

/* ---- Lines ---- */

static void forward(const mfi_forwarding *to, const stream *from, mfi_text line,
                    const char *correlation_id)
{
    mfi_channel *channel = to->channel;
    mfi_out *out = NULL;
    char id[MFI_UUID_TEXT];
    if (atomic_load_explicit(&channel->outputs_waiting, memory_order_relaxed) <
        MFI_CHILD_OUTPUTS_MAX) {
        out = mfi_out_make(channel, MFI_TRAFFIC_OUTPUT, NULL);
    }
    mfi_uuid uuid = mfi_uuid_make();
    mfi_uuid_format(&uuid, id);
    double timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    if (out == NULL || mfi_encode_output(&out->buf, id, from->fd == STDERR_FILENO, line,
                                         correlation_id, timestamp, NULL) != MF_OK) {
        mfi_out_free(out);
        mfi_channel_dropped(channel, MFI_DROP_HWM, "more output than the parent takes", line.size);
        return;
    }
    mfi_channel_push(channel, out);
}

/* Mutex held. If several handlers run, any of them may have printed the line. */
static void on_line(void *self, const char *text, size_t length)
{
    const mfi_list_node *runs = capture.printing.first;
    const char *correlation_id = NULL;
    if (length == 0) {
        return;
    }
    if (runs != NULL && runs->next == NULL) {
        correlation_id = ((const mfi_printing *)(const void *)runs)->context->correlation_id;
    }
    for (mfi_list_node *at = capture.forwardings.first; at != NULL; at = at->next) {
        forward(MFI_CONTAINER(at, mfi_forwarding, node), self, (mfi_text){text, length},
                correlation_id);
    }
}

/* Mutex held. Reads what waits in a pipe; true if there was something. */
static bool read_stream(stream *from)
{
    char bytes[READ_BYTES];
    bool has_read = false;
    for (int i = 0; i < READS_PER_TURN && from->read_fd >= 0 && !from->ended; i++) {
        ssize_t got = read(from->read_fd, bytes, sizeof bytes);
        if (got > 0) {
            has_read = true;
            mfi_lines_feed(&from->lines, bytes, (size_t)got);
        } else if (got == 0 || errno != EINTR) {
            from->ended = got == 0 || errno != EAGAIN;
            return has_read;
        }
    }
    return has_read;
}

/* Mutex held. */
static void read_streams(void)
{
    bool first = read_stream(&capture.streams[0]);
    bool second = read_stream(&capture.streams[1]);
    for (mfi_list_node *at = first || second ? capture.forwardings.first : NULL; at != NULL;
         at = at->next) {
        (void)mfi_driver_kick(&MFI_CONTAINER(at, mfi_forwarding, node)->channel->driver);
    }
}

static void *run(void *argument)
{
    (void)argument;
    for (;;) {
        mfi_mutex_lock(&capture.mutex);
        struct pollfd fds[] = {{.fd = capture.wake_fd, .events = POLLIN},
                               {.fd = -1, .events = POLLIN},
                               {.fd = -1, .events = POLLIN}};
        for (int i = 0; i < 2; i++) {
            const stream *each = &capture.streams[i];
            fds[1 + i].fd = each->ended ? -1 : each->read_fd; /* poll ignores -1 */
        }
        mfi_mutex_unlock(&capture.mutex);
        (void)poll(fds, sizeof fds / sizeof fds[0], -1);
        if (fds[0].revents != 0) {
            return NULL;
        }
        mfi_mutex_lock(&capture.mutex);
        read_streams();
        mfi_mutex_unlock(&capture.mutex);
    }
}

/* ---- Handlers ---- */

void mfi_printing_enter(mfi_printing *printing, const mf_context *context)
{
    printing->node.is_listed = false;
    if (!atomic_load_explicit(&capture.is_active, memory_order_relaxed)) {
        return;
    }
    printing->context = context;
    mfi_mutex_lock(&capture.mutex);
    mfi_list_push_back(&capture.printing, &printing->node);
    mfi_mutex_unlock(&capture.mutex);
}

void mfi_printing_leave(mfi_printing *printing)
{
    if (!printing->node.is_listed) {
        return;
    }
    mfi_mutex_lock(&capture.mutex);
    read_streams();
    mfi_list_remove(&capture.printing, &printing->node);
    mfi_mutex_unlock(&capture.mutex);
}

/* ---- Start and stop: life held ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static mf_status capture_one(stream *to, int fd, mf_error *error)
{
    int ends[2] = {-1, -1};
    *to = (stream){.fd = fd, .saved = -1, .read_fd = -1};
    mfi_lines_init(&to->lines, MFI_OUTPUT_MAX_BYTES, on_line, to);
    if (mfi_private_is_parents_pipe(fd)) {
        return MF_OK;
    }
    to->saved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (to->saved < 0) {
        return errno == EBADF
                   ? MF_OK /* closed, and there is no /dev/null: nothing to catch */
                   : mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot keep fd %d", fd);
    }
    if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        dup2(ends[1], fd) < 0) {
        mf_status status =
            mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot catch what fd %d prints", fd);
        close_fd(&ends[0]);
        close_fd(&ends[1]);
        close_fd(&to->saved);
        return status;
    }
    (void)close(ends[1]);
    to->read_fd = ends[0];
    return MF_OK;
}

/* Descriptors lead where they led before. */
static void restore(void)
{
    for (int i = 0; i < 2; i++) {
        stream *each = &capture.streams[i];
        if (each->saved >= 0) {
            (void)dup2(each->saved, each->fd);
            close_fd(&each->saved);
        }
    }
}

static void close_streams(void)
{
    close_fd(&capture.wake_fd);
    close_fd(&capture.streams[0].read_fd);
    close_fd(&capture.streams[1].read_fd);
}

static mf_status start_thread(mf_error *error)
{
    if (capture.streams[0].read_fd < 0 && capture.streams[1].read_fd < 0) {
        return MF_OK; /* nothing to read */
    }
    capture.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result =
        capture.wake_fd < 0 ? errno : mfi_thread_start(&capture.thread, "mf-output", run, NULL);
    if (result != 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, result, "cannot read what the worker prints");
    }
    atomic_store_explicit(&capture.is_active, true, memory_order_relaxed);
    return MF_OK;
}

static mf_status capture_streams(mf_error *error)
{
    capture.wake_fd = -1;
    mfi_descriptors_fill_standard(); /* or the first pipe could get the second one's number */
    (void)fflush(stdout);
    (void)fflush(stderr);
    mf_status status = capture_one(&capture.streams[0], STDOUT_FILENO, error);
    mf_status second = capture_one(&capture.streams[1], STDERR_FILENO, error);
    status = status == MF_OK ? second : status;
    if (status == MF_OK) {
        status = start_thread(error);
    }
    if (status != MF_OK) {
        restore();
        close_streams();
    }
    /* With a pipe, stdio would buffer whole blocks; a reader wants lines. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    return status;
}

mf_status mfi_forwarding_start(mfi_forwarding *forwarding, mfi_channel *channel, mf_error *error)
{
    mf_status status = MF_OK;
    mfi_mutex_lock(&capture.life);
    if (capture.forwardings.first == NULL) { /* only a start or a stop changes the list */
        status = capture_streams(error);
    }
    if (status == MF_OK) {
        forwarding->channel = channel;
        mfi_mutex_lock(&capture.mutex);
        mfi_list_push_back(&capture.forwardings, &forwarding->node);
        mfi_mutex_unlock(&capture.mutex);
    }
    mfi_mutex_unlock(&capture.life);
    return status;
}

/* The last child stops. */
static void end_capture(void)
{
    uint64_t one = 1;
    mfi_mutex_unlock(&capture.mutex); /* the thread may wait for it */
    if (atomic_exchange_explicit(&capture.is_active, false, memory_order_relaxed)) {
        (void)!write(capture.wake_fd, &one, sizeof one);
        (void)pthread_join(capture.thread, NULL);
    }
    mfi_mutex_lock(&capture.mutex);
    mfi_lines_end(&capture.streams[0].lines); /* no thread adds to them any more */
    mfi_lines_end(&capture.streams[1].lines);
    close_streams();
}

void mfi_forwarding_stop(mfi_forwarding *forwarding)
{
    if (forwarding->channel == NULL) {
        return;
    }
    mfi_mutex_lock(&capture.life);
    mfi_mutex_lock(&capture.mutex);
    bool is_last = forwarding->node.next == NULL && forwarding->node.previous == NULL;
    if (is_last) {
        restore();
    }
    /* A pipe holds 64 KiB. A child process may keep it open, so it may have no end. */
    read_streams();
    if (is_last) {
        end_capture();
    }
    mfi_list_remove(&capture.forwardings, &forwarding->node);
    mfi_mutex_unlock(&capture.mutex);
    mfi_mutex_unlock(&capture.life);
    forwarding->channel = NULL;
}
