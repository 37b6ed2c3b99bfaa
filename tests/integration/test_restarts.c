/* Restarts that a program asks for, also during other restarts, and on a port that is taken. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

/* These stand before those of the C library. Of the next descriptors that the engine adds, this one
 * fails. */
static _Atomic(int) fails_at = 0;
/* While a port is taken the engine cannot bind to it; so often it has tried. */
static _Atomic(uint16_t) taken_port = 0;
static _Atomic(int) refusals = 0;

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

/* Under its own name the C library's header declares it with another type. */
__attribute__((visibility("default"))) int bind_if_not_taken(int fd, const struct sockaddr *address,
                                                             socklen_t size) __asm__("bind");

int bind_if_not_taken(int fd, const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_in to = {.sin_family = AF_UNSPEC};
    memcpy(&to, address, size < sizeof to ? size : sizeof to);
    uint16_t taken = atomic_load(&taken_port);
    if (taken != 0 && to.sin_family == AF_INET && ntohs(to.sin_port) == taken && on_engine()) {
        atomic_fetch_add(&refusals, 1);
        errno = EADDRINUSE;
        return -1;
    }
    return (int)syscall(SYS_bind, fd, address, size);
}

static void restart(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_restart(parent, &error), MF_OK);
    mf_check_str(error.message, "");
}

/* ---- A port of one's own ---- */

static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    mf_check_int(bind(fd, (struct sockaddr *)&address, size), 0);
    mf_check_int(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* On a port that was free. Where somebody else has taken it since, or a busy machine was late for a
 * start timeout that is meant for something else, a start is made again. */
static mf_parent *start_on_own_port(mf_parent_options *options)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status = MF_ERR_START_TIMEOUT;
    while (status == MF_ERR_START_TIMEOUT || status == MF_ERR_ADDRESS_IN_USE) {
        mf_parent_destroy(parent);
        parent = NULL;
        options->port = free_port();
        mf_check_int(mf_parent_create(&parent, options, &error), MF_OK);
        status = mf_parent_start(parent, &error);
    }
    mf_check_int(status, MF_OK);
    return parent;
}

static void test_fixed_port_is_taken_again(void)
{
    mf_parent_options options = worker_options();
    mf_parent *parent = start_on_own_port(&options);
    for (int i = 0; i < 5; i++) {
        restart(parent);
    }
    mf_check_int(stats_of(parent).restarts, 5);
    mf_parent_destroy(parent);
}

static void take_port(uint16_t port)
{
    atomic_store(&refusals, 0);
    atomic_store(&taken_port, port);
}

static void give_port_back(void)
{
    atomic_store(&taken_port, 0);
}

static bool was_refused_ten_times(void *data)
{
    (void)data;
    return atomic_load(&refusals) >= 10;
}

/* A start waits for its port, and that is no further start. */
static void test_start_waits_for_its_port(void)
{
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.restart_backoff_ms = 10;
    mf_parent *parent = start_on_own_port(&options);
    take_port(options.port);
    kill_worker(parent);
    mf_check(mf_test_until(was_refused_ten_times, NULL, 20000));
    mf_check(is_restarting(parent));
    mf_check_int(stats_of(parent).restarts, 1);
    give_port_back();
    mf_check(mf_test_until(is_ready, parent, 20000));
    mf_check_int(stats_of(parent).restarts, 1);
    mf_parent_destroy(parent);
}

/* The start timeout is how long a start waits for its port. */
static void test_taken_port_ends_a_restart(void)
{
    char port[16];
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = worker_options();
    options.auto_restart = true;
    options.max_restart_attempts = 1;
    options.restart_backoff_ms = 100;
    options.start_timeout_ms = 1000;
    mf_parent *parent = start_on_own_port(&options);
    (void)snprintf(port, sizeof port, "%d", options.port);
    take_port(options.port);
    int64_t before = mf_test_now_ms();
    kill_worker(parent);
    mf_check_int(mf_parent_restart(parent, &error), MF_ERR_ADDRESS_IN_USE);
    mf_check_contains(error.message, "was given up after 1 restarts");
    mf_check_contains(error.message, port);
    mf_check(mf_test_now_ms() - before >= options.start_timeout_ms);
    mf_check(was_refused_ten_times(NULL));
    mf_check_int(mf_parent_get_state(parent), MF_PARENT_FAILED);
    give_port_back();
    mf_status status = MF_ERR_START_TIMEOUT;
    while (status == MF_ERR_START_TIMEOUT) { /* as in start_on_own_port() */
        status = mf_parent_restart(parent, &error);
    }
    mf_check_int(status, MF_OK);
    mf_parent_destroy(parent);
}

/* ---- Restarts that meet others ---- */

static void test_asked_for_meanwhile_starts_at_once(void)
{
    mf_parent_options options = worker_options();
    restart_by_hand_only(&options);
    mf_parent *parent = start(&options);
    kill_worker(parent);
    mf_check(is_restarting(parent));
    restart(parent); /* does not wait for the backoff, which would be longer than the test */
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
    restart_by_hand_only(&options);
    options.heartbeat_interval_ms = 50;
    options.heartbeat_timeout_ms = SILENT_MS;
    options.heartbeat_misses = 2;
    mf_parent *parent = start(&options);
    stop_worker(parent);
    mf_check(mf_test_until(is_set, &circuit_opened, 20000));
    restart(parent);
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
