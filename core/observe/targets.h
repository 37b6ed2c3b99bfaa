/* Handles of the seam, made once and kept: a target (what a parent calls, or a worker that serves)
 * and its functions. Everything that is reported names one of them. */
#ifndef MFI_OBSERVE_TARGETS_H
#define MFI_OBSERVE_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/metrics.h>

#include "core/observe/handles.h"

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
