/* Writes the records that still wait in the rings, from a signal handler. It exists because the log
 * writer is another thread: after an abort() it would never come to the last records, which say
 * why.
 *
 * Nothing here allocates or takes a lock. A logger gets the memory of one line when it is made. The
 * loggers are in a table of atomic pointers. One flush runs at a time. It takes the role of the
 * ring's reader from the writer, with a bounded wait: the writer may be stuck, or may be the thread
 * that crashed. The role is given back at the end, because the program may go on.
 *
 * The thread that crashed may have claimed a cell that it will never commit. The records behind
 * that cell are written, but stay in the ring. */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "logging/logger.h"

#define LINE_ROOM ((size_t)32 * 1024) /* more than mfi_encoder_json() takes for any record */
#define WAIT_MS 1000                  /* for the writer, another flush, or a descriptor */

static _Atomic(mf_logger *) listed[MFI_CRASH_LOGGERS_MAX];
/* Process and thread that flush; 0: no thread does. A forked process inherits the mark of another
 * process, and ignores it. */
static _Atomic(uint64_t) flushing;

static bool is_own(uint64_t mark)
{
    return mark >> 32 == (uint32_t)getpid();
}

static void pause_ms(void)
{
    const struct timespec one = {.tv_nsec = 1000000};
    (void)nanosleep(&one, NULL);
}

/* ---- The table of loggers ---- */

bool mfi_crash_list(mf_logger *logger)
{
    mfi_buf_init(&logger->crash_line, 0);
    if (mfi_buf_reserve(&logger->crash_line, LINE_ROOM + logger->head.constant.size) == NULL) {
        return false;
    }
    for (size_t i = 0; i < MFI_CRASH_LOGGERS_MAX; i++) {
        mf_logger *none = NULL;
        if (atomic_compare_exchange_strong(&listed[i], &none, logger)) {
            break;
        }
    }
    return true;
}

void mfi_crash_unlist(mf_logger *logger)
{
    for (size_t i = 0; i < MFI_CRASH_LOGGERS_MAX; i++) {
        mf_logger *own = logger;
        (void)atomic_compare_exchange_strong(&listed[i], &own, NULL);
    }
    /* Either the flush sees the table without this logger, or the flush is seen here. */
    while (is_own(atomic_load(&flushing))) {
        pause_ms();
    }
    mfi_log_reopen_wait();
}

mf_logger *mfi_crash_listed(size_t place)
{
    return atomic_load(&listed[place]);
}

/* ---- Writing ---- */

static bool write_line(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            if (poll(&ready, 1, WAIT_MS) == 0) {
                return false;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool write_record(mf_logger *logger, int fd, const mfi_record *record)
{
    mfi_buf *line = &logger->crash_line;
    mfi_buf_clear(line);
    mfi_encoder_json(line, &logger->head, record, MFI_LINE_MAX_BYTES);
    mfi_buf_append_byte(line, '\n');
    return !line->failed && write_line(fd, line->data, line->size);
}

/* Declares the records that found the ring full. */
static bool write_drops(mf_logger *logger, int fd)
{
    mfi_record on_stack;
    uint64_t count = atomic_exchange_explicit(&logger->refused, 0, memory_order_relaxed);
    if (count == 0) {
        return true;
    }
    mfi_log_make_drops(logger, count, &on_stack);
    return write_record(logger, fd, &on_stack);
}

/* The number of the oldest record, less 1. A writer that is stuck may have numbered it already. */
static uint64_t seq_before(mf_logger *logger)
{
    const mfi_record *oldest = mfi_ring_peek(logger->ring);
    bool is_numbered = oldest != NULL && oldest->seq == logger->seq && logger->seq != 0;
    return logger->seq - (is_numbered ? 1 : 0);
}

/* Writes every committed record. With the reader's role, those in front of the first cell without a
 * record leave the ring. */
static size_t write_ring(mf_logger *logger, int fd, bool has_role)
{
    size_t used = mfi_ring_used(logger->ring);
    size_t written = 0;
    size_t kept = 0; /* cells that stay in the ring */
    uint64_t seq = seq_before(logger);
    for (size_t i = 0; i < used; i++) {
        mfi_record made;
        mfi_record *cell = mfi_ring_peek_at(logger->ring, kept);
        seq++; /* as the writer will number it */
        if (cell != NULL) {
            cell->seq = seq;
            if (!write_record(logger, fd, mfi_log_read(logger, cell, &made))) {
                break;
            }
            written++;
        }
        if (cell != NULL && kept == 0 && has_role) {
            mfi_ring_pop(logger->ring);
            logger->seq = seq;
            atomic_fetch_add_explicit(&logger->crash_taken, 1, memory_order_relaxed);
        } else {
            kept++;
        }
    }
    return written;
}

/* ---- Lines that wait for a sink ----
 *
 * The writer has numbered and encoded these records. No sink has them yet: the sinks are functions,
 * or their readers are behind. Only JSON lines are written here. */

static bool write_parts(int fd, const mfi_outbox *outbox, const mfi_line *line)
{
    struct iovec parts[2];
    int count = mfi_outbox_parts(outbox, line->at, line->size, parts);
    bool complete = true;
    for (int i = 0; i < count && complete; i++) {
        complete = write_line(fd, parts[i].iov_base, parts[i].iov_len);
    }
    return complete;
}

/* Writes the lines of one outbox that are newer than *seq, and moves *seq. */
static size_t write_outbox(int fd, const mfi_outbox *outbox, uint64_t *seq)
{
    size_t written = 0;
    const mfi_line *line = NULL;
    for (uint64_t place = 0; (line = mfi_outbox_peek_from(outbox, &place)) != NULL; place++) {
        if (line->size == 0 || line->last_seq <= *seq) {
            continue;
        }
        if (!write_parts(fd, outbox, line)) {
            break;
        }
        *seq = line->last_seq;
        written++;
    }
    return written;
}

/* The sink that comes next: the one whose first line that is newer than `seq` is the oldest. */
static const mfi_sink *oldest_sink(mf_logger *logger, uint64_t seq)
{
    const mfi_sink *oldest = NULL;
    uint64_t least = UINT64_MAX;
    size_t count = atomic_load_explicit(&logger->sink_count, memory_order_acquire);
    for (size_t at = 0; at < count; at++) {
        const mfi_sink *sink = logger->sinks[at];
        const mfi_line *line = NULL;
        uint64_t place = 0;
        while ((line = mfi_outbox_peek_from(&sink->outbox, &place)) != NULL &&
               (line->size == 0 || line->last_seq <= seq)) {
            place++;
        }
        if (line != NULL && sink->format == MF_LOG_JSON && line->last_seq < least) {
            least = line->last_seq;
            oldest = sink;
        }
    }
    return oldest;
}

static size_t write_outboxes(mf_logger *logger, int fd)
{
    size_t written = 0, last = 1;
    uint64_t seq = 0; /* of the newest record that any sink has */
    const mfi_sink *sink = NULL;
    size_t count = atomic_load_explicit(&logger->sink_count, memory_order_acquire);
    for (size_t at = 0; at < count; at++) {
        uint64_t own = atomic_load_explicit(&logger->sinks[at]->last_seq, memory_order_relaxed);
        seq = own > seq ? own : seq;
    }
    while (last != 0 && (sink = oldest_sink(logger, seq)) != NULL) {
        last = write_outbox(fd, &sink->outbox, &seq);
        written += last;
    }
    return written;
}

/* ---- Taking turns ---- */

/* Waits for the end of the writer's turn. False if the writer is stuck, or is this thread: then the
 * ring stays as it is, and what the writer has in its hands is not seen. */
static bool take_role(mf_logger *logger, int32_t thread)
{
    bool is_writer = atomic_load_explicit(&logger->writer_tid, memory_order_relaxed) == thread;
    uint32_t before =
        atomic_fetch_or_explicit(&logger->reader, MFI_READER_CRASH, memory_order_acq_rel);
    for (int i = 0; i < WAIT_MS && !is_writer && (before & MFI_READER_WRITER) != 0; i++) {
        pause_ms();
        before = atomic_load_explicit(&logger->reader, memory_order_acquire);
    }
    return (before & MFI_READER_WRITER) == 0;
}

static size_t flush_one(mf_logger *logger, int fd, int32_t thread)
{
    size_t written = 0;
    if (logger->fork_generation != mfi_fork_generation()) {
        return 0; /* these records are the other process's, which writes them */
    }
    bool has_role = take_role(logger, thread);
    bool is_writer = atomic_load_explicit(&logger->writer_tid, memory_order_relaxed) == thread;
    if (has_role || is_writer) { /* the writer puts nothing into an outbox meanwhile */
        written = write_outboxes(logger, fd);
    }
    logger->head.stamp[0] =
        '\0'; /* a writer that crashed may have been about to change this text */
    logger->wall_ahead_ns = mfi_wall_ns() - mfi_monotonic_ns();
    if (!has_role || write_drops(logger, fd)) {
        written += write_ring(logger, fd, has_role);
    }
    (void)atomic_fetch_and_explicit(&logger->reader, ~(uint32_t)MFI_READER_CRASH,
                                    memory_order_acq_rel);
    return written;
}

/* False if this thread crashed inside of its own flush, or another flush does not end. */
static bool begin_flush(int32_t thread)
{
    uint64_t mark = (uint64_t)(uint32_t)getpid() << 32 | (uint32_t)thread;
    for (int i = 0; i < WAIT_MS; i++) {
        uint64_t other = atomic_load(&flushing);
        if (!is_own(other) && atomic_compare_exchange_strong(&flushing, &other, mark)) {
            return true;
        }
        if (other == mark) {
            return false;
        }
        pause_ms();
    }
    return false;
}

size_t mf_log_crash_flush(int fd)
{
    int before = errno;
    size_t written = 0;
    int32_t thread = (int32_t)syscall(SYS_gettid);
    if (begin_flush(thread)) {
        for (size_t i = 0; i < MFI_CRASH_LOGGERS_MAX; i++) {
            mf_logger *logger = atomic_load(&listed[i]);
            written += logger != NULL ? flush_one(logger, fd, thread) : 0;
        }
        atomic_store(&flushing, 0);
    }
    errno = before;
    return written;
}
