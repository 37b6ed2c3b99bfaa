/**
 * @file runtime.h
 * What parents and children of one process share: the engine thread, the logger, the metrics.
 */
#ifndef MULTIFROST_RUNTIME_H
#define MULTIFROST_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/log.h>
#include <multifrost/metrics.h>
#include <multifrost/probe.h>
#include <multifrost/span.h>
#include <multifrost/transport.h>

MF_EXTERN_C_BEGIN

/**
 * The runtime of a process. Most processes have one; several can exist side by side. Thread-safe.
 *
 * Everything that is created from a runtime keeps it alive. Its threads end after
 * mf_runtime_destroy() was called and the last parent, child and endpoint was destroyed. A forked
 * process must not use the runtime (MF_ERR_FORKED).
 */
typedef struct mf_runtime mf_runtime;

/** The names of two metrics: how long calls took, as the caller and as the worker saw them. */
typedef enum mf_metric_names {
    MF_METRIC_NAMES_DEFAULT = 0, /**< COMLINK_METRIC_NAMES (native or otel), else native. */
    MF_METRIC_NAMES_NATIVE = 1,  /**< multifrost_client_call_duration_seconds and
                                      multifrost_server_call_duration_seconds. */
    MF_METRIC_NAMES_OTEL = 2,    /**< Instead of these, rpc_client_call_duration_seconds and
                                      rpc_server_call_duration_seconds, with OpenTelemetry's labels,
                                      for dashboards that know these. */
} mf_metric_names;

/** When the health checks of each target, and of the log, warn. A warning changes no answer of
 *  /livez, /readyz and /startupz. Set by MF_HEALTH_OPTIONS_INIT; zero means the default,
 * MF_DISABLED that the check does not warn. */
typedef struct mf_health_options {
    size_t struct_size;
    double response_time_ms; /**< The p99 of the last minute is above it; default: no warning. */
    /** The share of the calls of the last minute that failed is above it; default 0.05. Errors that
     *  the remote function raised, and cancelled calls, are not among the failed. */
    double error_share;
    int32_t error_min_calls; /**< With fewer calls in the minute error_share does not warn; default
                                  20; MF_DISABLED is refused. */
    double queue_share;      /**< The share of max_in_flight that is taken is above it; default 0.8.
                              */
    double oldest_call_ms;   /**< The oldest open call is older; default 60,000. */
    int32_t log_drops; /**< So many log records were lost in the last minute; default 1. Records
                          that sampling left out are not lost. */
} mf_health_options;
#define MF_HEALTH_OPTIONS_INIT MF_DETAIL_INIT(mf_health_options)

/** Set by MF_RUNTIME_OPTIONS_INIT; zero means the default. Texts are copied. */
typedef struct mf_runtime_options {
    size_t struct_size;
    const char *service;         /**< Name in logs, metrics, health; default: the program's name. */
    const char *service_version; /**< Default "". */
    const char *service_namespace; /**< Default "". */
    const char *instance;          /**< Default: host name and pid. */
    const char *role;              /**< "parent" (default) or "child"; others are refused. */
    mf_log_level log_level;        /**< Default: COMLINK_LOG_LEVEL, else info. */
    const char *log_file;          /**< JSON lines are appended to it; default: no log. */
    bool no_metrics;               /**< Calls are not measured. */
    int32_t log_sample_first;      /**< As in mf_log_options; default 0: all records are kept. */
    int32_t log_sample_thereafter;
    mf_transport transport; /**< Of parents and children here; workers choose their own. */
    /** Targets that have metrics of their own; default 64, at most 4096. Counters of further ones
     *  count as `_OTHER`. Their states have no series, but multifrost_circuits and
     *  multifrost_workers count them, and /circuits and /health show them. */
    int32_t max_targets;
    /** Names of targets, ends with NULL; or NULL. While one of them has no parent or pool, /readyz
     *  fails. /startupz fails until each of them had a worker that was ready. Copied. */
    const char *const *required_targets;
    /** Parents make no memory in which the figures of their C workers outlive the workers: /metrics
     *  then shows `multifrost_server_*` of a worker at the worker's own endpoint alone. */
    bool no_segments;
    mf_metric_names metric_names;   /**< Default: as COMLINK_METRIC_NAMES says. */
    const char *const *redact_keys; /**< As in mf_log_options, as is the next. */
    int64_t redact_value_bytes;
    mf_span_observer span_observer; /**< Receives every span that ends; default: nobody. */
    /** Crashes of each worker that /crashes shows, the last ones; default 32, at most 1024. All
     *  crashes together keep at most 1 MiB. */
    int32_t crashes_kept;
    /** Memory for the calls that /calls shows, open ones and those that ended; default 1 MiB, 64
     * KiB to 64 MiB; MF_DISABLED records none. 1 MiB is room for about 1,100 calls, and for 280
     *  failures beside these. */
    int64_t recorder_bytes;
    int32_t recorder_seconds; /**< /calls shows a call for so long after its end; default 600. */
    /** Keys of W3C baggage that calls carry on, ends with NULL; or NULL, the default: calls carry
     * no baggage. Members with other keys are left out when a call is received and when it is sent.
     *  Each key is a token (RFC 9110) of at most 128 bytes, at most 64 keys. Copied. */
    const char *const *baggage_keys;
    const mf_health_options *health; /**< When health checks warn; NULL: the defaults. Copied. */
    /** Tells systemd of the program's state over $NOTIFY_SOCKET: READY=1 when /startupz passes, a
     *  line of STATUS, WATCHDOG=1 while /livez passes if the unit has WatchdogSec=, STOPPING=1 when
     *  the program drains (mf_runtime_begin_drain()) or destroys the runtime, and
     *  EXTEND_TIMEOUT_USEC until it has ended. Without the variable nothing happens. One runtime of
     *  a process should do so. */
    bool systemd;
    /** An admin socket (admin.h) may arm faults: calls that are late, lost, fail, or crash or stop
     *  their worker. For drills; default: it may not. */
    bool fault_injection;
} mf_runtime_options;
#define MF_RUNTIME_OPTIONS_INIT MF_DETAIL_INIT(mf_runtime_options)

/**
 * Makes a runtime, and starts its engine thread and its log writer.
 *
 * COMLINK_LOG_SINK adds a log sink for JSON lines: `stderr`, `stdout`, or a path that begins with
 * `/`, `./` or `../`. Unset or empty, it adds none. Spawned workers inherit the variable; with a
 * path they all append whole lines to one file.
 *
 * @param ret_runtime Not NULL. On MF_OK a runtime for mf_runtime_destroy(); untouched on failure.
 * @param options     NULL for defaults. Copied.
 * @param error       NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (an option, COMLINK_LOG_LEVEL, COMLINK_LOG_SINK,
 *         COMLINK_TRANSPORT, COMLINK_METRIC_NAMES); MF_ERR_IO naming the log file, or
 * COMLINK_LOG_SINK and its file; MF_ERR_NO_MEMORY; MF_ERR_SYSTEM.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_runtime_create(mf_runtime **ret_runtime,
                                                const mf_runtime_options *options, mf_error *error);

/**
 * Releases the runtime. Not in a callback.
 *
 * @param runtime NULL is a no-op.
 * @par Threads  Thread-safe.
 * @par Blocking Until the threads have ended, if no parent, child or endpoint uses the runtime. The
 *               sinks of the log have at most 2 s for what they still hold: mf_logger_destroy().
 */
MF_API void mf_runtime_destroy(mf_runtime *runtime);

/** Gives the logger, for sinks and events of the program. @param runtime Borrowed; NULL gives NULL.
 *  @return Borrowed as long as the runtime. @par Threads Thread-safe. */
MF_API mf_logger *mf_runtime_logger(mf_runtime *runtime);
/** Gives the set of metrics, for families of the program. @param runtime Borrowed; NULL gives NULL.
 *  @return Borrowed as long as the runtime. @par Threads Thread-safe. */
MF_API mf_metrics *mf_runtime_metrics(mf_runtime *runtime);
/** Gives the probe for an endpoint: mf_http_create(&http, mf_runtime_probe(runtime), ...).
 *  @param runtime Borrowed; NULL gives NULL. @return Borrowed as long as the runtime.
 *  @par Threads Thread-safe. */
MF_API const mf_probe *mf_runtime_probe(mf_runtime *runtime);

/**
 * Adds a check to /health, and to the probes that the check's gates name.
 *
 * @param runtime Borrowed; not NULL.
 * @param check   Not NULL. Copied.
 * @param error   NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_EXISTS; MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_runtime_add_health_check(mf_runtime *runtime,
                                                          const mf_health_check *check,
                                                          mf_error *error);
/**
 * Removes a check. After the return the check does not run any more.
 *
 * @param runtime     Borrowed; NULL is a no-op.
 * @param component   Of the check; NULL is a no-op, and so is an unknown one.
 * @param measurement Of the check, as it was added.
 * @par Threads Thread-safe.
 */
MF_API void mf_runtime_remove_health_check(mf_runtime *runtime, const char *component,
                                           const char *measurement);

/**
 * Says that the program is about to end: /readyz fails from now on ("process:draining"), and
 * systemd is told, if the runtime tells it anything. Nothing else changes: calls go on. A child
 * that ends by a signal does so by itself.
 *
 * @param runtime NULL is a no-op, and so are a second call and a call after a fork.
 * @par Threads  Thread-safe.
 * @par Blocking Never.
 */
MF_API void mf_runtime_begin_drain(mf_runtime *runtime);

MF_EXTERN_C_END

#endif
