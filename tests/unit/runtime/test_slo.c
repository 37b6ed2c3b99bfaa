/* Declaring objectives: names are taken once, their number is bounded, and a refused one leaves no
 * health check behind. */
#include <multifrost/slo.h>

#include <stdio.h>
#include <string.h>

#include "mf_test.h"

static mf_slo_options options_of(const char *name)
{
    mf_slo_options options = MF_SLO_OPTIONS_INIT;
    options.name = name;
    options.target = "math";
    options.threshold_ms = 1000;
    options.objective = 0.999;
    return options;
}

typedef struct shown {
    const char *component;
    size_t count;
} shown;

static void take_row(const mf_health_row *row, void *user_data)
{
    shown *to = user_data;
    to->count +=
        strcmp(row->component, to->component) == 0 && strcmp(row->measurement, "burnRate") == 0;
}

static void taken_check(mf_health_result *result, void *user_data)
{
    (void)result;
    (void)user_data;
}

static void test_names_are_taken_once(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_slo_options options = options_of("first");
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    check.component = "second";
    check.measurement = "burnRate";
    check.check = taken_check;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_check_int(mf_runtime_add_health_check(runtime, &check, &error), MF_OK);
    mf_check_int(mf_slo_declare(runtime, &options, &error), MF_OK);
    mf_check_int(mf_slo_declare(runtime, &options, &error), MF_ERR_EXISTS);
    options.name = "second";
    mf_check_int(mf_slo_declare(runtime, &options, &error), MF_ERR_EXISTS);
    options.name = "Third";
    mf_check_int(mf_slo_declare(runtime, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_slo_declare(NULL, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_slo_declare(runtime, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    char name[32];
    options.name = name;
    for (int i = 1; i < MF_SLO_MAX; i++) {
        (void)snprintf(name, sizeof name, "slo-%d", i);
        mf_check_int(mf_slo_declare(runtime, &options, &error), MF_OK);
    }
    (void)snprintf(name, sizeof name, "beyond");
    mf_check_int(mf_slo_declare(runtime, &options, &error), MF_ERR_LIMIT);
    const mf_probe *probe = mf_runtime_probe(runtime);
    shown row = {.component = "beyond"};
    probe->visit_health(probe->self, take_row, &row);
    mf_check_int(row.count, 0); /* its check is gone again */
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"names_are_taken_once", test_names_are_taken_once},
};
MF_TEST_MAIN(tests)
