/* Gauges of a target: held while the target lives, so that a state ends with its owner, and NULL
 * where the target has no states of its own. */
#ifndef MFI_OBSERVE_HOLDING_H
#define MFI_OBSERVE_HOLDING_H

#include "core/observe/parts.h"
#include "metrics/metric_set.h"

/* NULL without states. */
static inline mf_gauge *mfi_hold(const mfi_target *target, mf_family *family,
                                 const char *const *values)
{
    return target->owner->shown ? mfi_family_hold_gauge(family, values) : NULL;
}

static inline void mfi_drop(mf_family *family, mf_gauge **gauge)
{
    mfi_family_drop_gauge(family, *gauge);
    *gauge = NULL;
}

static inline void mfi_show(mf_gauge *gauge, double value)
{
    if (gauge != NULL) {
        mf_gauge_set(gauge, value);
    }
}

#endif
