/* Connect mode under load: services that restart, and entries that are removed, fail no call. */
#include <fcntl.h>
#include <pthread.h>
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
#include "services.h"

#define LOAD_THREADS 4
#define LOAD_ROUNDS 20

typedef struct load {
    mf_parent *parent;
    pthread_t threads[LOAD_THREADS];
    _Atomic(bool) ends;
    _Atomic(int) calls, failed;
} load;

static void *call_until_the_end(void *argument)
{
    load *at = argument;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = MF_TEST_PATIENCE_MS;
    while (!atomic_load(&at->ends)) {
        mf_error error = MF_ERROR_INIT;
        mf_status status = mf_call_with(at->parent, "add", MF_ARGS(40, 2), &options, NULL, &error);
        if (status != MF_OK) {
            (void)fprintf(stderr, "a call failed: %s\n", error.message);
            atomic_fetch_add(&at->failed, 1);
        }
        atomic_fetch_add(&at->calls, 1);
    }
    return NULL;
}

static void start_load(load *at, mf_parent *parent)
{
    *at = (load){.parent = parent};
    for (size_t i = 0; i < LOAD_THREADS; i++) {
        mf_check_int(pthread_create(&at->threads[i], NULL, call_until_the_end, at), 0);
    }
}

typedef struct some_calls {
    load *at;
    int wanted;
} some_calls;

static bool has_called(void *data)
{
    const some_calls *some = data;
    return atomic_load(&some->at->calls) >= some->wanted;
}

/* Waits for more calls than are under way. */
static void await_calls(load *at)
{
    some_calls some = {.at = at, .wanted = atomic_load(&at->calls) + 10 * LOAD_THREADS};
    mf_check(mf_test_until(has_called, &some, MF_TEST_PATIENCE_MS));
}

static void end_load(load *at)
{
    atomic_store(&at->ends, true);
    for (size_t i = 0; i < LOAD_THREADS; i++) {
        (void)pthread_join(at->threads[i], NULL);
    }
    mf_check_int(atomic_load(&at->failed), 0);
}

static void test_restarted_under_load(void)
{
    home at = new_home();
    load busy;
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.log_file = at.log;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, runtime);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    start_load(&busy, parent);
    for (int i = 0; i < LOAD_ROUNDS; i++) {
        await_calls(&busy);
        end_service(service, SIGTERM);
        service = start_service(&at, "math");
        await_calls(&busy);
        mf_check_int(mf_parent_pid(parent), service);
    }
    end_load(&busy);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_lost\""), LOAD_ROUNDS);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_found\""), LOAD_ROUNDS + 1);
    end_service(service, SIGTERM);
}

/* Most entries are back within a second: the machine may be busy now and then. */
static void test_entry_removed_under_load(void)
{
    home at = new_home();
    load busy;
    int in_time = 0;
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.log_file = at.log;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, runtime);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    entry wanted = {.registry = open_registry(&at), .pid = service};
    start_load(&busy, parent);
    for (int i = 0; i < LOAD_ROUNDS; i++) {
        int64_t removed = mf_test_now_ms();
        replace_registry(&at, "{}");
        mf_check(mf_test_until(is_entered, &wanted, MF_TEST_PATIENCE_MS));
        in_time += mf_test_now_ms() - removed <= 1000 ? 1 : 0;
        await_calls(&busy);
    }
    end_load(&busy);
    mf_check(in_time > LOAD_ROUNDS / 2);
    mf_check_int(mf_parent_pid(parent), service);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    mf_registry_destroy(wanted.registry);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_lost\""), 0);
    mf_check_int(count_in_file(at.log, "\"event\":\"service_found\""), 1);
    mf_check_int(count_in_file(at.log, "reconnect"), 0);
    end_service(service, SIGTERM);
}

static bool holds_calls(void *parent)
{
    uint64_t rtt_ns = 0;
    return mf_parent_heartbeat(parent, 1500, &rtt_ns, NULL) == MF_ERR_TIMEOUT;
}

/* A service that leaves refuses new calls before its running handler ends. Calls made then wait for
 * the next service, as long as that takes. */
static void test_leaving_with_a_long_handler_fails_no_call(void)
{
    home at = new_home();
    mf_error error = MF_ERROR_INIT;
    mf_future *first = NULL;
    mf_future *longest = NULL;
    mf_future *held = NULL;
    uint64_t rtt_ns = 0;
    int status = 0;
    pid_t service = start_service(&at, "math");
    mf_parent *parent = make_parent(&at, NULL);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    /* The signal interrupts the first one. */
    mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(600000), NULL, &first, NULL), MF_OK);
    mf_check_int(mf_call_future(parent, "sleep_ms", MF_ARGS(5000), NULL, &longest, NULL), MF_OK);
    mf_check_int(mf_parent_heartbeat(parent, MF_TEST_PATIENCE_MS, &rtt_ns, NULL), MF_OK);
    mf_check_int(kill(service, SIGTERM), 0);
    mf_check(mf_test_until(holds_calls, parent, MF_TEST_PATIENCE_MS));
    mf_check_int(mf_call_future(parent, "add", MF_ARGS(40, 2), NULL, &held, NULL), MF_OK);
    mf_check_int(mf_future_wait(longest, MF_TEST_PATIENCE_MS, NULL, &error), MF_OK);
    mf_check_int(waitpid(service, &status, 0), service);
    mf_check_int(mf_future_wait(held, 0, NULL, NULL), MF_ERR_TIMEOUT);
    service = start_service(&at, "math");
    mf_check_int(mf_future_wait(held, MF_TEST_PATIENCE_MS, NULL, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_future_destroy(first);
    mf_future_destroy(longest);
    mf_future_destroy(held);
    mf_parent_destroy(parent);
    end_service(service, SIGTERM);
}

static const mf_test tests[] = {
    {"service__leaving_with_a_long_handler_fails_no_call",
     test_leaving_with_a_long_handler_fails_no_call},
    {"service__restarted_under_load_fails_no_call", test_restarted_under_load},
    {"service__without_an_entry_under_load_fails_no_call", test_entry_removed_under_load},
};

MF_TEST_MAIN(tests)
