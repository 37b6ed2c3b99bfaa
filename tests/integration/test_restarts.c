/* Restarts that are asked for, and what they meet: others under way, a port that is taken. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

/* Stands before that of the C library: of the next descriptors that the engine adds, this one
 * fails. */
static _Atomic(int) fails_at = 0;

static bool on_engine(void)
{
    char name[16];
    return pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
           strcmp(name, "mf-engine") == 0;
}

__attribute__((visibility("default"))) int epoll_ctl(int epoll_fd, int operation, int fd,
                                                     struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && atomic_load(&fails_at) > 0 && on_engine() &&
        atomic_fetch_sub(&fails_at, 1) == 1) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event);
}

static void restart(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    mf_check_str(error.message, "");
}

/* ---- A port of one's own ---- */

/* A socket that listens on the port, 0 for any that is free; -1 if the port is taken. */
static int listen_on(uint16_t port, uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        (void)close(fd);
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static uint16_t free_port(void)
{
    uint16_t port = 0;
    int fd = listen_on(0, &port);
    mf_check(fd >= 0);
    (void)close(fd);
    return port;
}

static void test_fixed_port_is_taken_again(void)
{
    mf_parent_options options = worker_options();
    options.port = free_port();
    mf_parent *parent = start(&options);
    for (int i = 0; i < 5; i++) {
        restart(parent);
    }
    mf_check_int(stats_of(parent).restarts, 5);
    mf_parent_destroy(parent);
}

typedef struct taken_port {
    mf_parent *parent;
    uint16_t port;
    int fd;
} taken_port;

static bool take_port(void *data)
{
    taken_port *at = data;
    uint16_t port = 0;
    at->fd = listen_on(at->port, &port);
    return at->fd >= 0;
}

static bool restarts_once_more(void *data)
{
    return stats_of(data).restarts != 1;
}

/* A start waits for its port, and that is no further start. */
static void test_start_waits_for_its_port(void)
{
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.restart_backoff_ms = 200;
    options.port = free_port();
    mf_parent *parent = start(&options);
    taken_port at = {.parent = parent, .port = options.port};
    mf_check_int(kill((pid_t)mf_parent_pid(parent), SIGKILL), 0);
    mf_check(mf_test_until(take_port, &at, 5000));
    mf_check(!mf_test_until(restarts_once_more, parent, 400));
    mf_check(is_restarting(parent));
    (void)close(at.fd);
    mf_check(mf_test_until(is_ready, parent, 5000));
    mf_check_int(stats_of(parent).restarts, 1);
    mf_parent_destroy(parent);
}

static void test_taken_port_ends_a_restart(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.max_restart_attempts = 1;
    options.restart_backoff_ms = 100;
    options.start_timeout_ms = 300;
    options.port = free_port();
    mf_parent *parent = start(&options);
    taken_port at = {.parent = parent, .port = options.port};
    mf_check_int(kill((pid_t)mf_parent_pid(parent), SIGKILL), 0);
    mf_check(mf_test_until(take_port, &at, 5000));
    mf_check_int(mf_parent_restart(parent, &error), MF_ERR_ADDRESS_IN_USE);
    mf_check_int(mf_parent_get_state(parent), MF_PARENT_FAILED);
    (void)close(at.fd);
    restart(parent);
    mf_parent_destroy(parent);
}

/* ---- Restarts that meet others ---- */

static void test_asked_for_meanwhile_starts_at_once(void)
{
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.restart_backoff_ms = 30000;
    mf_parent *parent = start(&options);
    mf_check_int(kill((pid_t)mf_parent_pid(parent), SIGKILL), 0);
    mf_check(mf_test_until(is_restarting, parent, 5000));
    int64_t before = mf_test_now_ms();
    restart(parent);
    mf_check(mf_test_now_ms() - before < 10000);
    mf_check_int(stats_of(parent).restarts, 1); /* the one that was under way */
    mf_parent_destroy(parent);
}

/* The log's callback: when this was missed too often, the worker is being ended. */
static void on_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    (void)level;
    (void)length;
    if (strstr(line, "\"circuit_open\"") != NULL) {
        atomic_store((_Atomic(bool) *)user_data, true);
    }
}

static bool is_set(void *data)
{
    return atomic_load((_Atomic(bool) *)data);
}

/* Its backoff would be longer than the test. */
static void test_silent_worker_is_replaced_at_once(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    _Atomic(bool) circuit_opened = false;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_check_int(mf_log_add_callback(mf_runtime_logger(runtime), on_line, &circuit_opened,
                                     MF_LOG_JSON, &error),
                 MF_OK);
    mf_parent_options options = worker_options();
    options.runtime = runtime;
    options.auto_restart = true;
    options.restart_backoff_ms = 60000;
    options.heartbeat_interval_ms = 50;
    options.heartbeat_timeout_ms = 100;
    options.heartbeat_misses = 2;
    mf_parent *parent = start(&options);
    mf_check_int(kill((pid_t)mf_parent_pid(parent), SIGSTOP), 0);
    mf_check(mf_test_until(is_set, &circuit_opened, 10000));
    int64_t before = mf_test_now_ms();
    restart(parent);
    mf_check(mf_test_now_ms() - before < 30000);
    mf_check_int(stats_of(parent).restarts, 1);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

/* ---- A start that cannot be watched ---- */

/* Whichever of its descriptors it is, the process that was spawned is ended and waited for: the
 * runner looks for children that are left. */
static void test_unwatched_worker_is_reaped(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_parent_options options = worker_options();
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    options.runtime = runtime;
    mf_parent_destroy(start(&options)); /* libzmq's own threads have all of theirs */
    int failures = 0;
    for (int i = 1; i < 20; i++) {
        mf_parent *parent = NULL;
        mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
        atomic_store(&fails_at, i);
        mf_status status = mf_parent_start(parent, &error);
        if (atomic_exchange(&fails_at, 0) > 0) {
            mf_check_int(status, MF_OK);
            i = 20;
        } else if (status != MF_OK) {
            failures++;
            mf_check_contains(error.message, "cannot watch a descriptor");
        }
        mf_parent_destroy(parent);
    }
    mf_check(failures >= 3);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"restarts__a_fixed_port_is_taken_again", test_fixed_port_is_taken_again},
    {"restarts__a_start_waits_for_its_port", test_start_waits_for_its_port},
    {"restarts__a_taken_port_ends_a_restart", test_taken_port_ends_a_restart},
    {"restarts__asked_for_during_a_wait_it_starts_at_once",
     test_asked_for_meanwhile_starts_at_once},
    {"restarts__asked_for_when_it_is_silent_it_starts_at_once",
     test_silent_worker_is_replaced_at_once},
    {"restarts__a_worker_that_cannot_be_watched_is_reaped", test_unwatched_worker_is_reaped},
};

MF_TEST_MAIN(tests)
