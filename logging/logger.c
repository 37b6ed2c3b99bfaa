/* Design note.
 *
 * A producer puts a finished record, or a note from which the writer makes one, into a cell of a
 * bounded lock-free ring and goes on. One writer thread (writer.c) takes the cells in the order in
 * which they were claimed, numbers and encodes the records, and writes them in batches. The writer
 * gives the numbers (seq), so that lines appear in their order. A record that finds the ring full
 * is only counted; the writer turns the count into a range of numbers that a log_dropped record
 * declares. So written and declared numbers together have no gap.
 *
 * The writer sleeps on a futex. It sets `sleeping` before it checks the ring a last time, and a
 * producer checks `sleeping` after it has committed, so that one of the two sees the other. Both
 * sides need a full barrier. Where membarrier can run it on all threads of the process, the writer
 * alone pays for it; elsewhere producers pay for an atomic exchange.
 *
 * The writer never waits for a reader of a sink. Each sink has an outbox (outbox.h). The writer
 * puts every line into each outbox, and writes from it what the descriptor takes at once. While a
 * descriptor takes no bytes, the writer sleeps in poll() instead of on the futex, and an eventfd
 * wakes it. A function, and a descriptor that might block, has a thread of its own (sink_life.c).
 */
#include "logging/logger.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"

#define RING_RECORDS 4096              /* default of ring_records */
#define SUMMARY_NS (10 * MFI_NS_PER_S) /* between summaries of sampling */
#define HEAD_BYTES offsetof(mfi_record, data)

/* ---- Producers ---- */

static void write_eventfd(const mf_logger *logger)
{
    const uint64_t one = 1;
    (void)!write(logger->wake_fd, &one, sizeof one);
}

static void wake_writer(mf_logger *logger)
{
    if (logger->asymmetric) {
        atomic_signal_fence(memory_order_seq_cst); /* the writer's membarrier is the real fence */
        if (atomic_load_explicit(&logger->sleeping, memory_order_relaxed) == 0) {
            return;
        }
    }
    uint32_t how = atomic_exchange_explicit(&logger->sleeping, MFI_AWAKE, memory_order_acq_rel);
    if (how == MFI_SLEEPS) {
        mfi_futex_wake(&logger->sleeping, 1);
    } else if (how == MFI_SLEEPS_IN_POLL) {
        write_eventfd(logger);
    }
}

static void end_nap(mf_logger *logger)
{
    atomic_fetch_add(&logger->nap, 1);
    mfi_futex_wake(&logger->nap, 1);
    if (atomic_load(&logger->naps_in_poll)) {
        write_eventfd(logger);
    }
}

void mfi_log_wake(mf_logger *logger)
{
    wake_writer(logger);
    end_nap(logger);
}

/* The number of cells that may be in use when a record of this level is added. */
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

static mfi_record *claim(mf_logger *logger, uint8_t level, uint64_t *ret_ticket)
{
    mfi_record *cell = mfi_ring_claim(logger->ring, most_used(logger, level), ret_ticket);
    if (cell == NULL) {
        atomic_fetch_add_explicit(&logger->refused, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&logger->dropped_ring_full, 1, memory_order_relaxed);
        wake_writer(logger);
    }
    return cell;
}

static void commit(mf_logger *logger, uint64_t ticket)
{
    mfi_ring_commit(logger->ring, ticket);
    note_fill(logger);
    wake_writer(logger);
}

bool mfi_log_commit(mfi_record *record)
{
    uint64_t ticket = 0;
    mfi_record *cell = claim(record->logger, record->level, &ticket);
    if (cell != NULL) {
        memcpy(cell, record, HEAD_BYTES + record->size);
        commit(record->logger, ticket);
    }
    return cell != NULL;
}

void *mfi_log_note_begin(mf_logger *logger, mf_log_level level, const char *event,
                         mfi_log_expand_fn expand, uint64_t monotonic_ns, uint64_t *ret_ticket)
{
    mfi_record *cell = claim(logger, (uint8_t)level, ret_ticket);
    if (cell == NULL) {
        return NULL;
    }
    cell->event = event;
    cell->expand = expand;
    cell->wall_ns = monotonic_ns;
    cell->tid = mfi_log_thread_id();
    cell->level = (uint8_t)level;
    return cell->data;
}

void mfi_log_note_commit(mf_logger *logger, uint64_t ticket)
{
    commit(logger, ticket);
}

/* ---- Flushing ---- */

static size_t sink_count(const mf_logger *logger)
{
    return atomic_load_explicit(&logger->sink_count, memory_order_acquire);
}

/* A sink that failed and has no new lines is tried again, so that what it lost is declared. Returns
 * the number that `retries_done` then has. */
static uint64_t ask_for_retry(mf_logger *logger)
{
    bool any_failed = false;
    for (size_t i = 0; i < sink_count(logger); i++) {
        any_failed |= atomic_load_explicit(&logger->sinks[i]->failed, memory_order_acquire);
    }
    return any_failed
               ? atomic_fetch_add_explicit(&logger->retries_wanted, 1, memory_order_acq_rel) + 1
               : 0;
}

bool mf_log_flush(mf_logger *logger, int64_t timeout_ms)
{
    if (logger == NULL) {
        return true;
    }
    uint64_t wanted = mfi_ring_claimed(logger->ring);
    uint64_t deadline = mfi_deadline_after_ms(mfi_monotonic_ns(), timeout_ms);
    if (logger->fork_generation != mfi_fork_generation()) { /* nobody would wake the waiter */
        return atomic_load_explicit(&logger->done, memory_order_acquire) >= wanted;
    }
    uint64_t retry = ask_for_retry(logger);
    bool in_time = true;
    if (retry != 0) {
        wake_writer(logger);
    }
    end_nap(logger);
    mfi_mutex_lock(&logger->flush_mutex);
    while (in_time && (atomic_load_explicit(&logger->done, memory_order_acquire) < wanted ||
                       atomic_load_explicit(&logger->retries_done, memory_order_acquire) < retry)) {
        in_time = mfi_cond_wait_until(&logger->flushed, &logger->flush_mutex, deadline);
    }
    mfi_mutex_unlock(&logger->flush_mutex);
    in_time = atomic_load_explicit(&logger->done, memory_order_acquire) >= wanted;
    for (size_t i = 0; i < sink_count(logger) && in_time; i++) {
        mfi_sink *sink = logger->sinks[i];
        in_time = mfi_sink_wait(sink, mfi_outbox_head(&sink->outbox), deadline);
    }
    return in_time;
}

/* ---- Sinks and levels ---- */

/* Without a sink no level is enabled, so that a silent logger costs one load. */
static void set_gate_locked(mf_logger *logger)
{
    int level = atomic_load_explicit(&logger->level, memory_order_relaxed);
    atomic_store_explicit(&logger->gate.least, sink_count(logger) > 0 ? level : MF_LOG_OFF,
                          memory_order_relaxed);
}

/* The first sink starts the writer; a silent logger has none. A forked process stays silent. */
static mf_status start_writer_locked(mf_logger *logger, mf_error *error)
{
    if (logger->has_writer || logger->fork_generation != mfi_fork_generation()) {
        return MF_OK;
    }
    logger->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failed = logger->wake_fd < 0 ? errno : 0;
    if (failed == 0) {
        failed = mfi_thread_start(&logger->thread, "mf-log", mfi_log_writer, logger);
    }
    logger->has_writer = failed == 0;
    if (failed != 0 && logger->wake_fd >= 0) {
        (void)close(logger->wake_fd);
        logger->wake_fd = -1;
    }
    return failed == 0
               ? MF_OK
               : mfi_fail_errno(error, MF_ERR_SYSTEM, failed, "cannot start the log writer");
}

static mf_status add_locked(mf_logger *logger, const mfi_sink *sink, mf_error *error)
{
    size_t count = sink_count(logger);
    if (count == MFI_SINKS_MAX) {
        return mfi_fail(error, MF_ERR_LIMIT, "a logger has at most %d sinks", MFI_SINKS_MAX);
    }
    mf_status status = start_writer_locked(logger, error);
    if (status == MF_OK) {
        status = mfi_sink_create(&logger->sinks[count], sink, &logger->head, error);
    }
    if (status == MF_OK) {
        atomic_store_explicit(&logger->sink_count, count + 1, memory_order_release);
        set_gate_locked(logger);
    }
    return status;
}

/* Takes the sink's descriptor and path. */
static mf_status add_sink(mf_logger *logger, const mfi_sink *sink, mf_error *error)
{
    mfi_mutex_lock(&logger->mutex);
    mf_status status = add_locked(logger, sink, error);
    mfi_mutex_unlock(&logger->mutex);
    if (status != MF_OK) {
        free(sink->path);
        if (sink->fd >= 0) {
            (void)close(sink->fd);
        }
    }
    return status;
}

static mf_status check_format(mf_log_format format, mf_error *error)
{
    return format == MF_LOG_JSON || format == MF_LOG_HUMAN
               ? MF_OK
               : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "log format %d does not exist",
                          (int)format);
}

mf_status mf_log_add_file(mf_logger *logger, const char *path, mf_log_format format,
                          mf_error *error)
{
    mfi_sink sink = {.format = format, .fd = -1};
    if (logger == NULL || path == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "logger and path must not be NULL");
    }
    mf_status status = check_format(format, error);
    if (status == MF_OK) {
        status = mfi_sink_of_path(&sink, path, error);
    }
    return status == MF_OK ? add_sink(logger, &sink, error) : status;
}

mf_status mf_log_add_fd(mf_logger *logger, int fd, mf_log_format format, mf_error *error)
{
    mfi_sink sink = {.format = format, .fd = -1};
    if (logger == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "logger is NULL");
    }
    mf_status status = check_format(format, error);
    if (status == MF_OK) {
        status = mfi_sink_of_descriptor(&sink, fd, error);
    }
    return status == MF_OK ? add_sink(logger, &sink, error) : status;
}

mf_status mf_log_add_callback(mf_logger *logger, mf_log_sink_fn sink, void *user_data,
                              mf_log_format format, mf_error *error)
{
    if (logger == NULL || sink == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "logger and sink must not be NULL");
    }
    const mfi_sink function = {
        .format = format, .fd = -1, .has_thread = true, .write = sink, .user_data = user_data};
    mf_status status = check_format(format, error);
    return status == MF_OK ? add_sink(logger, &function, error) : status;
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
    if (logger == NULL || ret_stats == NULL) {
        return;
    }
    mf_log_stats stats = {.struct_size = ret_stats->struct_size};
    for (size_t at = 0; at < sink_count(logger); at++) {
        const mfi_sink *sink = logger->sinks[at];
        for (size_t i = 0; i < sizeof stats.records / sizeof stats.records[0]; i++) {
            uint64_t written = atomic_load_explicit(&sink->records[i], memory_order_relaxed);
            stats.records[i] = written > stats.records[i] ? written : stats.records[i];
        }
        stats.dropped_sink_error += atomic_load_explicit(&sink->dropped, memory_order_relaxed);
        stats.bytes += atomic_load_explicit(&sink->bytes, memory_order_relaxed);
    }
    stats.dropped_ring_full =
        atomic_load_explicit(&logger->dropped_ring_full, memory_order_relaxed);
    stats.dropped_sampled = mfi_sampler_left_out(logger->gate.sampler);
    stats.redactions = atomic_load_explicit(&logger->redaction.count, memory_order_relaxed);
    stats.ring_used_ratio =
        (double)atomic_exchange_explicit(&logger->most_used, 0, memory_order_relaxed) /
        (double)mfi_ring_capacity(logger->ring);
    size_t size = stats.struct_size < sizeof stats ? stats.struct_size : sizeof stats;
    memcpy(ret_stats, &stats, size);
}

/* ---- Life ---- */

static const char *text_or(const char *text, const char *preset)
{
    return text != NULL ? text : preset;
}

static mf_status check_sampling(const mf_log_options *options, mf_error *error)
{
    if (options->log_sample_first < 0 || options->log_sample_thereafter < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "log_sample_first and log_sample_thereafter must not be negative");
    }
    return options->log_sample_first > 0 || options->log_sample_thereafter == 0
               ? MF_OK
               : mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                          "log_sample_thereafter needs log_sample_first");
}

static mf_status fill(mf_logger *logger, const mf_log_options *options, mf_error *error)
{
    char host[64];
    char instance[128];
    mf_log_level level = MF_LOG_INFO;
    mf_status status = mfi_level_pick(options->level, &level, error);
    if (status == MF_OK) {
        status = check_sampling(options, error);
    }
    if (status == MF_OK) {
        logger->gate.redaction = &logger->redaction;
        status = mfi_redaction_init(&logger->redaction, options, error);
    }
    if (status != MF_OK) {
        return status;
    }
    if (gethostname(host, sizeof host) != 0) {
        (void)mfi_str_copy(host, sizeof host, "localhost");
    }
    host[sizeof host - 1] = '\0';
    (void)mfi_str_format(instance, sizeof instance, "%s-%d", host, (int)getpid());
    atomic_init(&logger->level, level);
    logger->summary_period_ns = SUMMARY_NS;
    logger->gate.no_correlation_ids = options->no_correlation_ids;
    logger->fork_generation = mfi_fork_generation();
    logger->reopened = mfi_log_reopens();
    logger->asymmetric =
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    bool encoded = mfi_encoder_constant(
        &logger->head, text_or(options->service, program_invocation_short_name),
        text_or(options->instance, instance), text_or(options->role, "parent"));
    logger->ring = mfi_ring_create(
        options->ring_records != 0 ? options->ring_records : RING_RECORDS, sizeof(mfi_record));
    if (options->log_sample_first != 0) {
        logger->gate.sampler = mfi_sampler_create((uint32_t)options->log_sample_first,
                                                  (uint32_t)options->log_sample_thereafter);
    }
    bool sampled = (options->log_sample_first != 0) == (logger->gate.sampler != NULL);
    if (!encoded || !sampled || logger->ring == NULL || !mfi_crash_list(logger)) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a logger");
    }
    return MF_OK;
}

static void logger_free(mf_logger *logger)
{
    mfi_crash_unlist(logger);
    for (size_t i = 0; i < sink_count(logger); i++) {
        mfi_sink_destroy(logger->sinks[i]);
    }
    if (logger->wake_fd >= 0) {
        (void)close(logger->wake_fd);
    }
    mfi_ring_destroy(logger->ring);
    mfi_redaction_fini(&logger->redaction);
    mfi_sampler_destroy(logger->gate.sampler);
    mfi_mutex_fini(&logger->mutex);
    mfi_mutex_fini(&logger->flush_mutex);
    mfi_cond_fini(&logger->flushed);
    mfi_buf_fini(&logger->head.constant);
    mfi_buf_fini(&logger->crash_line);
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
    logger->wake_fd = -1;
    logger->fork_generation = mfi_fork_generation();
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
    /* A forked process has no writer thread. */
    if (logger->has_writer && logger->fork_generation == mfi_fork_generation()) {
        atomic_store_explicit(&logger->stopping, true, memory_order_release);
        wake_writer(logger);
        end_nap(logger);
        (void)pthread_join(logger->thread, NULL);
    }
    logger_free(logger);
}
