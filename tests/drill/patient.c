/* The program that the fire drill breaks: a caller with workers, an endpoint, an admin socket that
 * may arm faults, and a load that can be changed. It exists because the demo has one fixed load and
 * default options, and a drill needs figures that break something soon.
 *
 * usage: patient KEY=VALUE...    (it starts itself as a worker, with --worker as the last argument)
 * Options of parents go by their names, and hold for all targets. The other keys are in `keys`.
 * Prints "port N". Each line on stdin is a command, and is answered by a line "ok"; the end of
 * stdin ends the program. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/admin.h>
#include <multifrost/http.h>
#include <multifrost/multifrost.h>

#define TARGETS_MAX 2
#define BEAT_MS 10
#define LARGE_BYTES ((size_t)64 * 1024)

typedef struct settings {
    const char *admin, *log_file, *service, *registry, *instance;
    int64_t targets, max_targets, max_series, port, threads, objective_percent;
} settings;

typedef struct load {
    char function[64];
    int64_t rate, argument, timeout_ms; /* rate: calls a second */
} load;

typedef struct patient {
    settings settings;
    const char *own_path;
    const char *worker_args[2];
    mf_runtime *runtime;
    mf_admin *admin;
    mf_http *http;
    mf_family *family;
    mf_parent_options options;
    mf_parent *parents[TARGETS_MAX];
    pthread_mutex_t mutex; /* of the load */
    load load;
    bool is_ending;
} patient;

static _Atomic(int) stall_ms; /* each end of a call holds the engine thread for so long */

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        (void)fprintf(stderr, "patient: %s\n", mf_error_text(error));
        exit(1);
    }
}

/* ---- Arguments ---- */

typedef struct key {
    const char *name;
    size_t offset;
    enum { TEXT, WIDE, NARROW, FLAG } kind;
} key;

static const key keys[] = {
    {"admin", offsetof(settings, admin), TEXT},
    {"log", offsetof(settings, log_file), TEXT},
    {"service", offsetof(settings, service), TEXT}, /* be a service of this name, and no caller */
    {"registry", offsetof(settings, registry), TEXT},
    {"instance", offsetof(settings, instance), TEXT},
    {"targets", offsetof(settings, targets), WIDE},
    {"max_targets", offsetof(settings, max_targets), WIDE},
    {"max_series", offsetof(settings, max_series), WIDE}, /* of the family of the program */
    {"port", offsetof(settings, port), WIDE},
    {"threads", offsetof(settings, threads), WIDE}, /* of each worker */
    {"objective_percent", offsetof(settings, objective_percent), WIDE},
};

static const key parent_keys[] = {
    {"service_id", offsetof(mf_parent_options, service_id), TEXT},
    {"heartbeat_interval_ms", offsetof(mf_parent_options, heartbeat_interval_ms), WIDE},
    {"heartbeat_timeout_ms", offsetof(mf_parent_options, heartbeat_timeout_ms), WIDE},
    {"circuit_open_ms", offsetof(mf_parent_options, circuit_open_ms), WIDE},
    {"circuit_open_max_ms", offsetof(mf_parent_options, circuit_open_max_ms), WIDE},
    {"restart_backoff_ms", offsetof(mf_parent_options, restart_backoff_ms), WIDE},
    {"restart_backoff_max_ms", offsetof(mf_parent_options, restart_backoff_max_ms), WIDE},
    {"restart_period_ms", offsetof(mf_parent_options, restart_period_ms), WIDE},
    {"stop_timeout_ms", offsetof(mf_parent_options, stop_timeout_ms), WIDE},
    {"max_message_bytes", offsetof(mf_parent_options, max_message_bytes), WIDE},
    {"max_restart_attempts", offsetof(mf_parent_options, max_restart_attempts), NARROW},
    {"max_in_flight", offsetof(mf_parent_options, max_in_flight), NARROW},
    {"circuit_failures", offsetof(mf_parent_options, circuit_failures), NARROW},
    {"auto_restart", offsetof(mf_parent_options, auto_restart), FLAG},
    {"circuit_counts_remote_errors", offsetof(mf_parent_options, circuit_counts_remote_errors),
     FLAG},
};

static bool set(void *to, const key *known, size_t count, const char *argument)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(known[i].name);
        if (strncmp(argument, known[i].name, length) != 0 || argument[length] != '=') {
            continue;
        }
        const char *value = argument + length + 1;
        char *at = (char *)to + known[i].offset;
        int64_t number = known[i].kind == TEXT ? 0 : strtoll(value, NULL, 10);
        int32_t narrow = (int32_t)number;
        bool flag = number != 0;
        switch (known[i].kind) {
        case TEXT:
            memcpy(at, &value, sizeof(const char *));
            break;
        case WIDE:
            memcpy(at, &number, sizeof number);
            break;
        case NARROW:
            memcpy(at, &narrow, sizeof narrow);
            break;
        case FLAG:
            memcpy(at, &flag, sizeof flag);
        }
        return true;
    }
    return false;
}

static void read_arguments(patient *at, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "threads=", 8) == 0) {
            at->worker_args[0] = argv[i];
        }
        if (strcmp(argv[i], "--worker") != 0 &&
            !set(&at->settings, keys, sizeof keys / sizeof *keys, argv[i]) &&
            !set(&at->options, parent_keys, sizeof parent_keys / sizeof *parent_keys, argv[i])) {
            (void)fprintf(stderr, "patient: %s is not known\n", argv[i]);
            exit(2);
        }
    }
}

/* ---- Functions of the workers ---- */

/* Takes so many milliseconds; a negative number: until the process ends. */
static mf_status work(mf_request *request, mf_reply *reply, void *user_data)
{
    int64_t ms;
    (void)user_data;
    if (mf_request_unpack(request, &ms) != MF_OK) {
        return MF_ERR_TYPE;
    }
    (void)poll(NULL, 0, (int)ms);
    return mf_reply_value(reply, ms);
}

static mf_status fail(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_error(reply, "ValueError", "as asked");
}

static mf_status large(mf_request *request, mf_reply *reply, void *user_data)
{
    static const char text[LARGE_BYTES];
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, mf_bin(text, sizeof text));
}

/* Be a worker, or a service. */
static int serve(const settings *given)
{
    mf_error error = MF_ERROR_INIT;
    mf_child *child = NULL;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.service_id = given->service;
    options.registry_directory = given->registry;
    options.threads = (int32_t)given->threads;
    check(mf_child_create(&child, &options, &error), &error);
    (void)mf_child_handle(child, "work", work, NULL); /* mf_child_run() returns a failure */
    (void)mf_child_handle(child, "fail", fail, NULL);
    (void)mf_child_handle(child, "large", large, NULL);
    check(mf_child_run(child, &error), &error);
    mf_child_destroy(child);
    return 0;
}

/* ---- Load ---- */

static void on_end(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    int ms = atomic_load(&stall_ms);
    (void)status;
    (void)error;
    (void)user_data;
    mf_result_destroy(result);
    if (ms > 0) {
        (void)poll(NULL, 0, ms);
    }
}

static void begin_call(mf_parent *parent, const load *like)
{
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    options.timeout_ms = like->timeout_ms;
    mf_status status = mf_call_async(parent, like->function, MF_ARGS(like->argument), &options,
                                     on_end, NULL, NULL);
    (void)status; /* a refused call is a part of the drill */
}

static void *make_load(void *argument)
{
    patient *at = argument;
    int64_t due = 0; /* thousandths of a call */
    for (bool goes_on = true; goes_on;) {
        (void)pthread_mutex_lock(&at->mutex);
        load now = at->load;
        goes_on = !at->is_ending;
        (void)pthread_mutex_unlock(&at->mutex);
        for (due += now.rate * BEAT_MS; goes_on && due >= 1000; due -= 1000) {
            for (int64_t i = 0; i < at->settings.targets; i++) {
                begin_call(at->parents[i], &now);
            }
        }
        (void)poll(NULL, 0, BEAT_MS); /* the pace of the load */
    }
    return NULL;
}

/* ---- Commands ---- */

/* New label sets of a family of the program, or of the one series that is left for all further
 * ones. */
static void add_series(patient *at, int64_t count)
{
    static int64_t last;
    char name[32];
    for (int64_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%lld", (long long)++last);
        mf_counter_add(mf_family_counter(at->family, (const char *const[]){name}), 1);
    }
}

static void obey(patient *at, const char *line)
{
    load given = {.rate = 0};
    long long rate = 0, argument = 0, timeout_ms = 0;
    if (sscanf(line, "load %lld %63s %lld %lld", &rate, given.function, &argument, &timeout_ms) ==
        4) {
        given.rate = rate, given.argument = argument, given.timeout_ms = timeout_ms;
        (void)pthread_mutex_lock(&at->mutex);
        at->load = given;
        (void)pthread_mutex_unlock(&at->mutex);
    } else if (sscanf(line, "call %63s %lld %lld", given.function, &argument, &timeout_ms) == 3) {
        given.argument = argument, given.timeout_ms = timeout_ms;
        begin_call(at->parents[0], &given);
    } else if (sscanf(line, "series %lld", &argument) == 1) {
        add_series(at, argument);
    } else if (sscanf(line, "stall %lld", &argument) == 1) {
        atomic_store(&stall_ms, (int)argument);
    } else {
        (void)fprintf(stderr, "patient: what is %s", line);
        exit(2);
    }
    (void)printf("ok\n");
    (void)fflush(stdout);
}

/* ---- The program ---- */

static void start_runtime(patient *at)
{
    static const char *const labels[] = {"name"};
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_health_options health = MF_HEALTH_OPTIONS_INIT;
    mf_metric_options metric = MF_METRIC_OPTIONS_INIT;
    mf_http_options http = MF_HTTP_OPTIONS_INIT;
    mf_admin_options admin = MF_ADMIN_OPTIONS_INIT;
    health.response_time_ms = 1000;
    health.oldest_call_ms = 5000;
    options.service = "patient";
    options.instance = at->settings.instance;
    options.log_file = at->settings.log_file;
    options.max_targets = (int32_t)at->settings.max_targets;
    options.health = &health;
    options.fault_injection = true;
    check(mf_runtime_create(&at->runtime, &options, &error), &error);
    metric.type = MF_METRIC_COUNTER;
    metric.name = "patient_cases_total";
    metric.help = "Cases";
    metric.label_names = labels;
    metric.label_count = 1;
    metric.max_series = (size_t)at->settings.max_series;
    check(mf_metrics_add(mf_runtime_metrics(at->runtime), &metric, &at->family, &error), &error);
    http.port = at->settings.port > 0 ? (uint16_t)at->settings.port : MF_HTTP_PORT_ANY;
    check(mf_http_create(&at->http, mf_runtime_probe(at->runtime), &http, &error), &error);
    admin.path = at->settings.admin;
    check(mf_admin_create(&at->admin, at->runtime, &admin, &error), &error);
}

static void declare_objective(patient *at)
{
    mf_error error = MF_ERROR_INIT;
    mf_slo_options options = MF_SLO_OPTIONS_INIT;
    options.name = "calls";
    options.target = "math";
    options.threshold_ms = 10000;
    options.objective = (double)at->settings.objective_percent / 100;
    check(mf_slo_declare(at->runtime, &options, &error), &error);
}

static void start_parents(patient *at)
{
    static const char *const names[TARGETS_MAX] = {"math", "other"};
    for (int64_t i = 0; i < at->settings.targets && i < TARGETS_MAX; i++) {
        mf_error error = MF_ERROR_INIT;
        mf_parent_options options = at->options;
        options.runtime = at->runtime;
        options.target = names[i];
        if (options.service_id == NULL) {
            options.program = at->own_path;
            options.args = at->worker_args;
        } else {
            options.registry_directory = at->settings.registry;
        }
        check(mf_parent_create(&at->parents[i], &options, &error), &error);
        check(mf_parent_start(at->parents[i], &error), &error);
    }
}

static void run(patient *at)
{
    char line[256];
    pthread_t thread;
    if (pthread_create(&thread, NULL, make_load, at) != 0) {
        exit(1);
    }
    (void)printf("port %u\n", (unsigned)mf_http_port(at->http));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        obey(at, line);
    }
    (void)pthread_mutex_lock(&at->mutex);
    at->is_ending = true;
    (void)pthread_mutex_unlock(&at->mutex);
    (void)pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    static patient at = {.settings = {.targets = 1, .threads = 1, .max_series = 10},
                         .options = MF_PARENT_OPTIONS_INIT,
                         .mutex = PTHREAD_MUTEX_INITIALIZER};
    at.own_path = argv[0];
    read_arguments(&at, argc, argv);
    if (at.settings.service != NULL || strcmp(argv[argc - 1], "--worker") == 0) {
        return serve(&at.settings);
    }
    (void)signal(SIGXFSZ, SIG_IGN); /* a log file that may not grow is a part of the drill */
    start_runtime(&at);
    if (at.settings.objective_percent > 0) {
        declare_objective(&at);
    }
    start_parents(&at);
    run(&at);
    mf_admin_destroy(at.admin);
    for (int i = 0; i < TARGETS_MAX; i++) {
        mf_parent_destroy(at.parents[i]);
    }
    mf_http_destroy(at.http);
    mf_runtime_destroy(at.runtime);
    return 0;
}
