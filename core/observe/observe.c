/* The observer: passes every report to the metrics (metrics.c), to the log (log.c, log_events.c,
 * log_processes.c), to the black box (crashes.c) and to the program's span observer (spans.c). It
 * decides nothing itself, so that one more
 * listener is one more line here. */
#include "core/observe/observe.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/observe/spans.h"

mf_status mfi_observer_create(mfi_observer **ret_observer, mf_logger *logger, mf_metrics *metrics,
                              size_t max_targets, mf_error *error)
{
    return mfi_observer_create_named(ret_observer, logger, metrics, max_targets, false, error);
}

mf_status mfi_observer_create_named(mfi_observer **ret_observer, mf_logger *logger,
                                    mf_metrics *metrics, size_t max_targets, bool otel_names,
                                    mf_error *error)
{
    mfi_observer *observer = calloc(1, sizeof *observer);
    if (observer == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an observer");
    }
    observer->logger = logger;
    observer->metrics = metrics;
    observer->max_targets = max_targets;
    observer->otel_names = otel_names;
    mfi_mutex_init(&observer->mutex);
    mfi_mutex_init(&observer->slo_mutex);
    mfi_crashes_init(&observer->crashes);
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
        mfi_owners_free(observer);
        mfi_slos_free(observer);
        mfi_mutex_fini(&observer->slo_mutex);
        mfi_crashes_fini(&observer->crashes);
        mfi_recorder_destroy(observer->recorder);
        mfi_mutex_fini(&observer->mutex);
        free(observer);
    }
}

void mfi_observer_pass_spans(mfi_observer *observer, const mf_span_observer *spans)
{
    observer->spans = *spans;
}

void mfi_observer_keep_crashes(mfi_observer *observer, size_t most)
{
    mfi_crashes_keep(&observer->crashes, most);
}

uint64_t mfi_observer_visit_crashes(mfi_observer *observer, mf_crash_visit_fn visit,
                                    void *user_data)
{
    return mfi_crashes_visit(&observer->crashes, visit, user_data);
}

void mfi_observer_record(mfi_observer *observer, mfi_recorder *recorder)
{
    observer->recorder = recorder;
}

/* ---- Calls ---- */

/* The names of a call for the recorder. Those of a function without series are made in `local`. */
static const mfi_recorded_names *names_of(const mfi_target *target, const mfi_function *function,
                                          const char *name, mfi_recorded_names *local)
{
    if (__builtin_expect(function->recorded.group != NULL, 1)) {
        return &function->recorded;
    }
    mfi_recorder_name(NULL, local, target->is_server ? NULL : target->name,
                      target->is_server ? target->name : target->worker, name);
    return local;
}

void mfi_observe_client_begin(mfi_client_span *span)
{
    mfi_recorder *recorder = span->target->observer->recorder;
    if (recorder != NULL) {
        mfi_recorded_names local;
        mfi_recorder_client_begin(
            recorder, span, names_of(span->target, span->function, span->function_name, &local));
    }
    mfi_measure_begin(span->target, span->function);
    mfi_logged_client_begin(span);
}

void mfi_observe_client_attempt(mfi_target *target, mfi_attempt_kind kind, size_t bytes)
{
    mfi_measure_attempt(target, kind, bytes);
}

void mfi_observe_client_sent(const mfi_recorded *recorded)
{
    mfi_recorder_client_sent(recorded);
}

void mfi_observe_client_refused(const mfi_client_span *span, mfi_refusal reason)
{
    mfi_measure_refused(span->target, reason);
}

void mfi_observe_client_retry(mfi_client_span *span, mf_status status, const mf_error *error,
                              uint64_t wait_ms)
{
    mfi_recorder_client_waits(span, mfi_monotonic_ns() + wait_ms * MFI_NS_PER_MS);
    mfi_logged_retry(span, status, error, wait_ms);
    if (mfi_spans_wanted(span->target)) {
        mfi_spans_retry(span, status, error);
    }
}

void mfi_observe_client_again(mfi_client_span *span)
{
    mfi_recorder_client_again(span);
}

void mfi_observe_client_suppressed(const mfi_client_span *span, mfi_suppression reason)
{
    mfi_measure_suppressed(span->target, reason);
}

void mfi_observe_client_end(const mfi_client_span *span, const mf_error *error)
{
    uint32_t slos = atomic_load_explicit(&span->function->slos, memory_order_acquire);
    mfi_recorder *recorder = span->target->observer->recorder;
    if (recorder != NULL) {
        mfi_recorded_names local;
        mfi_recorder_client_end(recorder, span,
                                names_of(span->target, span->function, span->function_name, &local),
                                error);
    }
    mfi_measure_client_end(span);
    if (__builtin_expect(slos != 0, 0)) {
        mfi_slo_count_marked(span, slos);
    }
    mfi_logged_client_end(span, error);
    if (mfi_spans_wanted(span->target)) {
        mfi_spans_client_end(span, error);
    }
}

void mfi_observe_server_begin(mfi_server_span *span)
{
    mfi_recorder *recorder = span->target->observer->recorder;
    if (recorder != NULL) {
        mfi_recorded_names local;
        mfi_recorder_server_begin(
            recorder, span, names_of(span->target, span->function, span->function_name, &local));
    }
    mfi_measure_begin(span->target, span->function);
    mfi_segment_began(span);
    mfi_logged_server_begin(span);
}

void mfi_observe_server_returned(mfi_target *target, uint32_t handler)
{
    mfi_segment_returned(target, handler);
}

void mfi_observe_server_waiting(mfi_target *target, int32_t calls, int64_t bytes)
{
    mfi_segment_waits(target, calls, bytes);
}

void mfi_observe_server_deferred(const mfi_server_span *span)
{
    mfi_recorder_server_deferred(span);
}

void mfi_observe_server_end(const mfi_server_span *span, const mf_error *error)
{
    mfi_recorder *recorder = span->target->observer->recorder;
    if (recorder != NULL) {
        mfi_recorded_names local;
        mfi_recorder_server_end(recorder, span,
                                names_of(span->target, span->function, span->function_name, &local),
                                error);
    }
    mfi_measure_server_end(span);
    mfi_logged_server_end(span, error);
    if (mfi_spans_wanted(span->target)) {
        mfi_spans_server_end(span, error);
    }
}

void mfi_observe_handler_times(mfi_target *target, const mfi_handler_times *times)
{
    mfi_measure_handler_times(target, times);
}

void mfi_observe_server_expired(mfi_target *target, mfi_expiry stage)
{
    mfi_measure_expired(target, stage);
}

void mfi_observe_server_unknown(mfi_target *target)
{
    mfi_measure_unknown(target);
}

/* ---- Events ---- */

void mfi_observe_circuit_changed(mfi_target *target, const mfi_circuit_event *event)
{
    mfi_measure_circuit(target, event);
    mfi_logged_circuit(target, event);
}

void mfi_observe_circuit_probed(mfi_target *target, mfi_probe_result result)
{
    mfi_measure_probe(target, result);
}

void mfi_observe_circuit_trial(mfi_target *target, mfi_trial_policy policy)
{
    mfi_measure_trial(target, policy);
}

static void pass_process(mfi_target *target, const mfi_process_event *event)
{
    mfi_measure_process(target, event);
    mfi_figures_process(target, event);
    mfi_logged_process(target, event);
    mfi_crashed_process(target, event);
}

/* What the worker itself had written down is added to what its parent knows. */
void mfi_observe_process_changed(mfi_target *target, const mfi_process_event *event)
{
    mfi_segment_notes notes;
    if (event->what == MFI_PROCESS_READY) {
        mfi_segments_ready(target);
    }
    if (event->what != MFI_PROCESS_EXITED || event->remains == NULL ||
        !mfi_remains_read(target, &notes)) {
        pass_process(target, event);
        return;
    }
    mfi_process_event whole = *event;
    mfi_remains remains = *event->remains;
    remains.running = &notes.running;
    remains.log = notes.log;
    remains.log_size = notes.log_size;
    whole.remains = &remains;
    pass_process(target, &whole);
}

void mfi_observe_start_ended(mfi_target *target, const mfi_start_event *event)
{
    if (mfi_spans_wanted(target)) {
        mfi_spans_start_ended(target, event);
    }
}

void mfi_observe_service_changed(mfi_target *target, const mfi_service_event *event)
{
    mfi_figures_service(target, event);
    mfi_logged_service(target, event);
}

void mfi_observe_service_vanished(mfi_target *target, const mfi_vanished_event *event)
{
    mfi_crashed_service(target, event);
}

void mfi_observe_drain(mfi_target *target, const mfi_drain_event *event)
{
    mfi_logged_drain(target, event);
}

void mfi_observe_heartbeat_seen(mfi_target *target, const mfi_heartbeat_event *event)
{
    mfi_measure_heartbeat(target, event);
    mfi_logged_heartbeat(target, event);
}

void mfi_observe_transport_event(mfi_target *target, const mfi_transport_event *event)
{
    mfi_measure_transport(target, event);
    mfi_logged_transport(target, event);
}

void mfi_observe_traffic(mfi_target *target, mfi_direction direction, mfi_traffic type,
                         size_t bytes)
{
    mfi_measure_traffic(target, direction, type, bytes);
}

void mfi_observe_output_line(mfi_target *target, const mfi_output_event *event)
{
    mfi_logged_output_line(target, event);
}

void mfi_observe_registry(mfi_observer *observer, mfi_registry_op op, mfi_registry_result result,
                          uint64_t lock_wait_ns)
{
    mfi_measure_registry(observer, op, result, lock_wait_ns);
}

void mfi_observe_loop_lag(mfi_observer *observer, uint64_t lag_ns)
{
    mfi_measure_loop_lag(observer, lag_ns);
}

void mfi_observe_health_changed(mfi_observer *observer, const char *check, mf_health from,
                                mf_health to, const char *output)
{
    mfi_logged_health(observer, check, from, to, output);
}
