/* The end of a logger waits for stuck sinks only a bounded time, and frees nothing under them. */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mf_test.h"
#include "sink_support.h"

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
    account at = account_of(path);
    mf_check_int(at.wrong, 0);
    mf_check_int(at.own_lost, 0);
    mf_check_int(atomic_load(&stuck.calls), 0);
    sem_post(&stuck.open); /* the thread comes out, and ends without another line */
    mf_check(mf_test_until(threads_ended, &threads, MF_TEST_PATIENCE_MS));
    mf_check_int(atomic_load(&stuck.calls), 1);
    for (int i = 0; i < 2; i++) {
        (void)close(pipe_ends[i]);
        (void)close(socket_ends[i]);
    }
}

static void until_left(mf_log_level level, const char *line, size_t length, void *user_data)
{
    mfi_sink *const *sink = user_data;
    bool left = false;
    (void)level;
    (void)line;
    (void)length;
    while (!left) {
        mfi_mutex_lock(&(*sink)->mutex);
        left = (*sink)->abandoned;
        mfi_mutex_unlock(&(*sink)->mutex);
    }
}

static bool is_busy(void *data)
{
    mfi_sink *sink = data;
    mfi_mutex_lock(&sink->mutex);
    bool busy = sink->busy;
    mfi_mutex_unlock(&sink->mutex);
    return busy;
}

/* The function returns while the sink ends: whoever frees the sink, the other is done with it. A
 * sanitizer shows a fault. */
static void test_function_returns_at_the_end(void)
{
    static mfi_sink *sinks[100];
    long threads = thread_count();
    for (int i = 0; i < 100; i++) {
        mfi_line_head head = {.cut = false};
        const mfi_line line = {.first_seq = 1, .last_seq = 1, .size = 2};
        const mfi_sink from = {
            .fd = -1, .has_thread = true, .write = until_left, .user_data = &sinks[i]};
        mf_check_int(mfi_sink_create(&sinks[i], &from, &head, NULL), MF_OK);
        mfi_sink *sink = sinks[i];
        mfi_sink_put(sink, line, "x\n");
        mfi_sink_move(sink, false);
        mf_check(mf_test_until(is_busy, sink, MF_TEST_PATIENCE_MS));
        mfi_sink_destroy(sink);
    }
    mf_check(mf_test_until(threads_ended, &threads, MF_TEST_PATIENCE_MS));
}

#ifndef __SANITIZE_THREAD__ /* which ends a process that makes a thread after such a fork */
/* A forked process has no log writer, but a function that it adds has a thread. */
static void test_added_after_a_fork(void)
{
    static gate unused;
    int status = -1;
    mf_logger *logger = sink_logger();
    gate_init(&unused);
    mf_check_int(mf_log_add_file(logger, new_path(), MF_LOG_JSON, NULL), MF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(MF_TEST_PATIENCE_MS / 1000); /* ends a process that hangs */
        bool added = mf_log_add_callback(logger, block, &unused, MF_LOG_JSON, NULL) == MF_OK;
        log_ticks(logger, 1);
        bool flushed = mf_log_flush(logger, MF_TIMEOUT_INFINITE); /* nobody writes the record */
        mf_logger_destroy(logger);
        _exit(added && !flushed ? 0 : 1);
    }
    mf_check(waitpid(pid, &status, 0) == pid);
    mf_check_int(status, 0);
    mf_logger_destroy(logger);
}
#endif

static const mf_test tests[] = {
    {"sink_life__end_does_not_wait", test_end_does_not_wait},
    {"sink_life__function_returns_at_the_end", test_function_returns_at_the_end},
#ifndef __SANITIZE_THREAD__
    {"sink_life__added_after_a_fork", test_added_after_a_fork},
#endif
};
MF_TEST_MAIN(tests)
