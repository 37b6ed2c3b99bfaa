/* A program in which everything happens, for test_families.py to scrape. It exists so that each
 * family of docs/metrics.md is seen to move in a real program, and not in a unit test alone.
 *
 * usage: everything REGISTRY_DIRECTORY LOG_FILE    (it starts itself as a worker)
 * Prints its port. A line on stdin begins; "ready" is printed when all has happened. Then calls are
 * still open, a worker is frozen and a circuit is open, until stdin ends. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/http.h>
#include <multifrost/multifrost.h>

#define TOO_LONG_MS 600000
#define PATIENCE_MS 60000
#define MANY 4000
#define LARGE_BYTES ((size_t)9 * 1024 * 1024)

static sem_t may_return; /* the handler `hold` waits for it */
static const char *own_path;

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        (void)fprintf(stderr, "everything: %s\n", error->message);
        exit(1);
    }
}

static void expect(mf_status got, mf_status wanted, const char *what)
{
    if (got != wanted) {
        (void)fprintf(stderr, "everything: %s gave %s, not %s\n", what, mf_err_name(got),
                      mf_err_name(wanted));
        exit(1);
    }
}

/* ---- Functions of the workers ---- */

static mf_status add(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t a, b;
    (void)user_data;
    if (mf_request_unpack(request, &a, &b) != MF_OK) {
        return MF_ERR_TYPE;
    }
    return mf_reply_value(reply, a + b);
}

static mf_status fail(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_error(reply, "ValueError", "as asked");
}

static mf_status take_long(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t ms;
    (void)user_data;
    if (mf_request_unpack(request, &ms) != MF_OK) {
        return MF_ERR_TYPE;
    }
    (void)poll(NULL, 0, (int)ms);
    return mf_reply_value(reply, ms);
}

static mf_status die(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)reply;
    (void)user_data;
    _exit(3);
}

/* More than the parent of this call takes. */
static mf_status large(mf_request *request, mf_reply *reply, void *user_data)
{
    static char text[64 * 1024];
    (void)request;
    (void)user_data;
    memset(text, 'x', sizeof text - 1);
    return mf_reply_value(reply, text);
}

static mf_status hold(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    (void)sem_wait(&may_return);
    return mf_reply_value(reply, 1);
}

static mf_child *make_child(const mf_child_options *options)
{
    mf_error error = MF_ERROR_INIT;
    mf_child_options sampled = *options;
    mf_child *child = NULL;
    sampled.handler_sampling = 1; /* each call */
    check(mf_child_create(&child, &sampled, &error), &error);
    (void)mf_child_handle(child, "add", add, NULL); /* mf_child_run() returns a failure */
    (void)mf_child_handle(child, "fail", fail, NULL);
    (void)mf_child_handle(child, "take_long", take_long, NULL);
    (void)mf_child_handle(child, "die", die, NULL);
    (void)mf_child_handle(child, "hold", hold, NULL);
    (void)mf_child_handle(child, "large", large, NULL);
    return child;
}

static int run_worker(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    mf_child *child = make_child(&options);
    check(mf_child_run(child, &error), &error);
    mf_child_destroy(child);
    return 0;
}

/* ---- Parents ---- */

static mf_parent_options spawn(mf_runtime *runtime, const char *target)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = runtime;
    options.target = target;
    options.program = own_path;
    options.heartbeat_interval_ms = 20;
    options.heartbeat_timeout_ms = 1000;
    options.restart_backoff_ms = 1;
    options.restart_backoff_max_ms = 1;
    options.stop_timeout_ms = 400;
    return options;
}

static mf_parent *start(const mf_parent_options *options)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent *parent = NULL;
    check(mf_parent_create(&parent, options, &error), &error);
    check(mf_parent_start(parent, &error), &error);
    return parent;
}

static void wait_until(bool (*is_so)(mf_parent *parent), mf_parent *parent, const char *what)
{
    for (int waited = 0; !is_so(parent); waited++) {
        if (waited == PATIENCE_MS) {
            (void)fprintf(stderr, "everything: %s did not happen\n", what);
            exit(1);
        }
        (void)poll(NULL, 0, 1);
    }
}

static bool is_ready(mf_parent *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_READY;
}

static bool is_closed(mf_parent *parent)
{
    return strcmp(mf_parent_circuit_state(parent), "closed") == 0;
}

static bool is_open(mf_parent *parent)
{
    return strcmp(mf_parent_circuit_state(parent), "open") == 0;
}

static mf_status call(mf_parent *parent, const char *function, mf_args args,
                      const mf_call_options *options)
{
    return mf_call_with(parent, function, args, options, NULL, NULL);
}

/* ---- What happens ---- */

/* Calls that end in each way, and a worker that dies and comes back. */
static void use_worker(mf_parent *parent)
{
    mf_retry_policy policy = MF_RETRY_POLICY_INIT;
    mf_call_options hurried = MF_CALL_OPTIONS_INIT;
    mf_call_options again = MF_CALL_OPTIONS_INIT;
    hurried.timeout_ms = 10;
    policy.max_attempts = 2;
    policy.attempt_timeout_ms = 10;
    policy.backoff_ms = 1;
    again.retry = &policy;
    again.timeout_ms = TOO_LONG_MS;
    expect(call(parent, "add", MF_ARGS(1, 2), NULL), MF_OK, "add");
    expect(call(parent, "fail", MF_NO_ARGS, NULL), MF_ERR_REMOTE, "fail");
    expect(call(parent, "nothing", MF_NO_ARGS, NULL), MF_ERR_FUNCTION_NOT_FOUND, "nothing");
    expect(call(parent, "take_long", MF_ARGS(100), &hurried), MF_ERR_TIMEOUT, "take_long");
    expect(call(parent, "add", MF_ARGS(1, 2), NULL), MF_OK, "add behind a late reply");
    expect(call(parent, "take_long", MF_ARGS(100), &again), MF_ERR_TIMEOUT, "not idempotent");
    again.idempotent = true;
    expect(call(parent, "take_long", MF_ARGS(100), &again), MF_ERR_TIMEOUT, "idempotent");
    expect(call(parent, "die", MF_NO_ARGS, NULL), MF_ERR_WORKER_EXITED, "die");
    wait_until(is_ready, parent, "the restart");
    wait_until(is_closed, parent, "the end of the circuit");
}

/* Stays open: no restart comes, and calls are refused. */
static void break_circuit(mf_parent *parent)
{
    (void)kill((pid_t)mf_parent_pid(parent), SIGKILL);
    wait_until(is_open, parent, "the circuit's opening");
    if (call(parent, "add", MF_ARGS(1, 2), NULL) == MF_OK) {
        expect(MF_OK, MF_ERR_CIRCUIT_OPEN, "add");
    }
}

/* A window with failed and slow calls, and a policy on trial that would have refused one. */
static void fill_window(mf_parent *parent)
{
    expect(call(parent, "take_long", MF_ARGS(2), NULL), MF_OK, "a slow call");
    expect(call(parent, "fail", MF_NO_ARGS, NULL), MF_ERR_REMOTE, "fail of the window");
    expect(call(parent, "add", MF_ARGS(1, 2), NULL), MF_OK, "a call that the trial counts");
}

/* Calls opened the circuit, so probe calls alone close it. */
static void probe_circuit(mf_parent *parent)
{
    expect(call(parent, "fail", MF_NO_ARGS, NULL), MF_ERR_REMOTE, "fail before the probes");
    wait_until(is_open, parent, "the opening by a failure");
    while (!is_closed(parent)) {
        if (call(parent, "add", MF_ARGS(1, 2), NULL) != MF_OK) {
            (void)poll(NULL, 0, 1); /* its cool-down is not over */
        }
    }
}

/* The end of a call that nobody waits for. */
static void ignore(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)status;
    (void)error;
    (void)user_data;
    mf_result_destroy(result);
}

static void begin_call(mf_parent *parent, const char *function, mf_args args)
{
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = TOO_LONG_MS;
    check(mf_call_async(parent, function, args, &options, ignore, NULL, &error), &error);
}

/* A stopped worker takes no more: the messages wait in this process. */
static void stuff(mf_parent *parent)
{
    char *large = calloc(1, LARGE_BYTES + 1);
    if (large == NULL) {
        exit(1);
    }
    memset(large, 'x', LARGE_BYTES);
    (void)kill((pid_t)mf_parent_pid(parent), SIGSTOP);
    for (int i = 0; i < 3; i++) {
        begin_call(parent, "add", MF_ARGS(large));
    }
    for (int i = 0; i < MANY; i++) { /* more than the transport holds */
        begin_call(parent, "add", MF_ARGS(1, 2));
    }
    free(large);
}

static void wait_for_sample(mf_runtime *runtime, const char *line)
{
    for (bool is_there = false; !is_there;) {
        char *text = NULL;
        size_t size = 0;
        mf_error error = MF_ERROR_INIT;
        check(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                &size, &error),
              &error);
        is_there = strstr(text, line) != NULL;
        free(text);
    }
}

/* The service's only thread is held, one call waits behind it, and one has waited in vain. */
static void use_service(mf_runtime *runtime, mf_parent *parent)
{
    mf_call_options hurried = MF_CALL_OPTIONS_INIT;
    hurried.timeout_ms = 10;
    expect(call(parent, "add", MF_ARGS(1, 2), NULL), MF_OK, "add of the service");
    expect(call(parent, "nothing", MF_NO_ARGS, NULL), MF_ERR_FUNCTION_NOT_FOUND, "nothing");
    expect(call(parent, "fail", MF_NO_ARGS, NULL), MF_ERR_REMOTE, "fail of the service");
    begin_call(parent, "hold", MF_NO_ARGS);
    expect(call(parent, "add", MF_ARGS(1, 2), &hurried), MF_ERR_TIMEOUT, "add behind hold");
    wait_for_sample(runtime, "\nmultifrost_server_queue_depth{worker=\"shop\"} 1\n");
    (void)poll(NULL, 0, (int)hurried.timeout_ms + 1); /* its deadline is over in the service too */
    (void)sem_post(&may_return);
    expect(call(parent, "add", MF_ARGS(1, 2), NULL), MF_OK, "add behind an expired call");
    begin_call(parent, "hold", MF_NO_ARGS);
    begin_call(parent, "add", MF_ARGS(1, 2));
}

static void log_events(mf_runtime *runtime)
{
    for (int i = 0; i < 3; i++) { /* the sampler keeps the first one */
        MF_LOG(mf_runtime_logger(runtime), MF_LOG_INFO, "signed.in", "m", MF_FIELD("token", "t"));
    }
}

/* A family of the program that is full. */
static void fold(mf_runtime *runtime)
{
    static const char *const labels[] = {"name"};
    mf_error error = MF_ERROR_INIT;
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_COUNTER;
    options.name = "case_total";
    options.help = "Cases";
    options.label_names = labels;
    options.label_count = 1;
    options.max_series = 1;
    check(mf_metrics_add(mf_runtime_metrics(runtime), &options, &family, &error), &error);
    mf_counter_add(mf_family_counter(family, (const char *const[]){"one"}), 1);
    mf_counter_add(mf_family_counter(family, (const char *const[]){"two"}), 1);
}

static void declare_objective(mf_runtime *runtime)
{
    mf_error error = MF_ERROR_INIT;
    mf_slo_options options = MF_SLO_OPTIONS_INIT;
    options.name = "math";
    options.target = "math";
    options.threshold_ms = 50;
    options.objective = 0.99;
    check(mf_slo_declare(runtime, &options, &error), &error);
}

/* ---- The program ---- */

typedef struct program {
    mf_runtime *runtime;
    mf_http *http;
    mf_child *child;
    pthread_t service;
    mf_parent *parents[8];
    size_t count;
    mf_pool *pool;
} program;

static void *serve(void *argument)
{
    mf_error error = MF_ERROR_INIT;
    check(mf_child_run(argument, &error), &error);
    return NULL;
}

static mf_parent *keep(program *at, const mf_parent_options *options)
{
    at->parents[at->count] = start(options);
    return at->parents[at->count++];
}

static void start_service(program *at, const char *registry)
{
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
    options.runtime = at->runtime;
    options.service_id = "shop";
    options.registry_directory = registry;
    options.no_signals = true;
    at->child = make_child(&options);
    if (pthread_create(&at->service, NULL, serve, at->child) != 0) {
        exit(1);
    }
    parent.runtime = at->runtime;
    parent.service_id = "shop";
    parent.registry_directory = registry;
    use_service(at->runtime, keep(at, &parent));
}

static void start_pool(program *at)
{
    mf_error error = MF_ERROR_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    mf_parent_options parent = spawn(at->runtime, "pool");
    options.parent = &parent;
    check(mf_pool_create(&at->pool, &options, &error), &error);
    check(mf_pool_start(at->pool, &error), &error);
}

static void start_circuits(program *at)
{
    mf_parent_options shaky = spawn(at->runtime, "shaky");
    mf_parent_options probed = spawn(at->runtime, "probed");
    shaky.circuit_counts_remote_errors = probed.circuit_counts_remote_errors = true;
    shaky.circuit_failure_ratio = shaky.circuit_slow_ratio = 1; /* no share is as high */
    shaky.circuit_slow_call_ms = 1;
    shaky.circuit_min_calls = 2;
    shaky.circuit_failures = 1000;
    shaky.circuit_trial_failure_ratio = 0.1;
    shaky.circuit_trial_min_calls = 2;
    probed.circuit_failures = 1;
    probed.circuit_open_ms = 1;
    fill_window(keep(at, &shaky));
    probe_circuit(keep(at, &probed));
}

static void let_it_happen(program *at, const char *registry)
{
    mf_parent_options math = spawn(at->runtime, "math");
    mf_parent_options broken = spawn(at->runtime, "broken");
    mf_parent_options frozen = spawn(at->runtime, "frozen");
    mf_parent_options stuffed = spawn(at->runtime, "stuffed");
    mf_parent_options small = spawn(at->runtime, "small");
    small.max_message_bytes = 4096;
    math.auto_restart = true;
    math.circuit_open_ms = 1;
    math.max_restart_attempts = 100;
    broken.auto_restart = true;
    broken.fail_fast = true;
    broken.restart_backoff_ms = broken.restart_backoff_max_ms = TOO_LONG_MS;
    broken.circuit_open_ms = broken.circuit_open_max_ms = TOO_LONG_MS;
    frozen.circuit_open_ms = frozen.circuit_open_max_ms = TOO_LONG_MS;
    frozen.heartbeat_timeout_ms = 50;
    stuffed.heartbeat_interval_ms = MF_DISABLED;
    log_events(at->runtime);
    fold(at->runtime);
    declare_objective(at->runtime);
    use_worker(keep(at, &math));
    break_circuit(keep(at, &broken));
    mf_parent *stopped = keep(at, &frozen);
    (void)kill((pid_t)mf_parent_pid(stopped), SIGSTOP);
    wait_until(is_open, stopped, "the freeze");
    stuff(keep(at, &stuffed));
    begin_call(keep(at, &small), "large", MF_NO_ARGS);
    start_circuits(at);
    start_pool(at);
    start_service(at, registry);
}

static void end(program *at)
{
    mf_pool_destroy(at->pool);
    (void)sem_post(&may_return);
    mf_child_stop(at->child);
    (void)pthread_join(at->service, NULL);
    for (size_t i = 0; i < at->count; i++) {
        mf_parent_destroy(at->parents[i]);
    }
    mf_child_destroy(at->child);
    mf_http_destroy(at->http);
    mf_runtime_destroy(at->runtime);
}

static void say(const char *line)
{
    (void)printf("%s\n", line);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static program at;
    char line[32];
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_http_options serving = MF_HTTP_OPTIONS_INIT;
    (void)sem_init(&may_return, 0, 0);
    if (argc >= 2 && strcmp(argv[1], "--worker") == 0) {
        return run_worker();
    }
    if (argc != 3) {
        return 2;
    }
    own_path = argv[0];
    options.log_file = argv[2];
    options.log_sample_first = 1;
    options.service_version = "1.0";
    options.service_namespace = "demo"; /* labels of target_info */
    serving.port = MF_HTTP_PORT_ANY;
    check(mf_runtime_create(&at.runtime, &options, &error), &error);
    check(mf_http_create(&at.http, mf_runtime_probe(at.runtime), &serving, &error), &error);
    (void)snprintf(line, sizeof line, "port %u", (unsigned)mf_http_port(at.http));
    say(line);
    if (fgets(line, sizeof line, stdin) != NULL) {
        let_it_happen(&at, argv[1]);
        say("ready");
        while (fgets(line, sizeof line, stdin) != NULL) {
        }
        end(&at);
    }
    return 0;
}
