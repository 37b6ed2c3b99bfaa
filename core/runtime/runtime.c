/* mf_runtime: makes and frees what parents and children share. It exists so that these parts are
 * made in the order of their dependence, and freed in reverse. */
#include "core/runtime/runtime.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "core/observe/build_info.h"
#include "core/observe/crashes.h"
#include "core/process/descriptors.h"
#include "core/transport/transport.h"
#include "logging/environment.h"
#include "metrics/process_metrics.h"
#include "metrics/segment.h"

#define MAX_TARGETS_DEFAULT 64
#define MAX_TARGETS_MOST 4096
#define CRASHES_KEPT_MOST 1024
#define BAGGAGE_KEYS_MOST 64u
#define BAGGAGE_KEY_MOST_BYTES 128u

static void on_late(void *user_data, uint64_t lag_ns)
{
    const mf_runtime *runtime = user_data;
    if (runtime->observer != NULL) {
        mfi_observe_loop_lag(runtime->observer, lag_ns);
    }
}

static void runtime_free(mf_runtime *runtime)
{
    mfi_runtime_forget_left(runtime);
    mfi_segment *segment = mfi_observer_segment(runtime->observer);
    mfi_loop_destroy(runtime->loop);
    mfi_engine_probe_fini(runtime);
    mfi_observer_destroy(runtime->observer);
    if (runtime->messaging != NULL) {
        runtime->messaging->destroy(runtime->messaging);
    }
    mf_logger_destroy(runtime->logger);
    mf_metrics_destroy(runtime->metrics);
    mfi_segment_detach(segment);
    mfi_mutex_fini(&runtime->mutex);
    free(runtime->service);
    free(runtime->version);
    free(runtime->instance);
    free((void *)runtime->baggage_keys);
    free(runtime);
}

static mf_status make_logger(mf_runtime *runtime, const mf_runtime_options *options,
                             mf_error *error)
{
    mf_log_options log = {.struct_size = sizeof log,
                          .level = options->log_level,
                          .service = options->service,
                          .instance = options->instance,
                          .role = options->role,
                          .log_sample_first = options->log_sample_first,
                          .log_sample_thereafter = options->log_sample_thereafter,
                          .redact_keys = options->redact_keys,
                          .redact_value_bytes = options->redact_value_bytes};
    mf_status status = mf_logger_create(&runtime->logger, &log, error);
    if (status == MF_OK && options->log_file != NULL) {
        status = mf_log_add_file(runtime->logger, options->log_file, MF_LOG_JSON, error);
    }
    if (status == MF_OK) {
        status = mfi_log_add_from_environment(runtime->logger, error);
    }
    return status;
}

static mf_status make_names(mf_runtime *runtime, const mf_runtime_options *options, mf_error *error)
{
    char instance[128];
    mfi_build_instance(instance, sizeof instance);
    runtime->service = strdup(options->service != NULL ? options->service : mfi_build_program());
    runtime->version = strdup(options->service_version != NULL ? options->service_version : "");
    runtime->instance = strdup(options->instance != NULL ? options->instance : instance);
    if (runtime->service == NULL || runtime->version == NULL || runtime->instance == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a runtime's names");
    }
    return MF_OK;
}

static mf_status make_metrics(mf_runtime *runtime, const mf_runtime_options *options,
                              mf_error *error)
{
    mf_status status = mf_metrics_create(&runtime->metrics, NULL, error);
    if (status == MF_OK) {
        const char *space = options->service_namespace != NULL ? options->service_namespace : "";
        status = mfi_build_info_add(runtime->metrics, runtime->service, runtime->version,
                                    runtime->instance, space, error);
    }
    if (status == MF_OK) {
        status = mfi_metrics_add_process(runtime->metrics, error);
    }
    if (status == MF_OK) {
        status = mfi_observer_create_named(
            &runtime->observer, runtime->logger, options->no_metrics ? NULL : runtime->metrics,
            (size_t)options->max_targets, options->metric_names == MF_METRIC_NAMES_OTEL, error);
    }
    if (status == MF_OK) {
        mfi_observer_pass_spans(runtime->observer, &options->span_observer);
    }
    if (status == MF_OK) {
        mfi_observer_keep_crashes(runtime->observer, (size_t)options->crashes_kept);
    }
    return status;
}

static mf_status make_recorder(mf_runtime *runtime, const mf_runtime_options *options,
                               mf_error *error)
{
    mfi_recorder *recorder = NULL;
    if (options->recorder_bytes == MF_DISABLED) {
        return MF_OK;
    }
    mf_status status =
        mfi_recorder_create(&recorder, (size_t)options->recorder_bytes,
                            (uint64_t)options->recorder_seconds * MFI_NS_PER_S, error);
    if (status == MF_OK) {
        mfi_observer_record(runtime->observer, recorder);
    }
    return status;
}

static mf_status keep_baggage_keys(mf_runtime *runtime, const char *const *keys, mf_error *error)
{
    size_t count = 0;
    size_t bytes = 0;
    for (; keys != NULL && keys[count] != NULL; count++) {
        size_t length = strlen(keys[count]);
        if (length > BAGGAGE_KEY_MOST_BYTES || !mfi_token_valid(keys[count], length)) {
            char shown[64];
            (void)mfi_str_copy_visible(shown, sizeof shown, keys[count], length);
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "baggage_keys: '%s' is no token of 1 to %u bytes", shown,
                            BAGGAGE_KEY_MOST_BYTES);
        }
        bytes += length + 1;
        if (count == BAGGAGE_KEYS_MOST) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "baggage_keys has more than %u keys",
                            BAGGAGE_KEYS_MOST);
        }
    }
    if (count == 0) {
        return MF_OK;
    }
    const char **copy = calloc(1, (count + 1) * sizeof *copy + bytes);
    if (copy == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for baggage_keys");
    }
    char *text = (char *)(copy + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(keys[i]) + 1;
        memcpy(text, keys[i], size);
        copy[i] = text;
        text += size;
    }
    runtime->baggage_keys = copy;
    return MF_OK;
}

static mf_status check_options(const mf_runtime_options *from, mf_error *error)
{
    if (from->role != NULL && strcmp(from->role, "parent") != 0 &&
        strcmp(from->role, "child") != 0) {
        char role[32];
        (void)mfi_str_copy_visible(role, sizeof role, from->role, strlen(from->role));
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "role must be parent or child, not '%s'",
                        role);
    }
    if (from->recorder_bytes != 0 && from->recorder_bytes != MF_DISABLED &&
        (from->recorder_bytes < (int64_t)MFI_RECORDER_BYTES_LEAST ||
         from->recorder_bytes > (int64_t)MFI_RECORDER_BYTES_MOST)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "recorder_bytes must be %zu to %zu, or MF_DISABLED, not %lld",
                        MFI_RECORDER_BYTES_LEAST, MFI_RECORDER_BYTES_MOST,
                        (long long)from->recorder_bytes);
    }
    if (from->recorder_seconds < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "recorder_seconds must not be negative");
    }
    if (from->max_targets < 0 || from->max_targets > MAX_TARGETS_MOST) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "max_targets must be 1 to %d, not %d",
                        MAX_TARGETS_MOST, (int)from->max_targets);
    }
    if (from->crashes_kept < 0 || from->crashes_kept > CRASHES_KEPT_MOST) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "crashes_kept must be 1 to %d, not %d",
                        CRASHES_KEPT_MOST, (int)from->crashes_kept);
    }
    return MF_OK;
}

/* What was left at zero takes its default. */
static mf_status fill_options(mf_runtime_options *from, mf_error *error)
{
    from->max_targets = from->max_targets != 0 ? from->max_targets : MAX_TARGETS_DEFAULT;
    from->crashes_kept = from->crashes_kept != 0 ? from->crashes_kept : MFI_CRASHES_KEPT;
    from->recorder_bytes =
        from->recorder_bytes != 0 ? from->recorder_bytes : (int64_t)MFI_RECORDER_BYTES_DEFAULT;
    from->recorder_seconds =
        from->recorder_seconds != 0 ? from->recorder_seconds : MFI_RECORDER_SECONDS_DEFAULT;
    return mfi_runtime_pick_names(from, error);
}

/* In the order of their dependence. */
static mf_status make_parts(mf_runtime *runtime, const mf_runtime_options *options, mf_error *error)
{
    mf_status status = mfi_health_limits_fill(&runtime->limits, options->health, error);
    if (status == MF_OK) {
        status = make_names(runtime, options, error);
    }
    if (status == MF_OK) {
        status = keep_baggage_keys(runtime, options->baggage_keys, error);
    }
    if (status == MF_OK) {
        status = make_logger(runtime, options, error);
    }
    if (status == MF_OK) {
        status = make_metrics(runtime, options, error);
    }
    if (status == MF_OK) {
        status = make_recorder(runtime, options, error);
    }
    if (status == MF_OK) {
        status = mfi_messaging_create(&runtime->messaging, options->transport, error);
    }
    if (status == MF_OK) {
        status = mfi_loop_create(&runtime->loop, runtime->clock, on_late, runtime, error);
    }
    if (status == MF_OK) {
        status = mfi_engine_probe_init(runtime, options->required_targets, error);
    }
    if (status == MF_OK) {
        mfi_runtime_config_init(runtime, options);
        status = options->systemd ? mfi_systemd_start(runtime, error) : MF_OK;
    }
    return status;
}

mf_status mf_runtime_create(mf_runtime **ret_runtime, const mf_runtime_options *options,
                            mf_error *error)
{
    mf_runtime_options from;
    if (ret_runtime == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_runtime is NULL");
    }
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_runtime_options", error);
    if (status != MF_OK) {
        return status;
    }
    status = check_options(&from, error);
    if (status == MF_OK) {
        status = fill_options(&from, error);
    }
    if (status != MF_OK) {
        return status;
    }
    mf_runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a runtime");
    }
    atomic_init(&runtime->references, 1);
    runtime->fork_generation = mfi_fork_generation();
    runtime->makes_segments = !from.no_segments;
    runtime->fault_injection = from.fault_injection;
    runtime->clock = mfi_clock_system();
    runtime->started_ns = mfi_monotonic_ns();
    mfi_mutex_init(&runtime->mutex);
    mfi_descriptors_fill_standard(); /* before anything is opened */
    status = make_parts(runtime, &from, error);
    if (status != MF_OK) {
        runtime_free(runtime);
        return status;
    }
    *ret_runtime = runtime;
    return MF_OK;
}

mf_status mfi_runtime_check(const mf_runtime *runtime, mf_error *error)
{
    if (runtime->fork_generation != mfi_fork_generation()) {
        return mfi_fail(error, MF_ERR_FORKED,
                        "this runtime belongs to the process that forked: make a new one");
    }
    return MF_OK;
}

void mfi_runtime_unref(mf_runtime *runtime)
{
    if (runtime != NULL && mfi_runtime_check(runtime, NULL) == MF_OK &&
        atomic_fetch_sub_explicit(&runtime->references, 1, memory_order_acq_rel) == 1) {
        runtime_free(runtime);
    }
}

void mf_runtime_destroy(mf_runtime *runtime)
{
    if (runtime != NULL && mfi_runtime_check(runtime, NULL) == MF_OK) {
        mfi_systemd_stop(runtime);
    }
    mfi_runtime_unref(runtime);
}

mf_status mfi_runtime_use(mf_runtime **ret_runtime, mf_runtime *runtime, const char *role,
                          mf_error *error)
{
    if (runtime == NULL) {
        mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
        options.role = role;
        return mf_runtime_create(ret_runtime, &options, error);
    }
    mf_status status = mfi_runtime_check(runtime, error);
    if (status == MF_OK) {
        atomic_fetch_add_explicit(&runtime->references, 1, memory_order_relaxed);
        *ret_runtime = runtime;
    }
    return status;
}

mf_logger *mf_runtime_logger(mf_runtime *runtime)
{
    return runtime != NULL ? runtime->logger : NULL;
}

mf_metrics *mf_runtime_metrics(mf_runtime *runtime)
{
    return runtime != NULL ? runtime->metrics : NULL;
}

const mf_probe *mf_runtime_probe(mf_runtime *runtime)
{
    return runtime != NULL ? &runtime->probe : NULL;
}

void mfi_runtime_watch_components(mf_runtime *runtime, void (*changed)(void *user_data),
                                  void *user_data)
{
    mfi_mutex_lock(&runtime->mutex);
    runtime->changed = changed;
    runtime->changed_data = user_data;
    mfi_mutex_unlock(&runtime->mutex);
}

static void tell_change_locked(mf_runtime *runtime)
{
    if (runtime->changed != NULL) {
        runtime->changed(runtime->changed_data);
    }
}

void mfi_runtime_tell_change(mf_runtime *runtime)
{
    mfi_mutex_lock(&runtime->mutex);
    tell_change_locked(runtime);
    mfi_mutex_unlock(&runtime->mutex);
}

void mfi_runtime_add_component(mf_runtime *runtime, mfi_component *component)
{
    mfi_mutex_lock(&runtime->mutex);
    mfi_list_node *at = runtime->components.first;
    while (at != NULL &&
           strcmp(MFI_CONTAINER(at, mfi_component, node)->target, component->target) <= 0) {
        at = at->next;
    }
    mfi_list_insert(&runtime->components, at, &component->node);
    runtime->component_added_ns = mfi_monotonic_ns();
    mfi_runtime_show_config(runtime);
    tell_change_locked(runtime);
    mfi_mutex_unlock(&runtime->mutex);
}

void mfi_runtime_remove_component(mf_runtime *runtime, mfi_component *component)
{
    mfi_mutex_lock(&runtime->mutex);
    mfi_list_remove(&runtime->components, &component->node);
    mfi_runtime_show_config(runtime);
    tell_change_locked(runtime);
    mfi_mutex_unlock(&runtime->mutex);
}

/* Under the mutex, so that no component is freed meanwhile. The engine thread may wait for the
 * mutex, so no component waits for the engine thread here. */
void mfi_runtime_command(mf_runtime *runtime, const mfi_command *command, mfi_command_seen_fn seen,
                         void *user_data)
{
    mfi_mutex_lock(&runtime->mutex);
    for (mfi_list_node *node = runtime->components.first; node != NULL; node = node->next) {
        const mfi_component *at = MFI_CONTAINER(node, mfi_component, node);
        if (at->command != NULL) {
            at->command(at->self, command, seen, user_data);
        }
    }
    mfi_mutex_unlock(&runtime->mutex);
}

static int compare_places(const mfi_place *a, const char *target, uint32_t index)
{
    int order = strcmp(a->target, target);
    return order != 0 ? order : (a->index > index) - (a->index < index);
}

void mfi_runtime_take_place(mf_runtime *runtime, mfi_place *place, const char *target)
{
    place->target = target;
    place->index = 0;
    place->taken = true;
    mfi_mutex_lock(&runtime->mutex);
    mfi_list_node *at = runtime->places.first;
    for (; at != NULL; at = at->next) {
        int order = compare_places(MFI_CONTAINER(at, mfi_place, node), target, place->index);
        if (order > 0) {
            break;
        }
        place->index += order == 0;
    }
    mfi_list_insert(&runtime->places, at, &place->node);
    mfi_mutex_unlock(&runtime->mutex);
}

void mfi_runtime_leave_place(mf_runtime *runtime, mfi_place *place)
{
    if (place->taken) {
        mfi_mutex_lock(&runtime->mutex);
        mfi_list_remove(&runtime->places, &place->node);
        mfi_mutex_unlock(&runtime->mutex);
        place->taken = false;
    }
}
