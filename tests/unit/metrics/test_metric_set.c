/* A set checks what is added to it, keeps its order, and runs its collectors. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric_support.h"
#include "mf_alloc.h"

static void test_names_are_checked(void)
{
    static const struct {
        mf_metric_type type;
        const char *name;
    } bad[] = {{MF_METRIC_COUNTER, "requests"},   {MF_METRIC_GAUGE, "a_total"},
               {MF_METRIC_GAUGE, "1st"},          {MF_METRIC_GAUGE, "multifrost_mine"},
               {MF_METRIC_GAUGE, "process_mine"}, {MF_METRIC_GAUGE, "with blank"}};
    mf_metrics *metrics = make_set();
    mf_family *family = NULL;
    mf_error error = MF_ERROR_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_metric_options options = MF_METRIC_OPTIONS_INIT;
        options.type = bad[i].type;
        options.name = bad[i].name;
        options.help = "x";
        mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, bad[i].name);
    }
    (void)add_family(metrics, MF_METRIC_HISTOGRAM, "twice_seconds", NULL, 0, 0);
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_GAUGE;
    options.name = "twice_seconds_count";
    options.help = "x";
    mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_ERR_EXISTS);
    mf_metrics_destroy(metrics);
}

/* One more family, and what it was refused for: "" if it was added. */
static const char *refusal(mf_metrics *metrics, mf_metric_options options)
{
    static mf_error error;
    mf_family *family = NULL;
    error = (mf_error)MF_ERROR_INIT;
    options.struct_size = sizeof options;
    options.help = options.help != NULL ? options.help : "x";
    mf_status status = mf_metrics_add(metrics, &options, &family, &error);
    mf_check((status == MF_OK) == (family != NULL));
    mf_check(status == MF_OK || status == MF_ERR_INVALID_ARGUMENT);
    return error.message;
}

static void test_options_are_checked(void)
{
    static char long_name[130], long_help[514];
    static const char *const le[] = {"le"}, *const quantile[] = {"quantile"};
    static const char *const own[] = {"__name"}, *const colon[] = {"a:b"}, *const none[] = {NULL};
    static const char *const many[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    memset(long_name, 'a', sizeof long_name - 1);
    memset(long_help, 'a', sizeof long_help - 1);
    const char *label = "metric 'a' has a label name that cannot be used";
    const char *counts = "metric 'a' has more than 8 labels, or none where some are announced";
    const struct {
        mf_metric_options options;
        const char *message;
    } cases[] = {
        {{.type = MF_METRIC_GAUGE, .name = ""}, "metric '' is not a metric name"},
        {{.type = MF_METRIC_GAUGE, .name = NULL}, "metric '' is not a metric name"},
        {{.type = (mf_metric_type)0, .name = "a"}, "metric 'a' has an unknown type"},
        {{.type = (mf_metric_type)6, .name = "a"}, "metric 'a' has an unknown type"},
        {{.type = MF_METRIC_COUNTER, .name = "_total"},
         "metric '_total' must end in _total if, and only if, it is a counter"},
        {{.type = MF_METRIC_INFO, .name = "a"},
         "metric 'a' must end in _info if, and only if, it is an info"},
        {{.type = MF_METRIC_GAUGE, .name = "a_info"},
         "metric 'a_info' must end in _info if, and only if, it is an info"},
        {{.type = MF_METRIC_GAUGE, .name = "a_bytes", .unit = "seconds"},
         "metric 'a_bytes' does not end in its unit"},
        {{.type = MF_METRIC_COUNTER, .name = "a_total", .unit = "seconds"},
         "metric 'a_total' does not end in its unit"},
        {{.type = MF_METRIC_GAUGE, .name = "a", .help = long_help},
         "metric 'a' needs a help text of at most 512 bytes"},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_names = many, .label_count = 9}, counts},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_count = 1}, counts},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_names = le, .label_count = 1}, label},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_names = quantile, .label_count = 1}, label},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_names = own, .label_count = 1}, label},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_names = colon, .label_count = 1}, label},
        {{.type = MF_METRIC_GAUGE, .name = "a", .label_names = none, .label_count = 1}, label},
        /* What is just within the rules. */
        {{.type = MF_METRIC_GAUGE, .name = long_name + 1, .help = long_help + 1}, ""},
        {{.type = MF_METRIC_GAUGE, .name = "a:b_9", .label_names = many, .label_count = 8}, ""},
        {{.type = MF_METRIC_COUNTER, .name = "b_seconds_total", .unit = "seconds"}, ""},
        {{.type = MF_METRIC_HISTOGRAM, .name = "c_bytes", .unit = "bytes"}, ""},
        {{.type = MF_METRIC_WINDOW, .name = "d", .unit = ""}, ""},
    };
    mf_metrics *metrics = make_set();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mf_check_str(refusal(metrics, cases[i].options), cases[i].message);
    }
    mf_check_contains(
        refusal(metrics, (mf_metric_options){.type = MF_METRIC_GAUGE, .name = long_name}),
        "is not a metric name");
    mf_metrics_destroy(metrics);
}

static void test_arguments(void)
{
    mf_metrics *metrics = make_set();
    mf_family *family = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_metric_options options = {.struct_size = 1};
    mf_check_int(mf_metrics_add(NULL, &options, &family, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_metrics_add(metrics, NULL, &family, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_metrics_add(metrics, &options, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "metrics, options and ret_family must not be NULL");
    mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "mf_metric_options");
    mf_check_int(mf_metrics_add_collector(NULL, (mf_metrics_collect_fn)free, NULL, NULL),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_metrics_add_collector(metrics, NULL, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "metrics and collect must not be NULL");
    mf_check_int(mf_metrics_create(NULL, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "ret_metrics is NULL");
    mf_check(family == NULL);
    mf_metrics_destroy(metrics);
    mf_metrics_destroy(NULL);
}

/* A family whose exposed names are another one's, in either order of adding. */
static void test_clashes_are_named(void)
{
    static const struct {
        mf_metric_type types[2];
        const char *names[2];
    } clashes[] = {
        {{MF_METRIC_GAUGE, MF_METRIC_GAUGE}, {"a", "a"}},
        {{MF_METRIC_HISTOGRAM, MF_METRIC_GAUGE}, {"b_seconds", "b_seconds_bucket"}},
        {{MF_METRIC_WINDOW, MF_METRIC_GAUGE}, {"c_seconds", "c_seconds_sum"}},
        {{MF_METRIC_GAUGE, MF_METRIC_COUNTER}, {"d", "d_total"}},
        {{MF_METRIC_GAUGE, MF_METRIC_GAUGE}, {"e", "e_created"}},
        {{MF_METRIC_GAUGE, MF_METRIC_INFO}, {"f", "f_info"}},
    };
    for (size_t i = 0; i < sizeof clashes / sizeof clashes[0]; i++) {
        for (int first = 0; first < 2; first++) {
            mf_metrics *metrics = make_set();
            mf_family *family = NULL;
            mf_error error = MF_ERROR_INIT;
            char wanted[128];
            (void)add_family(metrics, clashes[i].types[first], clashes[i].names[first], NULL, 0, 0);
            mf_metric_options options = MF_METRIC_OPTIONS_INIT;
            options.type = clashes[i].types[1 - first];
            options.name = clashes[i].names[1 - first];
            options.help = "";
            mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_ERR_EXISTS);
            (void)snprintf(wanted, sizeof wanted, "metric '%s' clashes with '%s'",
                           clashes[i].names[1 - first], clashes[i].names[first]);
            mf_check_str(error.message, wanted);
            mf_check(family == NULL);
            mf_metrics_destroy(metrics);
        }
    }
}

typedef struct order {
    char names[256];
} order;

static void note_name(mf_family *family, void *user_data)
{
    order *at = user_data;
    size_t length = strlen(at->names);
    mf_check(mfi_mutex_held(&family->mutex));
    (void)snprintf(at->names + length, sizeof at->names - length, "%s ", family->name);
}

/* target_info first, then the build, then by name; hidden ones not at all. */
static void test_families_have_their_order(void)
{
    static const struct {
        mf_metric_type type;
        const char *name;
    } added[] = {{MF_METRIC_GAUGE, "z"},
                 {MF_METRIC_GAUGE, "a"},
                 {MF_METRIC_INFO, "multifrost_build_info"},
                 {MF_METRIC_GAUGE, "process_x"},
                 {MF_METRIC_INFO, "target_info"}};
    mf_metrics *metrics = make_set();
    order seen = {""};
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++) {
        mf_family *family = NULL;
        mf_metric_options options = MF_METRIC_OPTIONS_INIT;
        options.type = added[i].type;
        options.name = added[i].name;
        options.help = "";
        mf_check_int(mfi_metric_set_add(metrics, &options, &family, NULL), MF_OK);
    }
    mfi_metric_set_visit(metrics, note_name, &seen);
    mf_check_str(seen.names, "target_info multifrost_build_info a multifrost_series "
                             "multifrost_series_folded_total multifrost_series_limit process_x z ");
    mf_metrics_destroy(metrics);
}

/* ---- Collectors ---- */

typedef struct collector {
    mf_gauge *gauge;
    int runs;
} collector;

static void collect(void *user_data)
{
    collector *at = user_data;
    mf_gauge_set(at->gauge, ++at->runs);
}

static void test_collectors_run_before_each_visit(void)
{
    mf_metrics *metrics = make_set();
    collector one = {
        .gauge = mf_family_gauge(add_family(metrics, MF_METRIC_GAUGE, "one", NULL, 0, 0), NULL)};
    collector two = {
        .gauge = mf_family_gauge(add_family(metrics, MF_METRIC_GAUGE, "two", NULL, 0, 0), NULL)};
    mf_check_int(mf_metrics_add_collector(metrics, collect, &one, NULL), MF_OK);
    mf_check_int(mf_metrics_add_collector(metrics, collect, &two, NULL), MF_OK);
    char *text = render_set(metrics, MF_METRICS_PROMETHEUS_TEXT);
    mf_check_contains(text, "\none 1\n");
    mf_check_contains(text, "\ntwo 1\n");
    free(text);
    mf_metrics_remove_collector(metrics, collect, &one);
    mf_metrics_remove_collector(metrics, collect, NULL); /* unknown ones are no matter */
    text = render_set(metrics, MF_METRICS_PROMETHEUS_TEXT);
    mf_check_contains(text, "\none 1\n");
    mf_check_contains(text, "\ntwo 2\n");
    free(text);
    mf_check_int(one.runs, 1);
    mf_check_int(two.runs, 2);
    mf_metrics_destroy(metrics); /* with one collector left */
}

static void test_keeps_memory_as_long_as_the_set(void)
{
    mf_metrics *metrics = make_set();
    unsigned char *kept = mfi_metric_set_keep(metrics, 1000);
    mf_check(kept != NULL && kept[0] == 0 && kept[999] == 0);
    memset(kept, 1, 1000);
    mf_check(mfi_metric_set_keep(metrics, 1000) != kept);
    mf_metrics_destroy(metrics);
}

/* ---- Without memory ---- */

static void test_creates_all_or_nothing(void)
{
    long failed = 0;
    bool reached = true;
    for (long n = 0; reached; n++) {
        mf_metrics *metrics = NULL;
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(n);
        mf_status status = mf_metrics_create(&metrics, NULL, &error);
        reached = mf_alloc_stop();
        /* What only gives memory back may fail: then there is a whole set. */
        mf_check(reached || status == MF_OK);
        mf_check_int(status, metrics == NULL ? MF_ERR_NO_MEMORY : MF_OK);
        free(metrics != NULL ? render_set(metrics, MF_METRICS_PROMETHEUS_TEXT) : NULL);
        failed += status != MF_OK;
        mf_metrics_destroy(metrics);
    }
    mf_check(failed > 10);
}

static void test_adds_all_or_nothing(void)
{
    static const char *const labels[] = {"a", "b"};
    char name[] = "a_seconds", wanted[64];
    mf_metrics *metrics = make_set();
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_HISTOGRAM;
    options.name = name;
    options.help = "x";
    options.unit = "seconds";
    options.label_names = labels;
    options.label_count = 2;
    long failed = 0;
    bool reached = true;
    for (char last = 'a'; reached && last <= 'z'; last++) { /* a name of its own each time */
        mf_family *family = NULL;
        mf_error error = MF_ERROR_INIT;
        name[0] = last;
        mf_alloc_fail_at(last - 'a');
        mf_status status = mf_metrics_add(metrics, &options, &family, &error);
        reached = mf_alloc_stop();
        mf_check(reached || status == MF_OK);
        mf_check_int(status, family == NULL ? MF_ERR_NO_MEMORY : MF_OK);
        if (family != NULL) {
            mf_check_str(family->unit, "seconds");
        } else {
            (void)snprintf(wanted, sizeof wanted, "no memory for metric '%s'", name);
            mf_check_str(error.message, wanted);
        }
        failed += status != MF_OK;
    }
    mf_check(!reached);
    mf_check(failed >= 6);
    mf_alloc_fail_at(0);
    mf_check_int(mf_metrics_add_collector(metrics, collect, NULL, NULL), MF_ERR_NO_MEMORY);
    mf_check(mf_alloc_stop());
    mf_metrics_destroy(metrics);
}

typedef struct sharer {
    pthread_barrier_t *start;
    mf_metrics *metrics;
    mf_family *family;
    mf_status status;
} sharer;

static void *share(void *argument)
{
    sharer *at = argument;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = MF_METRIC_GAUGE;
    options.name = "multifrost_shared";
    options.help = "x";
    (void)pthread_barrier_wait(at->start);
    at->status = mfi_metric_set_share(at->metrics, &options, &at->family, NULL);
    return NULL;
}

/* Two that share a family at the same moment get the same one. */
static void test_shares_at_once(void)
{
    pthread_barrier_t start;
    mf_check_int(pthread_barrier_init(&start, NULL, 2), 0);
    for (int i = 0; i < 3000; i++) {
        pthread_t thread;
        mf_metrics *metrics = make_set();
        sharer one = {&start, metrics, NULL, MF_OK}, two = one;
        mf_check_int(pthread_create(&thread, NULL, share, &one), 0);
        (void)share(&two);
        (void)pthread_join(thread, NULL);
        mf_check_int(one.status, MF_OK);
        mf_check_int(two.status, MF_OK);
        mf_check(one.family == two.family);
        mf_metrics_destroy(metrics);
    }
    (void)pthread_barrier_destroy(&start);
}

static const mf_test tests[] = {
    {"set__names_are_checked", test_names_are_checked},
    {"set__options_are_checked", test_options_are_checked},
    {"set__bad_arguments_are_named", test_arguments},
    {"set__clashes_are_named", test_clashes_are_named},
    {"set__families_have_their_order", test_families_have_their_order},
    {"set__collectors_run_before_each_visit", test_collectors_run_before_each_visit},
    {"set__keeps_memory_as_long_as_it_lives", test_keeps_memory_as_long_as_the_set},
    {"set__creates_all_or_nothing", test_creates_all_or_nothing},
    {"set__adds_all_or_nothing", test_adds_all_or_nothing},
    {"set__shares_at_once", test_shares_at_once},
};
MF_TEST_MAIN(tests)
