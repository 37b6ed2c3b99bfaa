/* Prints docs/metrics.md: a table of all families of a program that has everything, by group. It
 * exists so that the page cannot say anything but what the code does: names, types, units, labels
 * and help texts are read from a set of metrics, closed words from their tables. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/http.h>
#include <multifrost/runtime.h>

#include "core/observe/catalogue_words.h"
#include "metrics/metric_set.h"

#define FAMILIES_MAX 512
#define EXTRA_LINES 3  /* of a histogram, beside its bounds: +Inf, sum, count */
#define WINDOW_LINES 7 /* five quantiles, sum, count */

/* ---- Labels ---- */

typedef struct closed_label {
    const char *family, *label, *words; /* each word ends with a comma */
} closed_label;

static const closed_label closed[] = {
#define WITH_COMMA(value, word) word ","
#define CLOSED(family, label, table) {family, label, table(WITH_COMMA)},
    MFI_CATALOGUE_WORDS(CLOSED)
#undef CLOSED
#undef WITH_COMMA
};

/* Labels whose values are names. factor: the letter of the bound; NULL if the family's cap is the
 * bound, "" if another label bounds this one. */
typedef struct open_label {
    const char *label, *factor, *about;
} open_label;

static const open_label open_labels[] = {
    {"target", "T", "name of a target"},
    {"worker", "W", "name of a worker: `math-0`, the same after a restart; of a service, its own"},
    {"function", "M", "name of a function; `_OTHER` beyond the first 32 of a target"},
    {"family", "F", "name of a family"},
    {"check", NULL, "name of a health check"},
    {"route", NULL, "route of the endpoint; `_OTHER` for unknown paths"},
    {"code", NULL, "HTTP status"},
    {"slo", NULL, "name of an objective"},
    {"hash", "", "fingerprint of the configuration, 16 hex digits"},
    {"rpc_method", "M", "as `function`"},
    {"server_address", "T", "as `target`"},
    {"service_name", "", "as in `mf_runtime_options`"},
    {"service_version", "", "as in `mf_runtime_options`"},
    {"service_instance_id", "", "`instance` of `mf_runtime_options`"},
    {"service_namespace", "", "as in `mf_runtime_options`"},
    {"version", "", "of the library"},
    {"revision", "", "of the library's source"},
    {"compiler", "", "and its version"},
    {"libzmq", "", "its version"},
    {"libmicrohttpd", "", "its version"},
    {"msgpack", "", "its version"},
};

static const char *words_of(const mf_family *family, const char *label)
{
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        if (strcmp(closed[i].family, family->name) == 0 && strcmp(closed[i].label, label) == 0) {
            return closed[i].words;
        }
    }
    return NULL;
}

static const open_label *open_of(const char *label)
{
    for (size_t i = 0; i < sizeof open_labels / sizeof open_labels[0]; i++) {
        if (strcmp(open_labels[i].label, label) == 0) {
            return &open_labels[i];
        }
    }
    return NULL;
}

static bool has_label(const mf_family *family, const char *label)
{
    for (size_t i = 0; i < family->label_count; i++) {
        if (strcmp(family->label_names[i], label) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_words(const char *words)
{
    size_t count = 0;
    for (const char *at = words; (at = strchr(at, ',')) != NULL; at++) {
        count++;
    }
    return count;
}

/* A label without a value is not shown: a call that went well has no type of error. */
static bool may_be_absent(const char *label)
{
    return strcmp(label, "error_type") == 0;
}

static size_t count_values(const char *label, const char *words)
{
    return count_words(words) + (may_be_absent(label) ? 1 : 0);
}

static void print_words(const char *words)
{
    for (const char *at = words; *at != '\0';) {
        const char *end = strchr(at, ',');
        (void)printf("%s%.*s", at == words ? "" : ", ", (int)(end - at), at);
        at = end + 1;
    }
}

static void print_labels(const mf_family *family)
{
    for (size_t i = 0; i < family->label_count; i++) {
        const char *label = family->label_names[i];
        const char *words = words_of(family, label);
        if (words == NULL && open_of(label) == NULL) {
            (void)fprintf(stderr,
                          "metrics_page: label '%s' of %s has neither a table of words "
                          "(core/observe/catalogue_words.h) nor a line in metrics_page.c\n",
                          label, family->name);
            exit(1);
        }
        (void)printf("%s`%s`", i > 0 ? "; " : "", label);
        if (words != NULL) {
            (void)printf(": ");
            print_words(words);
            (void)printf("%s", may_be_absent(label) ? "; or absent" : "");
        }
    }
    (void)printf("%s", family->label_count == 0 ? "-" : "");
}

/* ---- Bounds ---- */

static void print_factor(bool *is_first, const char *factor)
{
    (void)printf("%s%s", *is_first ? "" : " x ", factor);
    *is_first = false;
}

static void print_lines(const mf_family *family, bool is_first)
{
    char lines[24];
    size_t count = family->type == MF_METRIC_HISTOGRAM ? family->layout->bound_count + EXTRA_LINES
                   : family->type == MF_METRIC_WINDOW  ? WINDOW_LINES
                                                       : 1;
    (void)snprintf(lines, sizeof lines, "%zu", count);
    if (count > 1 || is_first) {
        print_factor(&is_first, lines);
    }
}

/* Series that a family can have: what its labels allow, or its cap where a label has no letter. */
static void print_bound(const mf_family *family)
{
    bool is_first = true;
    for (size_t i = 0; i < family->label_count; i++) {
        const open_label *open = open_of(family->label_names[i]);
        const char *words = words_of(family, family->label_names[i]);
        if (words == NULL && open->factor == NULL) {
            (void)printf("at most %zu", family->max_series);
            print_lines(family, false);
            return;
        }
    }
    for (size_t i = 0; i < family->label_count; i++) {
        const char *label = family->label_names[i];
        const char *words = words_of(family, label);
        char count[24];
        (void)snprintf(count, sizeof count, "%zu",
                       words != NULL ? count_values(family->label_names[i], words) : 0);
        const char *factor = words != NULL ? count : open_of(label)->factor;
        bool is_in_worker = strcmp(label, "target") == 0 && has_label(family, "worker");
        if (factor[0] != '\0' && strcmp(factor, "1") != 0 && !is_in_worker) {
            print_factor(&is_first, factor);
        }
    }
    print_lines(family, is_first);
}

/* ---- Families ---- */

typedef struct group {
    const char *title;
    const char *prefixes[4];
} group;

/* The first group whose prefix a name begins with has the family. */
static const group groups[] = {
    {"Calls, as the caller sees them", {"multifrost_client_"}},
    {"Calls, as the worker sees them", {"multifrost_server_"}},
    {"Messages and connections", {"multifrost_transport_", "multifrost_heartbeat_"}},
    {"Circuits", {"multifrost_circuit"}},
    {"Workers and pools", {"multifrost_worker", "multifrost_pool_"}},
    {"Service registry", {"multifrost_registry_"}},
    {"Log", {"multifrost_log_"}},
    {"OpenTelemetry names", {"rpc_"}},
    {"The process", {"process_"}},
    {"Endpoint, health, objectives, and the instruments themselves",
     {"multifrost_", "target_info"}},
};

typedef struct all_families {
    const mf_family *rows[FAMILIES_MAX];
    size_t count;
} all_families;

static bool is_listed(const all_families *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->rows[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void take(mf_family *family, void *user_data)
{
    all_families *all = user_data;
    if (!is_listed(all, family->name)) {
        if (all->count == FAMILIES_MAX) {
            (void)fprintf(stderr, "metrics_page: more than %d families\n", FAMILIES_MAX);
            exit(1);
        }
        all->rows[all->count++] = family;
    }
}

static const group *group_of(const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        for (size_t j = 0; j < 4 && groups[i].prefixes[j] != NULL; j++) {
            if (strncmp(name, groups[i].prefixes[j], strlen(groups[i].prefixes[j])) == 0) {
                return &groups[i];
            }
        }
    }
    (void)fprintf(stderr, "metrics_page: %s is in no group\n", name);
    exit(1);
}

static void print_family(const mf_family *family)
{
    static const char *const types[] = {[MF_METRIC_COUNTER] = "counter",
                                        [MF_METRIC_GAUGE] = "gauge",
                                        [MF_METRIC_HISTOGRAM] = "histogram",
                                        [MF_METRIC_WINDOW] = "summary",
                                        [MF_METRIC_INFO] = "info"};
    bool has_unit = family->unit != NULL && family->unit[0] != '\0';
    (void)printf("| `%s` | %s | %s | ", family->name, types[family->type],
                 has_unit ? family->unit : "-");
    print_labels(family);
    (void)printf(" | %s | ", family->help);
    print_bound(family);
    (void)printf(" |\n");
}

static void print_groups(const all_families *all)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        (void)printf("\n## %s\n\n| Family | Type | Unit | Labels | Help | Bound |\n"
                     "| --- | --- | --- | --- | --- | --- |\n",
                     groups[i].title);
        for (size_t j = 0; j < all->count; j++) {
            if (group_of(all->rows[j]->name) == &groups[i]) {
                print_family(all->rows[j]);
            }
        }
    }
}

static void print_head(void)
{
    (void)printf(
        "# Metrics\n\n"
        "Made by `./dev docs --write` from the code; changes by hand are lost. A test compares "
        "the\n"
        "page with the code. What the numbers mean, and when they move, is in\n"
        "[observability.md](observability.md).\n\n"
        "A label that is followed by words has these values and no others. The other labels:\n\n"
        "| Label | Values |\n| --- | --- |\n");
    for (size_t i = 0; i < sizeof open_labels / sizeof open_labels[0]; i++) {
        (void)printf("| `%s` | %s |\n", open_labels[i].label, open_labels[i].about);
    }
    (void)printf("\nBound: samples that the family can have. T: targets (`max_targets`, 64). W: "
                 "workers of these\ntargets. M: functions of a target (33 with `_OTHER`). F: "
                 "families. A histogram has one sample for\neach bound, and `+Inf`, sum and count; "
                 "a summary has five quantiles, sum and count.\n");
}

/* ---- A program that has everything ---- */

static void check(mf_status status, const mf_error *error)
{
    if (status != MF_OK) {
        (void)fprintf(stderr, "metrics_page: %s\n", error->message);
        exit(1);
    }
}

static mf_runtime *make_runtime(mf_metric_names names)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.metric_names = names;
    check(mf_runtime_create(&runtime, &options, &error), &error);
    return runtime;
}

int main(void)
{
    static all_families all;
    mf_error error = MF_ERROR_INIT;
    mf_http *http = NULL;
    mf_http_options options = MF_HTTP_OPTIONS_INIT;
    mf_runtime *native = make_runtime(MF_METRIC_NAMES_NATIVE);
    mf_runtime *otel = make_runtime(MF_METRIC_NAMES_OTEL);
    options.port = MF_HTTP_PORT_ANY;
    check(mf_http_create(&http, mf_runtime_probe(native), &options, &error), &error);
    mfi_metric_set_show(mf_runtime_metrics(native), take, &all);
    mfi_metric_set_show(mf_runtime_metrics(otel), take, &all);
    print_head();
    print_groups(&all);
    mf_http_destroy(http);
    mf_runtime_destroy(otel);
    mf_runtime_destroy(native);
    return 0;
}
