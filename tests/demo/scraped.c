/* A program for test_native.py to scrape. It exists because the demo makes its own load, of which
 * no test knows the exact quantiles or the traces.
 *
 * usage: scraped WORKER
 * Prints its port. Commands on stdin:
 *   record NAME NANOSECONDS   records into case_duration_seconds{name=NAME}
 *   call TRACEPARENT          calls the worker's function add
 *   done                      is answered by "done" */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/http.h>
#include <multifrost/multifrost.h>

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        (void)fprintf(stderr, "scraped: %s\n", error->message);
        exit(1);
    }
}

static mf_family *add_histograms(mf_runtime *runtime)
{
    static const char *const labels[] = {"name"};
    mf_error error = MF_ERROR_INIT;
    mf_family *family = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_HISTOGRAM;
    options.name = "case_duration_seconds";
    options.help = "Durations that the test made";
    options.unit = "seconds";
    options.label_names = labels;
    options.label_count = 1;
    check(mf_metrics_add(mf_runtime_metrics(runtime), &options, &family, &error), &error);
    return family;
}

static void record(mf_family *family, const char *arguments)
{
    char name[32];
    uint64_t ns = 0;
    if (sscanf(arguments, "%31s %" SCNu64, name, &ns) != 2) {
        exit(2);
    }
    mf_histogram_record_ns(mf_family_histogram(family, (const char *const[]){name}), ns);
}

static void call(mf_parent *parent, char *traceparent)
{
    mf_error error = MF_ERROR_INIT;
    mf_call_options options = MF_CALL_OPTIONS_INIT;
    traceparent[strcspn(traceparent, "\n")] = '\0';
    options.traceparent = traceparent;
    check(mf_call_with(parent, "add", MF_ARGS(1, 2), &options, NULL, &error), &error);
}

static void obey(mf_parent *parent, mf_family *family)
{
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strncmp(line, "record ", 7) == 0) {
            record(family, line + 7);
        } else if (strncmp(line, "call ", 5) == 0) {
            call(parent, line + 5);
        } else {
            (void)printf("done\n");
            (void)fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_parent *parent = NULL;
    mf_http *http = NULL;
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mf_http_options serving = MF_HTTP_OPTIONS_INIT;
    if (argc != 2) {
        return 2;
    }
    serving.port = MF_HTTP_PORT_ANY;
    check(mf_runtime_create(&runtime, NULL, &error), &error);
    options.runtime = runtime;
    options.program = argv[1];
    options.target = "math";
    mf_family *family = add_histograms(runtime);
    check(mf_parent_create(&parent, &options, &error), &error);
    check(mf_parent_start(parent, &error), &error);
    check(mf_http_create(&http, mf_runtime_probe(runtime), &serving, &error), &error);
    (void)printf("port %u\n", (unsigned)mf_http_port(http));
    (void)fflush(stdout);
    obey(parent, family);
    mf_http_destroy(http);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
    return 0;
}
