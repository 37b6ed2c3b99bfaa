/* Writes the lines of one sink, and keeps the ledger of what the sink lost.
 *
 * Each record that came to the sink is written, or is in a declared range: a log_dropped record of
 * this sink alone, in front of the next line that the sink takes. The declaration has the number of
 * the last record that it declares, so that the numbers of other sinks have no gap.
 *
 * The system does not split a write of at most PIPE_BUF bytes to a pipe. So whole lines are grouped
 * up to that size, and lines of several processes do not mix. */
#include "logging/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define BATCH_BYTES ((size_t)64 * 1024) /* of one write to a file or a stream */

/* ---- The ledger ---- */

static void add_loss(mfi_loss *loss, const mfi_line *line, int error)
{
    if (loss->last_seq == 0) {
        *loss = (mfi_loss){.first_seq = line->first_seq, .last_seq = line->last_seq};
    }
    loss->first_seq = line->first_seq < loss->first_seq ? line->first_seq : loss->first_seq;
    loss->last_seq = line->last_seq > loss->last_seq ? line->last_seq : loss->last_seq;
    loss->error = error;
}

static void count_dropped(mfi_sink *sink)
{
    atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
}

/* A line of the outbox, or a gap in it, is lost. A gap was counted when it arose. */
static void lose_line(mfi_sink *sink, const mfi_line *line, int error)
{
    add_loss(&sink->lost, line, error);
    if (line->size != 0) {
        count_dropped(sink);
    }
}

static void lose_front(mfi_sink *sink, int error)
{
    mfi_front *front = &sink->front;
    add_loss(&sink->lost, &front->line, front->is_declaration ? front->error : error);
    if (!front->is_declaration) {
        count_dropped(sink);
    }
    mfi_buf_clear(&front->text);
    front->begun = false;
}

static void make_declaration(mfi_sink *sink)
{
    static const char message[] = "Log records were dropped";
    char text[128];
    mfi_record on_stack;
    mfi_record *record = mfi_log_start(NULL, MF_LOG_WARN, "log_dropped", &on_stack);
    mfi_front *front = &sink->front;
    const mfi_loss *lost = &sink->lost;
    mfi_record_message_strn(record, message, sizeof message - 1);
    mfi_record_str(record, "reason", "sink_error");
    mfi_record_uint(record, "count", lost->last_seq - lost->first_seq + 1);
    mfi_record_uint(record, "first_seq", lost->first_seq);
    mfi_record_uint(record, "last_seq", lost->last_seq);
    mfi_record_str(record, "error",
                   lost->error == 0 ? "the reader does not read"
                                    : strerror_r(lost->error, text, sizeof text));
    record->seq = lost->last_seq;
    mfi_buf_clear(&front->text);
    if (sink->broken) {
        mfi_buf_append_byte(&front->text, '\n');
    }
    if (sink->format == MF_LOG_JSON) {
        mfi_encoder_json(&front->text, &sink->head, record, sink->line_max - 2);
    } else {
        mfi_encoder_human(&front->text, record, sink->line_max - 2);
    }
    mfi_buf_append_byte(&front->text, '\n');
    front->line =
        (mfi_line){.first_seq = lost->first_seq, .last_seq = lost->last_seq, .level = MF_LOG_WARN};
    front->error = lost->error;
    front->at = 0;
    front->is_declaration = true;
    front->begun = false;
    sink->lost = (mfi_loss){.last_seq = 0};
}

/* ---- What is written next ---- */

/* A half line of a file can be continued only where it ended. Another process may have written
 * behind the half line since, or a person may have emptied the file. */
static void check_half_line(mfi_sink *sink)
{
    struct stat facts;
    if (sink->front.begun && atomic_load_explicit(&sink->failed, memory_order_relaxed) &&
        (!sink->is_regular || fstat(sink->fd, &facts) != 0 || facts.st_size != sink->size)) {
        sink->broken = !sink->is_regular || facts.st_size != 0;
        lose_front(sink, EIO);
    }
}

/* Whole lines of the outbox for one write. */
static size_t group(const mfi_sink *sink)
{
    size_t most = sink->is_pipe ? PIPE_BUF : BATCH_BYTES;
    size_t size = 0;
    const mfi_line *line = NULL;
    bool single = sink->fd < 0 || sink->is_packet;
    for (uint64_t i = 0; (line = mfi_outbox_peek_at(&sink->outbox, i)) != NULL; i++) {
        if (line->size == 0 || (size > 0 && (single || size + line->size > most))) {
            break;
        }
        size += line->size;
    }
    return size;
}

/* The bytes of the next write; returns the number of parts, 0 if there is nothing to write. */
static int next_parts(mfi_sink *sink, struct iovec parts[2])
{
    const mfi_line *line = NULL;
    check_half_line(sink);
    while (sink->front.text.size == 0 && (line = mfi_outbox_peek_at(&sink->outbox, 0)) != NULL &&
           line->size == 0) {
        lose_line(sink, line, line->error);
        mfi_outbox_pop(&sink->outbox);
    }
    if (sink->front.text.size == 0 && sink->lost.last_seq != 0) {
        make_declaration(sink);
    }
    if (sink->front.text.size != 0) {
        parts[0].iov_base = sink->front.text.data + sink->front.at;
        parts[0].iov_len = sink->front.text.size - sink->front.at;
        return 1;
    }
    return line != NULL ? mfi_outbox_parts(&sink->outbox, line->at + sink->half,
                                           group(sink) - sink->half, parts)
                        : 0;
}

/* ---- Writing ---- */

static ssize_t call_function(mfi_sink *sink, const struct iovec *parts, int count)
{
    bool is_front = sink->front.text.size != 0;
    mf_log_level level = (mf_log_level)(is_front ? sink->front.line.level
                                                 : mfi_outbox_peek_at(&sink->outbox, 0)->level);
    mfi_buf_clear(&sink->scratch);
    for (int i = 0; i < count; i++) {
        mfi_buf_append(&sink->scratch, parts[i].iov_base, parts[i].iov_len);
    }
    size_t size = sink->scratch.size;
    sink->scratch.data[size - 1] = '\0'; /* in place of the newline; the memory is there */
    sink->write(level, (const char *)sink->scratch.data, size - 1, sink->user_data);
    return (ssize_t)size;
}

static ssize_t write_parts(mfi_sink *sink, struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    int flags = MSG_NOSIGNAL | (sink->has_thread ? 0 : MSG_DONTWAIT);
    ssize_t written = 0;
    do {
        written =
            sink->is_socket ? sendmsg(sink->fd, &message, flags) : writev(sink->fd, parts, count);
        if (written < 0 && errno == EAGAIN && sink->has_thread) {
            struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
            (void)poll(&ready, 1, -1); /* others set O_NONBLOCK; this thread may wait */
            errno = EINTR;
        }
    } while (written < 0 && errno == EINTR);
    if (written == 0) {
        errno = EIO;
    }
    return written > 0 ? written : -1;
}

/* A thread says that it is about to write, because the logger may end meanwhile. */
static bool begin_write(mfi_sink *sink)
{
    if (!sink->has_thread) {
        return true;
    }
    mfi_mutex_lock(&sink->mutex);
    sink->busy = !sink->abandoned;
    bool begun = sink->busy;
    mfi_mutex_unlock(&sink->mutex);
    return begun;
}

static void end_write(mfi_sink *sink)
{
    if (sink->has_thread) {
        mfi_mutex_lock(&sink->mutex);
        sink->busy = false;
        mfi_mutex_unlock(&sink->mutex);
    }
}

static void count_written(mfi_sink *sink, const mfi_line *line)
{
    atomic_fetch_add_explicit(&sink->records[line->level], 1, memory_order_relaxed);
    atomic_store_explicit(&sink->last_seq, line->last_seq, memory_order_relaxed);
}

static void settle(mfi_sink *sink, size_t written)
{
    mfi_front *front = &sink->front;
    const mfi_line *line = NULL;
    atomic_store_explicit(&sink->failed, false, memory_order_relaxed);
    atomic_fetch_add_explicit(&sink->bytes, written - (sink->fd < 0 ? 1 : 0), memory_order_relaxed);
    if (front->text.size != 0) {
        front->at += written;
        front->begun = true;
        if (front->at == front->text.size) {
            if (!front->is_declaration) {
                count_written(sink, &front->line);
            }
            mfi_buf_clear(&front->text);
            front->begun = false;
            sink->broken = false;
        }
        return;
    }
    sink->half += written;
    while ((line = mfi_outbox_peek_at(&sink->outbox, 0)) != NULL && line->size != 0 &&
           line->size <= sink->half) {
        sink->half -= line->size;
        count_written(sink, line);
        mfi_outbox_pop(&sink->outbox);
    }
}

/* The sink has half of the oldest line: the other half waits in front of all else. */
static void keep_half_line(mfi_sink *sink)
{
    struct iovec parts[2];
    mfi_front *front = &sink->front;
    front->line = *mfi_outbox_peek_at(&sink->outbox, 0);
    int count = mfi_outbox_parts(&sink->outbox, front->line.at + sink->half,
                                 front->line.size - sink->half, parts);
    mfi_buf_clear(&front->text);
    for (int i = 0; i < count; i++) {
        mfi_buf_append(&front->text, parts[i].iov_base, parts[i].iov_len);
    }
    front->at = 0;
    front->is_declaration = false;
    front->begun = true;
    sink->half = 0;
    mfi_outbox_pop(&sink->outbox);
}

/* A write failed: what the outbox holds is lost. */
static void fail(mfi_sink *sink, int error)
{
    struct stat facts;
    const mfi_line *line = NULL;
    if (sink->half != 0) {
        keep_half_line(sink);
    }
    if (sink->front.text.size != 0 && !sink->front.begun) {
        lose_front(sink, error);
    }
    sink->size = sink->is_regular && fstat(sink->fd, &facts) == 0 ? facts.st_size : -1;
    while ((line = mfi_outbox_peek_at(&sink->outbox, 0)) != NULL) {
        lose_line(sink, line, line->size != 0 ? error : line->error);
        mfi_outbox_pop(&sink->outbox);
    }
    atomic_store_explicit(&sink->failed, true, memory_order_release);
}

void mfi_sink_replace(mfi_sink *sink, int fd)
{
    struct stat facts;
    if (sink->half != 0) {
        keep_half_line(sink);
    }
    if (sink->front.text.size != 0 && sink->front.begun) {
        lose_front(sink, EIO); /* the other half is in the old file */
    }
    (void)close(sink->fd);
    sink->fd = fd;
    sink->broken = false;
    bool is_known = fstat(fd, &facts) == 0;
    sink->is_regular = is_known && S_ISREG(facts.st_mode);
    sink->is_pipe = is_known && S_ISFIFO(facts.st_mode);
    sink->line_max = mfi_sink_line_max(sink);
    atomic_store(&sink->is_full, false);
    atomic_store_explicit(&sink->failed, false, memory_order_relaxed);
}

void mfi_sink_tell(mfi_sink *sink)
{
    if (atomic_load(&sink->waiters) != 0) {
        mfi_mutex_lock(&sink->mutex);
        mfi_cond_broadcast(&sink->moved);
        mfi_mutex_unlock(&sink->mutex);
    }
}

void mfi_sink_deliver(mfi_sink *sink)
{
    struct iovec parts[2];
    int count = 0;
    bool goes_on = true;
    bool is_full = false;
    while (goes_on && (count = next_parts(sink, parts)) != 0 && begin_write(sink)) {
        ssize_t written =
            sink->fd < 0 ? call_function(sink, parts, count) : write_parts(sink, parts, count);
        int error = errno;
        end_write(sink);
        goes_on = written > 0;
        is_full = !goes_on && error == EAGAIN;
        if (goes_on) {
            settle(sink, (size_t)written);
        } else if (!is_full) {
            fail(sink, error);
        }
        atomic_store(&sink->is_full, is_full);
        mfi_sink_tell(sink);
    }
}
