/* The parts that a target is made from: its names, and the functions that read the values of its
 * gauges. */
#ifndef MFI_OBSERVE_HANDLES_H
#define MFI_OBSERVE_HANDLES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/observe/span.h"
#include "core/words/circuits.h"
#include "core/words/pools.h"
#include "core/words/windows.h"
#include "core/words/workers.h"

typedef struct mfi_observer mfi_observer; /* made by observe.h */

/* Values of a client target's gauges. They are read before every collection, on the collecting
 * thread. If several parents share a target (the members of a pool), the sum is shown, or the
 * worst. */
typedef struct mfi_client_gauges {
    uint64_t calls_in_flight;
    double oldest_call_age_seconds;
    uint64_t queue_depth, queue_capacity;
    uint64_t concurrency_limit;
    mfi_worker_state state;
    int64_t pid;                    /* of the worker; 0: none runs, or it is not known */
    bool says_busy;                 /* the worker's heartbeat answers carry handler_seconds */
    double handler_seconds;         /* how long a handler has run; 0 if none runs */
    uint32_t heartbeat_misses;      /* heartbeats missed since the last answer */
    uint64_t heartbeat_last_ns;     /* wall clock of the last answer; 0: no answer yet */
    double restart_backoff_seconds; /* until the next start; 0 unless one is waited for */
    bool restarts;                  /* the worker is started again when it ends */
    uint64_t restart_budget;        /* then: restarts left in the present period */
    mfi_circuit_state circuit;
    uint64_t circuit_since_ns;        /* wall clock of its last change */
    uint64_t next_probe_ns;           /* wall clock; 0 unless the circuit is open */
    double failure_ratio, slow_ratio; /* that the circuit's rules look at */
    uint64_t window[MFI_WINDOW_KIND_COUNT];
    mfi_pool_state pool_state;
    bool says_load; /* the worker's answers carry its load */
    double load;    /* 0 to 1: of the last answer */
} mfi_client_gauges;
typedef void (*mfi_client_gauges_fn)(mfi_client_gauges *ret_gauges, void *user_data);

typedef struct mfi_client_options {
    const char *target; /* its name; several parents may share it */
    const char *worker; /* its name, such as "math-0": no other parent has it */
    mfi_client_gauges_fn gauges;
    void *user_data; /* passed to gauges */
} mfi_client_options;

/* Values of a worker's gauges. */
typedef struct mfi_server_gauges {
    uint64_t handlers_busy, handlers;  /* running handlers, and how many can run */
    double handler_seconds;            /* how long one of them has run; 0 if none runs */
    uint64_t queue_depth, queue_bytes; /* calls that wait for a handler, and their size */
} mfi_server_gauges;
typedef void (*mfi_server_gauges_fn)(mfi_server_gauges *ret_gauges, void *user_data);

typedef struct mfi_server_options {
    const char *worker;
    mfi_server_gauges_fn gauges;
    void *user_data;   /* passed to gauges */
    uint32_t handlers; /* how many can run at a time */
    int segment_fd; /* of the memory that the worker's parent made, which is closed; below 3: none
                     */
} mfi_server_options;

#endif
