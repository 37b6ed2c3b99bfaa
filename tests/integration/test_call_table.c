/* /calls with real processes: a handler that hangs is seen from both ends, a call that waits for
 * its retry says so, and the calls of a worker that crashed are among the failures. The program is
 * its own worker. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "pages.h"
#include "parents.h"

#define BODY_MAX ((size_t)1024 * 1024)

/* ---- The worker ---- */

static mf_http *worker_http;

/* Never answers. */
static mf_status hang(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)reply;
    (void)user_data;
    while (pause() != 0) {
    }
    return MF_OK;
}

static mf_status port(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, (int64_t)mf_http_port(worker_http));
}

static int run_worker(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_child *child = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    mf_child_options serving = MF_CHILD_OPTIONS_INIT;
    options.role = "child";
    http.port = MF_HTTP_PORT_ANY;
    bool ok = mf_runtime_create(&runtime, &options, &error) == MF_OK &&
              mf_http_create(&worker_http, mf_runtime_probe(runtime), &http, &error) == MF_OK;
    serving.runtime = runtime;
    serving.threads = 2;
    ok = ok && mf_child_create(&child, &serving, &error) == MF_OK &&
         mf_child_handle(child, "hang", hang, NULL) == MF_OK &&
         mf_child_handle(child, "port", port, NULL) == MF_OK &&
         mf_child_run(child, &error) == MF_OK;
    if (!ok) {
        (void)fprintf(stderr, "worker: %s\n", error.message);
    }
    mf_child_destroy(child);
    mf_http_destroy(worker_http);
    mf_runtime_destroy(runtime);
    return ok ? 0 : 1;
}

/* ---- The parent ---- */

typedef struct scene {
    mf_runtime *runtime;
    mf_http *http;
    mf_parent *parent;
    uint16_t worker_port;
    char *body; /* of the last answer, with its head */
} scene;

static mf_parent_options own_worker(mf_runtime *runtime)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    static char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    options.runtime = runtime;
    options.program = self;
    options.target = "hanger";
    options.stop_timeout_ms = 100;
    return options;
}

static void begin(scene *at, int64_t recorder_bytes)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    *at = (scene){.body = malloc(BODY_MAX)};
    options.recorder_bytes = recorder_bytes;
    http.port = MF_HTTP_PORT_ANY;
    mf_check_int(mf_runtime_create(&at->runtime, &options, &error), MF_OK);
    mf_check_int(mf_http_create(&at->http, mf_runtime_probe(at->runtime), &http, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void end(scene *at)
{
    mf_parent_destroy(at->parent);
    mf_http_destroy(at->http);
    mf_runtime_destroy(at->runtime);
    free(at->body);
}

/* Asks for a page. Returns its status; the body is in at->body. */
static int get(scene *at, uint16_t http_port, const char *path)
{
    return get_page(http_port, path, at->body, BODY_MAX);
}

static bool parent_shows(scene *at, const char *path, const char *part)
{
    mf_check_int(get(at, mf_http_port(at->http), path), 200);
    return strstr(at->body, part) != NULL;
}

static bool call_is_sent(void *data)
{
    return parent_shows(data, "/calls?function=hang", "\"phase\":\"sent\"");
}

static bool handler_runs(void *data)
{
    scene *at = data;
    return get(at, at->worker_port, "/calls") == 200 &&
           strstr(at->body, "\"phase\":\"running\"") != NULL;
}

static bool call_waits_for_retry(void *data)
{
    return parent_shows(data, "/calls", "\"phase\":\"retry_wait\"");
}

static mf_future *start_hanging(scene *at, const char *correlation_id)
{
    mf_future *future = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.correlation_id = correlation_id;
    options.timeout_ms = TOO_LONG_MS;
    mf_check_int(mf_call_future(at->parent, "hang", MF_NO_ARGS, &options, &future, &error), MF_OK);
    mf_check_str(error.message, "");
    return future;
}

static void start_worker(scene *at)
{
    mf_result *result = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options options = own_worker(at->runtime);
    at->parent = start(&options);
    mf_check_int(mf_call(at->parent, "port", MF_NO_ARGS, &result, &error), MF_OK);
    at->worker_port = (uint16_t)mf_result_int(result);
    mf_result_destroy(result);
}

static void test_hung_handler_is_seen_from_both_ends(void)
{
    scene at;
    begin(&at, 0);
    start_worker(&at);
    mf_future *future = start_hanging(&at, "order-7");
    mf_check(mf_test_until(call_is_sent, &at, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.body, "\"schema\":\"multifrost.calls/1\"");
    mf_check_contains(at.body, "\"view\":\"open\"");
    mf_check_contains(at.body, "\"function\":\"hang\",\"namespace\":\"default\","
                               "\"target\":\"hanger\",\"worker\":\"hanger-0\",\"role\":\"client\"");
    mf_check_contains(at.body, "\"correlation_id\":\"order-7\"");
    mf_check_contains(at.body, "\"deadline_left_seconds\":");
    mf_check(mf_test_until(handler_runs, &at, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.body, "\"function\":\"hang\"");
    mf_check_contains(at.body, "\"role\":\"server\"");
    mf_check_contains(at.body, "\"correlation_id\":\"order-7\"");
    mf_check(parent_shows(&at, "/calls?correlation_id=order-7", "\"phase\":\"sent\""));
    mf_check(parent_shows(&at, "/calls?recent", "\"function\":\"port\""));
    mf_check(parent_shows(&at, "/calls?slowest&function=port", "\"status\":\"ok\""));
    mf_check(parent_shows(&at, "/calls?function=port", "\"calls\":[]")); /* none is open */
    mf_check_int(get(&at, mf_http_port(at.http), "/calls?status=late"), 400);
    mf_check_contains(at.body, "use ok, app_error, function_not_found, invalid_argument, timeout, "
                               "cancelled, circuit_open, rejected, unavailable, worker_crashed, "
                               "protocol_error, internal\"");
    mf_future_cancel(future);
    mf_future_destroy(future);
    end(&at);
}

static void test_calls_of_a_crashed_worker_are_failures(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    begin(&at, 0);
    start_worker(&at);
    mf_future *future = start_hanging(&at, "order-8");
    mf_check(mf_test_until(call_is_sent, &at, MF_TEST_PATIENCE_MS));
    send_signal(mf_parent_pid(at.parent), SIGKILL);
    mf_check_int(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, &error), MF_ERR_WORKER_EXITED);
    mf_future_destroy(future);
    mf_check(parent_shows(&at, "/calls", "\"calls\":[]"));
    mf_check(parent_shows(&at, "/calls?failed", "\"status\":\"worker_crashed\""));
    mf_check_contains(at.body, "\"correlation_id\":\"order-8\"");
    mf_check_contains(at.body, "\"error\":\"");
    mf_check(parent_shows(&at, "/calls?status=worker_crashed", "\"matched\":1,"));
    end(&at);
}

static void test_wait_for_a_retry_is_shown(void)
{
    scene at;
    mf_error error = MF_ERROR_INIT;
    mf_future *future = NULL;
    mf_retry_policy retry = MF_RETRY_POLICY_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    begin(&at, 0);
    mf_parent_options restarting = own_worker(at.runtime);
    restart_by_hand_only(&restarting);
    at.parent = start(&restarting);
    retry.backoff_ms = TOO_LONG_MS / 2;
    retry.backoff_max_ms = TOO_LONG_MS / 2;
    options.retry = &retry;
    options.idempotent = true;
    options.timeout_ms = TOO_LONG_MS * 10;
    mf_check_int(mf_call_future(at.parent, "hang", MF_NO_ARGS, &options, &future, &error), MF_OK);
    mf_check(mf_test_until(call_is_sent, &at, MF_TEST_PATIENCE_MS));
    send_signal(mf_parent_pid(at.parent), SIGKILL);
    mf_check(mf_test_until(call_waits_for_retry, &at, MF_TEST_PATIENCE_MS));
    mf_check_contains(at.body, "\"retry_in_seconds\":");
    mf_future_cancel(future);
    mf_check_int(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, &error), MF_ERR_CANCELLED);
    mf_future_destroy(future);
    mf_check(parent_shows(&at, "/calls", "\"calls\":[]"));
    end(&at);
}

static void test_queries_are_checked(void)
{
    scene at;
    begin(&at, 0);
    mf_check_int(get(&at, mf_http_port(at.http), "/calls?slow"), 400);
    mf_check_contains(at.body, "no query 'slow': use recent, failed, slowest, function=");
    mf_check_int(get(&at, mf_http_port(at.http), "/calls?status=bad"), 400);
    mf_check_int(get(&at, mf_http_port(at.http), "/calls?limit=0"), 400);
    mf_check_int(get(&at, mf_http_port(at.http), "/calls?limit=1001"), 400);
    mf_check_int(get(&at, mf_http_port(at.http), "/calls?limit=1000"), 200);
    mf_check(parent_shows(&at, "/metrics",
                          "multifrost_http_requests_total{route=\"/calls\",code=\"400\"} 4"));
    end(&at);
}

static void test_recorder_can_be_off(void)
{
    scene at;
    begin(&at, MF_DISABLED);
    start_worker(&at);
    mf_check_int(get(&at, mf_http_port(at.http), "/calls"), 404);
    mf_check_contains(at.body, "no calls are recorded here");
    end(&at);
}

static void test_bounds_of_the_options(void)
{
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    static const int64_t refused[] = {-2, 1, 65535, 64 * 1024 * 1024 + 1};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        mf_error error = MF_ERROR_INIT;
        options.recorder_bytes = refused[i];
        mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, "recorder_bytes must be 65536 to 67108864");
    }
    mf_error error = MF_ERROR_INIT;
    options.recorder_bytes = 65536;
    options.recorder_seconds = -1;
    mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "recorder_seconds");
}

static const mf_test tests[] = {
    {"calls__hung_handler_is_seen_from_both_ends", test_hung_handler_is_seen_from_both_ends},
    {"calls__crashed_worker_leaves_failures", test_calls_of_a_crashed_worker_are_failures},
    {"calls__wait_for_a_retry_is_shown", test_wait_for_a_retry_is_shown},
    {"calls__queries_are_checked", test_queries_are_checked},
    {"calls__recorder_can_be_off", test_recorder_can_be_off},
    {"calls__bounds_of_the_options", test_bounds_of_the_options},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[argc - 1], "--worker") == 0) {
        return run_worker();
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
