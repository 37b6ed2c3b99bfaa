/* Objectives for calls (multifrost/slo.h): which calls are good, and how fast the budget of bad
 * ones is used. Calls are counted when they end, without a lock, in a ring of half minutes. */
#ifndef MFI_OBSERVE_SLO_H
#define MFI_OBSERVE_SLO_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/metrics.h>
#include <multifrost/probe.h>

#include "base/clock.h"
#include "core/observe/handles.h"

#define MFI_SLO_MAX 32        /* objectives of one runtime: one bit each of a function's mask */
#define MFI_SLO_NAME_BYTES 65 /* with the NUL */
#define MFI_SLO_SLOT_NS (30 * MFI_NS_PER_S)
#define MFI_SLO_SLOTS 721 /* six hours, and the half minute that has just begun */

typedef struct mfi_slo_options {
    const char *name, *target, *function; /* function NULL: all */
    double threshold_ms, objective;
    bool count_app_errors;
} mfi_slo_options;

typedef struct mfi_slo mfi_slo;

typedef enum mfi_slo_window {
    MFI_SLO_5M,
    MFI_SLO_30M,
    MFI_SLO_1H,
    MFI_SLO_6H,
    MFI_SLO_WINDOW_COUNT
} mfi_slo_window;

/* Makes an objective, not counted yet. The clock is borrowed. MF_ERR_INVALID_ARGUMENT naming the
 * option; MF_ERR_NO_MEMORY. */
mf_status mfi_slo_make(mfi_slo **ret_slo, const mfi_slo_options *options, const mfi_clock *clock,
                       mf_error *error);
void mfi_slo_free(mfi_slo *slo); /* of one that was not added */
const char *mfi_slo_name(const mfi_slo *slo);
/* From here on the calls of its functions count. The observer owns it then. MF_ERR_EXISTS;
 * MF_ERR_LIMIT. Then nothing has happened. */
mf_status mfi_slo_add(mfi_observer *observer, mfi_slo *slo, mf_error *error);

/* A call of the duration ended. Hot path. */
void mfi_slo_count(mfi_slo *slo, mf_status status, uint64_t duration_ns, uint64_t end_ns);
/* How many times faster than allowed the budget was used in each window; 0 without calls. */
void mfi_slo_burn(const mfi_slo *slo, double ret_rates[MFI_SLO_WINDOW_COUNT]);
/* An mf_health_check_fn, with the objective as user_data. */
void mfi_slo_check(mf_health_result *result, void *user_data);

#endif
