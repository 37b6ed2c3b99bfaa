/* The figures of a parent that users read. It exists so that all of them are gathered in one place.
 */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/parent.h"

int64_t mf_parent_pid(mf_parent *parent)
{
    return parent != NULL ? atomic_load_explicit(&parent->state.pid, memory_order_relaxed) : 0;
}

size_t mf_parent_last_exit(mf_parent *parent, char *to, size_t size)
{
    if (parent == NULL || to == NULL || size == 0) {
        return 0;
    }
    mfi_mutex_lock(&parent->state.mutex);
    size_t length = mfi_str_copy(to, size, parent->state.last_exit_text);
    mfi_mutex_unlock(&parent->state.mutex);
    return length;
}

size_t mf_parent_endpoint(mf_parent *parent, char *to, size_t size)
{
    if (parent == NULL || to == NULL || size == 0) {
        return 0;
    }
    mfi_mutex_lock(&parent->state.mutex);
    size_t length = mfi_str_copy(to, size, parent->state.endpoint);
    mfi_mutex_unlock(&parent->state.mutex);
    return length;
}

const char *mf_parent_circuit_state(mf_parent *parent)
{
    return parent != NULL ? mfi_circuit_state_word(mfi_circuit_get_state(&parent->state.circuit))
                          : mfi_circuit_state_word(MFI_CIRCUIT_DISABLED);
}

static uint64_t load(const _Atomic(uint64_t) *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static uint64_t as_ns(double seconds)
{
    return seconds > 0 ? (uint64_t)(seconds * (double)MFI_NS_PER_S) : 0; /* NaN gives 0 */
}

static void read_restarts(mf_parent *parent, mf_parent_stats *stats)
{
    uint64_t now = mfi_monotonic_ns();
    mfi_mutex_lock(&parent->state.mutex);
    stats->restarts = parent->state.restarts;
    stats->restart_attempts = parent->state.restart.row;
    stats->restarts_in_period = mfi_restart_in_period(&parent->state.restart, now);
    stats->restart_in_ms =
        parent->state.restart_at_ns > now ? (parent->state.restart_at_ns - now) / MFI_NS_PER_MS : 0;
    stats->last_exit_code = parent->state.last_exit.code;
    stats->last_exit_signal = parent->state.last_exit.signal;
    mfi_mutex_unlock(&parent->state.mutex);
}

static void read_latency(mf_parent *parent, mf_parent_stats *stats)
{
    mfi_latency all;
    mfi_latency recent;
    mfi_target_read(parent->state.observed, &all, &recent);
    stats->p50_ns = as_ns(all.p50);
    stats->p95_ns = as_ns(all.p95);
    stats->p99_ns = as_ns(all.p99);
    stats->mean_ns = as_ns(all.mean);
    stats->min_ns = as_ns(all.least);
    stats->max_ns = as_ns(all.most);
    stats->recent_calls = recent.count;
    stats->recent_p50_ns = as_ns(recent.p50);
    stats->recent_p95_ns = as_ns(recent.p95);
    stats->recent_p99_ns = as_ns(recent.p99);
    stats->recent_mean_ns = as_ns(recent.mean);
    stats->recent_min_ns = as_ns(recent.least);
    stats->recent_max_ns = as_ns(recent.most);
}

mf_status mf_parent_read_stats(mf_parent *parent, mf_parent_stats *ret_stats, mf_error *error)
{
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mfi_circuit_snapshot circuit;
    mfi_circuit_snapshot trial;
    if (parent == NULL || ret_stats == NULL || ret_stats->struct_size < sizeof(size_t) ||
        ret_stats->struct_size > sizeof stats) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "parent must not be NULL, ret_stats set by MF_PARENT_STATS_INIT");
    }
    mfi_circuit_read(&parent->state.circuit, &circuit);
    mfi_circuit_read(&parent->state.trial, &trial);
    stats.struct_size = ret_stats->struct_size;
    stats.calls_failed = load(&parent->calls.failed);
    stats.calls_total = load(&parent->calls.finished);
    stats.success_ratio =
        stats.calls_total > 0 ? 1.0 - (double)stats.calls_failed / (double)stats.calls_total : 1.0;
    stats.calls_in_flight = atomic_load_explicit(&parent->calls.open, memory_order_relaxed);
    read_latency(parent, &stats);
    stats.circuit_trips = circuit.trips;
    stats.consecutive_failures = circuit.failures;
    stats.circuit_failure_ratio = circuit.ratios.failure;
    stats.circuit_slow_ratio = circuit.ratios.slow;
    stats.circuit_trial_refusals = trial.refused_total;
    stats.heartbeat_rtt_ns = load(&parent->heartbeat.rtt_ns);
    stats.heartbeat_misses = load(&parent->heartbeat.misses);
    stats.late_replies = load(&parent->calls.late_replies);
    stats.retries = load(&parent->calls.retries_made);
    stats.frozen = mfi_parent_is_frozen(parent);
    stats.says_busy = atomic_load_explicit(&parent->calls.signs.says_busy, memory_order_relaxed);
    stats.handler_ms = load(&parent->calls.signs.busy_ms);
    stats.handler_queue = load(&parent->calls.signs.queue_length);
    stats.says_load = atomic_load_explicit(&parent->calls.signs.says_load, memory_order_relaxed);
    stats.load = atomic_load_explicit(&parent->calls.signs.load, memory_order_relaxed);
    read_restarts(parent, &stats);
    memcpy(ret_stats, &stats, stats.struct_size);
    return MF_OK;
}
