/**
 * @file parent.h
 * The calling side: starts a worker process or finds a service by its name, watches it, and calls.
 */
#ifndef MULTIFROST_PARENT_H
#define MULTIFROST_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/runtime.h>

MF_EXTERN_C_BEGIN

/** One connection to one worker or service. Thread-safe; to be destroyed when no other thread uses
 *  it. */
typedef struct mf_parent mf_parent;

/** Where a parent stands. */
typedef enum mf_parent_state {
    MF_PARENT_CREATED = 0,
    MF_PARENT_STARTING = 1, /**< Calls are accepted and wait for the worker. */
    MF_PARENT_READY = 2,
    MF_PARENT_STOPPING = 3,
    MF_PARENT_STOPPED = 4,
    MF_PARENT_FAILED = 5, /**< The start failed, or the worker ended and is not started again. */
    MF_PARENT_RESTARTING = 6, /**< Was ready, and will be again: the worker is started anew, or the
                                   service is looked for. Calls wait, or fail fast by option. */
} mf_parent_state;

/** Text that the worker printed, one line without its end. Runs on the engine thread; must not
 *  block, nor call this parent synchronously. is_stderr tells the stream. */
typedef void (*mf_output_fn)(const char *line, size_t length, bool is_stderr, void *user_data);

/** Set by MF_PARENT_OPTIONS_INIT; zero means the default. Texts and lists are copied. */
typedef struct mf_parent_options {
    size_t struct_size;
    mf_runtime *runtime;    /**< NULL: a private one, silent, destroyed with the parent. */
    const char *target;     /**< Name in metrics, logs, routes: [A-Za-z0-9_.-]{1,64}; default:
                                 base name of the script or program, without its suffix. */
    const char *program;    /**< Spawn mode: found by PATH like a shell does; no shell is run. */
    const char *service_id; /**< Connect mode, instead of program: name in the service registry. */
    const char *registry_directory; /**< Where services.json is; default "$HOME/.multifrost". */
    const char *const *args;        /**< Arguments after the program, NULL-terminated, or NULL.
                                         "--worker" is added behind them. */
    const char *const *env;        /**< "NAME=value" on top of the own environment, NULL-terminated,
                                        or NULL. */
    const char *working_directory; /**< Default: the own. */
    const char *namespace_name;    /**< Default "default". */
    const char *client_name;       /**< Sent with calls; default none. */
    const char *bind_address;      /**< IPv4 address to bind, or in connect mode to connect to;
                                        default "127.0.0.1". */
    uint16_t port;                 /**< Default 0: a free one is chosen at each start. */
    bool critical;                 /**< An open circuit makes /readyz fail. */
    int64_t call_timeout_ms;       /**< Default 30,000. */
    int64_t start_timeout_ms; /**< From spawn or discovery to the first answered heartbeat; default
                                   10,000. */
    int64_t discovery_timeout_ms;  /**< Connect mode: for the first start; default 5,000. */
    int64_t discovery_poll_ms;     /**< Default 100; changes of the file are seen at once. */
    int64_t stop_timeout_ms;       /**< SHUTDOWN, then SIGTERM at half of it, then SIGKILL; default
                                        2,000. See mf_parent_stop(). */
    int64_t heartbeat_interval_ms; /**< Default 5,000; MF_DISABLED for none. */
    int64_t heartbeat_timeout_ms;  /**< Default 3,000. */
    int32_t heartbeat_misses;      /**< In a row, to open the circuit; default 3. */
    int32_t max_in_flight;         /**< Calls open at a time; default 4,096, at most 65,528. */
    int64_t max_message_bytes;     /**< Either way; at least 1024, default and most 67,108,864. */
    int32_t circuit_failures;      /**< In a row, to open the circuit; default max_restart_attempts,
                                        5 where that is MF_DISABLED; MF_DISABLED for no circuit
                                        breaker. */
    int64_t circuit_open_ms;       /**< First cool-down; default 1,000, doubling. */
    int64_t circuit_open_max_ms;   /**< Default 30,000. */
    bool circuit_counts_remote_errors; /**< Errors that the function raised count as failures. */
    bool auto_restart; /**< Starts a worker that ended, or answers no heartbeats, again. */
    int32_t max_restart_attempts;   /**< In restart_period_ms before giving up; default 5;
                                         MF_DISABLED for no limit. Also the default of
                                         circuit_failures. */
    int64_t restart_period_ms;      /**< Default 60,000. */
    int64_t restart_backoff_ms;     /**< Before the first of several in a row; default 1,000,
                                         doubling, varied by 20 %. */
    int64_t restart_backoff_max_ms; /**< Default 30,000. */
    int64_t restart_stable_ms;      /**< Uptime that ends a row of restarts; default 10,000. */
    bool fail_fast; /**< Calls made while it is restarting fail at once with MF_ERR_NOT_RUNNING,
                         instead of waiting up to their timeout. */
    int64_t max_string_bytes; /**< One str or bin, either way; at least 256, default 10,485,760. */
    int64_t max_items;        /**< Of one array or map, either way; at least 16, default 100,000. */
    mf_output_fn on_output;   /**< Called for each line beside its log record; or NULL. */
    void *user_data;          /**< For on_output. */
} mf_parent_options;
#define MF_PARENT_OPTIONS_INIT MF_DETAIL_INIT(mf_parent_options)

/**
 * Makes a parent; starts nothing yet.
 * @param ret_parent On MF_OK for mf_parent_destroy(); untouched on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the option; MF_ERR_NO_MEMORY; MF_ERR_SYSTEM;
 *         MF_ERR_FORKED; errors of mf_runtime_create() when runtime is NULL.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_parent_create(mf_parent **ret_parent,
                                               const mf_parent_options *options, mf_error *error);

/**
 * Starts the worker, or finds the service, and waits until it has answered a first heartbeat.
 *
 * No other parent waits for this start, however slow. The program may ignore SIGCHLD, and wait for
 * any child: ends of workers are seen all the same.
 * @return MF_OK; MF_ERR_START_FAILED (absent program or working directory, worker that ends at
 *         once: how is named);
 *         MF_ERR_NOT_FOUND (no live service of that name within discovery_timeout_ms);
 *         MF_ERR_START_TIMEOUT; MF_ERR_ADDRESS_IN_USE naming the port; MF_ERR_PROTOCOL or MF_ERR_IO
 *         for a registry file that cannot be read; MF_ERR_LIMIT when descriptors (RLIMIT_NOFILE) or
 *         sockets run out; MF_ERR_STATE if started before; MF_ERR_FORKED;
 *         MF_ERR_CANCELLED by a stop; MF_ERR_SYSTEM; MF_ERR_NO_MEMORY; MF_ERR_WOULD_DEADLOCK on the
 *         engine thread.
 *         A failed start leaves no process behind.
 * @par Threads  Thread-safe.
 * @par Blocking At most discovery_timeout_ms and start_timeout_ms, and a little.
 */
MF_API MF_NODISCARD mf_status mf_parent_start(mf_parent *parent, mf_error *error);

/** Runs once on the engine thread when a start has ended. */
typedef void (*mf_start_fn)(mf_status status, const mf_error *error, void *user_data);
/** Starts without waiting. Calls made meanwhile wait for the worker within their timeouts.
 *  @param done NULL, or called exactly once if MF_OK is returned.
 *  @return MF_OK; MF_ERR_STATE; MF_ERR_FORKED; MF_ERR_NO_MEMORY. */
MF_API MF_NODISCARD mf_status mf_parent_start_async(mf_parent *parent, mf_start_fn done,
                                                    void *user_data, mf_error *error);

/**
 * Refuses new calls, fails those in flight with MF_ERR_CANCELLED, and ends the worker: SHUTDOWN,
 * then SIGTERM, then SIGKILL to all that is left of it, also in other sessions. What cannot be
 * ended or found is not waited for: mf_parent_last_exit() says so. A stopped parent stays stopped.
 * @return MF_OK, also when it is not running; MF_ERR_FORKED; MF_ERR_WOULD_DEADLOCK on the engine
 *         thread.
 * @par Threads  Thread-safe.
 * @par Blocking At most stop_timeout_ms and 3 s, which only a worker that cannot be killed or a
 *      helper multifrost-exec that hangs takes.
 */
MF_API mf_status mf_parent_stop(mf_parent *parent, mf_error *error);

/**
 * Starts the worker anew, or connects to the service anew, and waits until it answers.
 *
 * Calls made meanwhile wait (or fail fast); those that the worker is running are waited for up to
 * stop_timeout_ms, then it gets SIGTERM and at last SIGKILL. Also ends a wait between two automatic
 * restarts, and revives a parent that gave up.
 * @return MF_OK; what mf_parent_start() gives for the new start (MF_ERR_NOT_FOUND: the service is
 *         still looked for); MF_ERR_WORKER_EXITED when it was given up; MF_ERR_CANCELLED by a stop;
 *         MF_ERR_STATE before the first start and after a stop; MF_ERR_FORKED;
 *         MF_ERR_WOULD_DEADLOCK on the engine thread.
 * @par Threads  Thread-safe.
 * @par Blocking As the stop and the start; with auto_restart until it is ready or has given up.
 */
MF_API MF_NODISCARD mf_status mf_parent_restart(mf_parent *parent, mf_error *error);

/** Stops if needed and frees. NULL is a no-op. Not from a callback. @par Blocking As the stop. */
MF_API void mf_parent_destroy(mf_parent *parent);

/** Where it stands now. @par Threads Thread-safe. */
MF_API mf_parent_state mf_parent_get_state(mf_parent *parent);
/** The worker's process id, 0 if none runs. @par Threads Thread-safe. */
MF_API int64_t mf_parent_pid(mf_parent *parent);
/** Copies the bound endpoint ("tcp://127.0.0.1:40001"), "" before the start.
 *  @return Its length. @par Threads Thread-safe. */
MF_API size_t mf_parent_endpoint(mf_parent *parent, char *to, size_t size);

/** What mf_parent_stats() reads. Set by MF_PARENT_STATS_INIT. */
typedef struct mf_parent_stats {
    size_t struct_size;
    uint64_t calls_total; /**< Ended, however. */
    uint64_t calls_failed;
    double success_ratio; /**< 1 when nothing has ended yet. */
    uint64_t calls_in_flight;
    uint64_t p50_ns, p95_ns, p99_ns; /**< Of this target since the start; 0 without calls. */
    uint64_t circuit_trips;
    uint64_t restarts;
    uint32_t consecutive_failures;
    uint64_t heartbeat_rtt_ns; /**< Last one; 0 if none was answered. */
    uint64_t heartbeat_misses; /**< Total. */
    uint64_t late_replies;     /**< Answers that came after their call had ended. */
    uint32_t restarts_in_period;
    uint32_t restart_attempts; /**< In a row, without stable uptime in between. */
    uint64_t restart_in_ms;    /**< Until the next start; 0 unless it waits for one. */
    int32_t last_exit_code;    /**< Of the last ended worker; -1 if none or by a signal. */
    int32_t last_exit_signal;  /**< 0 if none. */
    uint64_t retries;          /**< Attempts beyond the first. */
} mf_parent_stats;
#define MF_PARENT_STATS_INIT MF_DETAIL_INIT(mf_parent_stats)
/** Reads the figures. @return MF_OK or MF_ERR_INVALID_ARGUMENT. @par Threads Thread-safe. */
MF_API MF_NODISCARD mf_status mf_parent_read_stats(mf_parent *parent, mf_parent_stats *ret_stats,
                                                   mf_error *error);

/** Copies how the last worker ended ("was killed by signal 9 (SIGKILL)"), or why the connection was
 *  given up; "" if neither happened. @return Its length. @par Threads Thread-safe. */
MF_API size_t mf_parent_last_exit(mf_parent *parent, char *to, size_t size);

/** "closed", "open", "half_open" or "disabled"; static. @par Threads Thread-safe. */
MF_API const char *mf_parent_circuit_state(mf_parent *parent);

/**
 * Sends a heartbeat now and waits for its answer.
 * @param ret_rtt_ns On MF_OK its round trip.
 * @return MF_OK; MF_ERR_NOT_RUNNING; MF_ERR_TIMEOUT; MF_ERR_WORKER_EXITED; MF_ERR_TOO_MANY_CALLS;
 *         MF_ERR_CANCELLED by a stop; MF_ERR_WOULD_DEADLOCK on the engine thread; MF_ERR_FORKED.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms; 0 means heartbeat_timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_parent_heartbeat(mf_parent *parent, int64_t timeout_ms,
                                                  uint64_t *ret_rtt_ns, mf_error *error);

MF_EXTERN_C_END

#endif
