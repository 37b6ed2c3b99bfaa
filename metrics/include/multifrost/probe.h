/**
 * @file probe.h
 * The narrow interface through which a component shows its health, circuits and crashes.
 *
 * The HTTP endpoint sees a program only through its probe and its metrics. A runtime offers a probe
 * (mf_runtime_probe()); tests make their own.
 */
#ifndef MULTIFROST_PROBE_H
#define MULTIFROST_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/export.h>
#include <multifrost/metrics.h>

MF_EXTERN_C_BEGIN

/** Outcome of a health check. Higher is worse. */
typedef enum mf_health {
    MF_HEALTH_PASS = 0,
    MF_HEALTH_WARN = 1, /**< Degraded; probes still answer 200. */
    MF_HEALTH_FAIL = 2,
} mf_health;

/** The routes that a failing check makes fail, beside /health: a set of bits. */
enum {
    MF_GATE_NONE = 0,
    MF_GATE_LIVE = 1,    /**< /livez: restart the process. */
    MF_GATE_READY = 2,   /**< /readyz: send no traffic. */
    MF_GATE_STARTUP = 4, /**< /startupz: still starting. */
};

#define MF_HEALTH_AFFECTED_MAX 8 /**< Functions that one check names. */

/** One health check's outcome. All texts are borrowed for the duration of the visit. */
typedef struct mf_health_row {
    size_t struct_size;
    const char *component;      /**< "math"; no colon. */
    const char *measurement;    /**< "circuit", or "" for none; no colon. */
    const char *component_type; /**< "component", "system" or "datastore". */
    mf_health status;
    unsigned gates;  /**< MF_GATE_* bits. */
    bool has_number; /**< observed_number is set. */
    double observed_number;
    const char *observed_text; /**< Or NULL. */
    const char *observed_unit; /**< "s", "workers", or NULL. */
    const char *output; /**< Why the check did not pass; NULL if it did. No secrets, no paths. */
    /** Functions whose calls suffer while the check does not pass; at most MF_HEALTH_AFFECTED_MAX
     *  are shown. NULL: none. */
    const char *const *affected;
    size_t affected_count;
} mf_health_row;

/** The outcome of a health check of the program. The caller presets it to pass and no value. */
typedef struct mf_health_result {
    mf_health status;
    bool has_number;
    double observed_number;
    char observed_text[64]; /**< "" for none. */
    char output[256];       /**< Why the check did not pass. */
} mf_health_result;

/** A check that fills in `result`. Runs on the endpoint's health thread, about once a second. Must
 *  not block for long. */
typedef void (*mf_health_check_fn)(mf_health_result *result, void *user_data);

/** A health check that the program adds. Set by MF_HEALTH_CHECK_INIT. Texts are copied. */
typedef struct mf_health_check {
    size_t struct_size;
    const char *component;     /**< [A-Za-z0-9_.-]{1,64}; "cache". */
    const char *measurement;   /**< The same, or NULL; "hitRatio". */
    const char *observed_unit; /**< Or NULL. */
    unsigned gates;            /**< Routes that fail with it, beside /health: MF_GATE_* bits. */
    mf_health_check_fn check;
    void *user_data;
} mf_health_check;
#define MF_HEALTH_CHECK_INIT MF_DETAIL_INIT(mf_health_check)

/** One state change of a circuit. */
typedef struct mf_circuit_transition {
    const char *from; /**< closed, open, half_open, forced_open or disabled. */
    const char *to;
    const char *reason; /**< The rule, or "cool_down", "probes_passed", "heartbeat". */
    uint64_t at_wall_ns;
} mf_circuit_transition;

/** The last calls by how they ended, now or at the last trip. A change of state clears nothing. */
typedef struct mf_circuit_window {
    uint64_t calls; /**< At most config_window_calls; the sum of ok and failed. */
    uint64_t ok, failed;
    uint64_t excluded; /**< Calls beside these, in the same stretch, that count neither way. */
    uint64_t timeout, unavailable, worker_crashed, protocol_error; /**< Parts of failed. */
} mf_circuit_window;

/** The worker or service behind a circuit. */
typedef struct mf_circuit_worker {
    const char *name;  /**< "math-0"; NULL: the row describes no worker. */
    const char *state; /**< created, starting, ready, frozen, restarting, stopping, stopped,
                            failed. */
    int64_t pid;       /**< 0 if no process runs. */
    uint64_t restarts;
    uint32_t restarts_in_period;
    uint32_t restarts_permitted;  /**< In a period; 0: no limit, or no restarts. */
    double restart_in_seconds;    /**< 0 if no restart is due. */
    const char *last_exit;        /**< How the last process ended, or NULL. */
    int32_t last_exit_code;       /**< -1 if no process ended, or a signal ended it. */
    int32_t last_exit_signal;     /**< 0 if no signal ended a process. */
    double heartbeat_rtt_seconds; /**< Of the last answered heartbeat; 0 if there is none. */
    uint64_t heartbeat_misses;
    bool says_busy;         /**< The next two are known, as of the last heartbeat. */
    double handler_seconds; /**< How long a handler has run; 0 if none runs. */
    uint64_t handler_queue; /**< Calls that wait for a handler. */
} mf_circuit_worker;

/** A policy on trial: it refuses nothing, and counts what it would have refused. */
typedef struct mf_circuit_trial {
    const char *state; /**< closed, open or half_open; NULL: there is no trial. */
    uint64_t refused;  /**< Calls that it would have refused, since the start. */
    const char *rule;  /**< The rule that it would have opened by; NULL if it is closed. */
    double observed, threshold;
    const char *reason_text; /**< What was observed, for people; or NULL. */
    double failure_ratio, slow_ratio, slow_call_seconds; /**< As configured; 0: off. */
    uint32_t min_calls, window_calls;
} mf_circuit_trial;

#define MF_CIRCUIT_TRANSITIONS_MAX 8 /**< State changes in one row: the last ones. */

/** One circuit's state. All texts are borrowed for the duration of the visit. */
typedef struct mf_circuit_row {
    size_t struct_size;
    const char *target; /**< Several circuits may have one; worker.name tells them apart. */
    const char *state;
    uint64_t since_wall_ns;
    double since_seconds;
    uint64_t generation;
    const char *rule; /**< The rule that opened the circuit; NULL if it is closed. */
    double observed;
    double threshold;                      /**< 0 if the rule has none. */
    const char *first_error;               /**< Status of the call that opened it, or NULL. */
    const char *correlation_id, *trace_id; /**< Of the call that opened it, or NULL. */
    uint64_t next_probe_wall_ns;           /**< 0 unless open. */
    double next_probe_in_seconds;
    uint32_t open_count_in_row;
    mf_circuit_window window, window_at_trip;
    uint32_t probes_permitted, probes_in_flight, probes_ok, probes_failed;
    double probe_slot_seconds;
    uint32_t consecutive_failures;
    uint64_t refused_since_open;
    uint32_t config_consecutive_failures, config_heartbeat_misses;
    double config_open_seconds, config_open_max_seconds, config_jitter;
    size_t transition_count;
    mf_circuit_transition transitions[MF_CIRCUIT_TRANSITIONS_MAX]; /**< Oldest first. */
    mf_circuit_worker worker;
    const char *reason_text;      /**< What was observed, for people ("exit code 3"); or NULL. */
    uint32_t config_window_calls; /**< How many calls the window holds; 0: not told. */
    uint32_t reason_window_calls; /**< Of the rule that opened it; 0: it looks at no window. */
    /** Slow calls in the two windows: a part of ok. */
    uint64_t window_slow, window_at_trip_slow;
    uint64_t
        window_judged; /**< Calls in the window since the circuit closed: ratios are of these. */
    double config_failure_ratio, config_slow_ratio, config_slow_call_seconds; /**< 0: off. */
    uint32_t config_min_calls;                                                /**< 0: not told. */
    mf_circuit_trial trial;
    bool worker_says_load; /**< The worker's answers carry the next figure. */
    double worker_load;    /**< Busy share of its handler threads, 0 to 1. */
} mf_circuit_row;

/** Which calls a query asks for. */
typedef enum mf_call_view {
    MF_CALLS_OPEN = 0,    /**< Those in flight, the oldest first. */
    MF_CALLS_RECENT = 1,  /**< Those that ended, the newest first. */
    MF_CALLS_FAILED = 2,  /**< Those that ended and not well, the newest first. */
    MF_CALLS_SLOWEST = 3, /**< The slowest of each target and function, the slowest first. */
    MF_CALLS_ALL = 4,     /**< Open ones, the oldest first, then ended ones, the newest first. */
} mf_call_view;

/** What calls to show. A text that is NULL selects nothing. */
typedef struct mf_call_query {
    size_t struct_size;
    mf_call_view view;
    const char *function, *target, *worker, *correlation_id;
    const char *status; /**< As in the metrics: "ok", "timeout"; ended calls alone have one. */
    size_t limit;       /**< Most calls to show. */
} mf_call_query;

/** One call. All texts are borrowed for the duration of the visit; NULL where there is none. Times
 *  that are not known are negative. */
typedef struct mf_call_row {
    size_t struct_size;
    const char *role;  /**< "client": called here; "server": handled here. */
    const char *phase; /**< "queued", "sent", "retry_wait", "running", "deferred"; "ended". */
    const char *target, *worker, *function, *namespace_name;
    const char *correlation_id, *trace_id, *span_id, *request_id;
    uint32_t attempt;       /**< 1 for the first one; 0 on the worker's side. */
    uint64_t start_wall_ns; /**< The call began; on the worker's side: its handler. */
    double age_seconds;     /**< Since then; of an ended call its duration. */
    bool has_deadline;
    double deadline_left_seconds; /**< Of an open call; negative when it has passed. */
    double retry_in_seconds;      /**< Until the next attempt, if that is waited for. */
    const char *status;           /**< Of an ended call. */
    const char *error;            /**< Of a failed call, at most 256 bytes. */
    double send_wait_seconds, wire_seconds, peer_queue_seconds, handler_seconds,
        receive_wait_seconds;
    uint32_t request_bytes, response_bytes;
    /** Of a sampled handler (mf_child_options.handler_sampling), parts of handler_seconds. */
    double handler_on_cpu_seconds, handler_runnable_seconds, handler_blocked_seconds;
    uint32_t handler_sampled_one_in; /**< Calls that this one stands for; 0: it was not sampled. */
} mf_call_row;

/** What a query did not show, and why. */
typedef struct mf_call_counts {
    size_t struct_size;
    uint64_t matched;     /**< Calls that the query selects. */
    uint64_t shown;       /**< At most the limit. */
    uint64_t not_shown;   /**< Calls that are open and found no room in the table. */
    uint64_t overwritten; /**< Ended calls that later ones have overwritten, since the start. */
    uint64_t unreadable;  /**< Entries that changed while they were read. */
    double kept_seconds;  /**< Ended calls are shown for so long. */
} mf_call_counts;

/** Receives one call. The row is borrowed until the return. */
typedef void (*mf_call_visit_fn)(const mf_call_row *row, void *user_data);

/** Receives one health check. The row is borrowed until the return. */
typedef void (*mf_health_visit_fn)(const mf_health_row *row, void *user_data);
/** Receives one note of a program's state: "circuit math closed". Borrowed until the return. */
typedef void (*mf_note_visit_fn)(const char *note, void *user_data);
/** Receives one circuit. The row is borrowed until the return. */
typedef void (*mf_circuit_visit_fn)(const mf_circuit_row *row, void *user_data);

/** A call that was open when a worker ended. */
typedef struct mf_crash_call {
    const char *function;
    const char *correlation_id; /**< Or NULL. */
    double age_seconds;
    uint32_t attempt; /**< 1 for the first attempt; 0: not known. */
} mf_crash_call;

/** One end of a worker that nobody asked for. All texts are borrowed for the duration of the
 *  visit, and are free of control characters but newlines and tabs. */
typedef struct mf_crash_row {
    size_t struct_size;
    uint64_t number; /**< 1 for the first crash since the start; the next one has 2. */
    uint64_t at_wall_ns;
    const char *target, *worker;
    int64_t pid;             /**< 0: not known. */
    const char *how;         /**< exit, signal, killed (by its parent), vanished (a service),
                                  unknown. */
    const char *killed_for;  /**< killed: heartbeat, handler_timeout or disconnected; else NULL. */
    const char *text;        /**< The cause for people; or NULL. */
    int32_t exit_code;       /**< -1: not known, or a signal ended the process. */
    int32_t signal;          /**< 0: not known, or no signal did. */
    const char *signal_name; /**< "SIGSEGV", or NULL. */
    bool core_dumped;
    const char *core_pattern; /**< Where the kernel puts core files (its setting core_pattern);
                                   NULL: no core file is due, or it is not known. */
    bool was_ready;           /**< The worker had answered before it ended. */
    double uptime_seconds;    /**< Since its start; 0: not known. */
    bool has_usage;           /**< The next three are known. */
    double cpu_user_seconds, cpu_system_seconds;
    uint64_t max_rss_bytes;
    const char *next; /**< restart, gave_up, none; search: a service is looked for again. */
    double restart_in_seconds;
    uint32_t restarts_in_period;
    uint32_t restarts_permitted; /**< In a period; 0: no limit, or no restarts. */
    uint64_t open_calls;         /**< Calls that the end of the worker ended. */
    size_t call_count;           /**< How many of them are named: at most 8, the oldest first. */
    const mf_crash_call *calls;
    uint64_t running_calls; /**< Calls that ran, as the worker itself knew; 0 if it did not say. */
    size_t running_count;   /**< How many of them are named: at most 8. */
    const mf_crash_call *running;
    const char *err, *out, *log; /**< The last lines of stderr, of stdout, of its log; or NULL. */
} mf_crash_row;

/** Receives one crash. The row is borrowed until the return. */
typedef void (*mf_crash_visit_fn)(const mf_crash_row *row, void *user_data);

/** The service that a probe belongs to. */
typedef struct mf_probe_info {
    const char *service; /**< Name of the service; valid as long as the probe. */
    const char *version; /**< Version of the service, or "". */
    const char *instance;
} mf_probe_info;

/**
 * The interface. Any thread may call its functions, but only one thread at a time visit_health. A
 * visit must not block for more than some milliseconds.
 */
typedef struct mf_probe {
    size_t struct_size;
    void *self;
    mf_metrics *metrics; /**< Not NULL. */
    mf_probe_info info;
    /** Evaluates all checks now and shows each outcome once. */
    void (*visit_health)(void *self, mf_health_visit_fn visit, void *user_data);
    /** Shows every circuit, sorted by target. */
    void (*visit_circuits)(void *self, mf_circuit_visit_fn visit, void *user_data);
    /** Reports that the status of a check changed between two evaluations. check is
     *  "component:measurement". The function may be NULL. */
    void (*health_changed)(void *self, const char *check, mf_health from, mf_health to,
                           const char *output);
    /** Names the function to call when a row of visit_health comes or goes, so that the next
     *  evaluation need not wait for its time; NULL for none. Only one is kept. After the return no
     *  call of the function before is running. `changed` must not block, and must call nothing of
     *  the probe. The function may be NULL. */
    void (*watch)(void *self, void (*changed)(void *user_data), void *user_data);
    /** Shows the kept crashes, the newest first. Returns how many there were since the start. The
     *  function may be NULL. */
    uint64_t (*visit_crashes)(void *self, mf_crash_visit_fn visit, void *user_data);
    /** Shows the calls that a query selects, and counts. False: no calls are recorded, or there was
     *  no memory; ret_counts->kept_seconds is 0 if none are recorded. The function may be NULL. */
    bool (*visit_calls)(void *self, const mf_call_query *query, mf_call_visit_fn visit,
                        void *user_data, mf_call_counts *ret_counts);
    /** The words that a query's status can be, NULL-terminated. NULL: not known. */
    const char *const *call_statuses;
    /** Shows what a reader of /health should know beside the checks, whether they pass or not; the
     *  first 16 notes are kept. Called by the thread that visits health. The function may be NULL.
     */
    void (*visit_notes)(void *self, mf_note_visit_fn visit, void *user_data);
} mf_probe;

MF_EXTERN_C_END

#endif
