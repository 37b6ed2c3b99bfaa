/* What is recorded, and when. */
#include <string.h>

#include "base/clock.h"
#include "core/observe/parts.h"
#include "metrics/instruments.h"

/* The closed set of call statuses; a status word is the index into a function's counters. */
static const char *const status_words[MFI_STATUS_WORDS] = {
    "ok",          "app_error",      "function_not_found", "invalid_argument",
    "timeout",     "cancelled",      "circuit_open",       "rejected",
    "unavailable", "worker_crashed", "protocol_error",     "internal"};

static size_t status_index(mf_status status)
{
    const char *word = mf_err_status(status);
    size_t index = 0;
    while (index + 1 < MFI_STATUS_WORDS && strcmp(status_words[index], word) != 0) {
        index++;
    }
    return index;
}

static mf_counter *ended_counter(const mfi_target *target, mfi_function *function, mf_status status)
{
    size_t index = status == MF_OK ? 0 : status_index(status);
    _Atomic(mf_counter *) *place = &function->ended[index];
    mf_counter *counter = atomic_load_explicit(place, memory_order_acquire);
    if (counter == NULL) {
        const mfi_families *families = &target->observer->families;
        const char *labels[] = {target->name,
                                function->name != NULL ? function->name : MF_METRIC_OTHER,
                                status_words[index]};
        counter =
            mf_family_counter(target->is_server ? families->server_calls : families->calls, labels);
        atomic_store_explicit(place, counter, memory_order_release);
    }
    return counter;
}

void mfi_measure_begin(const mfi_span *span)
{
    if (span->target->measured) {
        mf_counter_add(span->function->started, 1);
    }
}

void mfi_measure_attempt(const mfi_span *span)
{
    if (span->target->measured) {
        unsigned shard = mfi_shard_index();
        mfi_counter_add_at(span->attempt > 1 ? span->target->attempts_retry
                                             : span->target->attempts_first,
                           shard, 1);
        mfi_histogram_record_at(span->target->request_size, shard, span->request_bytes);
    }
}

void mfi_measure_refused(const mfi_span *span, const char *reason)
{
    const char *labels[] = {span->target->name, reason};
    if (span->target->measured) {
        mf_counter_add(mf_family_counter(span->target->observer->families.refused, labels), 1);
    }
}

void mfi_measure_suppressed(const mfi_span *span, const char *reason)
{
    const char *labels[] = {span->target->name, reason};
    if (span->target->measured) {
        mf_counter_add(
            mf_family_counter(span->target->observer->families.retries_suppressed, labels), 1);
    }
}

/* ---- The end of a call ---- */

bool mfi_span_wire_ns(const mfi_span *span, uint64_t *ret_ns)
{
    uint64_t away = span->received_ns - span->sent_ns;
    uint64_t there = span->server_queue_ns + span->server_handler_ns;
    if (!span->has_server_times || span->sent_ns == 0 || span->received_ns < span->sent_ns) {
        return false;
    }
    *ret_ns = away > there ? away - there : 0;
    return true;
}

static void measure_phases(const mfi_span *span, unsigned shard)
{
    mf_histogram *const *phases = span->target->phases;
    uint64_t wire = 0;
    if (span->sent_ns > span->start_ns) {
        mfi_histogram_record_at(phases[MFI_PHASE_SEND_WAIT], shard, span->sent_ns - span->start_ns);
    }
    if (mfi_span_wire_ns(span, &wire)) {
        mfi_histogram_record_at(phases[MFI_PHASE_WIRE], shard, wire);
        mfi_histogram_record_at(phases[MFI_PHASE_PEER_QUEUE], shard, span->server_queue_ns);
        mfi_histogram_record_at(phases[MFI_PHASE_HANDLER], shard, span->server_handler_ns);
    }
    if (span->received_ns != 0 && span->end_ns >= span->received_ns) {
        mfi_histogram_record_at(phases[MFI_PHASE_RECEIVE_WAIT], shard,
                                span->end_ns - span->received_ns);
    }
}

/* Refusals are counted, but would pull the median to zero if they were observed. */
static bool was_refused(mf_status status)
{
    return status == MF_ERR_CIRCUIT_OPEN || status == MF_ERR_TOO_MANY_CALLS;
}

static void measure_client_end(const mfi_span *span)
{
    mfi_target *target = span->target;
    unsigned shard = mfi_shard_index();
    uint64_t duration = span->end_ns - span->start_ns;
    mfi_counter_add_at(ended_counter(target, span->function, span->status), shard, 1);
    if (was_refused(span->status)) {
        return;
    }
    mfi_histogram_record_at(span->status == MF_OK ? span->function->duration_ok
                                                  : span->function->duration_error,
                            shard, duration);
    mfi_window_record_at(target->window, shard, duration, span->end_ns);
    if (span->response_bytes != 0) {
        mfi_histogram_record_at(target->response_size, shard, span->response_bytes);
    }
    measure_phases(span, shard);
}

static void measure_server_end(const mfi_span *span)
{
    mfi_target *target = span->target;
    unsigned shard = mfi_shard_index();
    uint64_t run = span->received_ns - span->sent_ns;
    mfi_counter_add_at(ended_counter(target, span->function, span->status), shard, 1);
    mfi_counter_add_at(target->busy, shard,
                       span->released_ns != 0 ? span->released_ns - span->sent_ns : run);
    mfi_histogram_record_at(target->queue_wait, shard, span->sent_ns - span->start_ns);
    mfi_histogram_record_at(span->status == MF_OK ? span->function->duration_ok
                                                  : span->function->duration_error,
                            shard, run);
}

void mfi_measure_end(const mfi_span *span)
{
    if (!span->target->measured) {
        return;
    }
    if (span->is_server) {
        measure_server_end(span);
    } else {
        measure_client_end(span);
    }
}

void mfi_observe_unknown_function(mfi_observer *observer, mfi_target *target)
{
    (void)observer;
    if (target->measured) {
        mf_counter_add(target->unknown, 1);
    }
}

void mfi_observe_expired(mfi_observer *observer, mfi_target *target, bool at_reply)
{
    (void)observer;
    if (target->measured) {
        mf_counter_add(target->expired[at_reply], 1);
    }
}

/* ---- Events ---- */

void mfi_measure_circuit(mfi_target *target, const mfi_circuit_event *event)
{
    static const char *const states[5] = {"closed", "open", "half_open", "forced_open", "disabled"};
    if (!target->measured || target->is_server) {
        return;
    }
    const char *labels[] = {mfi_circuit_name(target), event->from, event->to};
    mf_counter_add(mf_family_counter(target->observer->families.circuit_transitions, labels), 1);
    for (size_t i = 0; i < 5; i++) {
        mf_gauge_set(target->circuit_states[i], strcmp(states[i], event->to) == 0 ? 1 : 0);
    }
    mf_gauge_set(target->circuit_since, (double)mfi_wall_ns() / 1e9);
}

void mfi_measure_process(mfi_target *target, const mfi_process_event *event)
{
    if (!target->measured || target->is_server) {
        return;
    }
    switch (event->what) {
    case MFI_PROCESS_SPAWNED:
        mf_gauge_set(target->pid, (double)event->pid);
        break;
    case MFI_PROCESS_READY:
        mf_gauge_set(target->up, 1);
        mf_histogram_record_ns(target->start_duration, event->duration_ns);
        break;
    case MFI_PROCESS_EXITED:
        mf_gauge_set(target->up, 0);
        mf_gauge_set(target->pid, 0);
        mf_gauge_set(target->exit_code, event->exit_code);
        mf_gauge_set(target->exit_signal, event->signal);
        break;
    case MFI_PROCESS_RESTART:
        mf_gauge_set(target->up, 0);
        mf_counter_add(mf_family_counter(target->observer->families.worker_restarts,
                                         (const char *const[]){target->name, event->reason}),
                       1);
        break;
    case MFI_PROCESS_FAILED:
    case MFI_PROCESS_STOPPED:
    case MFI_PROCESS_GAVE_UP:
        mf_gauge_set(target->up, 0);
        break;
    }
}

void mfi_measure_heartbeat(mfi_target *target, const mfi_heartbeat_event *event)
{
    if (!target->measured || event->sent) {
        return;
    }
    if (event->answered) {
        mf_histogram_record_ns(target->heartbeat_rtt, event->rtt_ns);
    } else {
        mf_counter_add(target->heartbeat_missed, 1);
    }
}

void mfi_observe_traffic(mfi_target *target, bool sent, mfi_traffic type, size_t bytes)
{
    if (target->measured) {
        unsigned shard = mfi_shard_index();
        mfi_counter_add_at(target->messages[sent][type], shard, 1);
        mfi_counter_add_at(target->bytes[sent], shard, bytes);
    }
}

static void measure_drop(mfi_target *target, const char *reason)
{
    static const char *const reasons[MFI_REASONS_MAX] = {"hwm",      "unroutable", "decode_error",
                                                         "oversize", "wrong_app",  "unknown_type"};
    for (size_t i = 0; i < MFI_REASONS_MAX; i++) {
        if (strcmp(reasons[i], reason) == 0) {
            mf_counter_add(target->observer->dropped[i], 1);
        }
    }
}

static void connected(mfi_target *target, int32_t change)
{
    atomic_fetch_add_explicit(&target->connected, change, memory_order_relaxed);
    mf_gauge_add(target->connections, change);
}

void mfi_measure_transport(mfi_target *target, const mfi_transport_event *event)
{
    if (!target->measured) {
        return;
    }
    switch (event->what) {
    case MFI_TRANSPORT_CONNECTED:
    case MFI_TRANSPORT_EXTRA_CONNECTION:
    case MFI_TRANSPORT_RECONNECTED:
        connected(target, 1);
        break;
    case MFI_TRANSPORT_DISCONNECTED:
        if (strcmp(event->reason, "handshake_failed") != 0) {
            connected(target, -1);
        }
        mf_counter_add(mf_family_counter(target->observer->families.disconnects,
                                         (const char *const[]){target->name, event->reason}),
                       1);
        break;
    case MFI_TRANSPORT_SEND_BLOCKED:
        mf_counter_add(target->send_blocked, 1);
        break;
    case MFI_TRANSPORT_DROPPED:
        measure_drop(target, event->reason);
        break;
    case MFI_TRANSPORT_LATE_REPLY:
        mf_counter_add(target->late_replies, 1);
        break;
    case MFI_TRANSPORT_SENT:
    case MFI_TRANSPORT_RECEIVED:
    case MFI_TRANSPORT_QUEUE_FULL:
        break;
    }
}
