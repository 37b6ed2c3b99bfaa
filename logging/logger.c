/* Design note.
 *
 * Producers copy a finished record into a cell of a bounded lock-free ring and go on. One writer
 * thread takes the cells in the order they were claimed, numbers them, encodes and writes them in
 * batches. The number (seq) is given by the writer, so that lines appear in its order; what a full
 * ring refused is only counted by its producer, and the writer turns the count into a range of
 * numbers that a log_dropped record declares: kept and declared numbers together have no gap.
 *
 * The writer sleeps on a futex. A producer exchanges `sleeping` to 0 after it has committed, the
 * writer exchanges it to 1 before it looks at the ring a last time: one of the two sees the other.
 */
#include "logging/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"

#define RING_RECORDS 4096
#define BATCH_BYTES ((size_t)64 * 1024)
#define HEAD_BYTES offsetof(mfi_record, data)
#define NAP_NS (5 * MFI_NS_PER_MS)
#define ACTIVE_NS (100 * MFI_NS_PER_MS) /* so long after the last record it goes on napping */

/* ---- Producers ---- */

static void wake_writer(mf_logger *logger)
{
    if (atomic_exchange_explicit(&logger->sleeping, 0, memory_order_acq_rel) != 0) {
        mfi_futex_wake(&logger->sleeping, 1);
    }
}

static void end_nap(mf_logger *logger)
{
    atomic_fetch_add_explicit(&logger->nap, 1, memory_order_release);
    mfi_futex_wake(&logger->nap, 1);
}

/* How full the ring may be for a record of this level. */
static size_t most_used(const mf_logger *logger, uint8_t level)
{
    size_t capacity = mfi_ring_capacity(logger->ring);
    return level <= MF_LOG_INFO   ? capacity / 4 * 3
           : level == MF_LOG_WARN ? capacity / 10 * 9
                                  : capacity;
}

static void note_fill(mf_logger *logger)
{
    size_t used = mfi_ring_used(logger->ring);
    if (used == mfi_ring_capacity(logger->ring) / 4) {
        end_nap(logger);
    }
    size_t most = atomic_load_explicit(&logger->most_used, memory_order_relaxed);
    while (used > most &&
           !atomic_compare_exchange_weak_explicit(&logger->most_used, &most, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

bool mfi_log_commit(mfi_record *record)
{
    mf_logger *logger = record->logger;
    uint64_t ticket = 0;
    mfi_record *cell = mfi_ring_claim(logger->ring, most_used(logger, record->level), &ticket);
    if (cell != NULL) {
        memcpy(cell, record, HEAD_BYTES + record->size);
        mfi_ring_commit(logger->ring, ticket);
        atomic_fetch_add_explicit(&logger->committed, 1, memory_order_release);
        note_fill(logger);
    } else {
        atomic_fetch_add_explicit(&logger->refused, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&logger->dropped_ring_full, 1, memory_order_relaxed);
    }
    wake_writer(logger);
    return cell != NULL;
}

/* ---- The writer ---- */

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

static unsigned formats_in_use(mf_logger *logger)
{
    unsigned formats = 0;
    mfi_mutex_lock(&logger->mutex);
    for (size_t i = 0; i < logger->sink_count; i++) {
        formats |= 1u << logger->sinks[i].format;
    }
    mfi_mutex_unlock(&logger->mutex);
    return formats;
}

static void add_record(mf_logger *logger, line_batch *batch, const mfi_record *record)
{
    unsigned formats = formats_in_use(logger);
    for (unsigned format = 0; format < 2; format++) {
        mfi_buf *lines = &batch->lines[format];
        size_t start = lines->size;
        if ((formats & 1u << format) == 0) {
            continue;
        }
        if (format == MF_LOG_JSON) {
            mfi_encode_json(lines, logger, record);
        } else {
            mfi_encode_human(lines, logger, record);
        }
        mfi_buf_append_byte(lines, '\0'); /* for functions; then it becomes the newline */
        if (lines->failed) {
            mfi_buf_clear(lines); /* no memory for this batch */
            continue;
        }
        call_functions(logger, (mf_log_format)format, record->level,
                       (const char *)lines->data + start, lines->size - start - 1);
        lines->data[lines->size - 1] = '\n';
    }
    batch->records++;
    atomic_fetch_add_explicit(&logger->records[record->level], 1, memory_order_relaxed);
}

/* Declares what the ring had to refuse since the last time. */
static void declare_drops(mf_logger *logger, line_batch *batch)
{
    mfi_record on_stack;
    uint64_t count = atomic_exchange_explicit(&logger->refused, 0, memory_order_relaxed);
    if (count == 0) {
        return;
    }
    mfi_record *record = mfi_log_start(logger, MF_LOG_WARN, "log_dropped", &on_stack);
    mfi_record_message(record, "Log records were dropped");
    mfi_record_str(record, "reason", "ring_full");
    mfi_record_uint(record, "count", count);
    mfi_record_uint(record, "first_seq", logger->seq + 1);
    mfi_record_uint(record, "last_seq", logger->seq + count);
    logger->seq += count;
    record->seq = ++logger->seq;
    add_record(logger, batch, record);
}

/* Takes what is there, writing whenever a batch is full. Gives how many records it took. */
static uint64_t drain(mf_logger *logger, line_batch *batch)
{
    uint64_t taken = 0;
    mfi_record *record = NULL;
    declare_drops(logger, batch);
    while ((record = mfi_ring_peek(logger->ring)) != NULL) {
        record->seq = ++logger->seq;
        add_record(logger, batch, record);
        mfi_ring_pop(logger->ring);
        taken++;
        if (batch->lines[0].size + batch->lines[1].size >= BATCH_BYTES) {
            break;
        }
    }
    write_batch(logger, batch);
    return taken;
}

static void tell_flushers(mf_logger *logger, uint64_t taken)
{
    mfi_mutex_lock(&logger->flush_mutex);
    atomic_fetch_add_explicit(&logger->done, taken, memory_order_release);
    mfi_cond_broadcast(&logger->flushed);
    mfi_mutex_unlock(&logger->flush_mutex);
}

static void sleep_until_woken(mf_logger *logger)
{
    (void)atomic_exchange_explicit(&logger->sleeping, 1, memory_order_acq_rel);
    bool idle = mfi_ring_peek(logger->ring) == NULL &&
                atomic_load_explicit(&logger->refused, memory_order_relaxed) == 0 &&
                !atomic_load_explicit(&logger->stopping, memory_order_acquire);
    while (idle && atomic_load_explicit(&logger->sleeping, memory_order_acquire) == 1) {
        mfi_futex_wait(&logger->sleeping, 1, MFI_NEVER);
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

static void *writer_thread(void *argument)
{
    mf_logger *logger = argument;
    uint64_t active_ns = 0; /* when there were records last */
    line_batch batch = {.records = 0};
    mfi_buf_init(&batch.lines[0], 0);
    mfi_buf_init(&batch.lines[1], 0);
    for (;;) {
        uint64_t taken = drain(logger, &batch);
        if (taken > 0) {
            tell_flushers(logger, taken);
            active_ns = mfi_monotonic_ns();
            nap(logger);
        } else if (atomic_load_explicit(&logger->stopping, memory_order_acquire) &&
                   mfi_ring_used(logger->ring) == 0) {
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

bool mf_log_flush(mf_logger *logger, int64_t timeout_ms)
{
    uint64_t wanted = atomic_load_explicit(&logger->committed, memory_order_acquire);
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    bool in_time = true;
    end_nap(logger);
    mfi_mutex_lock(&logger->flush_mutex);
    while (in_time && atomic_load_explicit(&logger->done, memory_order_acquire) < wanted) {
        in_time = mfi_cond_wait_until(&logger->flushed, &logger->flush_mutex, deadline);
    }
    mfi_mutex_unlock(&logger->flush_mutex);
    return atomic_load_explicit(&logger->done, memory_order_acquire) >= wanted;
}

/* ---- Sinks and levels ---- */

/* Without a sink nothing is enabled, so that a silent logger costs one load. */
static void set_gate_locked(mf_logger *logger)
{
    int level = atomic_load_explicit(&logger->level, memory_order_relaxed);
    atomic_store_explicit(&logger->gate.least, logger->sink_count > 0 ? level : MF_LOG_OFF,
                          memory_order_relaxed);
}

/* The first sink needs a writer; a silent logger has none. In a forked process it stays silent. */
static mf_status start_writer_locked(mf_logger *logger, mf_error *error)
{
    if (logger->has_writer || logger->fork_generation != mfi_fork_generation()) {
        return MF_OK;
    }
    int failed = mfi_thread_start(&logger->thread, "mf-log", writer_thread, logger);
    logger->has_writer = failed == 0;
    return failed == 0
               ? MF_OK
               : mfi_fail_errno(error, MF_ERR_SYSTEM, failed, "cannot start the log writer");
}

static mf_status add_sink(mf_logger *logger, mfi_sink sink, mf_error *error)
{
    if (sink.format != MF_LOG_JSON && sink.format != MF_LOG_HUMAN) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "log format %d does not exist",
                        (int)sink.format);
    }
    mfi_mutex_lock(&logger->mutex);
    mf_status status = start_writer_locked(logger, error);
    if (status == MF_OK && logger->sink_count == MFI_SINKS_MAX) {
        status = mfi_fail(error, MF_ERR_LIMIT, "a logger has at most %d sinks", MFI_SINKS_MAX);
    }
    if (status == MF_OK) {
        logger->sinks[logger->sink_count++] = sink;
        set_gate_locked(logger);
    }
    mfi_mutex_unlock(&logger->mutex);
    return status;
}

static mf_status add_descriptor(mf_logger *logger, int fd, mf_log_format format, mf_error *error)
{
    struct stat facts;
    mfi_sink sink = {.format = format, .fd = fd};
    sink.is_pipe = fstat(fd, &facts) == 0 && S_ISFIFO(facts.st_mode);
    mf_status status = add_sink(logger, sink, error);
    if (status != MF_OK) {
        (void)close(fd);
    }
    return status;
}

mf_status mf_log_add_file(mf_logger *logger, const char *path, mf_log_format format,
                          mf_error *error)
{
    if (logger == NULL || path == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "logger and path must not be NULL");
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot open the log file '%s'", path);
    }
    return add_descriptor(logger, fd, format, error);
}

mf_status mf_log_add_fd(mf_logger *logger, int fd, mf_log_format format, mf_error *error)
{
    if (logger == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "logger is NULL");
    }
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot log to descriptor %d", fd);
    }
    return add_descriptor(logger, own, format, error);
}

mf_status mf_log_add_callback(mf_logger *logger, mf_log_sink_fn sink, void *user_data,
                              mf_log_format format, mf_error *error)
{
    if (logger == NULL || sink == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "logger and sink must not be NULL");
    }
    return add_sink(logger,
                    (mfi_sink){.format = format, .fd = -1, .write = sink, .user_data = user_data},
                    error);
}

void mf_log_set_level(mf_logger *logger, mf_log_level level)
{
    if (logger == NULL || level < MF_LOG_DEFAULT || level > MF_LOG_OFF) {
        return;
    }
    mfi_mutex_lock(&logger->mutex);
    int chosen = level == MF_LOG_DEFAULT ? (int)MF_LOG_INFO : (int)level;
    atomic_store_explicit(&logger->level, chosen, memory_order_relaxed);
    set_gate_locked(logger);
    mfi_mutex_unlock(&logger->mutex);
}

mf_log_level mf_log_get_level(const mf_logger *logger)
{
    return logger == NULL
               ? MF_LOG_OFF
               : (mf_log_level)atomic_load_explicit(&logger->level, memory_order_relaxed);
}

void mf_log_stats_read(mf_logger *logger, mf_log_stats *ret_stats)
{
    mf_log_stats stats = {.struct_size = ret_stats->struct_size};
    for (size_t i = 0; i < sizeof stats.records / sizeof stats.records[0]; i++) {
        stats.records[i] = atomic_load_explicit(&logger->records[i], memory_order_relaxed);
    }
    stats.dropped_ring_full =
        atomic_load_explicit(&logger->dropped_ring_full, memory_order_relaxed);
    stats.dropped_sink_error =
        atomic_load_explicit(&logger->dropped_sink_error, memory_order_relaxed);
    stats.bytes = atomic_load_explicit(&logger->bytes, memory_order_relaxed);
    stats.ring_used_ratio =
        (double)atomic_exchange_explicit(&logger->most_used, 0, memory_order_relaxed) /
        (double)mfi_ring_capacity(logger->ring);
    size_t size = stats.struct_size < sizeof stats ? stats.struct_size : sizeof stats;
    memcpy(ret_stats, &stats, size);
}

/* ---- Life ---- */

static char *copy_or(const char *text, const char *preset)
{
    return strdup(text != NULL ? text : preset);
}

static mf_status fill(mf_logger *logger, const mf_log_options *options, mf_error *error)
{
    char host[64];
    char instance[128];
    mf_log_level level = MF_LOG_INFO;
    mf_status status = mfi_level_pick(options->level, &level, error);
    if (status != MF_OK) {
        return status;
    }
    if (gethostname(host, sizeof host) != 0) {
        (void)mfi_str_copy(host, sizeof host, "localhost");
    }
    host[sizeof host - 1] = '\0';
    logger->pid = (int)getpid();
    (void)mfi_str_format(instance, sizeof instance, "%s-%d", host, logger->pid);
    atomic_init(&logger->level, level);
    logger->no_correlation_ids = options->no_correlation_ids;
    logger->fork_generation = mfi_fork_generation();
    logger->service = copy_or(options->service, program_invocation_short_name);
    logger->instance = copy_or(options->instance, instance);
    logger->role = copy_or(options->role, "parent");
    logger->ring = mfi_ring_create(
        options->ring_records != 0 ? options->ring_records : RING_RECORDS, sizeof(mfi_record));
    if (logger->service == NULL || logger->instance == NULL || logger->role == NULL ||
        logger->ring == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a logger");
    }
    return MF_OK;
}

static void logger_free(mf_logger *logger)
{
    for (size_t i = 0; i < logger->sink_count; i++) {
        if (logger->sinks[i].fd >= 0) {
            (void)close(logger->sinks[i].fd);
        }
    }
    mfi_ring_destroy(logger->ring);
    mfi_mutex_fini(&logger->mutex);
    mfi_mutex_fini(&logger->flush_mutex);
    mfi_cond_fini(&logger->flushed);
    free(logger->service);
    free(logger->instance);
    free(logger->role);
    free(logger);
}

mf_status mf_logger_create(mf_logger **ret_logger, const mf_log_options *options, mf_error *error)
{
    mf_log_options from;
    if (ret_logger == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_logger is NULL");
    }
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_log_options", error);
    if (status != MF_OK) {
        return status;
    }
    mf_logger *logger = calloc(1, sizeof *logger);
    if (logger == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a logger");
    }
    mfi_mutex_init(&logger->mutex);
    mfi_mutex_init(&logger->flush_mutex);
    mfi_cond_init(&logger->flushed);
    atomic_init(&logger->gate.least, MF_LOG_OFF);
    status = fill(logger, &from, error);
    if (status != MF_OK) {
        logger_free(logger);
        return status;
    }
    *ret_logger = logger;
    return MF_OK;
}

void mf_logger_destroy(mf_logger *logger)
{
    if (logger == NULL) {
        return;
    }
    /* In a forked process the thread does not exist. */
    if (logger->has_writer && logger->fork_generation == mfi_fork_generation()) {
        atomic_store_explicit(&logger->stopping, true, memory_order_release);
        wake_writer(logger);
        end_nap(logger);
        (void)pthread_join(logger->thread, NULL);
    }
    logger_free(logger);
}
