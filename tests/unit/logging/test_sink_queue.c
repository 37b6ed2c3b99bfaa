/* A reader that does not read loses its own records, and delays nobody. */
#include <fcntl.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "mf_test.h"
#include "sink_support.h"

static uint64_t last_seq(const mf_logger *logger)
{
    return logger->seq; /* after a flush the writer is idle */
}

/* The well sink has all. Returns the number of its records. */
static uint64_t check_file(const char *path, uint64_t last)
{
    account at = account_of(path);
    check_account(&at, last);
    mf_check_int(at.own_lost, 0);
    return at.lines;
}

/* ---- One stuck sink ---- */

/* Logs beside a stuck sink: the file has every record, and each call comes back. Then `go_on` lets
 * the reader read, and the stuck sink accounts for the rest. */
static void use_beside_stuck(mf_logger *logger, const mfi_sink *stuck)
{
    log_until_lost(logger, stuck);
    mf_log_set_level(logger, MF_LOG_WARN);
    mf_log_set_level(logger, MF_LOG_INFO);
    mf_check(!mf_log_flush(logger, 10)); /* the stuck one has lines; the flush gives up */
    const mfi_sink *well = logger->sinks[0];
    log_ticks(logger, 1);
    mf_check(mfi_sink_wait(logger->sinks[0], mfi_outbox_head(&well->outbox),
                           mfi_deadline_after_ms(mfi_monotonic_ns(), MF_TEST_PATIENCE_MS)));
}

static void use_descriptors(int reading, int writing)
{
    const char *path = new_path();
    static reader rest;
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    int flags = fcntl(writing, F_GETFL);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_fd(logger, writing, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(fcntl(writing, F_GETFL), flags); /* others share it */
    use_beside_stuck(logger, logger->sinks[1]);
    (void)close(writing);
    reader_start(&rest, reading);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_log_stats_read(logger, &stats);
    uint64_t last = last_seq(logger);
    mf_logger_destroy(logger);
    reader_join(&rest);
    check_account(&rest.account, last);
    mf_check_int(rest.account.lines + stats.dropped_sink_error, check_file(path, last));
    mf_check(rest.account.own_lost >= stats.dropped_sink_error);
}

static void test_pipe(void)
{
    int ends[2];
    mf_check_int(pipe2(ends, O_CLOEXEC), 0);
    use_descriptors(ends[0], ends[1]);
}

static void test_socket(void)
{
    int ends[2];
    mf_check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    use_descriptors(ends[0], ends[1]);
}

static void test_function(void)
{
    const char *path = new_path();
    static gate stuck;
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    gate_init(&stuck);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(logger, block, &stuck, MF_LOG_JSON, NULL), MF_OK);
    use_beside_stuck(logger, logger->sinks[1]);
    sem_post(&stuck.open);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_log_stats_read(logger, &stats);
    uint64_t last = last_seq(logger);
    mf_logger_destroy(logger);
    check_account(&stuck.account, last);
    mf_check_int(stuck.account.lines + stats.dropped_sink_error, check_file(path, last));
    mf_check(stuck.account.own_lost >= stats.dropped_sink_error);
}

/* ---- All at once ---- */

static void test_overload(void)
{
    static gate slow;
    static reader rest;
    int ends[2];
    const char *path = new_path();
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_logger *logger = sink_logger();
    gate_init(&slow);
    mf_check_int(pipe2(ends, O_CLOEXEC), 0);
    mf_check_int(mf_log_add_file(logger, "/dev/full", MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_fd(logger, ends[1], MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(logger, block, &slow, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    (void)close(ends[1]);
    produce_in_threads(logger);
    reader_start(&rest, ends[0]);
    sem_post(&slow.open);
    mf_check(mf_log_flush(logger, MF_TEST_PATIENCE_MS));
    mf_log_stats_read(logger, &stats);
    uint64_t last = last_seq(logger);
    mf_logger_destroy(logger);
    reader_join(&rest);
    uint64_t lines = check_file(path, last);
    check_account(&rest.account, last);
    check_account(&slow.account, last);
    mf_check(last >= PRODUCERS * TICKS_EACH);
    /* Each of the four has every record, or has counted it; /dev/full has none. */
    mf_check_int(rest.account.lines + slow.account.lines + stats.dropped_sink_error, 3 * lines);
}

static const mf_test tests[] = {
    {"sink_queue__pipe_delays_nobody", test_pipe},
    {"sink_queue__socket_delays_nobody", test_socket},
    {"sink_queue__function_delays_nobody", test_function},
    {"sink_queue__overload_is_accounted_for", test_overload},
};
MF_TEST_MAIN(tests)
