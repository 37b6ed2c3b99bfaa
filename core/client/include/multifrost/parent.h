/**
 * @file parent.h
 * The calling side: starts a worker process, or finds a service by its name or address, watches it,
 * and calls.
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

/** One connection to one worker or service. Thread-safe; no other thread may use the parent while
 *  it is destroyed. */
typedef struct mf_parent mf_parent;

/** The state of a parent. */
typedef enum mf_parent_state {
    MF_PARENT_CREATED = 0,
    MF_PARENT_STARTING = 1, /**< Calls are accepted and wait for the worker. */
    MF_PARENT_READY = 2,
    MF_PARENT_STOPPING = 3,
    MF_PARENT_STOPPED = 4,
    MF_PARENT_FAILED = 5, /**< The start failed, or the worker ended and is not started again. */
    MF_PARENT_RESTARTING = 6, /**< Was ready before: the worker is started again, or the service is
                                   looked for. Calls wait, or fail at once with fail_fast. */
} mf_parent_state;

/**
 * Receives a line that the worker printed. Must not block, nor call this parent synchronously.
 *
 * @param line      Text without its line end. Borrowed until the return.
 * @param length    Bytes of line.
 * @param is_stderr True for stderr, false for stdout.
 * @param user_data Of mf_parent_options.
 * @par Threads The engine thread.
 */
typedef void (*mf_output_fn)(const char *line, size_t length, bool is_stderr, void *user_data);

/** Set by MF_PARENT_OPTIONS_INIT; zero means the default. Texts and lists are copied. An option of
 * the other mode is refused. */
typedef struct mf_parent_options {
    size_t struct_size;
    mf_runtime *runtime;    /**< NULL: a private one, silent, destroyed with the parent. */
    const char *target;     /**< Name in metrics, logs, routes: [A-Za-z0-9_.-]{1,64}; default:
                                 base name of the script or program, without its suffix; the
                                 service_id; or the endpoint's address without its port. Two
                                 services at one address had better be named. */
    const char *program;    /**< Spawn mode: searched in PATH as a shell does; no shell is run. */
    const char *service_id; /**< Connect mode, instead of program: name in the service registry. */
    const char *registry_directory; /**< Connect mode: where services.json is; default
                                         "$HOME/.multifrost". */
    const char *const *args;        /**< Spawn mode, as are env, working_directory, port,
                                         auto_restart and restart_*: arguments after the program,
                                         NULL-terminated, or NULL. "--worker" is added after them. */
    const char *const *env;         /**< "NAME=value", added to this process's environment;
                                         NULL-terminated, or NULL. Unless it names TRACEPARENT, the
                                         worker gets one: the span of its start (span.h). */
    const char *working_directory;  /**< Default: this process's. */
    const char *namespace_name;     /**< Default "default". */
    const char *client_name;        /**< Sent with calls; default none. */
    const char *bind_address;       /**< IPv4 address to bind, or with service_id to connect to;
                                         default "127.0.0.1". Of this host, only the processes
                                         that come of `program` can connect; with another address,
                                         all processes of other hosts can. */
    uint16_t port;                  /**< 1,024 to 65,535, as workers demand; default 0: a free port
                                         is chosen at every start. */
    bool critical;                  /**< An open circuit makes /readyz fail. */
    int64_t call_timeout_ms;        /**< Default 30,000. */
    int64_t start_timeout_ms; /**< From spawn or discovery to the first answered heartbeat; default
                                   10,000. In connect mode a service that has completed ZeroMQ's
                                   handshake and is silent for heartbeat_timeout_ms is ready too. */
    int64_t discovery_timeout_ms; /**< With service_id: for the first start; default 5,000. As long
                                       is services.json looked at again if it is cut, and as long
                                       are calls held back while the service says that it ends. */
    int64_t discovery_poll_ms;    /**< With service_id. Default 100; a change of the file is seen at
                                       once. */
    int64_t stop_timeout_ms;      /**< SHUTDOWN, then SIGTERM at half of it, then SIGKILL; default
                                       2,000. See mf_parent_stop(). */
    int64_t heartbeat_interval_ms; /**< Default 5,000; MF_DISABLED for none. */
    int64_t heartbeat_timeout_ms;  /**< Default 3,000. */
    int32_t heartbeat_misses;      /**< Misses in a row, without any other message, after which a
                                        worker counts as frozen and the circuit opens; default 3. A
                                        worker that owes an answer may work instead, unless its
                                        heartbeat answers say `busy_ms` or its process is stopped. */
    int32_t max_in_flight;         /**< Calls open at one time; default 4,096, at most 65,528. */
    int64_t max_message_bytes;     /**< Both ways; at least 1,024; default and most 67,108,864. */
    int32_t circuit_failures;      /**< Failures in a row that open the circuit; default
                                        max_restart_attempts, or 5 if that is MF_DISABLED;
                                        MF_DISABLED for no circuit breaker. */
    int64_t circuit_open_ms;     /**< First cool-down; default 1,000. Every further one doubles. */
    int64_t circuit_open_max_ms; /**< Longest cool-down; default 30,000. */
    bool circuit_counts_remote_errors; /**< Errors that the function raised count as failures. */
    bool auto_restart; /**< A worker that ended, or answers no heartbeat, is started again. */
    int32_t max_restart_attempts;   /**< Within restart_period_ms, before the parent gives up;
                                         default 5; MF_DISABLED for no limit. Also the default
                                         of circuit_failures. */
    int64_t restart_period_ms;      /**< Default 60,000. */
    int64_t restart_backoff_ms;     /**< Before the first restart of a row; default 1,000. Every
                                         further wait doubles; all vary by 20 %. */
    int64_t restart_backoff_max_ms; /**< Default 30,000. */
    int64_t restart_stable_ms;      /**< Uptime that ends a row of restarts; default 10,000. */
    bool fail_fast; /**< A call made during a restart fails at once with MF_ERR_NOT_RUNNING,
                         and does not wait until its timeout. */
    int64_t max_string_bytes; /**< One str or bin, both ways; at least 256; default 10,485,760. */
    int64_t max_items;        /**< Of one array or map, both ways; at least 16; default 100,000. */
    mf_output_fn on_output;   /**< Called for every line, which is also logged; or NULL. */
    void *user_data;          /**< For on_output. */
    int64_t handler_timeout_ms; /**< A worker whose handler has run longer is replaced; looked at
                                     with each heartbeat, for workers whose heartbeat answers say
                                     `busy_ms`, as those of this library do. Needs program,
                                     auto_restart and heartbeats. Default 0: none. */
    const char *endpoint;       /**< A service at a fixed address, instead of program or service_id:
                                     "tcp://127.0.0.1:5555". The address is a numeric IPv4 address, an
                                     IPv6 address in brackets, or localhost (127.0.0.1); the port is 1 to
                                     65,535. No registry is read. The connection is made, and made again,
                                     to the same address; the service's pid stays unknown. */
    int64_t max_queued_bytes;   /**< Of calls that are not sent yet, and of what the worker has not
                                     read; at least max_message_bytes; default 67,108,864. A further
                                     call of more than 8 KiB is refused with
                                     MF_ERR_TOO_MANY_CALLS. */
    double circuit_failure_ratio; /**< 0 to 1: the share of failed calls in the window that opens
                                       the circuit, beside circuit_failures; default 0: none. */
    double circuit_slow_ratio;    /**< 0 to 1: the same for slow calls; default 0: none. */
    int64_t circuit_slow_call_ms; /**< A call that succeeds is slow if it took so long; default
                                       1,000 with circuit_slow_ratio, else no call is slow. */
    int32_t circuit_min_calls;    /**< Calls in the window, since the circuit closed, below which
                                       no ratio opens it; 1 to circuit_window_calls; default 20, or
                                       circuit_window_calls if that is less. Calls that were
                                       refused or cancelled count neither way. */
    int32_t circuit_window_calls; /**< How many of the last calls the window holds; 1 to 1,000;
                                       default 50. */
    /** A policy on trial: the same rules with these figures. They refuse no call, and count those
     *  that they would have refused (multifrost_circuit_shadow_refusals_total). Without a ratio
     *  there is no trial. The window is as long as circuit_window_calls by default; the other
     *  defaults are as above. */
    double circuit_trial_failure_ratio, circuit_trial_slow_ratio;
    int64_t circuit_trial_slow_call_ms;
    int32_t circuit_trial_min_calls, circuit_trial_window_calls;
} mf_parent_options;
#define MF_PARENT_OPTIONS_INIT MF_DETAIL_INIT(mf_parent_options)

/**
 * Makes a parent. Starts nothing yet.
 *
 * @param ret_parent Not NULL. On MF_OK a parent for mf_parent_destroy(); untouched on failure.
 * @param options    Not NULL. Copied.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the option that is wrong or of the other mode;
 *         MF_ERR_NO_MEMORY; MF_ERR_SYSTEM; MF_ERR_FORKED; errors of mf_runtime_create() if
 * options->runtime is NULL.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_parent_create(mf_parent **ret_parent,
                                               const mf_parent_options *options, mf_error *error);

/**
 * Starts the worker, or finds the service, and waits until it has answered a first heartbeat, or,
 * if the service is busy, has accepted the connection. A failed start leaves no process behind. No
 * other parent waits for this start. The program may ignore SIGCHLD, and may wait for any child:
 * the end of a worker is seen all the same.
 *
 * @param parent Borrowed; not NULL.
 * @param error  NULL, or filled on failure.
 * @return MF_OK;
 *         MF_ERR_START_FAILED (the program or the working directory is absent, or the worker ended
 *         at once; the text says how, and quotes the last lines of its stderr);
 *         MF_ERR_NOT_FOUND (no live service of that name within discovery_timeout_ms);
 *         MF_ERR_START_TIMEOUT (naming the endpoint, if one was given); MF_ERR_ADDRESS_IN_USE
 *         naming the port;
 *         MF_ERR_PROTOCOL (the registry's file is broken, or stayed cut for discovery_timeout_ms);
 *         MF_ERR_IO (that file cannot be read, or is not trusted: see mf_registry_options);
 *         MF_ERR_LIMIT (no descriptors or sockets are left, see RLIMIT_NOFILE);
 *         MF_ERR_STATE (started before); MF_ERR_CANCELLED (stopped meanwhile);
 *         MF_ERR_WOULD_DEADLOCK (on the engine thread); MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED;
 *         MF_ERR_SYSTEM; MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking At most discovery_timeout_ms and start_timeout_ms, and a little.
 */
MF_API MF_NODISCARD mf_status mf_parent_start(mf_parent *parent, mf_error *error);

/**
 * Runs once when a start has ended. Must not block.
 *
 * @param status    The outcome, as mf_parent_start().
 * @param error     Borrowed until the return.
 * @param user_data As given with the callback.
 * @par Threads The engine thread.
 */
typedef void (*mf_start_fn)(mf_status status, const mf_error *error, void *user_data);

/**
 * Starts without waiting. Calls made meanwhile wait for the worker within their timeouts.
 *
 * @param parent    Borrowed; not NULL.
 * @param done      NULL, or called exactly once if MF_OK is returned, else never.
 * @param user_data Passed to done.
 * @param error     NULL, or filled on failure.
 * @return MF_OK; MF_ERR_STATE (started or stopped before); MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED;
 *         MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe, also in callbacks.
 */
MF_API MF_NODISCARD mf_status mf_parent_start_async(mf_parent *parent, mf_start_fn done,
                                                    void *user_data, mf_error *error);

/**
 * Refuses new calls, ends calls in flight with MF_ERR_CANCELLED, and ends the worker: SHUTDOWN,
 * then SIGTERM, then SIGKILL to every process of it, also in other sessions. A process that cannot
 * be ended or found is not waited for: mf_parent_last_exit() says so. A stopped parent cannot be
 * started again.
 *
 * @param parent Borrowed; not NULL.
 * @param error  NULL, or filled on failure.
 * @return MF_OK, also if the parent does not run; MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED;
 *         MF_ERR_WOULD_DEADLOCK on the engine thread.
 * @par Threads  Thread-safe.
 * @par Blocking At most stop_timeout_ms and 3 s, which only a worker that cannot be killed or a
 *      helper multifrost-exec that hangs takes.
 */
MF_API mf_status mf_parent_stop(mf_parent *parent, mf_error *error);

/**
 * Replaces the worker by a new one, or connects to the service again, and waits for the first
 * answered heartbeat.
 *
 * Calls made meanwhile wait, or fail at once with fail_fast. Calls that the worker is running are
 * waited for up to stop_timeout_ms; then the worker gets SIGTERM, and at last SIGKILL. A restart
 * also ends the wait between two automatic restarts, and starts a parent that gave up.
 *
 * @param parent Borrowed; not NULL.
 * @param error  NULL, or filled on failure.
 * @return MF_OK; errors of mf_parent_start() for the new start (MF_ERR_NOT_FOUND: the service is
 *         still looked for); MF_ERR_WORKER_EXITED (the parent gave up);
 *         MF_ERR_CANCELLED (stopped meanwhile); MF_ERR_STATE (before the first start, or after a
 *         stop); MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED; MF_ERR_WOULD_DEADLOCK on the engine
 *         thread.
 * @par Threads  Thread-safe.
 * @par Blocking As the stop and the start; with auto_restart until the parent is ready or gave up.
 */
MF_API MF_NODISCARD mf_status mf_parent_restart(mf_parent *parent, mf_error *error);

/**
 * Stops the parent if needed, and frees it. Not in a callback.
 *
 * @param parent NULL is a no-op.
 * @par Threads  No other thread may use the parent any more.
 * @par Blocking As mf_parent_stop().
 */
MF_API void mf_parent_destroy(mf_parent *parent);

/** Reads the state. @param parent Borrowed; NULL gives MF_PARENT_CREATED. @return The present
 * state.
 *  @par Threads Thread-safe. */
MF_API mf_parent_state mf_parent_get_state(mf_parent *parent);
/** Reads the process id of the peer. @param parent Borrowed; NULL gives 0.
 *  @return The pid; 0 if none runs, and with endpoint. @par Threads Thread-safe. */
MF_API int64_t mf_parent_pid(mf_parent *parent);
/**
 * Copies the endpoint ("tcp://127.0.0.1:40001"), or "" before the start.
 *
 * @param parent Borrowed; NULL gives 0.
 * @param to     Where the text is written, NUL-terminated, cut if it is too long. NULL gives 0.
 * @param size   Bytes of to; 0 gives 0.
 * @return Length of the text in bytes.
 * @par Threads Thread-safe.
 */
MF_API size_t mf_parent_endpoint(mf_parent *parent, char *to, size_t size);

/** The figures of a parent since its creation. Set by MF_PARENT_STATS_INIT. */
typedef struct mf_parent_stats {
    size_t struct_size;
    uint64_t calls_total; /**< Calls that have ended, in any way. */
    uint64_t calls_failed;
    double success_ratio; /**< 1 if no call has ended yet. */
    uint64_t calls_in_flight;
    uint64_t p50_ns, p95_ns, p99_ns; /**< Durations of this target's calls; 0 without calls. */
    uint64_t circuit_trips;
    uint64_t restarts;
    uint32_t consecutive_failures;
    uint64_t heartbeat_rtt_ns; /**< Last round trip; 0 if none was answered. */
    uint64_t heartbeat_misses; /**< Heartbeats without an answer. */
    uint64_t late_replies;     /**< Answers received after their call had ended. */
    uint32_t restarts_in_period;
    uint32_t restart_attempts; /**< In a row, without stable uptime in between. */
    uint64_t restart_in_ms;    /**< Until the next start; 0 if none is waited for. */
    int32_t
        last_exit_code; /**< Of the worker that ended last; -1 for a signal, or if none ended. */
    int32_t last_exit_signal; /**< 0 if none. */
    uint64_t retries;         /**< Attempts beyond the first. */
    bool frozen; /**< The worker was silent for heartbeat_misses heartbeats, and does not work. */
    bool says_busy;         /**< The worker's heartbeat answers carry the next two figures. */
    uint64_t handler_ms;    /**< At the last answer: how long a handler had run; 0 if none ran. */
    uint64_t handler_queue; /**< At the last answer: calls that waited for a handler. */
    /** Durations of this target's calls, as p50_ns; each is within 1.1 %, and 0 without calls.
     *  Calls that were refused are in none of these. */
    uint64_t mean_ns, min_ns, max_ns;
    uint64_t recent_calls; /**< Calls of the last minute, which the figures below describe. */
    uint64_t recent_p50_ns, recent_p95_ns, recent_p99_ns;
    uint64_t recent_mean_ns, recent_min_ns, recent_max_ns;
    /** Shares of failed and of slow calls in the circuit's window, of those since it closed; 0
     *  below circuit_min_calls. */
    double circuit_failure_ratio, circuit_slow_ratio;
    uint64_t circuit_trial_refusals; /**< Calls that circuit_trial_* would have refused. */
    bool says_load;                  /**< The worker's answers carry the next figure. */
    double load; /**< Busy share of the worker's handler threads, 0 to 1, over the last second
                      before its last answer. */
} mf_parent_stats;
#define MF_PARENT_STATS_INIT MF_DETAIL_INIT(mf_parent_stats)
/**
 * Reads the figures of a parent.
 *
 * @param parent    Borrowed; not NULL.
 * @param ret_stats Set by MF_PARENT_STATS_INIT. Filled on MF_OK; untouched on failure.
 * @param error     NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_parent_read_stats(mf_parent *parent, mf_parent_stats *ret_stats,
                                                   mf_error *error);

/**
 * Copies how the last worker ended ("was killed by signal 9 (SIGKILL)"), or why the connection was
 * given up; "" if neither happened.
 *
 * @param parent Borrowed; NULL gives 0.
 * @param to     Where the text is written, NUL-terminated, cut if it is too long. NULL gives 0.
 * @param size   Bytes of to; 0 gives 0.
 * @return Length of the text in bytes.
 * @par Threads Thread-safe.
 */
MF_API size_t mf_parent_last_exit(mf_parent *parent, char *to, size_t size);

/** Reads the state of the circuit. @param parent Borrowed; NULL gives "disabled".
 *  @return "closed", "open", "half_open" or "disabled"; static storage.
 *  @par Threads Thread-safe. */
MF_API const char *mf_parent_circuit_state(mf_parent *parent);

/**
 * Sends a heartbeat now and waits for its answer.
 *
 * @param parent     Borrowed; not NULL.
 * @param timeout_ms At least 0; 0 means heartbeat_timeout_ms.
 * @param ret_rtt_ns Not NULL. On MF_OK the round trip in nanoseconds; untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_NOT_RUNNING; MF_ERR_TIMEOUT; MF_ERR_WORKER_EXITED; MF_ERR_TOO_MANY_CALLS;
 *         MF_ERR_CANCELLED (stopped meanwhile); MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED;
 *         MF_ERR_WOULD_DEADLOCK on the engine thread.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_parent_heartbeat(mf_parent *parent, int64_t timeout_ms,
                                                  uint64_t *ret_rtt_ns, mf_error *error);

MF_EXTERN_C_END

#endif
