/* Counts reports: one function for every kind of report. The series were made before (series.c), so
 * that only the rarest reports look a series up by its name. */
#include "base/clock.h"
#include "core/observe/parts.h"
#include "metrics/exemplars.h"
#include "metrics/instruments.h"

#define SAMPLED 1 /* of the flags of a trace: w3.org/TR/trace-context, 3.2.2.5 */

static mfi_call_status counted_as(mf_status status)
{
    return status == MF_OK ? MFI_STATUS_OK : mfi_call_status_of(status);
}

static mf_counter *ended_counter(const mfi_target *target, mfi_function *function,
                                 mfi_call_status counted)
{
    _Atomic(mf_counter *) *place = &function->ended[counted];
    mf_counter *counter = atomic_load_explicit(place, memory_order_acquire);
    if (counter == NULL) {
        const mfi_families *families = &target->observer->families;
        bool own = target->owner->counted && function->name != NULL;
        const char *labels[] = {"", target->label, own ? function->name : MF_METRIC_OTHER,
                                mfi_call_status_word(counted)};
        counter = target->is_server ? mf_family_counter(families->server_calls, labels)
                                    : mf_family_counter(families->calls, labels + 1);
        atomic_store_explicit(place, counter, memory_order_release);
    }
    return counter;
}

void mfi_measure_begin(const mfi_target *target, const mfi_function *function)
{
    if (target->measured) {
        mf_counter_add(function->started, 1);
    }
}

void mfi_measure_attempt(const mfi_target *target, mfi_attempt_kind kind, size_t bytes)
{
    if (target->measured) {
        unsigned shard = mfi_shard_index();
        mfi_counter_add_at(target->attempts[kind], shard, 1);
        mfi_histogram_record_at(target->request_size, shard, bytes);
    }
}

void mfi_measure_refused(const mfi_target *target, mfi_refusal reason)
{
    if (target->measured) {
        mf_counter_add(target->refused[reason], 1);
    }
}

void mfi_measure_suppressed(const mfi_target *target, mfi_suppression reason)
{
    if (target->measured) {
        mf_counter_add(target->suppressed[reason], 1);
    }
}

/* ---- The end of a call ---- */

bool mfi_span_wire_ns(const mfi_client_span *span, uint64_t *ret_ns)
{
    uint64_t away = span->received_ns - span->sent_ns;
    uint64_t there = span->server_queue_ns + span->server_handler_ns;
    if (!span->has_server_times || span->sent_ns == 0 || span->received_ns < span->sent_ns) {
        return false;
    }
    *ret_ns = away > there ? away - there : 0;
    return true;
}

static void measure_phases(const mfi_client_span *span, unsigned shard)
{
    mf_histogram *const *phases = span->target->phases;
    uint64_t wire = 0;
    if (span->sent_ns > span->start_ns) {
        mfi_histogram_record_at(phases[MFI_CALL_PHASE_SEND_WAIT], shard,
                                span->sent_ns - span->start_ns);
    }
    if (mfi_span_wire_ns(span, &wire)) {
        mfi_histogram_record_at(phases[MFI_CALL_PHASE_WIRE], shard, wire);
        mfi_histogram_record_at(phases[MFI_CALL_PHASE_PEER_QUEUE], shard, span->server_queue_ns);
        mfi_histogram_record_at(phases[MFI_CALL_PHASE_HANDLER], shard, span->server_handler_ns);
    }
    if (span->received_ns != 0 && span->end_ns >= span->received_ns) {
        mfi_histogram_record_at(phases[MFI_CALL_PHASE_RECEIVE_WAIT], shard,
                                span->end_ns - span->received_ns);
    }
}

/* A bucket names its newest call whose trace is sampled, because such a trace can be looked up. */
static __attribute__((noinline)) void keep_exemplar(mf_histogram *durations, uint64_t duration_ns,
                                                    const mf_context *context, uint64_t end_ns)
{
    mfi_exemplar_keep(durations, duration_ns, context->trace_id, context->span_id,
                      mfi_wall_at_ns(end_ns));
}

void mfi_measure_client_end(const mfi_client_span *span)
{
    mfi_target *target = span->target;
    if (!target->measured) {
        return;
    }
    unsigned shard = mfi_shard_index();
    uint64_t duration = span->end_ns - span->start_ns;
    mfi_call_status status = counted_as(span->status);
    mfi_counter_add_at(ended_counter(target, span->function, status), shard, 1);
    if (span->is_refused) {
        return; /* its duration would pull the median to zero */
    }
    mf_histogram *durations = mfi_duration_of(target, span->function, status);
    mfi_histogram_record_at(durations, shard, duration);
    if (__builtin_expect(span->context.trace_flags & SAMPLED, 0)) {
        keep_exemplar(durations, duration, &span->context, span->end_ns);
    }
    mfi_window_record_at(target->window, shard, duration, span->end_ns);
    if (span->response_bytes != 0) {
        mfi_histogram_record_at(target->response_size, shard, span->response_bytes);
    }
    measure_phases(span, shard);
    mfi_measure_deadline_used(span, shard);
}

void mfi_measure_server_end(const mfi_server_span *span)
{
    const mfi_target *target = span->target;
    if (!target->measured) {
        return;
    }
    unsigned shard = mfi_shard_index();
    uint64_t run = span->done_ns - span->begun_ns;
    mfi_call_status status = counted_as(span->status);
    mfi_counter_add_at(ended_counter(target, span->function, status), shard, 1);
    if (!span->has_run) {
        return; /* expired, unknown, malformed or cancelled while it waited */
    }
    mfi_counter_add_at(target->busy, shard,
                       span->released_ns != 0 ? span->released_ns - span->begun_ns : run);
    mfi_histogram_record_at(target->queue_wait, shard, span->begun_ns - span->received_ns);
    mf_histogram *durations = mfi_duration_of(target, span->function, status);
    mfi_histogram_record_at(durations, shard, run);
    if (__builtin_expect(span->context.trace_flags & SAMPLED, 0)) {
        keep_exemplar(durations, run, &span->context, span->done_ns);
    }
}

void mfi_measure_unknown(const mfi_target *target)
{
    if (target->measured) {
        mf_counter_add(target->unknown, 1);
    }
}

void mfi_measure_expired(const mfi_target *target, mfi_expiry stage)
{
    if (target->measured) {
        mf_counter_add(target->expired[stage], 1);
    }
}

/* ---- Events ---- */

void mfi_measure_circuit(const mfi_target *target, const mfi_circuit_event *event)
{
    if (!target->measured || target->is_server) {
        return;
    }
    const char *labels[] = {target->label, target->worker_label,
                            mfi_circuit_state_word(event->from), mfi_circuit_state_word(event->to)};
    mf_counter_add(mf_family_counter(target->observer->families.circuit_transitions, labels), 1);
}

void mfi_measure_process(const mfi_target *target, const mfi_process_event *event)
{
    if (!target->measured || target->is_server) {
        return;
    }
    switch (event->what) {
    case MFI_PROCESS_READY:
        mf_histogram_record_ns(target->start_duration, event->duration_ns);
        break;
    case MFI_PROCESS_EXITED:
        if (target->exit_code != NULL && target->exit_signal != NULL) {
            mf_gauge_set(target->exit_code, event->exit_code);
            mf_gauge_set(target->exit_signal, event->signal);
        }
        break;
    case MFI_PROCESS_RESTART:
        mf_counter_add(target->restarts[event->reason], 1);
        break;
    case MFI_PROCESS_SPAWNED: /* the next collection reads the present state from the parent */
    case MFI_PROCESS_FAILED:
    case MFI_PROCESS_STOPPED:
    case MFI_PROCESS_GAVE_UP:
        break;
    }
}

void mfi_measure_heartbeat(const mfi_target *target, const mfi_heartbeat_event *event)
{
    if (!target->measured) {
        return;
    }
    switch (event->what) {
    case MFI_HEARTBEAT_SENT:
    case MFI_HEARTBEAT_LATE:
        break;
    case MFI_HEARTBEAT_ANSWERED:
        mf_histogram_record_ns(target->heartbeat_rtt, event->rtt_ns);
        break;
    case MFI_HEARTBEAT_MISSED:
    case MFI_HEARTBEAT_BUSY:
    case MFI_HEARTBEAT_FROZEN:
        mf_counter_add(target->heartbeat_missed, 1);
        break;
    }
}

void mfi_measure_traffic(const mfi_target *target, mfi_direction direction, mfi_traffic type,
                         size_t bytes)
{
    if (target->measured) {
        unsigned shard = mfi_shard_index();
        mfi_counter_add_at(target->messages[direction][type], shard, 1);
        mfi_counter_add_at(target->bytes[direction], shard, bytes);
    }
}

static void connected(mfi_target *target, int32_t change)
{
    atomic_fetch_add_explicit(&target->connected, change, memory_order_relaxed);
    if (target->connections != NULL) {
        mf_gauge_add(target->connections, change);
    }
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
    case MFI_TRANSPORT_REFUSED:
        mf_counter_add(target->disconnects[MFI_DISCONNECT_REFUSED], 1);
        break;
    case MFI_TRANSPORT_DISCONNECTED:
        /* Else the connection was never established. */
        if (event->disconnect != MFI_DISCONNECT_HANDSHAKE_FAILED) {
            connected(target, -1);
        }
        mf_counter_add(target->disconnects[event->disconnect], 1);
        break;
    case MFI_TRANSPORT_SEND_BLOCKED:
        mf_counter_add(target->send_blocked, 1);
        break;
    case MFI_TRANSPORT_DROPPED:
        mf_counter_add(target->observer->dropped[event->drop], 1);
        break;
    case MFI_TRANSPORT_LATE_REPLY:
        mf_counter_add(target->late_replies, 1);
        break;
    case MFI_TRANSPORT_QUEUE_FULL:
    case MFI_TRANSPORT_BLIND:
        break;
    }
}

/* ---- Of the whole runtime ---- */

void mfi_measure_registry(const mfi_observer *observer, mfi_registry_op op,
                          mfi_registry_result result, uint64_t lock_wait_ns)
{
    if (observer->metrics == NULL) {
        return;
    }
    mf_counter_add(observer->registry[op][result], 1);
    if (lock_wait_ns != MFI_NO_LOCK) {
        mf_histogram_record_ns(observer->registry_lock_wait, lock_wait_ns);
    }
}

void mfi_measure_loop_lag(const mfi_observer *observer, uint64_t lag_ns)
{
    if (observer->loop_lag != NULL) {
        mf_histogram_record_ns(observer->loop_lag, lag_ns);
    }
}
