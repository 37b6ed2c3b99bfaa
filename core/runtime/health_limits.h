/* The limits of the health checks of targets and of the log, and the rows that tell them. */
#ifndef MFI_RUNTIME_HEALTH_LIMITS_H
#define MFI_RUNTIME_HEALTH_LIMITS_H

#include <stdint.h>

#include <multifrost/log.h>
#include <multifrost/runtime.h>

#include "core/observe/recent.h"
#include "core/observe/targets.h"

/* Each is 0 where nothing warns. */
typedef struct mfi_health_limits {
    double response_seconds, error_share, queue_share, oldest_seconds;
    uint64_t error_min_calls;
    uint64_t drops;
} mfi_health_limits;

/* options NULL: the defaults. MF_ERR_INVALID_ARGUMENT naming the option. */
mf_status mfi_health_limits_fill(mfi_health_limits *limits, const mf_health_options *options,
                                 mf_error *error);
/* Shows the four rows of a target. */
void mfi_health_show_target(const mfi_health_limits *limits, const char *target,
                            const mfi_target_recent *recent, mf_health_visit_fn visit,
                            void *user_data);
/* Shows the row of the log. The ring is of the thread that visits. */
void mfi_health_show_drops(const mfi_health_limits *limits, const mf_log_stats *stats,
                           mfi_recent *ring, uint64_t now_ns, mf_health_visit_fn visit,
                           void *user_data);

#endif
