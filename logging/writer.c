/* The thread that takes records out of the ring, encodes them and writes them: see logger.c. */
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "logging/logger.h"

#define BATCH_BYTES ((size_t)64 * 1024) /* of one write */
#define NAP_NS (5 * MFI_NS_PER_MS)      /* in which records gather for one write */
#define ACTIVE_NS (100 * MFI_NS_PER_MS) /* after the last record, until the writer sleeps */

typedef struct line_batch {
    mfi_buf lines[2]; /* by mf_log_format */
    uint64_t records;
} line_batch;

static void write_batch(mf_logger *logger, line_batch *batch)
{
    mfi_mutex_lock(&logger->mutex);
    for (size_t i = 0; i < logger->sink_count; i++) {
        const mfi_sink *sink = &logger->sinks[i];
        const mfi_buf *lines = &batch->lines[sink->format];
        if (sink->fd < 0 || lines->size == 0) {
            continue;
        }
        if (!mfi_sink_write(sink, (const char *)lines->data, lines->size)) {
            atomic_fetch_add_explicit(&logger->dropped_sink_error, batch->records,
                                      memory_order_relaxed);
        } else {
            atomic_fetch_add_explicit(&logger->bytes, lines->size, memory_order_relaxed);
        }
    }
    mfi_mutex_unlock(&logger->mutex);
    mfi_buf_clear(&batch->lines[0]);
    mfi_buf_clear(&batch->lines[1]);
    batch->records = 0;
}

static void call_functions(mf_logger *logger, mf_log_format format, uint8_t level, const char *line,
                           size_t length)
{
    mfi_mutex_lock(&logger->mutex);
    for (size_t i = 0; i < logger->sink_count; i++) {
        const mfi_sink *sink = &logger->sinks[i];
        if (sink->fd < 0 && sink->format == format) {
            sink->write((mf_log_level)level, line, length, sink->user_data);
            atomic_fetch_add_explicit(&logger->bytes, length, memory_order_relaxed);
        }
    }
    mfi_mutex_unlock(&logger->mutex);
}

static void add_line(mf_logger *logger, mf_log_format format, mfi_buf *lines,
                     const mfi_record *record)
{
    size_t start = lines->size;
    if (format == MF_LOG_JSON) {
        mfi_encoder_json(lines, logger, record);
    } else {
        mfi_encoder_human(lines, logger, record);
    }
    mfi_buf_append_byte(lines, '\0'); /* functions get a NUL; then it becomes the newline */
    if (lines->failed) {
        mfi_buf_clear(lines); /* without memory this batch is lost */
        return;
    }
    if ((atomic_load_explicit(&logger->functions, memory_order_acquire) & 1u << format) != 0) {
        call_functions(logger, format, record->level, (const char *)lines->data + start,
                       lines->size - start - 1);
    }
    lines->data[lines->size - 1] = '\n';
}

static void add_record(mf_logger *logger, line_batch *batch, const mfi_record *record)
{
    unsigned formats = atomic_load_explicit(&logger->formats, memory_order_acquire);
    for (unsigned format = 0; format < 2; format++) {
        if ((formats & 1u << format) != 0) {
            add_line(logger, (mf_log_format)format, &batch->lines[format], record);
        }
    }
    batch->records++;
    atomic_fetch_add_explicit(&logger->records[record->level], 1, memory_order_relaxed);
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
static void declare_drops(mf_logger *logger, line_batch *batch)
{
    mfi_record on_stack;
    uint64_t count = atomic_exchange_explicit(&logger->refused, 0, memory_order_relaxed);
    if (count != 0) {
        mfi_log_make_drops(logger, count, &on_stack);
        add_record(logger, batch, &on_stack);
    }
}

/* Logs how many records sampling left out. Those have no numbers, so there is no gap to declare. */
static void sum_up(mf_logger *logger, line_batch *batch)
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
    add_record(logger, batch, record);
}

/* Takes all records out of the ring and writes every full batch. Returns the number of records. */
static uint64_t drain(mf_logger *logger, line_batch *batch)
{
    uint64_t taken = 0;
    mfi_record *record = NULL;
    declare_drops(logger, batch);
    if (logger->gate.sampler != NULL && mfi_monotonic_ns() >= logger->summary_ns) {
        sum_up(logger, batch);
    }
    logger->wall_ahead_ns = mfi_wall_ns() - mfi_monotonic_ns();
    while ((record = mfi_ring_peek(logger->ring)) != NULL) {
        mfi_record made;
        record->seq = ++logger->seq;
        add_record(logger, batch, mfi_log_read(logger, record, &made));
        mfi_ring_pop(logger->ring);
        taken++;
        if (batch->lines[0].size + batch->lines[1].size >= BATCH_BYTES) {
            break;
        }
    }
    write_batch(logger, batch);
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

static uint64_t drain_in_turn(mf_logger *logger, line_batch *batch)
{
    begin_turn(logger);
    uint64_t taken = drain(logger, batch);
    return taken + end_turn(logger);
}

static void write_last(mf_logger *logger, line_batch *batch)
{
    begin_turn(logger);
    sum_up(logger, batch);
    write_batch(logger, batch);
    (void)end_turn(logger);
}

static void wake_flushers(mf_logger *logger, uint64_t taken)
{
    mfi_mutex_lock(&logger->flush_mutex);
    atomic_fetch_add_explicit(&logger->done, taken, memory_order_release);
    mfi_cond_broadcast(&logger->flushed);
    mfi_mutex_unlock(&logger->flush_mutex);
}

static void sleep_until_woken(mf_logger *logger)
{
    (void)atomic_exchange_explicit(&logger->sleeping, 1, memory_order_acq_rel);
    if (logger->asymmetric) { /* each producer now sees `sleeping`, or its record is seen below */
        (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
    bool idle = mfi_ring_peek(logger->ring) == NULL &&
                atomic_load_explicit(&logger->refused, memory_order_relaxed) == 0 &&
                !atomic_load_explicit(&logger->stopping, memory_order_acquire);
    uint64_t until = logger->gate.sampler != NULL ? logger->summary_ns : MFI_NEVER;
    while (idle && atomic_load_explicit(&logger->sleeping, memory_order_acquire) == 1 &&
           (until == MFI_NEVER || mfi_monotonic_ns() < until)) {
        mfi_futex_wait(&logger->sleeping, 1, until);
    }
    atomic_store_explicit(&logger->sleeping, 0, memory_order_relaxed);
}

static void nap(mf_logger *logger)
{
    uint32_t before = atomic_load_explicit(&logger->nap, memory_order_acquire);
    if (!atomic_load_explicit(&logger->stopping, memory_order_acquire)) {
        mfi_futex_wait(&logger->nap, before, mfi_monotonic_ns() + NAP_NS);
    }
}

void *mfi_log_writer(void *argument)
{
    mf_logger *logger = argument;
    uint64_t active_ns = 0; /* when the ring last had records */
    line_batch batch = {.records = 0};
    atomic_store_explicit(&logger->writer_tid, mfi_log_thread_id(), memory_order_relaxed);
    mfi_buf_init(&batch.lines[0], 0);
    mfi_buf_init(&batch.lines[1], 0);
    logger->summary_ns = mfi_monotonic_ns() + logger->summary_period_ns;
    for (;;) {
        uint64_t taken = drain_in_turn(logger, &batch);
        if (taken > 0) {
            wake_flushers(logger, taken);
            active_ns = mfi_monotonic_ns();
            nap(logger);
        } else if (atomic_load_explicit(&logger->stopping, memory_order_acquire) &&
                   mfi_ring_used(logger->ring) == 0) {
            write_last(logger, &batch);
            break;
        } else if (mfi_monotonic_ns() - active_ns < ACTIVE_NS) {
            nap(logger);
        } else {
            sleep_until_woken(logger);
        }
    }
    mfi_buf_fini(&batch.lines[0]);
    mfi_buf_fini(&batch.lines[1]);
    return NULL;
}
