/* What systemd is told of a runtime without a worker; with workers: tests/integration/systemd. */
#include "core/runtime/runtime.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mf_test.h"

/* Stands for systemd. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", mf_test_temp_dir(), name);
    mf_check_int(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    mf_check_int(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    return fd;
}

static mf_runtime *make(mf_status wanted, mf_error *error)
{
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.systemd = true;
    mf_check_int(mf_runtime_create(&runtime, &options, error), wanted);
    return runtime;
}

static void receive(int fd, char *to, size_t size)
{
    ssize_t length = recv(fd, to, size - 1, 0);
    to[length > 0 ? length : 0] = '\0';
}

typedef struct part {
    mfi_component component;
    bool serves;
} part;

static bool serves(void *self)
{
    const part *at = self;
    return at->serves;
}

static void fail_at_first(mf_health_result *result, void *user_data)
{
    const bool *is_started = user_data;
    result->status = *is_started ? MF_HEALTH_PASS : MF_HEALTH_FAIL;
    (void)snprintf(result->output, sizeof result->output, "cold\nREADY=1");
}

/* A text of a check stays in its line, so that no check can say a field. */
static void test_ready_when_all_has_begun(void)
{
    char told[1024];
    bool is_started = false;
    mf_error error = MF_ERROR_INIT;
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    int fd = listen_at("ready");
    mf_runtime *runtime = make(MF_OK, &error);
    receive(fd, told, sizeof told);
    mf_check_str(told, "STATUS=0 of 0 workers ready, p99 unknown, 0 calls in flight\n");
    check.component = "cache";
    check.gates = MF_GATE_STARTUP;
    check.check = fail_at_first;
    check.user_data = &is_started;
    mf_check_int(mf_runtime_add_health_check(runtime, &check, &error), MF_OK);
    part child = {.component = {.target = "child", .is_child = true, .serves = serves}};
    child.component.self = &child;
    mfi_runtime_add_component(runtime, &child.component);
    receive(fd, told, sizeof told);
    mf_check_contains(told, "; cache fails since 20");
    mf_check_contains(told, "Z: cold READY=1\n");
    mf_check(strncmp(told, "STATUS=", 7) == 0);
    mf_runtime_remove_health_check(runtime, "cache", NULL);
    mfi_runtime_tell_change(runtime);
    receive(fd, told, sizeof told);
    mf_check_str(told, "STATUS=0 of 0 workers ready, p99 unknown, 0 calls in flight\n");
    mfi_mutex_lock(&runtime->mutex);
    child.serves = true;
    mfi_mutex_unlock(&runtime->mutex);
    mfi_runtime_tell_change(runtime);
    receive(fd, told, sizeof told);
    mf_check_str(told, "READY=1\nSTATUS=0 of 0 workers ready, p99 unknown, 0 calls in flight\n");
    mfi_runtime_remove_component(runtime, &child.component);
    mf_runtime_destroy(runtime);
    receive(fd, told, sizeof told);
    mf_check_contains(told, "STOPPING=1\nEXTEND_TIMEOUT_USEC=");
    (void)close(fd);
    (void)unsetenv("NOTIFY_SOCKET");
}

static void count_visits(mf_health_result *result, void *user_data)
{
    atomic_fetch_add((_Atomic(int) *)user_data, 1);
    result->status = MF_HEALTH_PASS;
}

static bool was_visited_twice(void *data)
{
    return atomic_load((_Atomic(int) *)data) >= 2;
}

/* The watchdog's half is 15 minutes here: only a message that goes again comes in this test. */
static void test_watchdog_goes_again(void)
{
    char told[1024] = "";
    _Atomic(int) visits = 0;
    mf_error error = MF_ERROR_INIT;
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    char name[512];
    (void)snprintf(name, sizeof name, "%s/again", mf_test_temp_dir());
    (void)setenv("NOTIFY_SOCKET", name, 1); /* where nothing is yet */
    (void)setenv("WATCHDOG_USEC", "1800000000", 1);
    mf_runtime *runtime = make(MF_OK, &error);
    check.component = "visited";
    check.check = count_visits;
    check.user_data = &visits;
    mf_check_int(mf_runtime_add_health_check(runtime, &check, &error), MF_OK);
    mf_check(mf_test_until(was_visited_twice, &visits, MF_TEST_PATIENCE_MS));
    int fd = listen_at("again");
    while (strcmp(told, "WATCHDOG=1\n") != 0) {
        receive(fd, told, sizeof told);
    }
    mf_runtime_destroy(runtime);
    (void)close(fd);
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("NOTIFY_SOCKET");
}

static void test_without_systemd(void)
{
    mf_error error = MF_ERROR_INIT;
    (void)unsetenv("NOTIFY_SOCKET");
    mf_runtime *runtime = make(MF_OK, &error);
    mf_check(runtime->systemd == NULL);
    mf_runtime_begin_drain(runtime);
    mf_runtime_destroy(runtime);
    (void)setenv("NOTIFY_SOCKET", "", 1);
    runtime = make(MF_OK, &error);
    mf_check(runtime->systemd == NULL);
    mf_runtime_destroy(runtime);
    (void)setenv("NOTIFY_SOCKET", "/x", 1); /* the option was not set */
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_check(runtime->systemd == NULL);
    mf_runtime_destroy(runtime);
    (void)unsetenv("NOTIFY_SOCKET");
}

/* Nobody listens: the program goes on. */
static void test_deaf_sockets(void)
{
    mf_error error = MF_ERROR_INIT;
    int fd = listen_at("deaf");
    (void)close(fd);
    mf_runtime *runtime = make(MF_OK, &error);
    mf_check(runtime->systemd != NULL);
    mf_runtime_destroy(runtime);
    (void)setenv("NOTIFY_SOCKET", "here\x1b", 1);
    (void)make(MF_ERR_INVALID_ARGUMENT, &error);
    mf_check_contains(error.message, "NOTIFY_SOCKET is 'here");
    mf_check(strchr(error.message, '\x1b') == NULL);
    (void)unsetenv("NOTIFY_SOCKET");
}

static const mf_test tests[] = {
    {"systemd__ready_when_all_has_begun", test_ready_when_all_has_begun},
    {"systemd__a_watchdog_message_goes_again", test_watchdog_goes_again},
    {"systemd__without_systemd", test_without_systemd},
    {"systemd__deaf_sockets", test_deaf_sockets},
};
MF_TEST_MAIN(tests)
