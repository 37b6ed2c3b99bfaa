/* The observer: hands each report to metrics (observe_metrics.c) and to the log (observe_log.c). */
#include "core/observe/observe.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/observe/parts.h"
#include "logging/sampler.h"

mf_status mfi_observer_create(mfi_observer **ret_observer, mf_logger *logger, mf_metrics *metrics,
                              mf_error *error)
{
    mfi_observer *observer = calloc(1, sizeof *observer);
    if (observer == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an observer");
    }
    observer->logger = logger;
    observer->metrics = metrics;
    mfi_mutex_init(&observer->mutex);
    mf_status status = metrics != NULL ? mfi_families_add(observer, error) : MF_OK;
    if (status != MF_OK) {
        mfi_observer_destroy(observer);
        return status;
    }
    *ret_observer = observer;
    return MF_OK;
}

void mfi_observer_destroy(mfi_observer *observer)
{
    if (observer != NULL) {
        mfi_families_remove(observer);
        mfi_mutex_fini(&observer->mutex);
        free(observer);
    }
}

/* NULL stays NULL; false without memory. */
static bool copy_text(char **to, const char *text)
{
    *to = text != NULL ? strdup(text) : NULL;
    return text == NULL || *to != NULL;
}

static void list_target(mfi_target *target)
{
    mfi_observer *observer = target->observer;
    mfi_mutex_lock(&observer->mutex);
    mfi_target **at = &observer->targets;
    while (*at != NULL && strcmp((*at)->name, target->name) <= 0) {
        at = &(*at)->next;
    }
    target->next = *at;
    *at = target;
    mfi_mutex_unlock(&observer->mutex);
}

static void unlist_target(mfi_target *target)
{
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

mf_status mfi_target_create(mfi_target **ret_target, mfi_observer *observer,
                            const mfi_target_options *options, mf_error *error)
{
    mfi_target *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for target '%s'", options->target);
    }
    made->observer = observer;
    made->is_server = options->is_server;
    made->gauges = options->gauges;
    made->user_data = options->user_data;
    mfi_mutex_init(&made->mutex);
    if (!copy_text(&made->name, options->target) || !copy_text(&made->worker, options->worker) ||
        !copy_text(&made->circuit, options->circuit)) {
        mfi_target_destroy(made);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for target '%s'", options->target);
    }
    mfi_target_series_make(made);
    list_target(made);
    *ret_target = made;
    return MF_OK;
}

void mfi_target_destroy(mfi_target *target)
{
    if (target == NULL) {
        return;
    }
    unlist_target(target);
    mfi_target_series_end(target);
    for (size_t i = 0; i < MFI_FUNCTIONS_MAX; i++) {
        mfi_function *function = atomic_load_explicit(&target->functions[i], memory_order_relaxed);
        if (function != NULL) {
            free(function->name);
            free(function);
        }
    }
    mfi_mutex_fini(&target->mutex);
    free(target->name);
    free(target->worker);
    free(target->circuit);
    free(target);
}

/* ---- Functions ----
 *
 * A table that only grows: readers go through it without a lock, writers append under the mutex and
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
    memcpy(to, name, fits ? length : 0); /* it was zeroed */
    return fits;
}

static void name_function(const mfi_target *target, mfi_function *function)
{
    mfi_call_names *names = &function->names;
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

/* ---- Reports ---- */

void mfi_observe_call_begin(mfi_observer *observer, const mfi_span *span)
{
    mfi_measure_begin(span);
    mfi_log_call_begin(observer, span);
}

void mfi_observe_attempt(mfi_observer *observer, const mfi_span *span)
{
    (void)observer;
    mfi_measure_attempt(span);
}

void mfi_observe_call_end(mfi_observer *observer, const mfi_span *span, const mf_error *error)
{
    mfi_measure_end(span);
    mfi_log_call_end(observer, span, error);
}

void mfi_observe_refused(mfi_observer *observer, const mfi_span *span, const char *reason)
{
    (void)observer;
    mfi_measure_refused(span, reason);
}

void mfi_observe_retry(mfi_observer *observer, const mfi_span *span, mf_status status,
                       const mf_error *error, uint64_t wait_ms)
{
    mfi_log_retry(observer, span, status, error, wait_ms);
}

void mfi_observe_retry_suppressed(mfi_observer *observer, const mfi_span *span, const char *reason)
{
    (void)observer;
    mfi_measure_suppressed(span, reason);
}

void mfi_observe_service_changed(mfi_observer *observer, mfi_target *target,
                                 const mfi_service_event *event)
{
    mfi_log_service(observer, target, event);
}

void mfi_observe_drain(mfi_observer *observer, mfi_target *target, const mfi_drain_event *event)
{
    mfi_log_drain(observer, target, event);
}

void mfi_observe_circuit_changed(mfi_observer *observer, mfi_target *target,
                                 const mfi_circuit_event *event)
{
    mfi_measure_circuit(target, event);
    mfi_log_circuit(observer, target, event);
}

void mfi_observe_process_changed(mfi_observer *observer, mfi_target *target,
                                 const mfi_process_event *event)
{
    mfi_measure_process(target, event);
    mfi_log_process(observer, target, event);
}

void mfi_observe_heartbeat_seen(mfi_observer *observer, mfi_target *target,
                                const mfi_heartbeat_event *event)
{
    mfi_measure_heartbeat(target, event);
    mfi_log_heartbeat(observer, target, event);
}

void mfi_observe_transport_event(mfi_observer *observer, mfi_target *target,
                                 const mfi_transport_event *event)
{
    mfi_measure_transport(target, event);
    mfi_log_transport(observer, target, event);
}

void mfi_observe_health_changed(mfi_observer *observer, const char *check, mf_health from,
                                mf_health to, const char *output)
{
    mfi_log_health(observer, check, from, to, output);
}
