/* Lines that the worker prints, sent to its parents.
 *
 * While the worker runs, file descriptors 1 and 2 lead into pipes. The engine thread reads the
 * pipes, cuts the text into lines and queues every line as a message, so that a parent that never
 * reads its child's pipes cannot block the child. The number of queued lines is bounded, so that a
 * flood cannot fill the memory: lines beyond the bound are dropped and counted. */
#include "core/server/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/id.h"
#include "core/process/descriptors.h"

#define READ_BYTES 16384
#define READS_PER_TURN 8 /* 128 KiB: twice what a pipe holds */

static void on_line(void *self, const char *text, size_t length)
{
    mfi_capture *capture = self;
    mfi_channel *channel = capture->channel;
    mfi_out *out = NULL;
    char id[MFI_UUID_TEXT];
    if (length == 0) {
        return;
    }
    if (atomic_load_explicit(&channel->outputs_waiting, memory_order_relaxed) <
        MFI_CHILD_OUTPUTS_MAX) {
        out = mfi_out_make(channel, MFI_TRAFFIC_OUTPUT, NULL);
    }
    mfi_uuid uuid = mfi_uuid_make();
    mfi_uuid_format(&uuid, id);
    double timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    if (out == NULL || mfi_encode_output(&out->buf, id, capture->fd == STDERR_FILENO,
                                         (mfi_text){text, length}, timestamp, NULL) != MF_OK) {
        mfi_out_free(out);
        mfi_channel_dropped(channel, MFI_DROP_HWM, "more output than the parent takes", length);
        return;
    }
    mfi_channel_push(channel, out);
}

/* Reads a pipe; false at its end. */
static bool drain(mfi_capture *capture, int reads)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < reads; i++) {
        ssize_t got = read(capture->read_fd, bytes, sizeof bytes);
        if (got > 0) {
            mfi_lines_feed(&capture->lines, bytes, (size_t)got);
        } else if (got == 0 || errno != EINTR) {
            return got < 0 && errno == EAGAIN;
        }
    }
    return true;
}

static void on_readable(mfi_source *source, uint32_t events)
{
    (void)events;
    mfi_capture *capture = MFI_CONTAINER(source, mfi_capture, source);
    if (!drain(capture, READS_PER_TURN)) {
        mfi_source_remove(capture->channel->loop, source);
    }
    (void)mfi_driver_kick(&capture->channel->driver);
}

static mf_status capture_one(mfi_capture *capture, mfi_channel *channel, int fd, mf_error *error)
{
    int ends[2] = {-1, -1};
    mfi_source_init(&capture->source, on_readable);
    mfi_lines_init(&capture->lines, MFI_OUTPUT_MAX_BYTES, on_line, capture);
    capture->channel = channel;
    capture->fd = fd;
    capture->read_fd = -1;
    capture->saved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (capture->saved < 0) {
        return errno == EBADF
                   ? MF_OK /* closed, and there is no /dev/null: nothing to catch */
                   : mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot keep fd %d", fd);
    }
    if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        dup2(ends[1], fd) < 0) {
        mf_status status =
            mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot catch what fd %d prints", fd);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)close(capture->saved);
        capture->saved = -1;
        return status;
    }
    (void)close(ends[1]);
    capture->read_fd = ends[0];
    return mfi_source_add(channel->loop, &capture->source, ends[0], EPOLLIN, error);
}

mf_status mfi_captures_start(mfi_captures *captures, mfi_channel *channel, mf_error *error)
{
    mfi_descriptors_fill_standard(); /* or the first pipe could get the second one's number */
    (void)fflush(stdout);
    (void)fflush(stderr);
    mf_status status = capture_one(&captures->streams[0], channel, STDOUT_FILENO, error);
    if (status == MF_OK) {
        status = capture_one(&captures->streams[1], channel, STDERR_FILENO, error);
    }
    /* With a pipe, stdio would buffer whole blocks; a reader wants lines. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    return status;
}

void mfi_captures_stop(mfi_captures *captures)
{
    for (int i = 0; i < 2; i++) {
        mfi_capture *capture = &captures->streams[i];
        if (capture->channel == NULL || capture->read_fd < 0) {
            continue;
        }
        (void)dup2(capture->saved, capture->fd);
        (void)close(capture->saved);
        /* A pipe holds 64 KiB. A child process may keep it open, so it may have no end. */
        (void)drain(capture, READS_PER_TURN);
        mfi_lines_end(&capture->lines);
        mfi_source_remove(capture->channel->loop, &capture->source);
        (void)close(capture->read_fd);
        capture->read_fd = -1;
    }
}
