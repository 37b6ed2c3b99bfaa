/* Handles of the seam, made once and kept: a target (what a parent calls, or a worker that serves)
 * and its functions. Everything that is reported names one of them. */
#ifndef MFI_CORE_OBSERVE_TARGETS_H
#define MFI_CORE_OBSERVE_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/metrics.h>

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
    uint32_t heartbeat_misses;      /* since the last answer */
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
} mfi_server_gauges;
typedef void (*mfi_server_gauges_fn)(mfi_server_gauges *ret_gauges, void *user_data);

typedef struct mfi_server_options {
    const char *worker;
    mfi_server_gauges_fn gauges;
    void *user_data; /* for gauges */
} mfi_server_options;

/* Both create the series with closed label sets at zero. Never NULL on MF_OK. */
mf_status mfi_target_create_client(mfi_target **ret_target, mfi_observer *observer,
                                   const mfi_client_options *options, mf_error *error);
mf_status mfi_target_create_server(mfi_target **ret_target, mfi_observer *observer,
                                   const mfi_server_options *options, mf_error *error);
void mfi_target_destroy(mfi_target *target);

/* Series of a function name; lock-free for a known name. On the client side the first 32 names get
 * their own, later ones share `_OTHER`; on the server side (registered names only) likewise.
 * prepare gives false when the name has to share. Never NULL. */
mfi_function *mfi_target_function(mfi_target *target, const char *name, size_t length);
bool mfi_target_prepare(mfi_target *target, const char *name);
/* The stored name of a function that has series of its own, NULL for `_OTHER`. */
const char *mfi_function_name(const mfi_function *function);

/* Distribution of all client calls of this target since the start, merged over functions. */
void mfi_target_read(mfi_target *target, mf_distribution *ret_distribution);
/* Median of the last minute in seconds, NaN when there were no calls. */
double mfi_target_recent_p50(mfi_target *target);

/* Server: the handler runs of one function since the start. name NULL: of all that share `_OTHER`.
 */
typedef struct mfi_function_runs {
    const char *name;
    uint64_t calls, errors;
    double p50, p95, p99; /* seconds; NaN without calls */
} mfi_function_runs;
/* Shows each function that has been called; nothing where nothing is measured. */
void mfi_target_visit_runs(mfi_target *target,
                           void (*visit)(const mfi_function_runs *runs, void *user_data),
                           void *user_data);

#endif
