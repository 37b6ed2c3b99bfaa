/* An objective of a program, with a real worker: its counters, and its check in the health. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"

static mf_slo_options options_of(const char *name, const char *function)
{
    mf_slo_options options = MF_SLO_OPTIONS_INIT;
    options.name = name;
    options.target = "math";
    options.function = function;
    options.threshold_ms = TOO_LONG_MS;
    options.objective = 0.999;
    return options;
}

static void check_exposed(mf_runtime *runtime, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    mf_check_contains(text, line);
    free(text);
}

typedef struct shown {
    const char *component;
    size_t count;
    mf_health status;
    unsigned gates;
    char text[64], output[256];
} shown;

static void take_row(const mf_health_row *row, void *user_data)
{
    shown *to = user_data;
    if (strcmp(row->component, to->component) == 0 && strcmp(row->measurement, "burnRate") == 0) {
        to->count++;
        to->status = row->status;
        to->gates = row->gates;
        (void)snprintf(to->text, sizeof to->text, "%s", row->observed_text);
        (void)snprintf(to->output, sizeof to->output, "%s", row->output != NULL ? row->output : "");
    }
}

static shown look(mf_runtime *runtime, const char *name)
{
    const mf_probe *probe = mf_runtime_probe(runtime);
    shown row = {.component = name};
    probe->visit_health(probe->self, take_row, &row);
    mf_check_int(row.count, 1);
    mf_check_int(row.gates, MF_GATE_NONE);
    return row;
}

static void test_objectives_of_a_worker(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_parent_options worker = worker_options();
    mf_slo_options all = options_of("math.all", NULL);
    mf_slo_options fast = options_of("math.fast", "add");
    fast.threshold_ms = 1e-6; /* no call is as fast as a nanosecond */
    all.count_app_errors = true;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    worker.runtime = runtime;
    mf_check_int(mf_slo_declare(runtime, &all, &error), MF_OK);
    mf_parent *parent = start(&worker);
    mf_check_int(mf_slo_declare(runtime, &fast, &error), MF_OK);
    mf_check_int(mf_call_with(parent, "add", MF_ARGS(40, 2), NULL, NULL, &error), MF_OK);
    mf_check_int(mf_call_with(parent, "multiply", MF_ARGS(6, 7), NULL, NULL, &error), MF_OK);
    mf_check_int(look(runtime, "math.all").status, MF_HEALTH_PASS);
    mf_check_int(mf_call_with(parent, "divide", MF_ARGS(1, 0), NULL, NULL, &error), MF_ERR_REMOTE);
    check_exposed(runtime, "multifrost_slo_requests_total{slo=\"math.all\",result=\"good\"} 2\n");
    check_exposed(runtime, "multifrost_slo_requests_total{slo=\"math.all\",result=\"bad\"} 1\n");
    check_exposed(runtime, "multifrost_slo_requests_total{slo=\"math.fast\",result=\"good\"} 0\n");
    check_exposed(runtime, "multifrost_slo_requests_total{slo=\"math.fast\",result=\"bad\"} 1\n");
    check_exposed(runtime, "multifrost_slo_objective_ratio{slo=\"math.all\"} 0.999\n");
    check_exposed(runtime, "multifrost_slo_threshold_seconds{slo=\"math.all\"} 600\n");
    shown burns = look(runtime, "math.fast");
    mf_check_int(burns.status, MF_HEALTH_WARN);
    mf_check_str(burns.text, "5m 1000.0, 30m 1000.0, 1h 1000.0, 6h 1000.0");
    mf_check_contains(burns.output, "1000.0 times as fast as allowed over 1h");
    mf_check_int(look(runtime, "math.all").status, MF_HEALTH_WARN);
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"objectives_of_a_worker", test_objectives_of_a_worker},
};
MF_TEST_MAIN(tests)
