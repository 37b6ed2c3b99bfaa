/* The closed sets of label values: which table of words a label of a family takes its values from.
 * It stands beside the catalogue so that docs/metrics.md, and the test of what dashboards ask for,
 * know the words. A label that is in no row here has names for values: of targets, of workers. */
#ifndef MFI_OBSERVE_CATALOGUE_WORDS_H
#define MFI_OBSERVE_CATALOGUE_WORDS_H

#include "core/words/admin.h"
#include "core/words/attempts.h"
#include "core/words/circuits.h"
#include "core/words/disconnects.h"
#include "core/words/drops.h"
#include "core/words/handler_states.h"
#include "core/words/log_drops.h"
#include "core/words/outcomes.h"
#include "core/words/phases.h"
#include "core/words/pools.h"
#include "core/words/refusals.h"
#include "core/words/registry.h"
#include "core/words/restarts.h"
#include "core/words/segments.h"
#include "core/words/serving.h"
#include "core/words/slos.h"
#include "core/words/statuses.h"
#include "core/words/traffic.h"
#include "core/words/windows.h"
#include "core/words/workers.h"

/* Sets that are no table of core/words. */
#define MFI_LEVEL_WORDS(X)                                                                         \
    X(, "trace") X(, "debug") X(, "info") X(, "warn") X(, "error") X(, "fatal")
#define MFI_LOOP_WORDS(X) X(, "engine")
#define MFI_FORMAT_WORDS(X) X(, "text") X(, "om") X(, "proto")
#define MFI_HEALTH_WORDS(X) X(, "pass") X(, "warn") X(, "fail")
#define MFI_SYSTEM_WORDS(X) X(, "multifrost")

/* X(family, label, table of words) */
#define MFI_CATALOGUE_WORDS(X)                                                                     \
    X("multifrost_client_calls_total", "status", MFI_CALL_STATUSES)                                \
    X("multifrost_client_call_duration_seconds", "outcome", MFI_OUTCOMES)                          \
    X("multifrost_client_call_phase_seconds", "phase", MFI_CALL_PHASES)                            \
    X("multifrost_client_attempts_total", "kind", MFI_ATTEMPT_KINDS)                               \
    X("multifrost_client_refused_total", "reason", MFI_REFUSALS)                                   \
    X("multifrost_client_retries_suppressed_total", "reason", MFI_SUPPRESSIONS)                    \
    X("multifrost_server_calls_total", "status", MFI_CALL_STATUSES)                                \
    X("multifrost_server_call_duration_seconds", "outcome", MFI_OUTCOMES)                          \
    X("multifrost_server_expired_calls_total", "stage", MFI_EXPIRIES)                              \
    X("multifrost_server_threads", "state", MFI_THREAD_STATES)                                     \
    X("multifrost_server_handler_state_seconds_total", "state", MFI_HANDLER_STATES)                \
    X("multifrost_circuit_window_calls", "kind", MFI_WINDOW_KINDS)                                 \
    X("multifrost_circuit_probes_total", "result", MFI_PROBE_RESULTS)                              \
    X("multifrost_circuit_shadow_refusals_total", "policy", MFI_TRIAL_POLICIES)                    \
    X("multifrost_worker_segments_total", "result", MFI_SEGMENT_RESULTS)                           \
    X("multifrost_slo_requests_total", "result", MFI_SLO_RESULTS)                                  \
    X("multifrost_transport_messages_total", "direction", MFI_DIRECTIONS)                          \
    X("multifrost_transport_messages_total", "type", MFI_TRAFFIC_TYPES)                            \
    X("multifrost_transport_bytes_total", "direction", MFI_DIRECTIONS)                             \
    X("multifrost_transport_dropped_messages_total", "reason", MFI_DROP_REASONS)                   \
    X("multifrost_transport_disconnects_total", "reason", MFI_DISCONNECT_REASONS)                  \
    X("multifrost_circuits", "state", MFI_CIRCUIT_STATES)                                          \
    X("multifrost_circuit_state", "state", MFI_CIRCUIT_STATES)                                     \
    X("multifrost_circuit_transitions_total", "from", MFI_CIRCUIT_STATES)                          \
    X("multifrost_circuit_transitions_total", "to", MFI_CIRCUIT_STATES)                            \
    X("multifrost_pool_workers", "state", MFI_POOL_STATES)                                         \
    X("multifrost_workers", "state", MFI_WORKER_STATES)                                            \
    X("multifrost_worker_restarts_total", "reason", MFI_RESTART_REASONS)                           \
    X("multifrost_log_records_total", "level", MFI_LEVEL_WORDS)                                    \
    X("multifrost_log_dropped_total", "reason", MFI_LOG_DROPS)                                     \
    X("multifrost_registry_operations_total", "op", MFI_REGISTRY_OPS)                              \
    X("multifrost_registry_operations_total", "result", MFI_REGISTRY_RESULTS)                      \
    X("multifrost_loop_lag_seconds", "loop", MFI_LOOP_WORDS)                                       \
    X("multifrost_admin_commands_total", "command", MFI_ADMIN_COMMANDS)                            \
    X("multifrost_admin_commands_total", "result", MFI_ADMIN_RESULTS)                              \
    X("multifrost_faults_injected_total", "kind", MFI_FAULT_KINDS)                                 \
    X("multifrost_scrape_duration_seconds", "format", MFI_FORMAT_WORDS)                            \
    X("multifrost_scrape_size_bytes", "format", MFI_FORMAT_WORDS)                                  \
    X("multifrost_health_check_status", "status", MFI_HEALTH_WORDS)                                \
    X("rpc_client_call_duration_seconds", "rpc_system_name", MFI_SYSTEM_WORDS)                     \
    X("rpc_client_call_duration_seconds", "error_type", MFI_FAILED_STATUSES)                       \
    X("rpc_server_call_duration_seconds", "rpc_system_name", MFI_SYSTEM_WORDS)                     \
    X("rpc_server_call_duration_seconds", "error_type", MFI_FAILED_STATUSES)

#endif
