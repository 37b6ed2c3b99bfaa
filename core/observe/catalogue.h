/* The catalogue of the engine's metrics: every family is described here, once. The fields of
 * mfi_families, the families themselves, their help texts and docs/metrics.md all come from it. */
#ifndef MFI_OBSERVE_CATALOGUE_H
#define MFI_OBSERVE_CATALOGUE_H

/* No family bounds its series that name a target, because a state must not be left out. What bounds
 * them is max_targets (owners.c), and the functions of each target (targets.c). */
#define MFI_BY_TARGET SIZE_MAX

/* X(field, type, name, unit, measure, labels, cap, help).
 *
 * measure says how the family's numbers are kept: NUMBERS as they are, NANOSECONDS in a counter
 * that is shown in seconds, DURATIONS, SIZES and RATIOS in a histogram of that scale. labels is
 * L(...), with the names in the order of the exposition. */
#define MFI_CATALOGUE(X, L)                                                                        \
    X(calls_started, COUNTER, "client_calls_started_total", "", NUMBERS, L("target", "function"),  \
      MFI_BY_TARGET, "Calls begun, including those still open")                                    \
    X(calls, COUNTER, "client_calls_total", "", NUMBERS, L("target", "function", "status"),        \
      MFI_BY_TARGET, "Calls ended, by final status after retries")                                 \
    X(call_duration, HISTOGRAM, "client_call_duration_seconds", "seconds", DURATIONS,              \
      L("target", "function", "outcome"), MFI_BY_TARGET,                                           \
      "Time from call entry to result delivery, all attempts")                                     \
    X(latency_window, WINDOW, "client_call_latency_window_seconds", "seconds", DURATIONS,          \
      L("target"), MFI_BY_TARGET, "Latency quantiles over the last 60 s")                          \
    X(call_phase, HISTOGRAM, "client_call_phase_seconds", "seconds", DURATIONS,                    \
      L("target", "phase"), MFI_BY_TARGET,                                                         \
      "Time per phase: send_wait, wire, peer_queue, handler, receive_wait")                        \
    X(deadline_used, HISTOGRAM, "client_deadline_used_ratio", "ratio", RATIOS, L("target"),        \
      MFI_BY_TARGET, "Share of its deadline that a call took; above 1: it ended late")             \
    X(in_flight, GAUGE, "client_calls_in_flight", "", NUMBERS, L("target"), MFI_BY_TARGET,         \
      "Calls open now")                                                                            \
    X(oldest_age, GAUGE, "client_oldest_call_age_seconds", "seconds", NUMBERS, L("target"),        \
      MFI_BY_TARGET, "Age of the oldest open call, 0 if none")                                     \
    X(attempts, COUNTER, "client_attempts_total", "", NUMBERS, L("target", "kind"), MFI_BY_TARGET, \
      "Attempts handed to the transport: first, retry")                                            \
    X(refused, COUNTER, "client_refused_total", "", NUMBERS, L("target", "reason"), MFI_BY_TARGET, \
      "Calls that ended because they were refused before sending")                                 \
    X(retries_suppressed, COUNTER, "client_retries_suppressed_total", "", NUMBERS,                 \
      L("target", "reason"), MFI_BY_TARGET,                                                        \
      "Retries not sent: budget, deadline, not_idempotent, pushback, circuit")                     \
    X(late_replies, COUNTER, "client_late_replies_total", "", NUMBERS, L("target"), MFI_BY_TARGET, \
      "Replies that arrived after their call had ended")                                           \
    X(request_size, HISTOGRAM, "client_request_size_bytes", "bytes", SIZES, L("target"),           \
      MFI_BY_TARGET, "Encoded request size")                                                       \
    X(response_size, HISTOGRAM, "client_response_size_bytes", "bytes", SIZES, L("target"),         \
      MFI_BY_TARGET, "Encoded response size")                                                      \
    X(queue_depth, GAUGE, "client_queue_depth", "", NUMBERS, L("target"), MFI_BY_TARGET,           \
      "Messages waiting to be sent")                                                               \
    X(queue_capacity, GAUGE, "client_queue_capacity", "", NUMBERS, L("target"), MFI_BY_TARGET,     \
      "Most messages that may wait to be sent")                                                    \
    X(concurrency_limit, GAUGE, "client_concurrency_limit", "", NUMBERS, L("target"),              \
      MFI_BY_TARGET, "Present limit on open calls")                                                \
    X(slo_requests, COUNTER, "slo_requests_total", "", NUMBERS, L("slo", "result"), 64,            \
      "Calls that an objective counts: good, bad")                                                 \
    X(slo_objective, GAUGE, "slo_objective_ratio", "ratio", NUMBERS, L("slo"), 32,                 \
      "Share of calls that must be good")                                                          \
    X(slo_threshold, GAUGE, "slo_threshold_seconds", "seconds", NUMBERS, L("slo"), 32,             \
      "Longest time of a good call")                                                               \
    X(server_started, COUNTER, "server_calls_started_total", "", NUMBERS,                          \
      L("target", "worker", "function"), MFI_BY_TARGET, "Calls accepted")                          \
    X(server_calls, COUNTER, "server_calls_total", "", NUMBERS,                                    \
      L("target", "worker", "function", "status"), MFI_BY_TARGET, "Calls answered")                \
    X(server_duration, HISTOGRAM, "server_call_duration_seconds", "seconds", DURATIONS,            \
      L("target", "function", "outcome"), MFI_BY_TARGET, "Handler run time, workers summed")       \
    X(server_queue_wait, HISTOGRAM, "server_queue_wait_seconds", "seconds", DURATIONS,             \
      L("target", "worker"), MFI_BY_TARGET, "Time between receipt and handler start")              \
    X(server_queue_depth, GAUGE, "server_queue_depth", "", NUMBERS, L("target", "worker"),         \
      MFI_BY_TARGET, "Calls that wait for a handler")                                              \
    X(server_queue_bytes, GAUGE, "server_queue_bytes", "bytes", NUMBERS, L("target", "worker"),    \
      MFI_BY_TARGET, "Size of the calls that wait for a handler")                                  \
    X(server_in_flight, GAUGE, "server_calls_in_flight", "", NUMBERS, L("target", "worker"),       \
      MFI_BY_TARGET, "Handlers running now")                                                       \
    X(server_expired, COUNTER, "server_expired_calls_total", "", NUMBERS,                          \
      L("target", "worker", "stage"), MFI_BY_TARGET,                                               \
      "Calls whose deadline had passed: before_start, at_reply")                                   \
    X(server_unknown, COUNTER, "server_unknown_function_total", "", NUMBERS,                       \
      L("target", "worker"), MFI_BY_TARGET, "Calls to functions not registered")                   \
    X(server_threads, GAUGE, "server_threads", "", NUMBERS, L("target", "worker", "state"),        \
      MFI_BY_TARGET, "Handler threads busy or idle")                                               \
    X(server_running_age, GAUGE, "server_running_handler_age_seconds", "seconds", NUMBERS,         \
      L("target", "worker"), MFI_BY_TARGET,                                                        \
      "Age of the handler that has run longest, 0 if none runs")                                   \
    X(server_busy, COUNTER, "server_busy_seconds_total", "seconds", NANOSECONDS,                   \
      L("target", "worker"), MFI_BY_TARGET, "Thread-seconds spent in handlers")                    \
    X(handler_state, COUNTER, "server_handler_state_seconds_total", "seconds", NANOSECONDS,        \
      L("target", "worker", "state"), MFI_BY_TARGET,                                               \
      "Time of sampled handlers by state: on_cpu, runnable, blocked")                              \
    X(messages, COUNTER, "transport_messages_total", "", NUMBERS,                                  \
      L("target", "direction", "type"), MFI_BY_TARGET, "Messages by type")                         \
    X(bytes, COUNTER, "transport_bytes_total", "bytes", NUMBERS, L("target", "direction"),         \
      MFI_BY_TARGET, "Encoded bytes")                                                              \
    X(send_blocked, COUNTER, "transport_send_blocked_total", "", NUMBERS, L("target"),             \
      MFI_BY_TARGET, "Sends that met the high-water mark")                                         \
    X(dropped, COUNTER, "transport_dropped_messages_total", "", NUMBERS, L("reason"), 16,          \
      "Messages not delivered or not accepted")                                                    \
    X(connections, GAUGE, "transport_connections", "", NUMBERS, L("target"), MFI_BY_TARGET,        \
      "Live connections")                                                                          \
    X(disconnects, COUNTER, "transport_disconnects_total", "", NUMBERS, L("target", "reason"),     \
      MFI_BY_TARGET, "Connections that ended")                                                     \
    X(heartbeat_rtt, HISTOGRAM, "heartbeat_rtt_seconds", "seconds", DURATIONS, L("target"),        \
      MFI_BY_TARGET, "Round trip of heartbeats")                                                   \
    X(heartbeat_missed, COUNTER, "heartbeat_missed_total", "", NUMBERS, L("target"),               \
      MFI_BY_TARGET, "Heartbeats without an answer in time")                                       \
    X(heartbeat_consecutive, GAUGE, "heartbeat_consecutive_misses", "", NUMBERS, L("target"),      \
      MFI_BY_TARGET, "Misses since the last answer")                                               \
    X(heartbeat_last, GAUGE, "heartbeat_last_success_timestamp_seconds", "seconds", NUMBERS,       \
      L("target"), MFI_BY_TARGET, "Unix time of the last answer")                                  \
    X(circuits, GAUGE, "circuits", "", NUMBERS, L("state"), MFI_CIRCUIT_STATE_COUNT,               \
      "Circuits in each state, all of them")                                                       \
    X(circuit_state, GAUGE, "circuit_state", "", NUMBERS, L("target", "worker", "state"),          \
      MFI_BY_TARGET, "1 for the present state")                                                    \
    X(circuit_transitions, COUNTER, "circuit_transitions_total", "", NUMBERS,                      \
      L("target", "worker", "from", "to"), MFI_BY_TARGET, "State changes")                         \
    X(circuit_since, GAUGE, "circuit_state_since_timestamp_seconds", "seconds", NUMBERS,           \
      L("target", "worker"), MFI_BY_TARGET, "Unix time of the last change")                        \
    X(circuit_probe, GAUGE, "circuit_next_probe_timestamp_seconds", "seconds", NUMBERS,            \
      L("target", "worker"), MFI_BY_TARGET, "Unix time when probing may begin, 0 if not open")     \
    X(circuit_failure_ratio, GAUGE, "circuit_failure_ratio", "ratio", NUMBERS,                     \
      L("target", "worker"), MFI_BY_TARGET,                                                        \
      "Share of failed calls in the window, 0 below the minimum volume")                           \
    X(circuit_slow_ratio, GAUGE, "circuit_slow_call_ratio", "ratio", NUMBERS,                      \
      L("target", "worker"), MFI_BY_TARGET,                                                        \
      "Share of slow calls in the window, 0 below the minimum volume")                             \
    X(circuit_window, GAUGE, "circuit_window_calls", "", NUMBERS, L("target", "worker", "kind"),   \
      MFI_BY_TARGET, "Calls in the window: ok, failed, slow (which are ok too), excluded")         \
    X(circuit_probes, COUNTER, "circuit_probes_total", "", NUMBERS,                                \
      L("target", "worker", "result"), MFI_BY_TARGET,                                              \
      "Probe calls of a half-open circuit: ok, failed, expired")                                   \
    X(circuit_trials, COUNTER, "circuit_shadow_refusals_total", "", NUMBERS,                       \
      L("target", "worker", "policy"), MFI_BY_TARGET,                                              \
      "Calls that a policy on trial would have refused")                                           \
    X(pool_workers, GAUGE, "pool_workers", "", NUMBERS, L("target", "state"), MFI_BY_TARGET,       \
      "Pool members by state: ready, starting, draining, down")                                    \
    X(worker_up, GAUGE, "worker_up", "", NUMBERS, L("target", "worker"), MFI_BY_TARGET,            \
      "1 when connected and answering")                                                            \
    X(worker_load, GAUGE, "worker_load_ratio", "ratio", NUMBERS, L("target", "worker"),            \
      MFI_BY_TARGET, "Busy share of the handler threads, as the last answer says")                 \
    X(workers, GAUGE, "workers", "", NUMBERS, L("state"), MFI_WORKER_STATE_COUNT,                  \
      "Workers in each state, all of them: ready, starting, restarting, draining, frozen, down")   \
    X(worker_restarts, COUNTER, "worker_restarts_total", "", NUMBERS, L("target", "reason"),       \
      MFI_BY_TARGET, "Restarts by reason")                                                         \
    X(worker_exit_code, GAUGE, "worker_last_exit_code", "", NUMBERS, L("target", "worker"),        \
      MFI_BY_TARGET, "Exit code of the last ended process, -1 if none")                            \
    X(worker_exit_signal, GAUGE, "worker_last_exit_signal", "", NUMBERS, L("target", "worker"),    \
      MFI_BY_TARGET, "Signal that ended the last process, 0 if none")                              \
    X(worker_start, HISTOGRAM, "worker_start_duration_seconds", "seconds", DURATIONS, L("target"), \
      MFI_BY_TARGET, "From start to first answered heartbeat")                                     \
    X(worker_pid, GAUGE, "worker_pid", "", NUMBERS, L("target", "worker"), MFI_BY_TARGET,          \
      "Process id of the worker, 0 if none runs")                                                  \
    X(worker_cpu, COUNTER, "worker_cpu_seconds_total", "seconds", NANOSECONDS,                     \
      L("target", "worker"), MFI_BY_TARGET,                                                        \
      "Processor time of the worker's processes, and of the children they waited for")             \
    X(worker_wait, COUNTER, "worker_run_queue_seconds_total", "seconds", NANOSECONDS,              \
      L("target", "worker"), MFI_BY_TARGET,                                                        \
      "Time that the worker's threads waited for a processor")                                     \
    X(worker_resident, GAUGE, "worker_resident_memory_bytes", "bytes", NUMBERS,                    \
      L("target", "worker"), MFI_BY_TARGET, "Resident memory of the worker's process")             \
    X(worker_fds, GAUGE, "worker_open_fds", "", NUMBERS, L("target", "worker"), MFI_BY_TARGET,     \
      "Open file descriptors of the worker's process")                                             \
    X(worker_threads, GAUGE, "worker_threads", "", NUMBERS, L("target", "worker"), MFI_BY_TARGET,  \
      "Threads of the worker's process")                                                           \
    X(worker_started, GAUGE, "worker_start_time_seconds", "seconds", NUMBERS,                      \
      L("target", "worker"), MFI_BY_TARGET, "Unix time at which the worker's process started")     \
    X(restart_backoff, GAUGE, "worker_restart_backoff_seconds", "seconds", NUMBERS,                \
      L("target", "worker"), MFI_BY_TARGET, "Wait before the next start, 0 when running")          \
    X(restart_budget, GAUGE, "worker_restart_budget_remaining", "", NUMBERS, L("target"),          \
      MFI_BY_TARGET, "Restarts left in the present period")                                        \
    X(exposed_by_parent, GAUGE, "exposed_by_parent", "", NUMBERS, L(NULL), 1,                      \
      "1 if the parent's endpoint shows the figures of this worker's handlers too")                \
    X(worker_segments, COUNTER, "worker_segments_total", "", NUMBERS, L("target", "result"),       \
      MFI_BY_TARGET, "Segments made for a worker, by how the worker took them")                    \
    X(segment_ignored, COUNTER, "worker_segment_ignored_cells_total", "", NUMBERS, L("target"),    \
      MFI_BY_TARGET,                                                                               \
      "Numbers in a worker's segment that went backwards or made no sense, and were left out")     \
    X(segment_lost, COUNTER, "worker_segment_lost_series_total", "", NUMBERS, L("target"),         \
      MFI_BY_TARGET, "Series of a worker that found its segment full")                             \
    X(log_records, COUNTER, "log_records_total", "", NUMBERS, L("level"), 8, "Records written")    \
    X(log_dropped, COUNTER, "log_dropped_total", "", NUMBERS, L("reason"), 8, "Records dropped")   \
    X(log_ring, GAUGE, "log_ring_used_ratio", "ratio", NUMBERS, L(NULL), 1,                        \
      "Highest fill of the log ring since the last scrape")                                        \
    X(log_bytes, COUNTER, "log_bytes_total", "bytes", NUMBERS, L(NULL), 1,                         \
      "Bytes given to the sinks")                                                                  \
    X(log_redactions, COUNTER, "log_redactions_total", "", NUMBERS, L(NULL), 1, "Values masked")   \
    X(registry_operations, COUNTER, "registry_operations_total", "", NUMBERS, L("op", "result"),   \
      32, "Operations on the service registry")                                                    \
    X(registry_lock_wait, HISTOGRAM, "registry_lock_wait_seconds", "seconds", DURATIONS, L(NULL),  \
      1, "Wait for the registry's locks")                                                          \
    X(loop_lag, HISTOGRAM, "loop_lag_seconds", "seconds", DURATIONS, L("loop"), 8,                 \
      "How late loops wake")                                                                       \
    X(admin_commands, COUNTER, "admin_commands_total", "", NUMBERS, L("command", "result"), 32,    \
      "Commands at the admin socket, by result: ok, error")                                        \
    X(faults, COUNTER, "faults_injected_total", "", NUMBERS, L("target", "kind"), MFI_BY_TARGET,   \
      "Calls that an injected fault hit: delay, drop, error, crash, freeze")                       \
    X(config, INFO, "config_info", "", NUMBERS, L("hash"), 2,                                      \
      "Fingerprint of the effective configuration")

/* Families that have another name and other labels where OpenTelemetry's names are asked for
 * (opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics). Their field is that of the family which
 * they replace. The first label of call_duration is the target in both (mfi_target_read()). */
#define MFI_OTEL_CATALOGUE(X, L)                                                                   \
    X(call_duration, HISTOGRAM, "rpc_client_call_duration_seconds", "seconds", DURATIONS,          \
      L("server_address", "rpc_system_name", "rpc_method", "error_type"), MFI_BY_TARGET,           \
      "Time from call entry to result delivery, all attempts")                                     \
    X(server_duration, HISTOGRAM, "rpc_server_call_duration_seconds", "seconds", DURATIONS,        \
      L("server_address", "rpc_system_name", "rpc_method", "error_type"), MFI_BY_TARGET,           \
      "Handler run time, workers summed")

#endif
