/* Targets and functions: the handles that every report names. They are made once, and found without
 * a lock, so that a call costs no search. Their figures are read back here too. */
#include "core/observe/targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/observe/parts.h"
#include "logging/sampler.h"
#include "metrics/metric_set.h"

/* ---- Targets ---- */

/* Copies a text; NULL stays NULL. False without memory. */
static bool copy_text(char **to, const char *text)
{
    *to = text != NULL ? strdup(text) : NULL;
    return text == NULL || *to != NULL;
}

/* Targets of one side and name stand together, in the order of their creation. */
static bool comes_after(const mfi_target *at, const mfi_target *target)
{
    return at->is_server != target->is_server ? at->is_server : strcmp(at->name, target->name) > 0;
}

static void list_target(mfi_target *target)
{
    mfi_observer *observer = target->observer;
    mfi_mutex_lock(&observer->mutex);
    mfi_target **at = &observer->targets;
    while (*at != NULL && !comes_after(*at, target)) {
        at = &(*at)->next;
    }
    target->next = *at;
    *at = target;
    mfi_mutex_unlock(&observer->mutex);
}

void mfi_target_hide(mfi_target *target)
{
    if (target == NULL) {
        return;
    }
    mfi_observer *observer = target->observer;
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target **at = &observer->targets; *at != NULL; at = &(*at)->next) {
        if (*at == target) {
            *at = target->next;
            break;
        }
    }
    mfi_mutex_unlock(&observer->mutex);
}

static void free_target(mfi_target *target)
{
    mfi_segments_free(target);
    mfi_mutex_fini(&target->mutex);
    free(target->name);
    free(target->worker);
    free(target);
}

static bool take_owner(mfi_target *target)
{
    mfi_observer *observer = target->observer;
    if (observer->metrics == NULL) {
        return true;
    }
    mfi_mutex_lock(&observer->mutex);
    target->owner = mfi_owner_take_locked(observer, target->name);
    mfi_mutex_unlock(&observer->mutex);
    bool counted = target->owner != NULL && target->owner->counted;
    target->label = counted ? target->name : MF_METRIC_OTHER;
    target->worker_label = counted ? target->worker : MF_METRIC_OTHER;
    return target->owner != NULL;
}

static void leave_owner(mfi_target *target)
{
    if (target->owner != NULL) {
        mfi_mutex_lock(&target->observer->mutex);
        mfi_owner_leave_locked(target->observer, target->owner);
        mfi_mutex_unlock(&target->observer->mutex);
    }
}

/* Makes a target. Collections do not see it yet. */
static mfi_target *make_target(mfi_observer *observer, const char *name, const char *worker,
                               void *user_data)
{
    mfi_target *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->observer = observer;
    made->user_data = user_data;
    mfi_mutex_init(&made->mutex);
    if (!copy_text(&made->name, name) || !copy_text(&made->worker, worker) || !take_owner(made)) {
        free_target(made);
        return NULL;
    }
    return made;
}

/* The target is complete: its series are made, and the next collection shows it. */
static void open_target(mfi_target *target)
{
    mfi_target_series_make(target);
    list_target(target);
    mfi_slo_mark(target, &target->other);
}

mf_status mfi_target_create_client(mfi_target **ret_target, mfi_observer *observer,
                                   const mfi_client_options *options, mf_error *error)
{
    mfi_target *made = make_target(observer, options->target, options->worker, options->user_data);
    if (made == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for target '%s'", options->target);
    }
    made->client_gauges = options->gauges;
    open_target(made);
    *ret_target = made;
    return MF_OK;
}

mf_status mfi_target_create_server(mfi_target **ret_target, mfi_observer *observer,
                                   const mfi_server_options *options, mf_error *error)
{
    mfi_target *made = make_target(observer, options->worker, NULL, options->user_data);
    if (made == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for target '%s'", options->worker);
    }
    made->is_server = true;
    mfi_observer_attach(observer, options->segment_fd, options->handlers);
    made->server_gauges = options->gauges;
    open_target(made);
    *ret_target = made;
    return MF_OK;
}

void mfi_target_started_by(mfi_target *target, const mf_context *start)
{
    target->started_by = *start;
}

void mfi_target_destroy(mfi_target *target)
{
    if (target == NULL) {
        return;
    }
    mfi_target_end_segment(target);
    mfi_target_hide(target);
    mfi_target_series_end(target);
    leave_owner(target);
    for (size_t i = 0; i < MFI_FUNCTIONS_MAX; i++) {
        mfi_function *function = atomic_load_explicit(&target->functions[i], memory_order_relaxed);
        if (function != NULL) {
            free(function->name);
            free(function);
        }
    }
    free_target(target);
}

/* ---- Functions ----
 *
 * The table only grows. Readers search it without a lock. Writers append under the mutex and
 * publish with release. */

static mfi_function *find(mfi_target *target, const char *name, size_t length)
{
    for (size_t i = 0; i < MFI_FUNCTIONS_MAX; i++) {
        mfi_function *function = atomic_load_explicit(&target->functions[i], memory_order_acquire);
        if (function == NULL) {
            return NULL;
        }
        if (function->length == length && memcmp(function->name, name, length) == 0) {
            return function;
        }
    }
    return NULL;
}

static bool copy_name(char to[MFI_CALL_NAME_MAX], const char *name)
{
    size_t length = strlen(name);
    bool fits = length > 0 && length < MFI_CALL_NAME_MAX;
    memcpy(to, name, fits ? length : 0); /* the buffer was zeroed before */
    return fits;
}

static void name_function(const mfi_target *target, mfi_function *function)
{
    mfi_call_names *names = &function->names;
    if (target->observer->recorder != NULL) {
        mfi_recorder_name(target->observer->recorder, &function->recorded,
                          target->is_server ? NULL : target->name,
                          target->is_server ? target->name : target->worker, function->name);
    }
    function->has_names = copy_name(names->target, target->name) &&
                          copy_name(names->function, function->name) &&
                          (target->worker == NULL || copy_name(names->worker, target->worker));
}

static mfi_function *add_locked(mfi_target *target, const char *name, size_t length)
{
    size_t at = 0;
    while (at < MFI_FUNCTIONS_MAX &&
           atomic_load_explicit(&target->functions[at], memory_order_relaxed) != NULL) {
        at++;
    }
    mfi_function *function = at < MFI_FUNCTIONS_MAX ? calloc(1, sizeof *function) : NULL;
    if (function == NULL) {
        return NULL;
    }
    function->name = strndup(name, length);
    function->length = length;
    if (function->name == NULL) {
        free(function);
        return NULL;
    }
    function->log_key = mfi_sampler_key(name, length);
    name_function(target, function);
    mfi_function_series_make(target, function, function->name);
    atomic_store_explicit(&target->functions[at], function, memory_order_release);
    mfi_slo_mark(target, function);
    return function;
}

mfi_function *mfi_target_function(mfi_target *target, const char *name, size_t length)
{
    mfi_function *function = name != NULL ? find(target, name, length) : NULL;
    if (function == NULL && name != NULL &&
        atomic_load_explicit(&target->functions[MFI_FUNCTIONS_MAX - 1], memory_order_acquire) ==
            NULL) {
        mfi_mutex_lock(&target->mutex);
        function = find(target, name, length);
        if (function == NULL) {
            function = add_locked(target, name, length);
        }
        mfi_mutex_unlock(&target->mutex);
    }
    return function != NULL ? function : &target->other;
}

bool mfi_target_prepare(mfi_target *target, const char *name)
{
    return mfi_target_function(target, name, strlen(name)) != &target->other;
}

const char *mfi_function_name(const mfi_function *function)
{
    return function->name;
}

/* ---- Reading back ---- */

static void read_latency(const mfi_cells *cells, mfi_latency *ret_latency)
{
    mfi_cells_range range;
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    mfi_cells_range_of(cells, layout, &range);
    *ret_latency = (mfi_latency){.count = cells->count,
                                 .mean = range.mean,
                                 .least = range.least,
                                 .most = range.most,
                                 .p50 = mfi_cells_quantile(cells, layout, 0.5),
                                 .p95 = mfi_cells_quantile(cells, layout, 0.95),
                                 .p99 = mfi_cells_quantile(cells, layout, 0.99)};
}

/* False of a worker, and where `_OTHER` has the series. */
static bool has_latency(const mfi_target *target)
{
    return target->measured && target->owner->counted && target->window != NULL;
}

void mfi_target_read(mfi_target *target, mfi_latency *ret_all, mfi_latency *ret_recent)
{
    mfi_cells all = {0};
    mfi_cells recent = {0};
    uint64_t total = 0;
    if (has_latency(target)) {
        mfi_family_merge(target->observer->families.call_duration, 0, target->label, &all);
        mfi_window_merge(target->window, &recent, &total);
    }
    read_latency(&all, ret_all);
    read_latency(&recent, ret_recent);
}

static uint64_t count_ended(const mfi_function *function, mfi_call_status status)
{
    const mf_counter *counter =
        atomic_load_explicit(&function->ended[status], memory_order_acquire);
    return counter != NULL ? mf_counter_value(counter) : 0;
}

static bool read_runs(const mfi_function *function, mfi_function_runs *ret_runs)
{
    mfi_cells cells = {0};
    mf_distribution all = MF_DISTRIBUTION_INIT;
    ret_runs->calls = 0;
    for (size_t i = 0; i < MFI_STATUS_COUNT; i++) {
        ret_runs->calls += count_ended(function, (mfi_call_status)i);
    }
    ret_runs->errors = ret_runs->calls - count_ended(function, MFI_STATUS_OK);
    mfi_durations_merge(function, &cells);
    mfi_cells_summarise(&cells, mfi_layout_of(MF_SCALE_DURATION), &all);
    ret_runs->name = function->name;
    ret_runs->p50 = all.p50;
    ret_runs->p95 = all.p95;
    ret_runs->p99 = all.p99;
    return ret_runs->calls != 0;
}

void mfi_target_visit_runs(mfi_target *target,
                           void (*visit)(const mfi_function_runs *runs, void *user_data),
                           void *user_data)
{
    mfi_function_runs runs;
    for (size_t i = 0; target->measured && i <= MFI_FUNCTIONS_MAX; i++) {
        const mfi_function *function =
            i < MFI_FUNCTIONS_MAX
                ? atomic_load_explicit(&target->functions[i], memory_order_acquire)
                : &target->other;
        if (function != NULL && read_runs(function, &runs)) {
            visit(&runs, user_data);
        }
    }
}
