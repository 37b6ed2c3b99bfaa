/* Calls every public function with NULL for each of its pointers. The calls are written from the
 * headers by make_calls.py; this file has what they need: one valid object of each kind, and the
 * judges. Functions that work inside a handler are called in a worker, which is this program again.
 *
 * usage: null_calls FROM REPORT: makes the calls from number FROM on, prints the number and name of
 * each before it, and appends the failed ones to REPORT. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

typedef struct fixture {
    const char *name; /* of the call that is being made */
    int report;
    char program[512], path[512], text[128];
    mf_runtime *runtime;
    mf_parent *parent; /* ready, as is the pool */
    mf_pool *pool;
    mf_registry *registry;
    mf_metrics *metrics;
    mf_family *counters, *gauges, *histograms, *windows, *infos;
    const char *labels[2];
    mf_request *request; /* the next two: in a handler only */
    mf_reply *reply;
    mf_value value;
    int64_t number;
    mf_out out;
    mf_log_field field;
    mf_context context;
    mf_health_check check;
    uint8_t storage[MF_TIMESTAMP_BYTES];
    mf_admin_options admin_options;
    mf_call_options call_options;
    mf_child_options child_options;
    mf_ext_codec ext_codec;
    mf_http_options http_options;
    mf_log_options log_options;
    mf_metric_options metric_options;
    mf_metrics_options metrics_options;
    mf_parent_options parent_options;
    mf_pool_options pool_options;
    mf_registry_options registry_options;
    mf_runtime_options runtime_options;
    mf_slo_options slo_options;
    mf_retry_policy retry_policy;
    mf_health_options health_options;
    const mf_retry_policy *usual_retry; /* what the structs above have in these members */
    const mf_parent_options *usual_parent;
    const mf_health_options *usual_health;
    char *wild;
    /* From here on: of one call, cleared before it. */
    mf_error error;
    bool got_bool;
    mf_distribution got_distribution;
    double got_double;
    int64_t got_int64_t;
    mf_log_level got_log_level;
    mf_log_stats got_log_stats;
    mf_parent_stats got_parent_stats;
    mf_service got_service;
    size_t got_size_t;
    uint32_t got_uint32_t;
    uint64_t got_uint64_t;
    const char *ret_text;
    char *ret_char;
    uint8_t *ret_uint8_t;
    void *ret_void;
    mf_admin *ret_admin;
    mf_child *ret_child, *child;
    mf_document *ret_document;
    mf_family *ret_family;
    mf_future *ret_future, *future;
    mf_http *ret_http;
    mf_logger *ret_logger;
    mf_metrics *ret_metrics;
    mf_parent *ret_parent, *fresh_parent;
    mf_pool *ret_pool, *fresh_pool;
    mf_registry *ret_registry;
    mf_result *ret_result, *result;
    mf_runtime *ret_runtime;
} fixture;

typedef struct null_case {
    const char *name;
    void (*run)(fixture *at);
    bool inside; /* in a handler */
} null_case;

/* ---- Judges ---- */

static void failed(fixture *at, const char *text)
{
    (void)dprintf(at->report, "%s: %s\n", at->name, text);
}

static void must(fixture *at, mf_status status)
{
    if (status != MF_OK) {
        (void)dprintf(at->report, "%s: not prepared: %s\n", at->name, mf_error_text(&at->error));
    }
}

static void wants(fixture *at, mf_status got, mf_status wanted, const char *named)
{
    if (got != wanted) {
        (void)dprintf(at->report, "%s: returned %s, not %s (%s)\n", at->name, mf_err_name(got),
                      mf_err_name(wanted), at->error.message);
    } else if (named != NULL && strstr(at->error.message, named) == NULL) {
        (void)dprintf(at->report, "%s: the text does not name it: %s\n", at->name,
                      at->error.message);
    }
}

static void comes_back(fixture *at, mf_status got)
{
    if (strcmp(mf_err_name(got), "unknown") == 0 || got == MF_ERR_INTERNAL) {
        failed(at, "returned no sensible status");
    }
}

static void wants_true(fixture *at, bool right)
{
    if (!right) {
        failed(at, "did not return what the comment says");
    }
}

static void wants_text(fixture *at, const char *got, const char *wanted)
{
    wants_true(at, wanted == NULL ? got == NULL : got != NULL && strcmp(got, wanted) == 0);
}

static void wants_nil(fixture *at, const mf_value *got)
{
    wants_true(at, got != NULL && got->type == MF_TYPE_NIL);
}

/* ---- Callbacks ---- */

static void on_call(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    (void)status;
    (void)error;
    (void)user_data;
    mf_result_destroy(result);
}

static void on_start(mf_status status, const mf_error *error, void *user_data)
{
    (void)status;
    (void)error;
    (void)user_data;
}

static mf_status on_handler(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    mf_args args = mf_request_args(request);
    return args.count == 1 ? mf_reply_set(reply, args.items[0]) : MF_OK;
}

static void on_log_sink(mf_log_level level, const char *line, size_t length, void *user_data)
{
    (void)level;
    (void)line;
    (void)length;
    (void)user_data;
}

static void on_metrics_collect(void *user_data)
{
    (void)user_data;
}

static void on_service_visit(const mf_service *service, void *user_data)
{
    (void)service;
    (void)user_data;
}

static void on_health_check(mf_health_result *result, void *user_data)
{
    (void)result;
    (void)user_data;
}

/* ---- Objects that one call alone has ---- */

/* Sizes of a struct of options that are wrong: WILD_MORE is one word behind the struct that is not
 * zero, WILD_FAR is too much to be looked through. */
enum { WILD_NONE, WILD_ONE, WILD_HUGE, WILD_MORE, WILD_FAR };

#define WILD_BYTES ((size_t)16384) /* a multiple of the page, larger than any struct of options */

/* Two stretches of memory, of which the second must not be read. */
static char *wild_memory(void)
{
    char *memory =
        mmap(NULL, 2 * WILD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + WILD_BYTES, WILD_BYTES, PROT_NONE) != 0) {
        abort();
    }
    return memory;
}

/* A copy that ends where the memory does. */
static void *wild(fixture *at, const void *usual, size_t size, int which)
{
    static const size_t SIZES[] = {0, 1, SIZE_MAX, 8, (size_t)1 << 20};
    size_t behind = which == WILD_MORE ? 8 : 0;
    size_t given = which == WILD_MORE || which == WILD_FAR ? size + SIZES[which] : SIZES[which];
    at->wild = at->wild != NULL ? at->wild : wild_memory();
    char *copy = at->wild + WILD_BYTES - behind - size;
    memcpy(copy, usual, size);
    memset(copy + size, 1, behind);
    memcpy(copy, &given, sizeof given);
    return copy;
}

static mf_parent *fresh_parent(fixture *at)
{
    must(at, mf_parent_create(&at->fresh_parent, &at->parent_options, &at->error));
    return at->fresh_parent;
}

static mf_pool *fresh_pool(fixture *at)
{
    must(at, mf_pool_create(&at->fresh_pool, &at->pool_options, &at->error));
    return at->fresh_pool;
}

static mf_child *child(fixture *at)
{
    must(at, mf_child_create(&at->child, &at->child_options, &at->error));
    return at->child;
}

static mf_result *result(fixture *at)
{
    must(at, mf_call(at->parent, "echo", MF_ARGS(1), &at->result, &at->error));
    return at->result;
}

static mf_future *future(fixture *at)
{
    must(at, mf_call_future(at->parent, "echo", MF_ARGS(1), &at->call_options, &at->future,
                            &at->error));
    return at->future;
}

static mf_future *const *futures(fixture *at)
{
    (void)future(at);
    return &at->future;
}

/* The compiler must not refuse what the calls are for. */
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
#include "null_calls.inc"

/* ---- One call ---- */

static void clear(fixture *at)
{
    memset(&at->error, 0, sizeof *at - offsetof(fixture, error));
    at->error = (mf_error)MF_ERROR_INIT;
    at->got_distribution = (mf_distribution)MF_DISTRIBUTION_INIT;
    at->got_log_stats = (mf_log_stats)MF_LOG_STATS_INIT;
    at->got_parent_stats = (mf_parent_stats)MF_PARENT_STATS_INIT;
    at->got_service = (mf_service)MF_SERVICE_INIT;
}

static void dispose(fixture *at)
{
    free(at->ret_char);
    free(at->ret_uint8_t);
    mf_admin_destroy(at->ret_admin);
    mf_child_destroy(at->ret_child);
    mf_child_destroy(at->child);
    mf_document_destroy(at->ret_document);
    mf_future_destroy(at->ret_future);
    mf_future_destroy(at->future);
    mf_http_destroy(at->ret_http);
    mf_logger_destroy(at->ret_logger);
    mf_metrics_destroy(at->ret_metrics);
    mf_parent_destroy(at->ret_parent);
    mf_parent_destroy(at->fresh_parent);
    mf_pool_destroy(at->ret_pool);
    mf_pool_destroy(at->fresh_pool);
    mf_registry_destroy(at->ret_registry);
    mf_result_destroy(at->ret_result);
    mf_result_destroy(at->result);
    mf_runtime_destroy(at->ret_runtime);
    mf_ext_unregister(7);
}

static void run(fixture *at, size_t number)
{
    at->name = cases[number].name;
    clear(at);
    if (cases[number].inside && at->request == NULL) {
        mf_status status = mf_call(at->parent, "case", MF_ARGS((int64_t)number), NULL, &at->error);
        if (status == MF_ERR_WORKER_EXITED || status == MF_ERR_TIMEOUT) {
            failed(at, mf_error_text(&at->error));
        }
    } else {
        cases[number].run(at);
    }
    dispose(at);
}

/* ---- The worker, and the program ---- */

static mf_status run_case(mf_request *request, mf_reply *reply, void *user_data)
{
    fixture *at = user_data;
    mf_args args = mf_request_args(request);
    at->request = request;
    at->reply = reply;
    run(at, (size_t)args.items[0].as.integer);
    return MF_OK;
}

static int serve(fixture *at)
{
    mf_child *worker = NULL;
    clear(at);
    at->name = "worker";
    must(at, mf_child_create(&worker, NULL, &at->error));
    must(at, mf_child_handle(worker, "echo", on_handler, NULL));
    must(at, mf_child_handle(worker, "case", run_case, at));
    mf_status status = mf_child_run(worker, NULL);
    mf_child_destroy(worker);
    return status == MF_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static mf_family *family(fixture *at, mf_metric_type type, const char *name)
{
    static const char *const LABELS[] = {"label"};
    mf_family *made = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.help = "For calls with NULL.";
    options.label_names = LABELS;
    options.label_count = 1;
    must(at, mf_metrics_add(at->metrics, &options, &made, &at->error));
    return made;
}

static void fill_plain(fixture *at)
{
    at->labels[0] = "label";
    at->value = mf_int(1);
    at->out = mf_out_int64(&at->number);
    at->field = mf_log_field_int("key", 1);
    at->admin_options = (mf_admin_options)MF_ADMIN_OPTIONS_INIT;
    at->call_options = (mf_call_options)MF_CALL_OPTIONS_INIT;
    at->child_options = (mf_child_options)MF_CHILD_OPTIONS_INIT;
    at->child_options.service_id = "null-calls";
    at->ext_codec = (mf_ext_codec)MF_EXT_CODEC_INIT;
    at->http_options = (mf_http_options)MF_HTTP_OPTIONS_INIT;
    at->http_options.port = MF_HTTP_PORT_ANY;
    at->log_options = (mf_log_options)MF_LOG_OPTIONS_INIT;
    at->metric_options = (mf_metric_options)MF_METRIC_OPTIONS_INIT;
    at->metric_options.type = MF_METRIC_GAUGE;
    at->metric_options.name = "null_calls";
    at->metric_options.help = "For calls with NULL.";
    at->metrics_options = (mf_metrics_options)MF_METRICS_OPTIONS_INIT;
    at->parent_options = (mf_parent_options)MF_PARENT_OPTIONS_INIT;
    at->parent_options.program = at->program;
    at->parent_options.auto_restart = true;
    at->parent_options.restart_backoff_ms = 1;
    at->parent_options.max_restart_attempts = MF_DISABLED;
    at->parent_options.circuit_failures = MF_DISABLED;
    at->pool_options = (mf_pool_options)MF_POOL_OPTIONS_INIT;
    at->pool_options.parent = &at->parent_options;
    at->pool_options.workers = 1;
    at->registry_options = (mf_registry_options)MF_REGISTRY_OPTIONS_INIT;
    at->runtime_options = (mf_runtime_options)MF_RUNTIME_OPTIONS_INIT;
    at->retry_policy = (mf_retry_policy)MF_RETRY_POLICY_INIT;
    at->health_options = (mf_health_options)MF_HEALTH_OPTIONS_INIT;
    at->usual_parent = &at->parent_options;
    at->slo_options = (mf_slo_options)MF_SLO_OPTIONS_INIT;
    at->check = (mf_health_check)MF_HEALTH_CHECK_INIT;
    at->check.component = "cache";
    at->check.check = on_health_check;
}

static void fill_objects(fixture *at)
{
    clear(at);
    at->name = "fixture";
    must(at, mf_runtime_create(&at->runtime, NULL, &at->error));
    at->parent_options.runtime = at->runtime;
    at->child_options.runtime = at->runtime;
    must(at, mf_parent_create(&at->parent, &at->parent_options, &at->error));
    must(at, mf_parent_start(at->parent, &at->error));
    must(at, mf_pool_create(&at->pool, &at->pool_options, &at->error));
    must(at, mf_pool_start(at->pool, &at->error));
    must(at, mf_registry_create(&at->registry, NULL, &at->error));
    must(at, mf_metrics_create(&at->metrics, NULL, &at->error));
    at->counters = family(at, MF_METRIC_COUNTER, "null_counter_total");
    at->gauges = family(at, MF_METRIC_GAUGE, "null_gauge");
    at->histograms = family(at, MF_METRIC_HISTOGRAM, "null_histogram");
    at->windows = family(at, MF_METRIC_WINDOW, "null_window");
    at->infos = family(at, MF_METRIC_INFO, "null_info");
}

static void empty(fixture *at)
{
    if (at->wild != NULL) {
        (void)munmap(at->wild, 2 * WILD_BYTES);
    }
    mf_pool_destroy(at->pool);
    mf_parent_destroy(at->parent);
    mf_registry_destroy(at->registry);
    mf_metrics_destroy(at->metrics);
    mf_runtime_destroy(at->runtime);
}

int main(int argc, char **argv)
{
    static fixture at;
    bool is_worker = getenv("COMLINK_ZMQ_PORT") != NULL;
    const char *report = argc == 3 ? argv[2] : getenv("MF_NULL_REPORT");
    ssize_t length = readlink("/proc/self/exe", at.program, sizeof at.program - 1);
    if (report == NULL || length < 0 || (!is_worker && argc != 3)) {
        (void)fprintf(stderr, "usage: null_calls FROM REPORT\n");
        return EXIT_FAILURE;
    }
    (void)setenv("MF_NULL_REPORT", report, 1);
    at.report = open(report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    (void)snprintf(at.path, sizeof at.path, "%s.log", report);
    fill_plain(&at);
    if (is_worker) {
        return serve(&at);
    }
    fill_objects(&at);
    for (size_t i = strtoul(argv[1], NULL, 10); i < sizeof cases / sizeof cases[0]; i++) {
        (void)printf("%zu %s\n", i, cases[i].name);
        (void)fflush(stdout);
        run(&at, i);
    }
    empty(&at);
    return EXIT_SUCCESS;
}
