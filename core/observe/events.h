/* What the engine reports beside calls: plain data, one struct for each kind of event. Texts are
 * borrowed until the report returns. */
#ifndef MFI_OBSERVE_EVENTS_H
#define MFI_OBSERVE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>

#include "core/words/circuits.h"
#include "core/words/disconnects.h"
#include "core/words/drains.h"
#include "core/words/drops.h"
#include "core/words/restarts.h"

typedef struct mfi_circuit_event {
    mfi_circuit_state from, to;
    mfi_circuit_cause cause;
    double observed, threshold;            /* opening: of its rule; threshold 0: it has none */
    const char *detail;                    /* opening: the same in words */
    mf_status status;                      /* of the call that tipped it; MF_OK if none did */
    const char *correlation_id, *trace_id; /* or NULL */
    uint64_t retry_in_ms;                  /* opening: cool-down */
} mfi_circuit_event;

typedef enum mfi_process_what {
    MFI_PROCESS_SPAWNED, /* process_spawn */
    MFI_PROCESS_READY,   /* worker_start; duration_ns since the spawn */
    MFI_PROCESS_EXITED,  /* process_exit, and worker_crash unless expected */
    MFI_PROCESS_FAILED,  /* the start failed: worker_stop with the reason */
    MFI_PROCESS_STOPPED, /* worker_stop, after an asked-for stop */
    MFI_PROCESS_RESTART, /* worker_restart: will be started again */
    MFI_PROCESS_GAVE_UP, /* worker_stop: too many restarts */
} mfi_process_what;

typedef struct mfi_process_event {
    mfi_process_what what;
    int64_t pid;
    uint64_t duration_ns;
    bool expected; /* the exit was asked for */
    bool exit_known;
    int exit_code;           /* -1 if it was a signal */
    int signal;              /* 0 if none */
    const char *text;        /* "killed by signal 9 (SIGKILL)", or the reason of a failure */
    uint64_t pending_failed; /* calls that the exit ended */
    /* MFI_PROCESS_RESTART; MFI_PROCESS_EXITED: why the parent ended it, if it did. */
    mfi_restart_reason reason;
    /* MFI_PROCESS_RESTART and MFI_PROCESS_GAVE_UP. */
    uint64_t restart_in_ms;
    uint32_t restart_attempt;    /* in a row */
    uint32_t restarts_in_period; /* this one included */
    uint32_t restarts_allowed;   /* in a period; 0: any number */
} mfi_process_event;

typedef enum mfi_service_what {
    MFI_SERVICE_REGISTERED,   /* service_register */
    MFI_SERVICE_UNREGISTERED, /* service_unregister */
    MFI_SERVICE_FOUND,        /* service_found */
    MFI_SERVICE_LOST,         /* service_lost (warn): text says why */
} mfi_service_what;

typedef struct mfi_service_event {
    mfi_service_what what;
    const char *service_id;
    const char *text; /* the endpoint, or the reason */
    int64_t pid;
    uint64_t pending_failed; /* calls that the loss ended */
    uint64_t gap_ns;         /* found again: how long it was lost */
} mfi_service_event;

/* A worker gets no new calls any more (begins), or its calls in flight have ended or the time for
 * that is over: drain (info, warn with calls_left). */
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
    uint64_t rtt_ns; /* answered */
    uint32_t consecutive_misses;
    uint32_t max_misses;
    bool first; /* of MFI_HEARTBEAT_FROZEN in a row */
    const char *request_id;
} mfi_heartbeat_event;

typedef enum mfi_transport_what {
    MFI_TRANSPORT_CONNECTED,        /* socket_connect */
    MFI_TRANSPORT_EXTRA_CONNECTION, /* a second peer on a spawn-mode socket: socket_connect, warn */
    MFI_TRANSPORT_DISCONNECTED,     /* socket_disconnect */
    MFI_TRANSPORT_RECONNECTED,      /* socket_reconnect */
    MFI_TRANSPORT_SEND_BLOCKED,     /* counted only */
    MFI_TRANSPORT_DROPPED,          /* message_rejected (warn) */
    MFI_TRANSPORT_LATE_REPLY,       /* counted only */
    MFI_TRANSPORT_QUEUE_FULL,       /* queue_overflow (warn, at most one record per second) */
} mfi_transport_what;

typedef struct mfi_transport_event {
    mfi_transport_what what;
    mfi_disconnect_reason disconnect; /* MFI_TRANSPORT_DISCONNECTED alone */
    mfi_drop_reason drop;             /* MFI_TRANSPORT_DROPPED alone */
    const char *text;                 /* detail for people: the decoder's message, the endpoint */
    size_t bytes;                     /* of the dropped message */
} mfi_transport_event;

/* How long an operation on the registry waited for its lock, when no lock was asked for. */
#define MFI_NO_LOCK UINT64_MAX

#endif
