/* The end of a logger waits for stuck sinks only a bounded time, and frees nothing under them. */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/socket.h>
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

static const mf_test tests[] = {
    {"sink_life__end_does_not_wait", test_end_does_not_wait},
};
MF_TEST_MAIN(tests)
