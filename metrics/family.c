/* Families and their series. A series is found or made by its label values, within two caps. */
#include "metrics/metric_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/str.h"
#include "metrics/labels.h"
#include "metrics/segment_inside.h"

#define FAMILY_SERIES_DEFAULT 1024

/* ---- Series ---- */

static uint64_t hash_values(const char *const *values, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < count; i++) {
        for (const char *c = values[i]; *c != '\0'; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static int compare_values(char *const *a, const char *const *b, size_t count)
{
    int order = 0;
    for (size_t i = 0; i < count && order == 0; i++) {
        order = strcmp(a[i], b[i]);
    }
    return order;
}

static void series_free(mfi_series *series)
{
    if (series != NULL) {
        free(series->labels);
        free(series);
    }
}

static bool make_counter(mf_metrics *metrics, mf_counter *counter)
{
    mfi_mutex_lock(&metrics->cells);
    if (metrics->page == NULL || metrics->page_used == MFI_PAGE_COUNTERS) {
        mfi_counter_page *page =
            metrics->arena.allocate(metrics->arena.self, sizeof(mfi_counter_page));
        metrics->page = page != NULL ? page : metrics->page;
        metrics->page_used = page != NULL ? 0 : metrics->page_used;
    }
    bool made = metrics->page != NULL && metrics->page_used < MFI_PAGE_COUNTERS;
    if (made) {
        counter->page = metrics->page;
        counter->index = metrics->page_used++;
    }
    mfi_mutex_unlock(&metrics->cells);
    return made;
}

static bool make_instrument(mf_family *family, mfi_series *series)
{
    mf_metrics *metrics = family->metrics;
    switch (family->type) {
    case MF_METRIC_COUNTER:
        return (family->segment != NULL &&
                mfi_segment_make_counter(family->segment, &series->as.counter, series->values)) ||
               make_counter(metrics, &series->as.counter);
    case MF_METRIC_HISTOGRAM:
        series->as.histogram = metrics->arena.allocate(metrics->arena.self, sizeof(mf_histogram));
        if (series->as.histogram != NULL) {
            series->as.histogram->layout = family->layout;
            series->as.histogram->arena = metrics->arena;
            if (family->segment != NULL) {
                mfi_segment_make_histogram(family->segment, series->as.histogram, series->values);
            }
        }
        return series->as.histogram != NULL;
    case MF_METRIC_WINDOW:
        series->as.window = metrics->arena.allocate(metrics->arena.self, sizeof(mf_window));
        if (series->as.window != NULL) {
            series->as.window->clock = metrics->clock;
            series->as.window->layout = mfi_layout_of(MF_SCALE_DURATION);
            series->as.window->arena = metrics->arena;
        }
        return series->as.window != NULL;
    case MF_METRIC_GAUGE:
    case MF_METRIC_INFO:
        break;
    }
    return true;
}

/* A series is one piece of memory, because a target has dozens of them. */
static mfi_series *series_make(mf_family *family, const char *const *values)
{
    size_t count = family->label_count;
    size_t lengths[MF_METRIC_LABELS_MAX];
    size_t size = sizeof(mfi_series) + count * sizeof(char *);
    for (size_t i = 0; i < count; i++) {
        lengths[i] = strlen(values[i]);
        size += lengths[i] + 1;
    }
    mfi_series *series = calloc(1, size);
    if (series == NULL) {
        return NULL;
    }
    series->created_ns = mfi_clock_wall(family->metrics->clock);
    char *text = (char *)&series->values[count];
    for (size_t i = 0; i < count; i++) {
        series->values[i] = text;
        memcpy(text, values[i], lengths[i]);
        text += lengths[i] + 1;
    }
    if (!mfi_series_label(family, series) || !make_instrument(family, series)) {
        series_free(series);
        return NULL;
    }
    return series;
}

static void link_locked(mf_family *family, mfi_series *series, uint64_t hash)
{
    mfi_series **at = &family->series;
    const char *const *values = (const char *const *)series->values;
    while (*at != NULL && compare_values((*at)->values, values, family->label_count) < 0) {
        at = &(*at)->next;
    }
    series->next = *at;
    *at = series;
    series->hash = hash;
    series->hash_next = family->buckets[hash % MFI_FAMILY_BUCKETS];
    family->buckets[hash % MFI_FAMILY_BUCKETS] = series;
    family->series_count++;
}

/* Counts one series more if the family's and the set's caps allow that. */
static bool take_place_locked(mf_family *family)
{
    mf_metrics *metrics = family->metrics;
    if (family->series_count >= family->max_series) {
        return false;
    }
    if (atomic_fetch_add_explicit(&metrics->series_count, 1, memory_order_relaxed) >=
        metrics->max_series) {
        atomic_fetch_sub_explicit(&metrics->series_count, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

static mfi_series *find_locked(mf_family *family, const char *const *values, uint64_t hash)
{
    mfi_series *series = family->buckets[hash % MFI_FAMILY_BUCKETS];
    while (series != NULL && (series->hash != hash ||
                              compare_values(series->values, values, family->label_count) != 0)) {
        series = series->hash_next;
    }
    return series;
}

/* A value as it is stored and exposed: clean and cut, so that values with the same text have the
 * same series. NULL without memory. */
static const char *as_stored(const char *value, char room[MF_METRIC_LABEL_VALUE_MAX + 1])
{
    const size_t most = MF_METRIC_LABEL_VALUE_MAX;
    size_t length = strnlen(value, most + 4); /* a character more than is kept */
    if (length <= most && mfi_utf8_valid(value, length)) {
        return value;
    }
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    mfi_utf8_append_clean(&clean, value, length);
    bool made = !clean.failed;
    if (made) {
        (void)mfi_str_copy_n(room, most + 1, (const char *)clean.data, clean.size);
    }
    mfi_buf_fini(&clean);
    return made ? room : NULL;
}

static bool is_other(const mf_family *family, const char *const *values)
{
    return family->label_count > 0 &&
           compare_values(family->other->values, values, family->label_count) == 0;
}

static mfi_series *find_or_make_locked(mf_family *family, const char *const *values)
{
    uint64_t hash = hash_values(values, family->label_count);
    mfi_series *series = find_locked(family, values, hash);
    if (series == NULL && take_place_locked(family)) {
        series = series_make(family, values);
        if (series != NULL) {
            link_locked(family, series, hash);
        } else {
            atomic_fetch_sub_explicit(&family->metrics->series_count, 1, memory_order_relaxed);
        }
    }
    return series;
}

/* A series that is held is freed by its last holder; others live as long as their family. */
static mfi_series *find_or_make(mf_family *family, const char *const *values, bool holds)
{
    char rooms[MF_METRIC_LABELS_MAX][MF_METRIC_LABEL_VALUE_MAX + 1];
    const char *given[MF_METRIC_LABELS_MAX];
    bool known = true;
    for (size_t i = 0; i < family->label_count; i++) {
        given[i] = as_stored(values != NULL && values[i] != NULL ? values[i] : "", rooms[i]);
        known = known && given[i] != NULL;
    }
    bool folds = false;
    mfi_series *series = NULL;
    mfi_mutex_lock(&family->mutex);
    if (known && is_other(family, given)) {
        series = family->other; /* asked for by its name: nothing is folded */
        family->other_used = true;
    } else if (known) {
        series = find_or_make_locked(family, given);
    }
    if (series != NULL && holds) {
        series->holders++;
    }
    if (series == NULL) {
        /* A sum of counters still means something. Of gauges that share a series the last one would
         * hide the others, so that series is not exposed. */
        series = family->other;
        family->other_used = family->other_used || family->type != MF_METRIC_GAUGE;
        folds = true;
    }
    mfi_mutex_unlock(&family->mutex);
    if (folds && family->metrics->folded != NULL && family != family->metrics->folded) {
        mf_counter_add(
            mf_family_counter(family->metrics->folded, (const char *const[]){family->name}), 1);
    }
    return series;
}

/* Series of a wrong type belong to a hidden family, so that the caller never gets NULL. */
static mf_family *family_for(mf_family *family, mf_metric_type type)
{
    if (family->type == type) {
        return family;
    }
    mf_metrics *metrics = family->metrics;
    mfi_mutex_lock(&metrics->mutex);
    mf_family *hidden = metrics->families;
    while (!hidden->hidden || hidden->type != type) {
        hidden = hidden->next;
    }
    mfi_mutex_unlock(&metrics->mutex);
    return hidden;
}

mf_counter *mf_family_counter(mf_family *family, const char *const *values)
{
    if (family == NULL) {
        return NULL;
    }
    return &find_or_make(family_for(family, MF_METRIC_COUNTER), values, false)->as.counter;
}

mf_gauge *mf_family_gauge(mf_family *family, const char *const *values)
{
    if (family == NULL) {
        return NULL;
    }
    return &find_or_make(family_for(family, MF_METRIC_GAUGE), values, false)->as.gauge;
}

mf_histogram *mf_family_histogram(mf_family *family, const char *const *values)
{
    if (family == NULL) {
        return NULL;
    }
    return find_or_make(family_for(family, MF_METRIC_HISTOGRAM), values, false)->as.histogram;
}

mf_window *mf_family_window(mf_family *family, const char *const *values)
{
    if (family == NULL) {
        return NULL;
    }
    return find_or_make(family_for(family, MF_METRIC_WINDOW), values, false)->as.window;
}

void mf_family_info(mf_family *family, const char *const *values)
{
    if (family != NULL) {
        (void)find_or_make(family_for(family, MF_METRIC_INFO), values, false);
    }
}

static void unlink_locked(mf_family *family, mfi_series *series)
{
    mfi_series **at = &family->series;
    while (*at != series) {
        at = &(*at)->next;
    }
    *at = series->next;
    at = &family->buckets[series->hash % MFI_FAMILY_BUCKETS];
    while (*at != series) {
        at = &(*at)->hash_next;
    }
    *at = series->hash_next;
    family->series_count--;
    atomic_fetch_sub_explicit(&family->metrics->series_count, 1, memory_order_relaxed);
}

mf_gauge *mfi_family_hold_gauge(mf_family *family, const char *const *values)
{
    mfi_series *series = find_or_make(family, values, true);
    return series != family->other ? &series->as.gauge : NULL;
}

void mfi_family_drop_gauge(mf_family *family, mf_gauge *gauge)
{
    if (gauge == NULL) {
        return;
    }
    mfi_series *series = MFI_CONTAINER(gauge, mfi_series, as.gauge);
    mfi_mutex_lock(&family->mutex);
    bool unused = --series->holders == 0;
    if (unused) {
        unlink_locked(family, series);
    }
    mfi_mutex_unlock(&family->mutex);
    if (unused) {
        series_free(series);
    }
}

/* ---- Families ---- */

void mfi_family_free(mf_family *family)
{
    if (family == NULL) {
        return;
    }
    while (family->series != NULL) {
        mfi_series *first = family->series;
        family->series = first->next;
        series_free(first);
    }
    series_free(family->other);
    for (size_t i = 0; family->label_names != NULL && i < family->label_count; i++) {
        free(family->label_names[i]);
    }
    free(family->label_names);
    free(family->segment);
    free(family->name);
    free(family->help);
    free(family->unit);
    mfi_mutex_fini(&family->mutex);
    free(family);
}

static bool family_fill(mf_family *family, const mf_metric_options *options)
{
    static const char *const others[MF_METRIC_LABELS_MAX] = {
        MF_METRIC_OTHER, MF_METRIC_OTHER, MF_METRIC_OTHER, MF_METRIC_OTHER,
        MF_METRIC_OTHER, MF_METRIC_OTHER, MF_METRIC_OTHER, MF_METRIC_OTHER};
    family->type = options->type;
    family->label_count = options->label_count;
    family->max_series = options->max_series != 0 ? options->max_series : FAMILY_SERIES_DEFAULT;
    family->counter_factor = options->counter_factor > 0 ? options->counter_factor : 1;
    family->layout = mfi_layout_of(options->scale);
    family->name = strdup(options->name);
    family->name_size = strlen(options->name);
    family->help = strdup(options->help);
    family->unit = options->unit != NULL ? strdup(options->unit) : NULL;
    family->label_names = calloc(options->label_count + 1, sizeof *family->label_names);
    bool complete = family->name != NULL && family->help != NULL && family->label_names != NULL &&
                    (family->unit != NULL || options->unit == NULL);
    for (size_t i = 0; complete && i < options->label_count; i++) {
        family->label_names[i] = strdup(options->label_names[i]);
        complete = family->label_names[i] != NULL;
    }
    family->other = complete ? series_make(family, others) : NULL;
    return family->other != NULL;
}

bool mfi_family_keep_in(mf_family *family, void *segment)
{
    mfi_mutex_lock(&family->mutex);
    bool keeps = family->series == NULL && !family->other_used && family->segment == NULL;
    if (keeps) {
        /* Series beyond the cap count too. What the heap had for them was never used. */
        mfi_series other = *family->other;
        family->segment = segment;
        keeps = make_instrument(family, family->other);
        if (!keeps) {
            family->other->as = other.as;
            family->segment = NULL;
        }
    }
    mfi_mutex_unlock(&family->mutex);
    return keeps;
}

mf_family *mfi_family_make(mf_metrics *metrics, const mf_metric_options *options)
{
    mf_family *family = calloc(1, sizeof *family);
    if (family != NULL) {
        family->metrics = metrics;
        mfi_mutex_init(&family->mutex);
        if (!family_fill(family, options)) {
            mfi_family_free(family);
            family = NULL;
        }
    }
    return family;
}

void mfi_family_merge(mf_family *family, size_t label, const char *value, mfi_cells *ret_cells)
{
    mfi_mutex_lock(&family->mutex);
    for (mfi_series *at = family->series; at != NULL; at = at->next) {
        if (family->type == MF_METRIC_HISTOGRAM && strcmp(at->values[label], value) == 0) {
            mfi_histogram_merge(at->as.histogram, ret_cells);
        }
    }
    mfi_mutex_unlock(&family->mutex);
}

void mfi_family_count(mf_family *family, const char *first,
                      void (*visit)(const char *last, uint64_t count, void *user_data),
                      void *user_data)
{
    mfi_mutex_lock(&family->mutex);
    for (mfi_series *at = family->series; at != NULL; at = at->next) {
        if (family->type == MF_METRIC_COUNTER && strcmp(at->values[0], first) == 0) {
            visit(at->values[family->label_count - 1], mf_counter_value(&at->as.counter),
                  user_data);
        }
    }
    mfi_mutex_unlock(&family->mutex);
}
