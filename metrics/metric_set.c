/* A set checks the families that are added, keeps them in the order of exposition, and runs the
 * collectors before it shows them. Lock order: collecting, mutex, the mutex of a family. */
#include "metrics/metric_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

#define MAX_SERIES_DEFAULT 50000
#define HELP_MAX 512       /* bytes of a help text */
#define NAME_MAX_BYTES 128 /* of a family's name */

struct mfi_collector {
    struct mfi_collector *next;
    mf_metrics_collect_fn collect;
    void *user_data;
};

/* ---- Checks ---- */

static bool name_fits(const char *name, bool colons)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (!letter && !(digit && i > 0) && !(c == ':' && colons)) {
            return false;
        }
    }
    return length > 0 && length <= NAME_MAX_BYTES;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

static bool begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

static bool unit_fits(const mf_metric_options *options)
{
    char end[NAME_MAX_BYTES + 16];
    if (options->unit == NULL || options->unit[0] == '\0') {
        return true;
    }
    (void)mfi_str_format(end, sizeof end, "_%s%s", options->unit,
                         options->type == MF_METRIC_COUNTER ? "_total" : "");
    return ends_with(options->name, end);
}

static mf_status check_options(const mf_metric_options *options, mf_error *error)
{
    const char *name = options->name != NULL ? options->name : "";
    const char *problem = NULL;
    if (!name_fits(name, true)) {
        problem = "is not a metric name";
    } else if (options->type < MF_METRIC_COUNTER || options->type > MF_METRIC_INFO) {
        problem = "has an unknown type";
    } else if ((options->type == MF_METRIC_COUNTER) != ends_with(name, "_total")) {
        problem = "must end in _total if, and only if, it is a counter";
    } else if ((options->type == MF_METRIC_INFO) != ends_with(name, "_info")) {
        problem = "must end in _info if, and only if, it is an info";
    } else if (!unit_fits(options)) {
        problem = "does not end in its unit";
    } else if (options->help == NULL || strlen(options->help) > HELP_MAX) {
        problem = "needs a help text of at most 512 bytes";
    } else if (options->label_count > MF_METRIC_LABELS_MAX ||
               (options->label_count > 0 && options->label_names == NULL)) {
        problem = "has more than 8 labels, or none where some are announced";
    }
    for (size_t i = 0; problem == NULL && i < options->label_count; i++) {
        const char *label = options->label_names[i];
        if (label == NULL || !name_fits(label, false) || begins_with(label, "__") ||
            strcmp(label, "le") == 0 || strcmp(label, "quantile") == 0) {
            problem = "has a label name that cannot be used";
        }
    }
    return problem == NULL
               ? MF_OK
               : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "metric '%.100s' %s", name, problem);
}

/* target_info is first, then the build info, then all others by name. */
static int exposition_rank(const char *name)
{
    return strcmp(name, "target_info") == 0             ? 0
           : strcmp(name, "multifrost_build_info") == 0 ? 1
                                                        : 2;
}

static int compare_families(const mf_family *a, const mf_family *b)
{
    int rank = exposition_rank(a->name) - exposition_rank(b->name);
    return rank != 0 ? rank : strcmp(a->name, b->name);
}

/* Whether an exposed name of one family could be mistaken for one of the other. */
static bool names_clash(const char *a, const char *b)
{
    static const char *const suffixes[] = {"_bucket", "_sum",     "_count",
                                           "_total",  "_created", "_info"};
    if (strcmp(a, b) == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t length = strlen(a);
        if (begins_with(b, a) && strcmp(b + length, suffixes[i]) == 0) {
            return true;
        }
    }
    return false;
}

static mf_status link_family(mf_metrics *metrics, mf_family *family, mf_error *error)
{
    mf_status status = MF_OK;
    mfi_mutex_lock(&metrics->mutex);
    for (mf_family *at = metrics->families; at != NULL && status == MF_OK; at = at->next) {
        if (!family->hidden && !at->hidden &&
            (names_clash(at->name, family->name) || names_clash(family->name, at->name))) {
            status = mfi_fail(error, MF_ERR_EXISTS, "metric '%s' clashes with '%s'", family->name,
                              at->name);
        }
    }
    if (status == MF_OK) {
        mf_family **at = &metrics->families;
        while (*at != NULL && compare_families(*at, family) <= 0) {
            at = &(*at)->next;
        }
        family->next = *at;
        *at = family;
    }
    mfi_mutex_unlock(&metrics->mutex);
    return status;
}

mf_status mfi_metric_set_add(mf_metrics *metrics, const mf_metric_options *options,
                             mf_family **ret_family, mf_error *error)
{
    mf_metric_options from;
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_metric_options", error);
    if (status == MF_OK) {
        status = check_options(&from, error);
    }
    if (status != MF_OK) {
        return status;
    }
    mf_family *family = mfi_family_make(metrics, &from);
    if (family == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for metric '%s'", from.name);
    }
    status = link_family(metrics, family, error);
    if (status != MF_OK) {
        mfi_family_free(family);
        return status;
    }
    *ret_family = family;
    return MF_OK;
}

static bool is_same(const mf_family *family, const mf_metric_options *options)
{
    bool same = !family->hidden && strcmp(family->name, options->name) == 0 &&
                family->type == options->type && family->label_count == options->label_count;
    for (size_t i = 0; same && i < options->label_count; i++) {
        same = strcmp(family->label_names[i], options->label_names[i]) == 0;
    }
    return same;
}

static mf_family *find_same(mf_metrics *metrics, const mf_metric_options *options)
{
    mf_family *found = NULL;
    mfi_mutex_lock(&metrics->mutex);
    for (mf_family *at = metrics->families; at != NULL && found == NULL; at = at->next) {
        found = is_same(at, options) ? at : NULL;
    }
    mfi_mutex_unlock(&metrics->mutex);
    return found;
}

mf_status mfi_metric_set_share(mf_metrics *metrics, const mf_metric_options *options,
                               mf_family **ret_family, mf_error *error)
{
    mf_family *found = find_same(metrics, options);
    if (found == NULL) {
        mf_status status = mfi_metric_set_add(metrics, options, ret_family, error);
        /* Another thread may have added the family meanwhile. */
        found = status == MF_ERR_EXISTS ? find_same(metrics, options) : NULL;
        if (found == NULL) {
            return status;
        }
    }
    *ret_family = found;
    return MF_OK;
}

mf_status mf_metrics_add(mf_metrics *metrics, const mf_metric_options *options,
                         mf_family **ret_family, mf_error *error)
{
    if (metrics == NULL || options == NULL || ret_family == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "metrics, options and ret_family must not be NULL");
    }
    if (options->name != NULL &&
        (begins_with(options->name, "multifrost_") || begins_with(options->name, "process_") ||
         strcmp(options->name, "target_info") == 0)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "metric '%.100s': names beginning with multifrost_ and process_, and "
                        "target_info, are the library's",
                        options->name);
    }
    return mfi_metric_set_add(metrics, options, ret_family, error);
}

/* ---- Collectors and visits ---- */

mf_status mf_metrics_add_collector(mf_metrics *metrics, mf_metrics_collect_fn collect,
                                   void *user_data, mf_error *error)
{
    if (metrics == NULL || collect == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "metrics and collect must not be NULL");
    }
    struct mfi_collector *added = calloc(1, sizeof *added);
    if (added == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a collector");
    }
    added->collect = collect;
    added->user_data = user_data;
    mfi_mutex_lock(&metrics->collecting);
    added->next = metrics->collectors;
    metrics->collectors = added;
    mfi_mutex_unlock(&metrics->collecting);
    return MF_OK;
}

void mf_metrics_remove_collector(mf_metrics *metrics, mf_metrics_collect_fn collect,
                                 void *user_data)
{
    if (metrics == NULL) {
        return;
    }
    mfi_mutex_lock(&metrics->collecting);
    for (struct mfi_collector **at = &metrics->collectors; *at != NULL; at = &(*at)->next) {
        if ((*at)->collect == collect && (*at)->user_data == user_data) {
            struct mfi_collector *found = *at;
            *at = found->next;
            free(found);
            break;
        }
    }
    mfi_mutex_unlock(&metrics->collecting);
}

void *mfi_metric_set_keep(mf_metrics *metrics, size_t size)
{
    return metrics->arena.allocate(metrics->arena.self, size);
}

void mfi_metric_set_show(mf_metrics *metrics, void (*visit)(mf_family *family, void *user_data),
                         void *user_data)
{
    mfi_mutex_lock(&metrics->mutex);
    for (mf_family *family = metrics->families; family != NULL; family = family->next) {
        if (!family->hidden) {
            mfi_mutex_lock(&family->mutex);
            visit(family, user_data);
            mfi_mutex_unlock(&family->mutex);
        }
    }
    mfi_mutex_unlock(&metrics->mutex);
}

bool mfi_metric_set_was_visited(mf_metrics *metrics)
{
    return atomic_load_explicit(&metrics->was_visited, memory_order_relaxed);
}

void mfi_metric_set_visit(mf_metrics *metrics, void (*visit)(mf_family *family, void *user_data),
                          void *user_data)
{
    mfi_mutex_lock(&metrics->collecting);
    for (struct mfi_collector *at = metrics->collectors; at != NULL; at = at->next) {
        at->collect(at->user_data);
    }
    mf_gauge_set(mf_family_gauge(metrics->series, NULL),
                 (double)atomic_load_explicit(&metrics->series_count, memory_order_relaxed));
    mf_gauge_set(mf_family_gauge(metrics->limit, NULL), (double)metrics->max_series);
    mfi_metric_set_show(metrics, visit, user_data);
    atomic_store_explicit(&metrics->was_visited, true, memory_order_relaxed);
    mfi_mutex_unlock(&metrics->collecting);
}

/* ---- Life ---- */

/* Adds the families that take series of a wrong type, and those about the set itself. */
static mf_status add_own_families(mf_metrics *metrics, mf_error *error)
{
    for (int type = MF_METRIC_COUNTER; type <= MF_METRIC_INFO; type++) {
        mf_metric_options hidden = {.struct_size = sizeof hidden,
                                    .type = (mf_metric_type)type,
                                    .name = "hidden",
                                    .help = "",
                                    .max_series = 1};
        mf_family *family = mfi_family_make(metrics, &hidden);
        if (family == NULL) {
            return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a set of metrics");
        }
        family->hidden = true;
        (void)link_family(metrics, family, NULL);
    }
    static const char *const labels[] = {"family"};
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = MF_METRIC_GAUGE,
                                 .name = "multifrost_series",
                                 .help = "Series now"};
    mf_status status = mfi_metric_set_add(metrics, &options, &metrics->series, error);
    options.name = "multifrost_series_limit";
    options.help = "Cap on the number of series";
    if (status == MF_OK) {
        status = mfi_metric_set_add(metrics, &options, &metrics->limit, error);
    }
    options.type = MF_METRIC_COUNTER;
    options.name = "multifrost_series_folded_total";
    options.help = "Label sets folded into _OTHER; of gauges: left out";
    options.label_names = labels;
    options.label_count = 1;
    if (status == MF_OK) {
        status = mfi_metric_set_add(metrics, &options, &metrics->folded, error);
    }
    return status;
}

mf_status mfi_metric_set_create_in(mf_metrics **ret_metrics, const mf_metrics_options *options,
                                   mfi_arena arena, const mfi_clock *clock, mf_error *error)
{
    mf_metrics_options from;
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_metrics_options", error);
    if (status != MF_OK) {
        return status;
    }
    mf_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a set of metrics");
    }
    metrics->arena = arena;
    metrics->clock = clock;
    metrics->max_series = from.max_series != 0 ? from.max_series : MAX_SERIES_DEFAULT;
    mfi_mutex_init(&metrics->mutex);
    mfi_mutex_init(&metrics->collecting);
    mfi_mutex_init(&metrics->cells);
    status = add_own_families(metrics, error);
    if (status != MF_OK) {
        mf_metrics_destroy(metrics);
        return status;
    }
    *ret_metrics = metrics;
    return MF_OK;
}

mf_status mf_metrics_create(mf_metrics **ret_metrics, const mf_metrics_options *options,
                            mf_error *error)
{
    if (ret_metrics == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_metrics is NULL");
    }
    mfi_heap_arena *heap = mfi_arena_heap_create();
    if (heap == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a set of metrics");
    }
    mf_status status = mfi_metric_set_create_in(ret_metrics, options, mfi_arena_heap_as(heap),
                                                mfi_clock_system(), error);
    if (status != MF_OK) {
        mfi_arena_heap_destroy(heap);
        return status;
    }
    (*ret_metrics)->heap = heap;
    return MF_OK;
}

void mf_metrics_destroy(mf_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    while (metrics->families != NULL) {
        mf_family *first = metrics->families;
        metrics->families = first->next;
        mfi_family_free(first);
    }
    while (metrics->collectors != NULL) {
        struct mfi_collector *first = metrics->collectors;
        metrics->collectors = first->next;
        free(first);
    }
    mfi_mutex_fini(&metrics->mutex);
    mfi_mutex_fini(&metrics->collecting);
    mfi_mutex_fini(&metrics->cells);
    mfi_arena_heap_destroy(metrics->heap);
    free(metrics);
}
