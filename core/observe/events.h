/* Events that the engine reports beside calls: plain data, one struct for every kind of event.
 * Texts are borrowed until the report returns. */
#ifndef MFI_OBSERVE_EVENTS_H
#define MFI_OBSERVE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/context.h>
#include <multifrost/error.h>

#include "core/words/circuits.h"
#include "core/words/crashes.h"
#include "core/words/disconnects.h"
#include "core/words/drains.h"
#include "core/words/drops.h"
#include "core/words/restarts.h"

typedef struct mfi_circuit_event {
    mfi_circuit_state from, to;
    mfi_circuit_cause cause;
    double observed, threshold; /* when opening: of the rule; threshold 0: the rule has none */
    const char *detail;         /* when opening: the same in words */
    mfi_circuit_cause rule;     /* when opening: it may be an earlier one than the cause */
    uint32_t window_calls;      /* of the rule; 0: the rule looks at no window */
    /* Of the call that opened the circuit; MF_OK if no call did. */
    mf_status status;
    const char *correlation_id, *trace_id; /* or NULL */
    uint64_t retry_in_ms;                  /* when opening: the cool-down */
} mfi_circuit_event;

/* A call that the end of its worker ended. */
typedef struct mfi_open_call {
    char function[64]; /* cut */
    char correlation_id[MF_CORRELATION_ID_MAX];
    uint64_t age_ns;
    uint32_t attempt; /* 1 for the first one; 0: not known */
} mfi_open_call;

/* What a worker that ended by itself leaves behind. */
#define MFI_OPEN_CALLS_MAX 8
/* Calls that ran in the worker as the worker itself knew them, callers of others included. */
typedef struct mfi_running_calls {
    mfi_open_call list[MFI_OPEN_CALLS_MAX]; /* attempt 0 */
    uint32_t named;
    uint64_t all; /* those that are not named included */
} mfi_running_calls;
/* Adds one call; a call for which there is no room is only counted. */
void mfi_crash_add_running(mfi_running_calls *to, const char *function, const char *correlation_id,
                           uint64_t age_ns);

typedef struct mfi_remains {
    const mfi_open_call *calls; /* those that are named, the oldest first */
    uint32_t named;             /* at most MFI_OPEN_CALLS_MAX of pending_failed */
    /* The last lines of both streams, with newlines between them. */
    const char *out, *err;
    size_t out_size, err_size;
    int64_t user_us, system_us; /* processor time of the process and its children */
    int64_t max_rss_kib;        /* most memory at one time; 0: what the process used is not known */
    /* What the worker itself had written down; NULL: nothing is known. */
    const mfi_running_calls *running;
    const char *log; /* its last log lines, with newlines between them */
    size_t log_size;
} mfi_remains;

typedef enum mfi_process_what {
    MFI_PROCESS_SPAWNED, /* process_spawn */
    MFI_PROCESS_READY,   /* worker_start; duration_ns counts from the spawn */
    MFI_PROCESS_EXITED,  /* process_exit, and worker_crash unless expected */
    MFI_PROCESS_FAILED,  /* the start failed: worker_stop with the reason */
    MFI_PROCESS_STOPPED, /* worker_stop, after a stop that the program asked for */
    MFI_PROCESS_RESTART, /* worker_restart: the worker will be started again */
    MFI_PROCESS_GAVE_UP, /* worker_stop: too many restarts */
} mfi_process_what;

/* The start of a worker has ended, well or not. */
typedef struct mfi_start_event {
    const mf_context *context; /* the ids of its span */
    mf_status status;
    const char *text; /* why it failed; or NULL */
    uint64_t began_ns, ended_ns;
} mfi_start_event;

typedef struct mfi_process_event {
    mfi_process_what what;
    const mf_context *context; /* of the process's start; or NULL */
    int64_t pid;
    uint64_t duration_ns;
    /* MFI_PROCESS_SPAWNED: start of the process, in clock ticks since the boot; 0: not known. */
    uint64_t start_ticks;
    /* MFI_PROCESS_EXITED: processor time of its life, with that of its children; 0: not known. */
    uint64_t used_ns;
    bool expected; /* the program asked for the exit */
    bool exit_known;
    int exit_code;              /* -1 if a signal ended it */
    int signal;                 /* 0 if no signal did */
    const char *text;           /* "killed by signal 9 (SIGKILL)", or the reason of a failure */
    uint64_t pending_failed;    /* calls that the exit ended */
    const mfi_remains *remains; /* for worker_crash; for worker_restart its last lines; or NULL */
    /* MFI_PROCESS_RESTART; MFI_PROCESS_EXITED: why the parent ended it, if it did. */
    mfi_restart_reason reason;
    /* MFI_PROCESS_EXITED, unless expected: for worker_crash. */
    bool was_ready;
    bool dumped_core;
    const char *core_pattern; /* where the kernel puts core files; NULL: none is due, or unknown */
    uint64_t uptime_ns;       /* since the spawn */
    mfi_crash_next next;
    /* MFI_PROCESS_RESTART and MFI_PROCESS_GAVE_UP; MFI_PROCESS_EXITED: of `next`. */
    uint64_t restart_in_ms;
    uint32_t restart_attempt;    /* number of restarts in a row */
    uint32_t restarts_in_period; /* this one included */
    uint32_t restarts_allowed;   /* in a period; 0: no bound */
} mfi_process_event;

typedef enum mfi_service_what {
    MFI_SERVICE_REGISTERED,   /* service_register */
    MFI_SERVICE_UNREGISTERED, /* service_unregister */
    MFI_SERVICE_FOUND,        /* service_found */
    MFI_SERVICE_LOST,         /* service_lost (warn): text says why */
    MFI_SERVICE_BOUND,        /* service_bind: a child that does not register */
    MFI_SERVICE_EXPOSED,      /* service_bind (warn): other machines reach the address */
} mfi_service_what;

typedef struct mfi_service_event {
    mfi_service_what what;
    const char *service_id; /* NULL: the service has an address and no name */
    const char *text;       /* the endpoint, or the reason */
    int64_t pid;
    uint64_t pending_failed; /* calls that the loss ended */
    /* MFI_SERVICE_FOUND: start of its process as above, 0 if it cannot be read; and the processor
     * time that it had used by then. */
    uint64_t start_ticks, used_ns;
    uint64_t gap_ns; /* when found again: how long it was lost */
} mfi_service_event;

/* A service whose process has ended, though it did not give up its name before. */
typedef struct mfi_vanished_event {
    uint64_t at_wall_ns; /* when its connection ended */
    int64_t pid;         /* 0: not known */
    const char *text;
    uint64_t pending_failed;    /* calls that the loss ended */
    const mfi_open_call *calls; /* those that are named, the oldest first */
    uint32_t named;
} mfi_vanished_event;

/* A worker gets no new calls from now on (begins); or its calls in flight have ended, or the time
 * for that has passed. Logged as drain (info; warn with calls_left). */
typedef struct mfi_drain_event {
    bool begins;
    mfi_drain_reason reason;
    uint64_t calls_left;
    uint64_t duration_ns;
} mfi_drain_event;

typedef enum mfi_heartbeat_what {
    MFI_HEARTBEAT_SENT,     /* heartbeat_sent (debug) */
    MFI_HEARTBEAT_ANSWERED, /* heartbeat_received (debug) */
    MFI_HEARTBEAT_LATE,     /* no answer in time, but another message: heartbeat_missed (debug) */
    MFI_HEARTBEAT_MISSED,   /* no message at all: heartbeat_missed (warn) */
    MFI_HEARTBEAT_BUSY,     /* the same, at the limit; the peer may work: heartbeat_missed (warn) */
    MFI_HEARTBEAT_FROZEN,   /* at the limit: heartbeat_missed, first heartbeat_timeout (error) */
} mfi_heartbeat_what;

typedef struct mfi_heartbeat_event {
    mfi_heartbeat_what what;
    uint64_t rtt_ns; /* of an answered heartbeat */
    uint32_t consecutive_misses;
    uint32_t max_misses; /* if a miss reaches it: heartbeat_timeout (error) too */
    bool first;          /* of MFI_HEARTBEAT_FROZEN in a row */
    const char *request_id;
} mfi_heartbeat_event;

typedef enum mfi_transport_what {
    MFI_TRANSPORT_CONNECTED,        /* socket_connect */
    MFI_TRANSPORT_EXTRA_CONNECTION, /* a second peer on a spawn-mode socket: socket_connect, warn */
    MFI_TRANSPORT_REFUSED,          /* a stranger: socket_disconnect (warn, at most one a second) */
    MFI_TRANSPORT_BLIND, /* the kernel tells no holder of a connection: socket_connect, warn */
    MFI_TRANSPORT_DISCONNECTED, /* socket_disconnect */
    MFI_TRANSPORT_RECONNECTED,  /* socket_reconnect */
    MFI_TRANSPORT_SEND_BLOCKED, /* counted only */
    MFI_TRANSPORT_DROPPED,      /* message_rejected (warn) */
    MFI_TRANSPORT_LATE_REPLY,   /* counted only */
    MFI_TRANSPORT_QUEUE_FULL,   /* queue_overflow (warn, at most one record per second) */
} mfi_transport_what;

typedef struct mfi_transport_event {
    mfi_transport_what what;
    mfi_disconnect_reason disconnect; /* MFI_TRANSPORT_DISCONNECTED alone */
    mfi_drop_reason drop;             /* MFI_TRANSPORT_DROPPED alone */
    const char *text;                 /* details for people: the decoder's message, the endpoint */
    size_t bytes;                     /* of the dropped message */
} mfi_transport_event;

/* A line that a worker printed. */
typedef struct mfi_output_event {
    bool is_stderr;
    const char *text;
    size_t length;
    const char *correlation_id, *trace_id; /* of the call that printed it; NULL or "": not known */
    bool is_likely;                        /* the call may be another one */
    bool counts_open;                      /* open_calls says why the call is not known */
    uint32_t open_calls;
} mfi_output_event;

/* A setting that was changed from outside. Names and texts may be NULL where there is none. */
typedef struct mfi_config_change {
    const char *setting, *target, *worker, *from, *to;
    int64_t uid, pid; /* of the process that asked for it */
} mfi_config_change;

/* Wait for the lock of the registry, for an operation that takes no lock. */
#define MFI_NO_LOCK UINT64_MAX

#endif
