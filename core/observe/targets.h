/* Handles of the seam, made once and kept: a target (the target of a parent, or a worker that
 * serves) and its functions. Every report names one of them. */
#ifndef MFI_OBSERVE_TARGETS_H
#define MFI_OBSERVE_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/metrics.h>
#include <multifrost/probe.h>

#include "core/observe/handles.h"
#include "core/observe/segments.h"

/* Both make the series with closed label sets, at zero. On MF_OK the target is not NULL. */
mf_status mfi_target_create_client(mfi_target **ret_target, mfi_observer *observer,
                                   const mfi_client_options *options, mf_error *error);
mf_status mfi_target_create_server(mfi_target **ret_target, mfi_observer *observer,
                                   const mfi_server_options *options, mf_error *error);
/* A worker: its program was started as part of a trace, whose ids its announcements and connections
 * are logged with. Before it serves. */
void mfi_target_started_by(mfi_target *target, const mf_context *start);
/* From its return on no thread reads the target's gauges, so that their sources can be freed.
 * Reports still count. Both: NULL is a no-op. */
void mfi_target_hide(mfi_target *target);
void mfi_target_destroy(mfi_target *target);

/* Series of a function name; takes no lock for a known name. On the client side the first 32 names
 * have series of their own, and later names share `_OTHER`. So do registered names on the server
 * side. prepare returns false if the name must share. Never NULL. */
mfi_function *mfi_target_function(mfi_target *target, const char *name, size_t length);
bool mfi_target_prepare(mfi_target *target, const char *name);
/* The kept name of a function that has series of its own; NULL for `_OTHER`. */
const char *mfi_function_name(const mfi_function *function);

/* Durations of client calls, in seconds; NaN where the count is 0. */
typedef struct mfi_latency {
    uint64_t count;
    double mean, least, most, p50, p95, p99;
} mfi_latency;
/* All client calls of the targets of this name, merged over their functions: since the first of
 * them was made, and of the last minute. None for a target that has no counters of its own. */
void mfi_target_read(mfi_target *target, mfi_latency *ret_all, mfi_latency *ret_recent);
/* How the calls of all client targets of one name fare. */
typedef struct mfi_target_recent {
    bool is_counted; /* the next five are known */
    /* Calls that ended in the last minute. Failed ones are neither ok nor app errors nor cancelled.
     */
    uint64_t calls, failed, app_errors, cancelled;
    double p99_seconds; /* of the last minute; NaN without calls */
    uint64_t in_flight, queue_depth, queue_capacity;
    double oldest_seconds; /* of the oldest open call; 0: none is open */
} mfi_target_recent;
/* For one thread at a time: the last minute is that of the readings of this target. */
void mfi_target_read_recent(mfi_target *target, uint64_t now_ns, mfi_target_recent *ret_recent);

/* All targets of a process together. */
typedef struct mfi_program_load {
    uint64_t workers, ready; /* of the parents */
    uint64_t in_flight;      /* open calls of parents, and handlers that run */
} mfi_program_load;
void mfi_observer_read_load(mfi_observer *observer, mfi_program_load *ret_load);

/* The first functions that were prepared or called, by name; they live as long as their target. */
typedef struct mfi_function_names {
    size_t count;
    const char *names[MF_HEALTH_AFFECTED_MAX];
} mfi_function_names;
/* Adds those that are not among the names yet. */
void mfi_target_add_names(mfi_target *target, mfi_function_names *names);

/* Server: the calls of one function since the start. name NULL: all that share `_OTHER`.
 */
typedef struct mfi_function_runs {
    const char *name;
    uint64_t calls, errors;
    double p50, p95, p99; /* of its handler, in seconds; NaN if no handler ran */
} mfi_function_runs;
/* Calls visit for every function that was called. Does nothing if nothing is measured. */
void mfi_target_visit_runs(mfi_target *target,
                           void (*visit)(const mfi_function_runs *runs, void *user_data),
                           void *user_data);

#endif
