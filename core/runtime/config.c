/* What a runtime knows of its configuration: which names its metrics have, and the fingerprint of
 * the options that are in force (multifrost_config_info). The fingerprint exists so that a query
 * finds processes of one job that were started with different options. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/str.h"
#include "core/runtime/runtime.h"
#include "core/transport/transport.h"

#define VARIABLE "COMLINK_METRIC_NAMES"

/* ---- Names of metrics ---- */

static mf_status from_environment(mf_metric_names *ret_names, mf_error *error)
{
    const char *text = getenv(VARIABLE); /* NOLINT: read once, at creation */
    if (text == NULL || text[0] == '\0' || strcmp(text, "native") == 0) {
        *ret_names = MF_METRIC_NAMES_NATIVE;
    } else if (strcmp(text, "otel") == 0) {
        *ret_names = MF_METRIC_NAMES_OTEL;
    } else {
        char shown[128];
        (void)mfi_str_copy_visible(shown, sizeof shown, text, strlen(text));
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        VARIABLE " is '%s'; it must be native or otel", shown);
    }
    return MF_OK;
}

mf_status mfi_runtime_pick_names(mf_runtime_options *options, mf_error *error)
{
    switch (options->metric_names) {
    case MF_METRIC_NAMES_DEFAULT:
        return from_environment(&options->metric_names, error);
    case MF_METRIC_NAMES_NATIVE:
    case MF_METRIC_NAMES_OTEL:
        return MF_OK;
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "metric_names %d is not known",
                    (int)options->metric_names);
}

/* ---- The fingerprint ---- */

/* The order of a list does not matter. */
static uint64_t list(const char *name, const char *const *texts)
{
    uint64_t sum = 0;
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        sum += mfi_fingerprint_text(MFI_FINGERPRINT_BEGIN, name, texts[i]);
    }
    return sum;
}

static uint64_t add_limits(uint64_t hash, const mfi_health_limits *limits)
{
    const double exact[] = {limits->response_seconds, limits->error_share, limits->queue_share,
                            limits->oldest_seconds};
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        hash = mfi_fingerprint_number(hash, "health", (int64_t)(exact[i] * 1e6));
    }
    hash = mfi_fingerprint_number(hash, "health_calls", (int64_t)limits->error_min_calls);
    return mfi_fingerprint_number(hash, "health_drops", (int64_t)limits->drops);
}

/* What differs between processes of one job on purpose is left out: the instance, the log file. */
void mfi_runtime_config_init(mf_runtime *runtime, const mf_runtime_options *options)
{
    uint64_t hash = MFI_FINGERPRINT_BEGIN;
    mf_transport transport = options->transport;
    if (transport == MF_TRANSPORT_DEFAULT) {
        (void)mfi_transport_from_environment(&transport,
                                             NULL); /* it was read before, and is good */
    }
    hash = mfi_fingerprint_text(hash, "service", runtime->service);
    hash = mfi_fingerprint_text(hash, "service_version", runtime->version);
    hash =
        mfi_fingerprint_text(hash, "service_namespace",
                             options->service_namespace != NULL ? options->service_namespace : "");
    hash = mfi_fingerprint_text(hash, "role", options->role != NULL ? options->role : "parent");
    hash = mfi_fingerprint_number(hash, "log_level", mf_log_get_level(runtime->logger));
    runtime->log_level = mf_log_get_level(runtime->logger);
    hash = mfi_fingerprint_number(hash, "log_sample_first", options->log_sample_first);
    hash = mfi_fingerprint_number(hash, "log_sample_thereafter", options->log_sample_thereafter);
    hash = mfi_fingerprint_number(hash, "transport", transport);
    hash = mfi_fingerprint_number(hash, "max_targets", options->max_targets);
    hash = mfi_fingerprint_number(hash, "metric_names", options->metric_names);
    hash = mfi_fingerprint_number(hash, "redact_value_bytes", options->redact_value_bytes);
    hash = mfi_fingerprint_number(hash, "no_segments", options->no_segments);
    hash = mfi_fingerprint_number(hash, "crashes_kept", options->crashes_kept);
    hash = mfi_fingerprint_number(hash, "recorder_bytes", options->recorder_bytes);
    hash = mfi_fingerprint_number(hash, "recorder_seconds", options->recorder_seconds);
    hash = add_limits(hash, &runtime->limits);
    hash = mfi_fingerprint_number(hash, "fault_injection", options->fault_injection);
    runtime->config = hash + list("required_targets", options->required_targets) +
                      list("redact_keys", options->redact_keys) +
                      list("baggage_keys", options->baggage_keys);
    mfi_runtime_show_config(runtime);
}

/* The order in which components were made does not matter to a sum. */
static uint64_t add_up_locked(const mf_runtime *runtime)
{
    uint64_t sum = runtime->config;
    mf_log_level level = mf_log_get_level(runtime->logger);
    if (level != runtime->log_level) {
        sum += mfi_fingerprint_number(MFI_FINGERPRINT_BEGIN, "log_level_now", level);
    }
    for (mfi_list_node *at = runtime->components.first; at != NULL; at = at->next) {
        const mfi_component *component = MFI_CONTAINER(at, mfi_component, node);
        /* Hashed once more, so that two equal components are not half of four. */
        sum +=
            mfi_fingerprint_number(MFI_FINGERPRINT_BEGIN, "component", (int64_t)component->config);
    }
    return sum;
}

/* With the mutex held, or before the runtime is shared. */
void mfi_runtime_show_config(mf_runtime *runtime)
{
    char hash[17];
    (void)mfi_str_format(hash, sizeof hash, "%016llx", (unsigned long long)add_up_locked(runtime));
    mfi_observe_config(runtime->observer, hash);
}

void mfi_runtime_config_changed(mf_runtime *runtime)
{
    mfi_mutex_lock(&runtime->mutex);
    mfi_runtime_show_config(runtime);
    mfi_mutex_unlock(&runtime->mutex);
}
