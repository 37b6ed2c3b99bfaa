/* What a target is made from: its names, and the functions that read what its gauges show. */
#ifndef MFI_OBSERVE_HANDLES_H
#define MFI_OBSERVE_HANDLES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/observe/span.h"
#include "core/words/pools.h"

typedef struct mfi_observer mfi_observer; /* observe.h makes it */

/* What the gauges of a client's target show; read before each collection, on the collecting thread.
 * Of several parents with the same target (the members of a pool) the sums are shown, or the worst.
 */
typedef struct mfi_client_gauges {
    uint64_t calls_in_flight;
    double oldest_call_age_seconds;
    uint64_t queue_depth, queue_capacity;
    uint64_t concurrency_limit;
    bool ready, frozen;             /* the worker runs; and is frozen */
    bool says_busy;                 /* the worker's heartbeat answers carry handler_seconds */
    double handler_seconds;         /* how long a handler has run, 0 if none runs */
    uint32_t heartbeat_misses;      /* in a row */
    uint64_t heartbeat_last_ns;     /* wall clock of the last answer, 0 if there was none */
    double restart_backoff_seconds; /* until the next start, 0 unless it waits for one */
    uint64_t restart_budget;        /* restarts that are left in the present period */
    uint64_t next_probe_ns;         /* wall clock, 0 unless the circuit is open */
    mfi_pool_state pool_state;
} mfi_client_gauges;
typedef void (*mfi_client_gauges_fn)(mfi_client_gauges *ret_gauges, void *user_data);

typedef struct mfi_client_options {
    const char *target;  /* its name, which several may share */
    const char *worker;  /* slot name such as "math-0" */
    const char *circuit; /* name of its circuit, which is no other's; NULL: target */
    mfi_client_gauges_fn gauges;
    void *user_data; /* for gauges */
} mfi_client_options;

/* What the gauges of a worker show. */
typedef struct mfi_server_gauges {
    uint64_t handlers_busy, handlers; /* running now, and how many can */
    double handler_seconds;           /* how long one of them has run; 0 if none runs */
} mfi_server_gauges;
typedef void (*mfi_server_gauges_fn)(mfi_server_gauges *ret_gauges, void *user_data);

typedef struct mfi_server_options {
    const char *worker;
    mfi_server_gauges_fn gauges;
    void *user_data; /* for gauges */
} mfi_server_options;

#endif
