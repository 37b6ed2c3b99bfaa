/* The seam. The engine reports here and never measures: this is the only part of core that sees
 * metrics and logging. To send reports somewhere new, add an observer behind these functions; no
 * other room changes.
 *
 * All functions are thread-safe, never block and never fail. Those of the hot path (begin, attempt,
 * end, traffic) allocate nothing. */
#ifndef MFI_OBSERVE_OBSERVE_H
#define MFI_OBSERVE_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/log.h>
#include <multifrost/metrics.h>
#include <multifrost/probe.h>
#include <multifrost/span.h>

#include "core/observe/events.h"
#include "core/observe/recorder.h"
#include "core/observe/span.h"
#include "core/observe/targets.h"
#include "core/words/admin.h"
#include "core/words/attempts.h"
#include "core/words/refusals.h"
#include "core/words/registry.h"
#include "core/words/serving.h"
#include "core/words/traffic.h"

/* One for every runtime. Adds all families of the catalogue. logger and metrics are borrowed;
 * metrics NULL: nothing is measured. At most max_targets targets have series of their own. */
mf_status mfi_observer_create(mfi_observer **ret_observer, mf_logger *logger, mf_metrics *metrics,
                              size_t max_targets, mf_error *error);
/* The same. otel_names: the durations of calls have OpenTelemetry's names and labels. */
mf_status mfi_observer_create_named(mfi_observer **ret_observer, mf_logger *logger,
                                    mf_metrics *metrics, size_t max_targets, bool otel_names,
                                    mf_error *error);
void mfi_observer_destroy(mfi_observer *observer);
/* The memory that the parent of this process made for its figures; NULL: none. It must outlive the
 * set of metrics, so its owner detaches it behind both. observer may be NULL. */
struct mfi_segment *mfi_observer_segment(const mfi_observer *observer);
/* Names the program's span observer. Before the first target is made. */
void mfi_observer_pass_spans(mfi_observer *observer, const mf_span_observer *spans);
/* At most that many crashes of each worker are kept, instead of MFI_CRASHES_KEPT. */
void mfi_observer_keep_crashes(mfi_observer *observer, size_t most);
/* Shows the kept crashes, the newest first. Returns how many there were since the start. */
uint64_t mfi_observer_visit_crashes(mfi_observer *observer, mf_crash_visit_fn visit,
                                    void *user_data);

/* Calls are recorded from now on. Before the first target is made. Takes the recorder. */
void mfi_observer_record(mfi_observer *observer, mfi_recorder *recorder);
/* Shows what mf_probe.visit_calls promises: the calls of this process, and what the handlers of its
 * workers run. False: no calls are recorded, or there was no memory. */
bool mfi_observer_visit_calls(mfi_observer *observer, const mf_call_query *query,
                              mf_call_visit_fn visit, void *user_data, mf_call_counts *ret_counts);

/* ---- Calls, as their caller sees them ---- */

/* The call begins: counts it as started, and logs `request_start` (debug). From here on it is among
 * the open calls. */
void mfi_observe_client_begin(mfi_client_span *span);
/* The transport took one attempt, a message of that many bytes. */
void mfi_observe_client_attempt(mfi_target *target, mfi_attempt_kind kind, size_t bytes);
/* The same attempt, by the place that its span had in the recorder; the span itself may be gone. */
void mfi_observe_client_sent(const mfi_recorded *recorded);
/* The call ends because it was refused, its last attempt before it was queued. This counts the
 * reason; the call still has a begin and an end. */
void mfi_observe_client_refused(const mfi_client_span *span, mfi_refusal reason);
/* An attempt failed and another one follows after wait_ms: logs request_retry (warn). */
void mfi_observe_client_retry(mfi_client_span *span, mf_status status, const mf_error *error,
                              uint64_t wait_ms);
/* That attempt begins. */
void mfi_observe_client_again(mfi_client_span *span);
/* An attempt failed and no other one follows, though the policy allows one. */
void mfi_observe_client_suppressed(const mfi_client_span *span, mfi_suppression reason);
/* The call ended. error has the text if the status is not MF_OK; may be NULL. */
void mfi_observe_client_end(const mfi_client_span *span, const mf_error *error);

/* ---- Calls, as the worker sees them ---- */

/* A handler is about to run: counts the call as started, and logs `request_start` (debug). */
void mfi_observe_server_begin(mfi_server_span *span);
/* The handler returned; its answer follows from another thread. */
void mfi_observe_server_deferred(const mfi_server_span *span);
/* The handler returned, or was not run; its thread is free. handler: as in the span. */
void mfi_observe_server_returned(mfi_target *target, uint32_t handler);
/* Calls begin to wait for a handler, or fewer of them wait: differences of count and bytes. */
void mfi_observe_server_waiting(mfi_target *target, int32_t calls, int64_t bytes);
/* The answer is in the driver's queue. error as above. */
void mfi_observe_server_end(const mfi_server_span *span, const mf_error *error);
/* A sampled handler has returned. Its answer may have been given before, or may come later. */
void mfi_observe_handler_times(mfi_target *target, const mfi_handler_times *times);
/* The caller no longer waits. Noticed before the handler started (then the call is refused), or
 * when the answer was ready. */
void mfi_observe_server_expired(mfi_target *target, mfi_expiry stage);
/* A peer called a function that is not registered, or private. */
void mfi_observe_server_unknown(mfi_target *target);

/* ---- Events ---- */

void mfi_observe_circuit_changed(mfi_target *target, const mfi_circuit_event *event);
/* A call that a half-open circuit let through has ended, or was not heard of in time. */
void mfi_observe_circuit_probed(mfi_target *target, mfi_probe_result result);
/* A circuit on trial would have refused the call. Hot path while it is open. */
void mfi_observe_circuit_trial(mfi_target *target, mfi_trial_policy policy);
void mfi_observe_process_changed(mfi_target *target, const mfi_process_event *event);
/* The span of a worker's start. What the start means is reported by mfi_observe_process_changed().
 */
void mfi_observe_start_ended(mfi_target *target, const mfi_start_event *event);
void mfi_observe_service_changed(mfi_target *target, const mfi_service_event *event);
void mfi_observe_service_vanished(mfi_target *target, const mfi_vanished_event *event);
void mfi_observe_drain(mfi_target *target, const mfi_drain_event *event);
void mfi_observe_heartbeat_seen(mfi_target *target, const mfi_heartbeat_event *event);
void mfi_observe_transport_event(mfi_target *target, const mfi_transport_event *event);
/* A message was sent or received; hot path. */
void mfi_observe_traffic(mfi_target *target, mfi_direction direction, mfi_traffic type,
                         size_t bytes);
/* A line that a worker printed: logs a worker_output record (info for stdout, warn for stderr). The
 * record says if the line was cut. */
void mfi_observe_output_line(mfi_target *target, const mfi_output_event *event);

/* One operation on the service registry. */
void mfi_observe_registry(mfi_observer *observer, mfi_registry_op op, mfi_registry_result result,
                          uint64_t lock_wait_ns);
/* How late the engine's loop ran a timer or a ping. */
void mfi_observe_loop_lag(mfi_observer *observer, uint64_t lag_ns);
/* The runtime's configuration has another fingerprint. Reports come one at a time. */
void mfi_observe_config(mfi_observer *observer, const char *hash);
/* The runtime has an admin socket: the series of its commands begin at zero. */
void mfi_observe_admin_begin(mfi_observer *observer);
/* A line at the admin socket was answered, or a visitor was sent away. */
void mfi_observe_admin_command(mfi_observer *observer, mfi_admin_command command,
                               mfi_admin_result result);
/* A setting has changed while the program runs: logs config_change (info). */
void mfi_observe_config_change(mfi_observer *observer, const mfi_config_change *change);
/* A fault hit a call. */
void mfi_observe_fault(mfi_target *target, mfi_fault_kind kind);
/* Logs health_change, once for every transition. */
void mfi_observe_health_changed(mfi_observer *observer, const char *check, mf_health from,
                                mf_health to, const char *output);

#endif
