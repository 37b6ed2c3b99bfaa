/* Handles of the seam, made once and kept: a target (the target of a parent, or a worker that
 * serves) and its functions. Every report names one of them. */
#ifndef MFI_OBSERVE_TARGETS_H
#define MFI_OBSERVE_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/metrics.h>

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
/* Median of the last minute in seconds; NaN without calls. */
double mfi_target_recent_p50(mfi_target *target);

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
