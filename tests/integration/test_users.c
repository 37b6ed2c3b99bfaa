/* Users that are not allowed connect to a service. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "strangers.h"

#define ANOTHER_UID 54321

typedef struct service {
    mf_runtime *runtime;
    mf_child *child;
    pthread_t thread;
    char endpoint[64];
    const char *log;
} service;

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a = 0;
    int64_t b = 0;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return mf_reply_error(reply, "TypeError", "add takes two integers");
    }
    return mf_reply_value(reply, a + b);
}

static void *run_service(void *data)
{
    mf_check_int(mf_child_run(((service *)data)->child, NULL), MF_OK);
    return NULL;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    mf_check_int(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    mf_check_int(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static uint16_t start_service(service *to, const char *const *allowed)
{
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    uint16_t port = free_port();
    to->log = log_path();
    to->runtime = make_runtime(to->log);
    options.runtime = to->runtime;
    options.service_id = "math";
    options.no_signals = true;
    options.port = port;
    options.registry_directory = mf_test_temp_dir();
    options.allow_users = allowed;
    mf_check_int(mf_child_create(&to->child, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_child_handle(to->child, "add", add, NULL), MF_OK);
    mf_check_int(pthread_create(&to->thread, NULL, run_service, to), 0);
    return port;
}

static void end_service(service *from)
{
    mf_child_stop(from->child);
    (void)pthread_join(from->thread, NULL);
    mf_child_destroy(from->child);
    mf_runtime_destroy(from->runtime);
}

/* A caller of that user: 0 if it was answered, 1 if the connection was closed. It goes on until
 * then. */
static pid_t start_caller(uint16_t port, uid_t uid)
{
    pid_t pid = fork();
    if (pid == 0) {
        int fd = -1;
        bool came = false;
        if (setgid(uid) != 0 || setuid(uid) != 0) {
            _exit(2);
        }
        while ((fd = connect_to(port)) < 0) { /* the service is on its way */
            (void)usleep(1000);
        }
        (void)send_as_parent(fd);
        (void)read_until_closed(fd, "response", &came);
        _exit(came ? 0 : 1);
    }
    mf_check(pid > 0);
    return pid;
}

static int status_of(pid_t pid)
{
    int status = 0;
    mf_check_int(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_a_service_refuses_other_users(void)
{
    service at;
    if (getuid() != 0) {
        (void)fprintf(stderr, "skipped: only root can be another user\n");
        return;
    }
    uint16_t port = start_service(&at, NULL);
    pid_t caller = start_caller(port, ANOTHER_UID);
    await_count(at.runtime, REFUSED("math"), 1);
    if (is_libzmq()) { /* the connection stays, and its call was dropped */
        await_count(at.runtime,
                    "multifrost_transport_dropped_messages_total{reason=\"wrong_peer\"} ", 1);
    }
    mf_check_int(status_of(start_caller(port, 0)), 0); /* others are served */
    mf_check_int(
        counted(at.runtime,
                "multifrost_server_calls_started_total{worker=\"math\",function=\"add\"} "),
        1);
    end_service(&at);
    mf_check_int(status_of(caller), 1);
    mf_check_int(count_lines(at.log, "Stranger refused: uid 54321 is not in allow_users"), 1);
}

static void test_a_service_admits_users_that_are_named(void)
{
    static const char *const allowed[] = {"54321", NULL};
    service at;
    if (getuid() != 0) {
        (void)fprintf(stderr, "skipped: only root can be another user\n");
        return;
    }
    uint16_t port = start_service(&at, allowed);
    mf_check_int(status_of(start_caller(port, ANOTHER_UID)), 0);
    mf_check_int(counted(at.runtime, REFUSED("math")), 0);
    end_service(&at);
}

static const mf_test tests[] = {
    {"users__a_service_refuses_others", test_a_service_refuses_other_users},
    {"users__a_service_admits_those_that_are_named", test_a_service_admits_users_that_are_named},
};
MF_TEST_MAIN(tests)
