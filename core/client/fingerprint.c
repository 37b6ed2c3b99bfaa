/* The fingerprint of a parent's options, for multifrost_config_info. It has all that changes how
 * calls behave. It leaves out what is secret or differs between machines on purpose: the
 * environment, arguments, and paths of the program, of its folder and of the registry. */
#include "base/fingerprint.h"
#include "core/client/options.h"

/* In billionths, because a fingerprint takes whole numbers. */
static uint64_t add_ratio(uint64_t hash, const char *name, double ratio)
{
    return mfi_fingerprint_number(hash, name, (int64_t)(ratio * 1e9 + 0.5));
}

static uint64_t add_rules(uint64_t hash, const mfi_window_rules *from)
{
    hash = add_ratio(hash, "circuit_failure_ratio", from->failure_ratio);
    hash = add_ratio(hash, "circuit_slow_ratio", from->slow_ratio);
    hash = mfi_fingerprint_number(hash, "circuit_slow_call_ms", from->slow_call_ms);
    hash = mfi_fingerprint_number(hash, "circuit_min_calls", from->min_calls);
    return mfi_fingerprint_number(hash, "circuit_window_calls", from->window_calls);
}

/* The rules on trial change no call, but what the metrics say of calls. */
static uint64_t add_trial(uint64_t hash, const mfi_parent_settings *from)
{
    hash = mfi_fingerprint_number(hash, "circuit_trial", from->has_trial);
    return from->has_trial ? add_rules(hash, &from->trial.rules) : hash;
}

static uint64_t add_circuit(uint64_t hash, const mfi_circuit_config *from)
{
    hash = mfi_fingerprint_number(hash, "circuit_failures", from->consecutive_failures);
    hash = mfi_fingerprint_number(hash, "circuit_disabled", from->disabled);
    hash = mfi_fingerprint_number(hash, "circuit_open_ms", from->open_ms);
    hash = mfi_fingerprint_number(hash, "circuit_open_max_ms", from->open_max_ms);
    return mfi_fingerprint_number(hash, "circuit_counts_remote_errors", from->count_remote_errors);
}

static uint64_t add_restarts(uint64_t hash, const mfi_restart_config *from)
{
    hash = mfi_fingerprint_number(hash, "max_restart_attempts", from->max_attempts);
    hash = mfi_fingerprint_number(hash, "restart_period_ms", from->period_ms);
    hash = mfi_fingerprint_number(hash, "restart_backoff_ms", from->backoff.first_ms);
    hash = mfi_fingerprint_number(hash, "restart_backoff_max_ms", from->backoff.most_ms);
    return mfi_fingerprint_number(hash, "restart_stable_ms", from->stable_ms);
}

static uint64_t add_times(uint64_t hash, const mfi_parent_settings *from)
{
    hash = mfi_fingerprint_number(hash, "call_timeout_ms", from->call_timeout_ms);
    hash = mfi_fingerprint_number(hash, "start_timeout_ms", from->start_timeout_ms);
    hash = mfi_fingerprint_number(hash, "stop_timeout_ms", from->stop_timeout_ms);
    hash = mfi_fingerprint_number(hash, "discovery_timeout_ms", from->discovery_timeout_ms);
    hash = mfi_fingerprint_number(hash, "discovery_poll_ms", from->discovery_poll_ms);
    hash = mfi_fingerprint_number(hash, "heartbeat_interval_ms", from->heartbeat_interval_ms);
    hash = mfi_fingerprint_number(hash, "heartbeat_timeout_ms", from->heartbeat_timeout_ms);
    hash = mfi_fingerprint_number(hash, "heartbeat_misses", from->heartbeat_misses);
    return mfi_fingerprint_number(hash, "handler_timeout_ms", from->handler_timeout_ms);
}

static uint64_t add_limits(uint64_t hash, const mfi_parent_settings *from)
{
    hash = mfi_fingerprint_number(hash, "max_in_flight", from->max_in_flight);
    hash = mfi_fingerprint_number(hash, "max_message_bytes", (int64_t)from->max_message_bytes);
    hash = mfi_fingerprint_number(hash, "max_queued_bytes", (int64_t)from->max_queued_bytes);
    hash = mfi_fingerprint_number(hash, "max_string_bytes", (int64_t)from->limits.string_bytes);
    return mfi_fingerprint_number(hash, "max_items", from->limits.items);
}

uint64_t mfi_parent_settings_fingerprint(const mfi_parent_settings *settings)
{
    uint64_t hash = mfi_fingerprint_text(MFI_FINGERPRINT_BEGIN, "parent", settings->target);
    hash = mfi_fingerprint_text(hash, "service_id", settings->service_id);
    hash = mfi_fingerprint_text(hash, "endpoint", settings->endpoint);
    hash = mfi_fingerprint_text(hash, "namespace_name", settings->namespace_name);
    hash = mfi_fingerprint_text(hash, "client_name", settings->client_name);
    hash = mfi_fingerprint_text(hash, "bind_address", settings->bind_address);
    hash = mfi_fingerprint_number(hash, "port", settings->port);
    hash = mfi_fingerprint_number(hash, "critical", settings->critical);
    hash = mfi_fingerprint_number(hash, "auto_restart", settings->auto_restart);
    hash = mfi_fingerprint_number(hash, "fail_fast", settings->fail_fast);
    hash = add_times(hash, settings);
    hash = add_limits(hash, settings);
    hash = add_circuit(hash, &settings->circuit);
    hash = add_trial(add_rules(hash, &settings->circuit.rules), settings);
    return add_restarts(hash, &settings->restart);
}
