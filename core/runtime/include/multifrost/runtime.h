/**
 * @file runtime.h
 * What parents and children of one process share: the engine thread, the logger, the metrics.
 */
#ifndef MULTIFROST_RUNTIME_H
#define MULTIFROST_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/log.h>
#include <multifrost/metrics.h>
#include <multifrost/probe.h>
#include <multifrost/transport.h>

MF_EXTERN_C_BEGIN

/**
 * One for a process as a rule; several work side by side. Thread-safe.
 *
 * Whatever is created from a runtime keeps it alive: its threads end when mf_runtime_destroy() was
 * called and the last parent, child and endpoint is gone. A forked process must not use it
 * (MF_ERR_FORKED).
 */
typedef struct mf_runtime mf_runtime;

/** Set by MF_RUNTIME_OPTIONS_INIT; zero means the default. Texts are copied. */
typedef struct mf_runtime_options {
    size_t struct_size;
    const char *service;           /**< Name in logs, metrics, health; default: the program's. */
    const char *service_version;   /**< Default "". */
    const char *service_namespace; /**< Default "". */
    const char *instance;          /**< Default: host name and pid. */
    const char *role;              /**< "parent" (default) or "child". */
    mf_log_level log_level;        /**< Default: COMLINK_LOG_LEVEL, else info. */
    const char *log_file;          /**< JSON lines are appended to it; default none: silent. */
    bool no_metrics;               /**< Calls are not measured. */
    int32_t log_sample_first;      /**< As in mf_log_options: default 0, all are kept. */
    int32_t log_sample_thereafter;
    mf_transport transport; /**< Of its own parents and children; workers have theirs. */
} mf_runtime_options;
#define MF_RUNTIME_OPTIONS_INIT MF_DETAIL_INIT(mf_runtime_options)

/**
 * Makes a runtime and starts its engine thread and log writer.
 *
 * @param ret_runtime On MF_OK for mf_runtime_destroy(); untouched on failure.
 * @param options     NULL for defaults. Copied.
 * @param error       NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (an option, COMLINK_LOG_LEVEL, COMLINK_TRANSPORT);
 *         MF_ERR_IO naming the log file; MF_ERR_NO_MEMORY; MF_ERR_SYSTEM.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_runtime_create(mf_runtime **ret_runtime,
                                                const mf_runtime_options *options, mf_error *error);

/**
 * Gives the runtime up. NULL is a no-op. Not from a callback.
 * @par Blocking If nothing else uses it: until its threads have ended.
 */
MF_API void mf_runtime_destroy(mf_runtime *runtime);

/** Its logger; borrowed, as long as the runtime. Add sinks, log events of your own. */
MF_API mf_logger *mf_runtime_logger(mf_runtime *runtime);
/** Its set of metrics; borrowed. Add families of your own. */
MF_API mf_metrics *mf_runtime_metrics(mf_runtime *runtime);
/** What it shows to an endpoint: mf_http_create(&http, mf_runtime_probe(runtime), ...). */
MF_API const mf_probe *mf_runtime_probe(mf_runtime *runtime);

/**
 * Adds a check to /health (and the probes its gates name).
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_EXISTS; MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_runtime_add_health_check(mf_runtime *runtime,
                                                          const mf_health_check *check,
                                                          mf_error *error);
/** Takes it out; after the return it runs no more. Unknown ones are a no-op. */
MF_API void mf_runtime_remove_health_check(mf_runtime *runtime, const char *component,
                                           const char *measurement);

MF_EXTERN_C_END

#endif
