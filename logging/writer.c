/* The thread that takes records out of the ring, encodes them and writes them: see logger.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "logging/logger.h"

#define BATCH_BYTES ((size_t)64 * 1024) /* of lines, until the sinks get them */
#define NAP_NS (5 * MFI_NS_PER_MS)      /* in which records gather for one write */
#define ACTIVE_NS (100 * MFI_NS_PER_MS) /* after the last record, until the writer sleeps */
#define LAST_FLUSH_NS (2 * MFI_NS_PER_S)
#define FORMS 4 /* of a line: for each format, long and fit for a pipe */

/* The forms in which the sinks want one record. A form is made when the first sink wants it. */
typedef struct forms {
    mfi_buf text[FORMS];
    size_t bytes; /* of the lines since the last write */
} forms;

static size_t sink_count(const mf_logger *logger)
{
    return atomic_load_explicit(&logger->sink_count, memory_order_acquire);
}

static const mfi_buf *encode(mf_logger *logger, forms *all, mf_log_format format, bool for_pipe,
                             const mfi_record *record)
{
    mfi_buf *text = &all->text[format + (for_pipe ? FORMS / 2 : 0)];
    size_t most = for_pipe ? MFI_LINE_MAX_PIPE - 1 : MFI_LINE_MAX_BYTES;
    if (text->size == 0 && !text->failed) {
        if (format == MF_LOG_JSON) {
            mfi_encoder_json(text, &logger->head, record, most);
        } else {
            mfi_encoder_human(text, record, most);
        }
        mfi_buf_append_byte(text, '\n');
        all->bytes += text->size;
    }
    return text;
}

static const mfi_buf *form_for(mf_logger *logger, forms *all, const mfi_sink *sink,
                               const mfi_record *record)
{
    const mfi_buf *text = encode(logger, all, sink->format, false, record);
    return text->size <= sink->line_max ? text : encode(logger, all, sink->format, true, record);
}

/* first_seq: the first record that this one tells of; mostly its own number. */
static void add_record(mf_logger *logger, forms *all, const mfi_record *record, uint64_t first_seq)
{
    for (size_t i = 0; i < FORMS; i++) {
        mfi_buf_clear(&all->text[i]);
    }
    mfi_log_tail_fn tail = atomic_load_explicit(&logger->tail, memory_order_acquire);
    for (size_t i = 0; i < sink_count(logger); i++) {
        mfi_sink *sink = logger->sinks[i];
        const mfi_buf *text = form_for(logger, all, sink, record);
        if (i == 0 && tail != NULL && !text->failed) {
            tail(logger->tail_self, (const char *)text->data, text->size);
        }
        mfi_line line = {.first_seq = first_seq,
                         .last_seq = record->seq,
                         .size = (uint32_t)text->size,
                         .level = record->level};
        if (text->failed) {
            mfi_sink_lose(sink, line, ENOMEM);
        } else {
            mfi_sink_put(sink, line, (const char *)text->data);
        }
    }
}

void mfi_log_set_tail(mf_logger *logger, mfi_log_tail_fn tail, void *self)
{
    logger->tail_self = self;
    atomic_store_explicit(&logger->tail, tail, memory_order_release);
}

static void move_lines(mf_logger *logger, forms *all, bool retry)
{
    all->bytes = 0;
    for (size_t i = 0; i < sink_count(logger); i++) {
        mfi_sink_move(logger->sinks[i], retry);
    }
}

const mfi_record *mfi_log_read(mf_logger *logger, const mfi_record *cell, mfi_record *made)
{
    if (cell->expand == NULL) {
        return cell;
    }
    mfi_log_head(made, logger, (mf_log_level)cell->level, cell->event);
    made->wall_ns = cell->wall_ns + logger->wall_ahead_ns;
    made->tid = cell->tid;
    made->seq = cell->seq;
    cell->expand(made, cell->data);
    return made;
}

void mfi_log_make_drops(mf_logger *logger, uint64_t count, mfi_record *ret_record)
{
    static const char message[] = "Log records were dropped";
    mfi_log_head(ret_record, logger, MF_LOG_WARN, "log_dropped");
    ret_record->wall_ns = mfi_wall_ns();
    ret_record->tid = (int32_t)syscall(SYS_gettid);
    mfi_record_message_strn(ret_record, message, sizeof message - 1);
    mfi_record_str(ret_record, "reason", "ring_full");
    mfi_record_uint(ret_record, "count", count);
    mfi_record_uint(ret_record, "first_seq", logger->seq + 1);
    mfi_record_uint(ret_record, "last_seq", logger->seq + count);
    logger->seq += count;
    ret_record->seq = ++logger->seq;
}

/* Declares the records that found the ring full since the last declaration. */
static void declare_drops(mf_logger *logger, forms *all)
{
    mfi_record on_stack;
    uint64_t count = atomic_exchange_explicit(&logger->refused, 0, memory_order_relaxed);
    if (count != 0) {
        mfi_log_make_drops(logger, count, &on_stack);
        add_record(logger, all, &on_stack, on_stack.seq - count);
    }
}

/* Logs how many records sampling left out. Those have no numbers, so there is no gap to declare. */
static void sum_up(mf_logger *logger, forms *all)
{
    mfi_record on_stack;
    uint64_t left_out = mfi_sampler_left_out(logger->gate.sampler);
    logger->summary_ns = mfi_monotonic_ns() + logger->summary_period_ns;
    if (left_out == logger->summed_up || !mfi_log_enabled(logger, MF_LOG_INFO)) {
        return;
    }
    mfi_record *record = mfi_log_start(logger, MF_LOG_INFO, "log_dropped", &on_stack);
    mfi_record_message(record, "Log records were sampled out");
    mfi_record_str(record, "reason", "sampled");
    mfi_record_uint(record, "count", left_out - logger->summed_up);
    logger->summed_up = left_out;
    record->seq = ++logger->seq;
    add_record(logger, all, record, record->seq);
}

/* Opens the files of the sinks anew, where mf_log_reopen() was called since the last look. A file
 * that cannot be opened stays the old one. */
static void reopen_files(mf_logger *logger, forms *all)
{
    uint64_t wanted = mfi_log_reopens();
    size_t count = wanted != logger->reopened ? sink_count(logger) : 0;
    logger->reopened = wanted;
    for (size_t i = 0; i < count; i++) {
        mfi_record on_stack;
        char text[128];
        mfi_sink *sink = logger->sinks[i];
        int fd = sink->path != NULL ? mfi_sink_open(sink->path) : -1;
        int error = errno;
        if (fd >= 0) {
            mfi_sink_replace(sink, fd);
        } else if (sink->path != NULL && mfi_log_enabled(logger, MF_LOG_ERROR)) {
            mfi_record *record = mfi_log_start(logger, MF_LOG_ERROR, "log_reopen", &on_stack);
            mfi_record_message(record, "The log file could not be opened anew");
            mfi_record_str(record, "path", sink->path);
            mfi_record_str(record, "error", strerror_r(error, text, sizeof text));
            record->seq = ++logger->seq;
            add_record(logger, all, record, record->seq);
        }
    }
}

/* Takes records out of the ring, at most those of one batch, and gives them to the sinks. Returns
 * the number of records. */
static uint64_t drain(mf_logger *logger, forms *all)
{
    uint64_t taken = 0;
    mfi_record *record = NULL;
    uint64_t retry = atomic_load_explicit(&logger->retries_wanted, memory_order_acquire);
    reopen_files(logger, all);
    declare_drops(logger, all);
    if (logger->gate.sampler != NULL && mfi_monotonic_ns() >= logger->summary_ns) {
        sum_up(logger, all);
    }
    logger->wall_ahead_ns = mfi_wall_ns() - mfi_monotonic_ns();
    while ((record = mfi_ring_peek(logger->ring)) != NULL) {
        mfi_record made;
        record->seq = ++logger->seq;
        add_record(logger, all, mfi_log_read(logger, record, &made), record->seq);
        mfi_ring_pop(logger->ring);
        taken++;
        if (all->bytes >= BATCH_BYTES) {
            break;
        }
    }
    move_lines(logger, all,
               retry != atomic_load_explicit(&logger->retries_done, memory_order_relaxed));
    atomic_store_explicit(&logger->retries_done, retry, memory_order_release);
    return taken;
}

/* ---- The reader's turn ----
 *
 * The writer takes records only in a turn. mf_log_crash_flush() waits for the end of the turn, and
 * then keeps the writer out until it has written the rest itself: see crash.c. */

static void begin_turn(mf_logger *logger)
{
    const struct timespec while_crashing = {.tv_nsec = 1000000};
    /* acquire: what the flush wrote to the reader's members is seen */
    while ((atomic_fetch_or_explicit(&logger->reader, MFI_READER_WRITER, memory_order_acq_rel) &
            MFI_READER_CRASH) != 0) {
        (void)atomic_fetch_and_explicit(&logger->reader, ~(uint32_t)MFI_READER_WRITER,
                                        memory_order_acq_rel);
        (void)nanosleep(&while_crashing, NULL);
    }
}

/* Returns the number of records that a flush took before this turn. */
static uint64_t end_turn(mf_logger *logger)
{
    (void)atomic_fetch_and_explicit(&logger->reader, ~(uint32_t)MFI_READER_WRITER,
                                    memory_order_acq_rel);
    return atomic_exchange_explicit(&logger->crash_taken, 0, memory_order_relaxed);
}

static uint64_t drain_in_turn(mf_logger *logger, forms *all)
{
    begin_turn(logger);
    uint64_t taken = drain(logger, all);
    return taken + end_turn(logger);
}

static void wake_flushers(mf_logger *logger, uint64_t taken)
{
    mfi_mutex_lock(&logger->flush_mutex);
    atomic_fetch_add_explicit(&logger->done, taken, memory_order_release);
    mfi_cond_broadcast(&logger->flushed);
    mfi_mutex_unlock(&logger->flush_mutex);
}

/* ---- Waiting ---- */

/* The sinks whose readers are behind, and the eventfd. */
static nfds_t list_full_sinks(const mf_logger *logger, struct pollfd list[MFI_SINKS_MAX + 1])
{
    nfds_t count = 0;
    for (size_t i = 0; i < sink_count(logger); i++) {
        if (mfi_sink_is_full(logger->sinks[i])) {
            list[count++] = (struct pollfd){.fd = logger->sinks[i]->fd, .events = POLLOUT};
        }
    }
    list[count] = (struct pollfd){.fd = logger->wake_fd, .events = POLLIN};
    return count;
}

/* Until a sink takes bytes, a thread wakes the writer, or the deadline. */
static void wait_in_poll(const mf_logger *logger, struct pollfd *list, nfds_t count, uint64_t until)
{
    uint64_t value = 0;
    (void)poll(list, count + 1, mfi_poll_timeout_ms(until, mfi_monotonic_ns()));
    (void)!read(logger->wake_fd, &value, sizeof value);
}

static bool has_work(mf_logger *logger)
{
    return mfi_ring_peek(logger->ring) != NULL ||
           atomic_load_explicit(&logger->refused, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&logger->stopping, memory_order_acquire) ||
           atomic_load_explicit(&logger->retries_wanted, memory_order_acquire) !=
               atomic_load_explicit(&logger->retries_done, memory_order_relaxed) ||
           mfi_log_reopens() != logger->reopened;
}

static void sleep_until_woken(mf_logger *logger)
{
    struct pollfd list[MFI_SINKS_MAX + 1];
    nfds_t full = list_full_sinks(logger, list);
    uint32_t how = full != 0 ? MFI_SLEEPS_IN_POLL : MFI_SLEEPS;
    (void)atomic_exchange_explicit(&logger->sleeping, how, memory_order_acq_rel);
    if (logger->asymmetric) { /* each producer now sees `sleeping`, or its record is seen below */
        (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
    bool idle = !has_work(logger);
    uint64_t until = logger->gate.sampler != NULL ? logger->summary_ns : MFI_NEVER;
    while (idle && full == 0 &&
           atomic_load_explicit(&logger->sleeping, memory_order_acquire) == how &&
           (until == MFI_NEVER || mfi_monotonic_ns() < until)) {
        mfi_futex_wait(&logger->sleeping, how, until);
    }
    if (idle && full != 0) {
        wait_in_poll(logger, list, full, until);
    }
    atomic_store_explicit(&logger->sleeping, MFI_AWAKE, memory_order_relaxed);
}

static void nap(mf_logger *logger)
{
    struct pollfd list[MFI_SINKS_MAX + 1];
    uint32_t before = atomic_load_explicit(&logger->nap, memory_order_acquire);
    nfds_t full = list_full_sinks(logger, list);
    uint64_t until = mfi_monotonic_ns() + NAP_NS;
    if (atomic_load_explicit(&logger->stopping, memory_order_acquire)) {
        return;
    }
    atomic_store(&logger->naps_in_poll, full != 0);
    if (full == 0) {
        mfi_futex_wait(&logger->nap, before, until);
    } else if (atomic_load(&logger->nap) == before) {
        wait_in_poll(logger, list, full, until);
    }
    atomic_store(&logger->naps_in_poll, false);
}

/* The last flush: the readers have LAST_FLUSH_NS, all together. */
static void write_last(mf_logger *logger, forms *all)
{
    struct pollfd list[MFI_SINKS_MAX + 1];
    nfds_t full = 0;
    uint64_t deadline = mfi_monotonic_ns() + LAST_FLUSH_NS;
    begin_turn(logger);
    declare_drops(logger, all); /* of a thread that counted late */
    sum_up(logger, all);
    move_lines(logger, all, true);
    (void)end_turn(logger);
    while ((full = list_full_sinks(logger, list)) != 0 && mfi_monotonic_ns() < deadline) {
        wait_in_poll(logger, list, full, deadline);
        begin_turn(logger);
        move_lines(logger, all, false);
        (void)end_turn(logger);
    }
    for (size_t i = 0; i < sink_count(logger); i++) {
        if (logger->sinks[i]->has_thread) {
            mfi_sink_finish(logger->sinks[i], deadline);
        }
    }
}

void *mfi_log_writer(void *argument)
{
    mf_logger *logger = argument;
    uint64_t active_ns = 0; /* when the ring last had records */
    forms all = {.bytes = 0};
    atomic_store_explicit(&logger->writer_tid, mfi_log_thread_id(), memory_order_relaxed);
    for (size_t i = 0; i < FORMS; i++) {
        mfi_buf_init(&all.text[i], 0);
    }
    logger->summary_ns = mfi_monotonic_ns() + logger->summary_period_ns;
    for (;;) {
        uint64_t retried = atomic_load_explicit(&logger->retries_done, memory_order_relaxed);
        uint64_t taken = drain_in_turn(logger, &all);
        if (taken > 0 ||
            retried != atomic_load_explicit(&logger->retries_done, memory_order_relaxed)) {
            wake_flushers(logger, taken);
        }
        if (taken > 0) {
            active_ns = mfi_monotonic_ns();
            nap(logger);
        } else if (atomic_load_explicit(&logger->stopping, memory_order_acquire) &&
                   mfi_ring_used(logger->ring) == 0) {
            write_last(logger, &all);
            break;
        } else if (mfi_monotonic_ns() - active_ns < ACTIVE_NS) {
            nap(logger);
        } else {
            sleep_until_woken(logger);
        }
    }
    for (size_t i = 0; i < FORMS; i++) {
        mfi_buf_fini(&all.text[i]);
    }
    return NULL;
}
