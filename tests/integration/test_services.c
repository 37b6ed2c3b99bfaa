/* Connect mode: a parent finds a service by name, loses it, and finds it again. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"
#include "services.h"

static void check_add(mf_parent *parent)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, "add", MF_ARGS(40, 2), &result, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_result_int(result), 42);
    mf_result_destroy(result);
}

static void test_found_and_called(void)
{
    home at = new_home();
    mf_error error = MF_ERROR_INIT;
    char endpoint[64];
    uint64_t rtt_ns = 0;
    pid_t service = start_service(&at, "math");
    mf_parent *first = make_parent(&at, NULL);
    mf_parent *second = make_parent(&at, NULL);
    mf_check_int(mf_parent_start(first, &error), MF_OK); /* waits until it has registered */
    mf_check_int(mf_parent_start(second, &error), MF_OK);
    mf_check_str(error.message, "");
    check_add(first);
    check_add(second);
    mf_check_int(mf_parent_pid(first), service);
    (void)mf_parent_endpoint(first, endpoint, sizeof endpoint);
    mf_check_contains(endpoint, "tcp://127.0.0.1:");
    mf_check_int(mf_parent_heartbeat(first, 5000, &rtt_ns, &error), MF_OK);
    mf_check(rtt_ns > 0);
    mf_parent_destroy(first);
    check_add(second); /* the service goes on */
    mf_parent_destroy(second);
    end_service(service, SIGTERM);
}

static void test_not_found_in_time(void)
{
    home at = new_home();
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.service_id = "absent";
    options.registry_directory = at.registry;
    options.discovery_timeout_ms = 150;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    int64_t before = mf_test_now_ms();
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_NOT_FOUND);
    mf_check_str(error.message, "Service 'absent' not found within 150 ms");
    mf_check(mf_test_now_ms() - before >= 150);
    mf_check_int(mf_call(parent, "add", MF_ARGS(1, 2), NULL, &error), MF_ERR_NOT_RUNNING);
    mf_parent_destroy(parent);
}

static void test_broken_registry_is_named(void)
{
    home at = new_home();
    char path[400];
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mkdir(at.registry, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/services.json", at.registry);
    FILE *file = fopen(path, "w");
    mf_check(file != NULL && fputs("{\"math\": {\"port\": 1", file) >= 0 && fclose(file) == 0);
    mf_parent *parent = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.service_id = "math";
    options.registry_directory = at.registry;
    options.discovery_timeout_ms = 150; /* a file that is cut may be one that is being written */
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    int64_t begun = mf_test_now_ms();
    mf_check_int(mf_parent_start(parent, &error), MF_ERR_PROTOCOL);
    mf_check(mf_test_now_ms() - begun >= 150);
    mf_check_contains(error.message, path);
    mf_check_contains(error.message, " of 19");
    mf_parent_destroy(parent);
}

static void on_started(mf_status status, const mf_error *error, void *user_data)
{
    (void)error;
    atomic_store((_Atomic(int) *)user_data, (int)status + 1);
}

static bool is_set(void *data)
{
    return atomic_load((_Atomic(int) *)data) != 0;
}

static void test_service_that_comes_later(void)
{
    home at = new_home();
    _Atomic(int) started = 0;
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = make_parent(&at, NULL);
    mf_check_int(mf_parent_start_async(parent, on_started, &started, &error), MF_OK);
    pid_t service = start_service(&at, "math");
    mf_check(mf_test_until(is_set, &started, 40000));
    mf_check_int(atomic_load(&started), MF_OK + 1);
    check_add(parent);
    mf_parent_destroy(parent);
    end_service(service, SIGTERM);
}

/* A call that was on its way to the old service may be lost with it. */
static void call_again(mf_parent *parent)
{
    mf_error error = MF_ERROR_INIT;
    mf_status status = MF_ERR_WORKER_EXITED;
    while (status == MF_ERR_WORKER_EXITED) {
        status = mf_call(parent, "add", MF_ARGS(40, 2), NULL, &error);
    }
    mf_check_int(status, MF_OK);
    check_add(parent);
}

/* The service is ended by this signal, with a call that lasts so long, if it is not 0. */
static void restart_service(int number, int64_t call_ms)
{
    home at = new_home();
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_future *running = NULL;
    char before[64], after[64];
    options.log_file = at.log;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, runtime);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    check_add(parent);
    (void)mf_parent_endpoint(parent, before, sizeof before);
    if (call_ms > 0) {
        uint64_t rtt_ns = 0;
        mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(call_ms), NULL, &running, &error),
                     MF_OK);
        mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt_ns, NULL), MF_OK); /* it has begun */
    }
    end_service(service, number);
    service = start_service(&at, "math");
    call_again(parent);
    mf_check_int(mf_parent_pid(parent), service);
    (void)mf_parent_endpoint(parent, after, sizeof after);
    mf_check(strcmp(before, after) != 0);
    if (call_ms > 0) {
        mf_status wanted = number == SIGTERM ? MF_OK : MF_ERR_WORKER_EXITED;
        mf_check_int(mf_future_wait(running, 20000, NULL, &error), wanted);
        mf_future_destroy(running);
    }
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_lost\""), 1);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_found\""), 2);
    end_service(service, SIGTERM);
}

/* For mf_test_until(). */
typedef struct shown_worker {
    mf_runtime *runtime;
    char up[96], pid[96], state[96];
} shown_worker;

static bool metrics_show(void *data)
{
    const shown_worker *wanted = data;
    char *text = NULL;
    size_t length = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(wanted->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &length, NULL),
                 MF_OK);
    bool found = text != NULL && strstr(text, wanted->up) != NULL &&
                 strstr(text, wanted->pid) != NULL && strstr(text, wanted->state) != NULL;
    free(text);
    return found;
}

static void check_shown(mf_runtime *runtime, int up, int pid, const char *state)
{
    shown_worker wanted = {.runtime = runtime};
    (void)snprintf(wanted.up, sizeof wanted.up,
                   "\nmultifrost_worker_up{target=\"math\",worker=\"math-0\"} %d\n", up);
    (void)snprintf(wanted.pid, sizeof wanted.pid,
                   "\nmultifrost_worker_pid{target=\"math\",worker=\"math-0\"} %d\n", pid);
    (void)snprintf(wanted.state, sizeof wanted.state, "\nmultifrost_workers{state=\"%s\"} 1\n",
                   state);
    mf_check(mf_test_until(metrics_show, &wanted, MF_TEST_PATIENCE_MS));
}

/* The metrics know the pid from the registry, and that no service is there. */
static void test_killed_service_is_not_up(void)
{
    home at = new_home();
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_parent *parent = make_parent(&at, runtime);
    check_shown(runtime, 0, 0, "down");
    pid_t service = start_service(&at, "math");
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    check_shown(runtime, 1, service, "ready");
    end_service(service, SIGKILL);
    check_shown(runtime, 0, 0, "restarting");
    service = start_service(&at, "math");
    check_shown(runtime, 1, service, "ready");
    mf_check_int(mf_parent_stop(parent, &error), MF_OK);
    check_shown(runtime, 0, 0, "down");
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    end_service(service, SIGTERM);
}

static void test_killed_service_is_found_again(void)
{
    restart_service(SIGKILL, 0);
}

static void test_killed_service_ends_its_calls(void)
{
    restart_service(SIGKILL, 600000); /* longer than the test */
}

static void test_stopped_service_finishes_its_calls(void)
{
    restart_service(SIGTERM, 300);
}

/* A call in flight and calls that are made meanwhile name the service, what was lost and when. */
static void check_vanished(bool fail_fast)
{
    home at = new_home();
    char place[128], endpoint[64];
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    mf_future *running = NULL;
    mf_parent *parent = NULL;
    mf_call_options call = MF_CALL_OPTIONS_INIT;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    pid_t service = start_service(&at, "math");
    options.service_id = "math";
    options.target = "sums";
    options.registry_directory = at.registry;
    options.discovery_timeout_ms = 20000; /* a service is on its way */
    options.fail_fast = fail_fast;
    mf_check_int(mf_parent_create(&parent, &options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    (void)mf_parent_endpoint(parent, endpoint, sizeof endpoint);
    mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(600000), NULL, &running, &error),
                 MF_OK);
    mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt_ns, NULL), MF_OK); /* it has begun */
    end_service(service, SIGKILL);
    mf_check_int(mf_future_wait(running, 20000, NULL, &error), MF_ERR_WORKER_EXITED);
    mf_check_contains(error.message, "service 'math' vanished during the call of 'sleep_ms': it ");
    mf_future_destroy(running);
    call.timeout_ms = 100;
    mf_check_int(mf_call_with(parent, "add", MF_ARGS(1, 2), &call, NULL, &error),
                 fail_fast ? MF_ERR_NOT_RUNNING : MF_ERR_TIMEOUT);
    if (!fail_fast) {
        mf_check_contains(error.message, "Function 'add' timed out after 100 ms, not sent: ");
    }
    (void)snprintf(place, sizeof place,
                   "'sums' has no service: 'math' (pid %d at %s) vanished at 2", (int)service,
                   endpoint);
    mf_check_contains(error.message, place);
    mf_check_contains(error.message, "Z and is looked for: it ");
    service = start_service(&at, "math");
    mf_check(!fail_fast || mf_test_until(is_ready, parent, 20000));
    check_add(parent);
    mf_parent_destroy(parent);
    end_service(service, SIGTERM);
}

static void test_calls_say_that_the_service_vanished(void)
{
    check_vanished(true);
    check_vanished(false);
}

static void test_name_is_taken(void)
{
    home at = new_home();
    int status = 0;
    mf_error error = MF_ERROR_INIT;
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, NULL);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    pid_t second = start_service(&at, "math");
    mf_check_int(waitpid(second, &status, 0), second);
    mf_check(WIFEXITED(status));
    mf_check_int(WEXITSTATUS(status), 1);
    check_add(parent);
    mf_parent_destroy(parent);
    end_service(service, SIGTERM);
}

/* ---- What others do to the registry ---- */

/* The service enters itself again, within a second where the machine is not busy, and the parent
 * sees nothing of it: a call that runs meanwhile ends well, as do calls that are made. */
static void test_entry_removed_under_a_connection(void)
{
    static const char *const texts[] = {"{}", "", NULL, "{\"math\": {\"port\": 1}}"};
    home at = new_home();
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    mf_future *running = NULL;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.log_file = at.log;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, runtime);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    entry wanted = {.registry = open_registry(&at), .pid = service};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(50), NULL, &running, &error),
                     MF_OK);
        mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt_ns, NULL), MF_OK); /* it has begun */
        replace_registry(&at, texts[i]);
        check_add(parent);
        mf_check(mf_test_until(is_entered, &wanted, MF_TEST_PATIENCE_MS));
        check_add(parent);
        mf_check_int(mf_future_wait(running, 20000, NULL, &error), MF_OK);
        mf_future_destroy(running);
        mf_check_int(mf_parent_pid(parent), service);
    }
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    mf_registry_destroy(wanted.registry);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_lost\""), 0);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_found\""), 1);
    end_service(service, SIGTERM);
}

static bool has_left(void *data)
{
    return mf_parent_pid(data) == 1;
}

/* Another live service has the name: the parent goes there, and the first service leaves the entry
 * alone. */
static void test_name_taken_by_another_live_service(void)
{
    home at = new_home();
    mf_error error = MF_ERROR_INIT;
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, NULL);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    entry wanted = {.registry = open_registry(&at), .pid = 1};
    replace_registry(&at, "{\"math\": {\"port\": 9, \"pid\": 1}}");
    mf_check(mf_test_until(has_left, parent, MF_TEST_PATIENCE_MS));
    mf_check(is_entered(&wanted));
    replace_registry(&at, "{}"); /* nobody has the name any more */
    wanted.pid = service;
    mf_check(mf_test_until(is_entered, &wanted, MF_TEST_PATIENCE_MS));
    mf_parent_destroy(parent);
    mf_registry_destroy(wanted.registry);
    end_service(service, SIGTERM);
}

/* The service is killed while services.json cannot be read: its calls end, and say so. */
static void check_lost_unread(const char *text, const char *said)
{
    home at = new_home();
    uint64_t rtt_ns = 0;
    mf_error error = MF_ERROR_INIT;
    mf_future *running = NULL;
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, NULL);
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = 600000; /* longer than the test */
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(600000), &options, &running, &error),
                 MF_OK);
    mf_check_int(mf_parent_heartbeat(parent, 20000, &rtt_ns, NULL), MF_OK); /* it has begun */
    replace_registry(&at, text);
    mf_check_int(mf_parent_pid(parent), service); /* the connection is kept */
    end_service(service, SIGKILL);
    mf_check_int(mf_future_wait(running, 20000, NULL, &error), MF_ERR_WORKER_EXITED);
    mf_check_contains(error.message, "service 'math' vanished during the call of 'sleep_ms': it ");
    mf_check_contains(error.message, said);
    mf_future_destroy(running);
    replace_registry(&at, "{}");
    service = start_service(&at, "math");
    check_add(parent); /* waits for the next service */
    mf_parent_destroy(parent);
    end_service(service, SIGTERM);
}

static void test_lost_while_the_registry_cannot_be_read(void)
{
    static const char said[] = "and the registry cannot be read now: '";
    check_lost_unread("{\"math\": {\"po", said);
    check_lost_unread("[]", said);
}

static const mf_test tests[] = {
    {"service__keeps_its_calls_and_its_entry", test_entry_removed_under_a_connection},
    {"service__leaves_its_name_to_another_live_one", test_name_taken_by_another_live_service},
    {"service__lost_while_the_registry_cannot_be_read_ends_its_calls",
     test_lost_while_the_registry_cannot_be_read},
    {"service__is_found_and_called_by_several", test_found_and_called},
    {"service__absent_gives_an_error_in_time", test_not_found_in_time},
    {"service__a_broken_registry_is_named", test_broken_registry_is_named},
    {"service__may_come_later", test_service_that_comes_later},
    {"services__killed_one_is_not_up", test_killed_service_is_not_up},
    {"service__killed_is_found_again_on_another_port", test_killed_service_is_found_again},
    {"service__killed_ends_its_calls", test_killed_service_ends_its_calls},
    {"service__stopped_finishes_its_calls", test_stopped_service_finishes_its_calls},
    {"service__calls_say_that_it_vanished", test_calls_say_that_the_service_vanished},
    {"service__a_name_is_taken_once", test_name_is_taken},
};

MF_TEST_MAIN(tests)
