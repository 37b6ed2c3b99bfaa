/* A reader that does not read loses its own records, and delays nobody. */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "mf_test.h"
#include "sink_support.h"

/* A function that blocks until the test lets it go on. */
typedef struct gate {
    sem_t entered, open;
    bool is_open;
    account account;
    _Atomic(bool) done; /* the function has returned from its last line */
} gate;

static void gate_init(gate *at)
{
    sem_init(&at->entered, 0, 0);
    sem_init(&at->open, 0, 0);
    at->is_open = false;
    atomic_init(&at->done, false);
    account_init(&at->account);
}

static void block(mf_log_level level, const char *line, size_t length, void *user_data)
{
    gate *at = user_data;
    (void)level;
    (void)length;
    if (!at->is_open) {
        sem_post(&at->entered);
        sem_wait(&at->open);
        at->is_open = true;
    }
    account_line(&at->account, line);
    atomic_store(&at->done, true);
}

static uint64_t last_seq(const mf_logger *logger)
{
    return logger->seq; /* after a flush the writer is idle */
}

/* The well sink has all. Returns the number of its records. */
static uint64_t check_file(const char *path, uint64_t last)
{
    account at;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    mf_check(fd >= 0);
    account_init(&at);
    account_fd(&at, fd);
    (void)close(fd);
    check_account(&at, last);
    mf_check_int(at.own_lost, 0);
    return at.lines;
}

static const char *new_path(void)
{
    static char path[512];
    static int number;
    (void)snprintf(path, sizeof path, "%s/stuck-%d.log", mf_test_temp_dir(), number++);
    return path;
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

/* ---- The end ---- */

static long thread_count(void)
{
    long count = 0;
    DIR *list = opendir("/proc/self/task");
    while (list != NULL && readdir(list) != NULL) {
        count++;
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return count;
}

static bool threads_ended(void *data)
{
    const long *before = data;
    return thread_count() <= *before;
}

/* The last flush is bounded, and the function that is stuck keeps what it uses. */
static void test_end_does_not_wait(void)
{
    static gate stuck;
    int pipe_ends[2], socket_ends[2];
    long threads = thread_count();
    const char *path = new_path();
    mf_logger *logger = sink_logger();
    gate_init(&stuck);
    mf_check_int(pipe2(pipe_ends, O_CLOEXEC), 0);
    mf_check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket_ends), 0);
    mf_check_int(mf_log_add_callback(logger, block, &stuck, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_fd(logger, pipe_ends[1], MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_fd(logger, socket_ends[1], MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mf_log_add_file(logger, path, MF_LOG_JSON, NULL), MF_OK);
    for (size_t i = 0; i < 3; i++) {
        log_until_lost(logger, logger->sinks[i]);
    }
    (void)mf_log_flush(logger, 0);
    mf_logger_destroy(logger); /* comes back, although nobody reads */
    account at;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    account_init(&at);
    account_fd(&at, fd);
    (void)close(fd);
    mf_check_int(at.wrong, 0);
    mf_check_int(at.own_lost, 0);
    mf_check(!atomic_load(&stuck.done));
    sem_post(&stuck.open); /* the thread comes out, and ends without another line */
    mf_check(mf_test_until(threads_ended, &threads, MF_TEST_PATIENCE_MS));
    mf_check_int(stuck.account.next_seq, 2);
    for (int i = 0; i < 2; i++) {
        (void)close(pipe_ends[i]);
        (void)close(socket_ends[i]);
    }
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
    {"stuck__pipe_delays_nobody", test_pipe},
    {"stuck__socket_delays_nobody", test_socket},
    {"stuck__function_delays_nobody", test_function},
    {"stuck__end_does_not_wait", test_end_does_not_wait},
    {"stuck__overload_is_accounted_for", test_overload},
};
MF_TEST_MAIN(tests)
