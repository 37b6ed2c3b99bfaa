/* Shared by the files of the observer, and included by no other: the series of targets, and the
 * functions of the two listeners behind the seam. */
#ifndef MFI_OBSERVE_PARTS_H
#define MFI_OBSERVE_PARTS_H

#include <stdatomic.h>

#include <multifrost/log.h>
#include <multifrost/probe.h>
#include <multifrost/span.h>

#include "base/mutex.h"
#include "core/observe/catalogue.h"
#include "core/observe/crashes.h"
#include "core/observe/events.h"
#include "core/observe/handles.h"
#include "core/observe/recent.h"
#include "core/observe/recorder.h"
#include "core/observe/span.h"
#include "core/observe/statuses.h"
#include "core/words/attempts.h"
#include "core/words/outcomes.h"
#include "core/words/phases.h"
#include "core/words/refusals.h"
#include "core/words/registry.h"
#include "core/words/serving.h"
#include "core/words/traffic.h"
#include "core/words/windows.h"
#include "metrics/instruments.h"

struct mfi_segment_running; /* metrics/segment.h */

#define MFI_FUNCTIONS_MAX 32 /* with series of their own, of each target */

/* The families of the catalogue, one field each. */
typedef struct mfi_families {
#define MFI_FAMILY_FIELD(field, ...) mf_family *field;
    MFI_CATALOGUE(MFI_FAMILY_FIELD, )
#undef MFI_FAMILY_FIELD
} mfi_families;

/* A name that series have, as the value of their label `target` or, of a worker that serves,
 * `worker`. Counters stay when the last target of that name ends; states do not. So the names that
 * have counters are at most max_targets since the start, those with states at one time. */
typedef struct mfi_owner {
    struct mfi_owner *next;
    uint32_t live; /* targets of this name; an owner of counters is kept without any */
    bool counted;  /* has counters of its own; others count as `_OTHER` */
    bool shown;    /* has states of its own */
    char name[];
} mfi_owner;

struct mfi_observer {
    mf_logger *logger;
    mf_metrics *metrics;    /* NULL: nothing is measured */
    mfi_recorder *recorder; /* owned; NULL: no calls are recorded */
    /* Of this process, if it is a worker whose parent made one; NULL else. Set before the first
     * worker's target is open. */
    struct mfi_segment *segment;
    mf_span_observer spans;
    mfi_mutex slo_mutex;
    struct mfi_slo *slos[32]; /* guarded by slo_mutex; one that a function's mask names stays */
    uint32_t slo_count;       /* guarded by slo_mutex */
    mfi_families families;
    bool otel_names; /* the durations of calls have the names of OpenTelemetry */
    mf_counter *dropped[MFI_DROP_COUNT];
    mf_histogram *loop_lag;
    mf_counter *registry[MFI_REGISTRY_OP_COUNT][MFI_REGISTRY_RESULT_COUNT];
    mf_histogram *registry_lock_wait;
    /* Values of the log's counters at the last collection; collections run one at a time. */
    mf_log_stats log_seen;
    mfi_crashes crashes;
    mfi_mutex mutex;
    mfi_target *targets;   /* guarded by mutex; see list_target() */
    size_t max_targets;    /* that have series of their own */
    mfi_owner *owners;     /* guarded by mutex, as are the next two */
    size_t counted, shown; /* how many owners are that */
    mf_gauge *circuits[MFI_CIRCUIT_STATE_COUNT], *workers[MFI_WORKER_STATE_COUNT];
    _Atomic(uint64_t) accounts; /* how many were opened */
    mf_gauge *config;           /* the present series of config_info; reports come one at a time */
    _Atomic(uint64_t) overflow_logged_ns; /* time of the last queue_overflow record */
    _Atomic(uint64_t) refusal_logged_ns;  /* time of the last record of a refused stranger */
    _Atomic(uint64_t)
        wrong_peer_logged_ns; /* and of a message that another peer than the target sent */
};

/* The names of a call. Their size is fixed, so that a copy takes a few instructions. */
#define MFI_CALL_NAME_MAX 32
typedef struct mfi_call_names {
    char target[MFI_CALL_NAME_MAX], function[MFI_CALL_NAME_MAX];
    char worker[MFI_CALL_NAME_MAX]; /* empty: no worker */
} mfi_call_names;

/* The process of a worker: what was counted of it, and its gauges, which are NULL while they are
 * not known. Guarded by the mutex of its target. */
typedef struct mfi_account {
    int64_t pid;          /* 0: there is no process */
    uint64_t start_ticks; /* tells another process with the same pid; 0: it cannot be read */
    uint64_t serial;      /* no other process of the observer has it */
    uint64_t cpu_ns;      /* of the process, counted or left out before */
    uint64_t wait_ns;     /* likewise */
    bool counts_wait;     /* false until it is known what is to be left out */
    uint64_t read_ns;     /* monotonic, of the last reading; 0: none yet */
    mf_gauge *resident, *fds, *threads, *started;
} mfi_account;

struct mfi_function {
    bool has_names; /* false if a name is too long, or not known before the call */
    mfi_call_names names;
    mfi_recorded_names recorded; /* not made for `_OTHER` */
    uint64_t log_key;            /* hash of the name, for sampling */
    _Atomic(uint32_t)
        slos;   /* client: the objectives of its calls, one bit each; release, acquire */
    char *name; /* NULL: `_OTHER` */
    size_t length;
    mf_counter *started;
    _Atomic(mf_counter *) ended[MFI_STATUS_COUNT];      /* made on first use; release and acquire */
    _Atomic(mf_histogram *) duration[MFI_STATUS_COUNT]; /* durations.c; likewise */
};

/* The memory of a client's worker. Guarded by the observer's mutex, as each target's part of the
 * collection is. */
typedef struct mfi_segments {
    struct mfi_segment_reader *reader; /* of the worker that runs, or ran last; NULL: none */
    int fd;                            /* until the worker is ready; 0: none */
    bool is_counted;                   /* how the worker took it */
    bool is_taken;                     /* it was counted as taken, and is read from then on */
    uint64_t ignored, lost;            /* of this reader, as counted so far */
    size_t function_count;             /* over all starts, so that names do not grow without end */
    char *functions[MFI_FUNCTIONS_MAX];
} mfi_segments;

/* The gauges of handlers; NULL where the target has no states of its own, or they are not known. */
typedef struct mfi_serving_gauges {
    mf_gauge *in_flight, *threads[MFI_THREAD_COUNT], *waiting, *waiting_bytes;
    mf_gauge *age; /* of the handler that runs longest */
} mfi_serving_gauges;

/* The series of one target (client) or worker (server). */
struct mfi_target {
    mfi_observer *observer;
    struct mfi_target *next; /* guarded by the observer's mutex */
    char *name, *worker;     /* server: only name */
    mfi_owner *owner;        /* of the name; NULL: nothing is measured */
    /* The labels of its counters: its names, or `_OTHER`. */
    const char *label, *worker_label;
    _Atomic(int32_t) connected; /* this target's part of the connections gauge */
    bool is_server;
    mf_context started_by; /* server: the trace that its program was started in; or empty */
    mfi_client_gauges_fn client_gauges; /* client: not NULL if metrics are kept */
    mfi_server_gauges_fn server_gauges; /* server: likewise */
    void *user_data;
    mfi_mutex mutex; /* guards appending to functions, and the account; after the observer's */
    _Atomic(mfi_function *) functions[MFI_FUNCTIONS_MAX];
    mfi_function other;
    /* The pointers below are set: those for both sides, and those for its own side. */
    bool measured;
    mf_counter *messages[MFI_DIRECTION_COUNT][MFI_TRAFFIC_COUNT], *bytes[MFI_DIRECTION_COUNT];
    mf_counter *send_blocked, *disconnects[MFI_DISCONNECT_COUNT];
    /* Gauges are NULL where the target has no states of its own. */
    mf_gauge *connections;
    mfi_serving_gauges serving; /* client: of its worker, as far as they are known */
    mfi_segments segments;      /* client: the memory of its worker */
    /* Client. */
    mf_window *window;
    mfi_recent recent; /* of the thread that evaluates health */
    mf_histogram *phases[MFI_CALL_PHASE_COUNT];
    mf_histogram *request_size, *response_size, *heartbeat_rtt, *start_duration;
    mf_counter *attempts[MFI_ATTEMPT_COUNT], *refused[MFI_REFUSAL_COUNT];
    mf_counter *suppressed[MFI_SUPPRESSED_COUNT], *restarts[MFI_RESTART_COUNT];
    mf_counter *late_replies, *heartbeat_missed;
    mf_histogram *deadline_used;
    mf_gauge *load; /* NULL until an answer says it, and after its worker ended */
    mf_gauge *in_flight, *oldest_age, *queue_depth, *queue_capacity, *concurrency_limit;
    mf_gauge *heartbeat_consecutive, *heartbeat_last;
    mf_gauge *up, *exit_code, *exit_signal, *pid;
    mf_gauge *circuit_states[MFI_CIRCUIT_STATE_COUNT], *circuit_since, *circuit_probe;
    mf_gauge *failure_ratio, *slow_ratio, *window_calls[MFI_WINDOW_KIND_COUNT];
    mf_counter *probes[MFI_PROBE_RESULT_COUNT], *trials[MFI_TRIAL_POLICY_COUNT];
    /* The budget and the pool's states belong to one target of those that share a name, and are
     * NULL where nothing restarts, and without a pool. Guarded by the observer's mutex. */
    mf_gauge *restart_backoff, *restart_budget, *pool[MFI_POOL_COUNT];
    mfi_account account;
    /* Server. */
    mf_histogram *queue_wait;
    mf_counter *expired[MFI_EXPIRY_COUNT], *unknown, *busy;
    mf_counter *handler_states[MFI_HANDLER_STATE_COUNT];
};

/* ---- families.c ---- */
mf_status mfi_families_add(mfi_observer *observer, mf_error *error);
void mfi_families_remove(mfi_observer *observer);

/* ---- owners.c ---- */
/* Both with the observer's mutex held. NULL without memory. */
mfi_owner *mfi_owner_take_locked(mfi_observer *observer, const char *name);
void mfi_owner_leave_locked(mfi_observer *observer, mfi_owner *owner);
void mfi_owners_free(mfi_observer *observer);

/* ---- series.c ---- */
void mfi_target_series_make(mfi_target *target);
/* The target is destroyed: its gauges leave the exposition. */
void mfi_target_series_end(mfi_target *target);
void mfi_function_series_make(mfi_target *target, mfi_function *function, const char *name);
/* Collector: sets the gauges of all targets. */
void mfi_targets_collect(void *user_data);

/* ---- segments.c ---- */
/* What the worker's handlers run now, the oldest first; 0 if that is not known. Observer's mutex
 * held. */
size_t mfi_segments_read_running_locked(mfi_target *target, struct mfi_segment_running *ret_running,
                                        size_t most);

/* Makes the series about the memory itself, at zero. */
void mfi_segments_make(mfi_target *target);
/* Observer's mutex held, like a part of each collection. False: the worker has no segment, or did
 * not take it. */
bool mfi_segments_show_locked(mfi_target *target);
/* The worker is ready: one that has not taken its memory never will. */
void mfi_segments_ready(mfi_target *target);
void mfi_segments_free(mfi_target *target);

/* ---- own_segment.c ---- */
/* Attaches this worker to the memory that its parent made. Closes fd; below 3: none. */
void mfi_observer_attach(mfi_observer *observer, int fd, uint32_t handlers);
/* The handler's thread says what it runs. */
void mfi_segment_began(const mfi_server_span *span);
void mfi_segment_returned(const mfi_target *target, uint32_t handler);
void mfi_segment_waits(const mfi_target *target, int32_t calls, int64_t bytes);
/* ---- figures.c ---- */
void mfi_figures_process(mfi_target *target, const mfi_process_event *event);
void mfi_figures_service(mfi_target *target, const mfi_service_event *event);
/* The target is destroyed. */
void mfi_figures_end(mfi_target *target);
/* Collector: reads the processes of the workers, and counts and shows what it read. */
void mfi_figures_collect(void *user_data);
/* ---- durations.c ---- */
/* Makes the series that exist from the start. */
void mfi_durations_make(const mfi_target *target, mfi_function *function);
/* The series of calls that ended with this status. Hot path. */
mf_histogram *mfi_duration_of(const mfi_target *target, mfi_function *function,
                              mfi_call_status status);
/* The series of calls, or of handlers. target: "" for a worker's own. MFI_STATUS_COUNT: a failure
 * whose status is not known. */
mf_histogram *mfi_duration_series(const mfi_observer *observer, bool of_handlers,
                                  const char *target, const char *function, mfi_call_status status);
/* Adds up those of all statuses. */
void mfi_durations_merge(const mfi_function *function, mfi_cells *ret_cells);
/* ---- circuit_series.c: a client's window, probe calls and trial ---- */
void mfi_circuit_series_make(mfi_target *target);
void mfi_circuit_series_show(const mfi_target *target, const mfi_client_gauges *gauges);
void mfi_circuit_series_end(mfi_target *target);
void mfi_measure_probe(const mfi_target *target, mfi_probe_result result);
void mfi_measure_trial(const mfi_target *target, mfi_trial_policy policy);
/* ---- answers.c ---- */
void mfi_answer_series_make(mfi_target *target);
void mfi_answer_series_end(mfi_target *target);
/* Collector. */
void mfi_answer_show_load(mfi_target *target, const mfi_client_gauges *gauges);
void mfi_measure_handler_times(const mfi_target *target, const mfi_handler_times *times);
/* A call ended that was not refused. */
void mfi_measure_deadline_used(const mfi_client_span *span, unsigned shard);

/* ---- metrics.c ---- */
void mfi_measure_begin(const mfi_target *target, const mfi_function *function);
void mfi_measure_attempt(const mfi_target *target, mfi_attempt_kind kind, size_t bytes);
void mfi_measure_refused(const mfi_target *target, mfi_refusal reason);
void mfi_measure_suppressed(const mfi_target *target, mfi_suppression reason);
void mfi_measure_client_end(const mfi_client_span *span);
void mfi_measure_server_end(const mfi_server_span *span);
void mfi_measure_expired(const mfi_target *target, mfi_expiry stage);
void mfi_measure_unknown(const mfi_target *target);
void mfi_measure_circuit(const mfi_target *target, const mfi_circuit_event *event);
void mfi_measure_process(const mfi_target *target, const mfi_process_event *event);
void mfi_measure_heartbeat(const mfi_target *target, const mfi_heartbeat_event *event);
void mfi_measure_transport(mfi_target *target, const mfi_transport_event *event);
void mfi_measure_traffic(const mfi_target *target, mfi_direction direction, mfi_traffic type,
                         size_t bytes);
void mfi_measure_registry(const mfi_observer *observer, mfi_registry_op op,
                          mfi_registry_result result, uint64_t lock_wait_ns);
void mfi_measure_loop_lag(const mfi_observer *observer, uint64_t lag_ns);
/* Time on the wire: the part of the call that the peer does not account for. False if unknown. */
bool mfi_span_wire_ns(const mfi_client_span *span, uint64_t *ret_ns);

/* ---- slo.c ---- */
/* A function is in its target's table, or a target is listed: sets the mask of its objectives. */
void mfi_slo_mark(const mfi_target *target, mfi_function *function);
/* A call with objectives has ended. */
void mfi_slo_count_marked(const mfi_client_span *span, uint32_t mask);
void mfi_slos_free(mfi_observer *observer);

/* ---- log.c ---- */
struct mfi_record;
void mfi_logged_target(struct mfi_record *record, const mfi_target *target);
void mfi_logged_client_begin(const mfi_client_span *span);
void mfi_logged_client_end(const mfi_client_span *span, const mf_error *error);
void mfi_logged_server_begin(const mfi_server_span *span);
void mfi_logged_server_end(const mfi_server_span *span, const mf_error *error);
void mfi_logged_retry(const mfi_client_span *span, mf_status status, const mf_error *error,
                      uint64_t wait_ms);

/* ---- log_processes.c ---- */
void mfi_logged_process(const mfi_target *target, const mfi_process_event *event);

/* ---- log_events.c ---- */
/* False if the logger leaves ids of calls out. */
bool mfi_logged_shows_ids(const struct mfi_record *record);
void mfi_logged_circuit(const mfi_target *target, const mfi_circuit_event *event);
void mfi_logged_service(const mfi_target *target, const mfi_service_event *event);
void mfi_logged_drain(const mfi_target *target, const mfi_drain_event *event);
void mfi_logged_heartbeat(const mfi_target *target, const mfi_heartbeat_event *event);
void mfi_logged_transport(const mfi_target *target, const mfi_transport_event *event);
void mfi_logged_output_line(const mfi_target *target, const mfi_output_event *event);
void mfi_logged_health(const mfi_observer *observer, const char *check, mf_health from,
                       mf_health to, const char *output);

/* ---- remains.c ---- */
/* What the worker had written down when it ended: the calls that ran, and its last log lines. */
#define MFI_SEGMENT_TAIL_BYTES 4096
typedef struct mfi_segment_notes {
    mfi_running_calls running;
    char log[MFI_SEGMENT_TAIL_BYTES]; /* with newlines between them */
    size_t log_size;
} mfi_segment_notes;
/* False: the worker had no memory of its own. Before mfi_target_end_segment(). */
bool mfi_remains_read(mfi_target *target, mfi_segment_notes *ret_notes);

/* ---- crashes.c ---- */
void mfi_crashed_process(mfi_target *target, const mfi_process_event *event);
void mfi_crashed_service(mfi_target *target, const mfi_vanished_event *event);

#endif
