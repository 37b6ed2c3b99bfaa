/* Declares an objective: it counts calls in core/observe, and its burn rate is a health check. It
 * exists apart from runtime.c because only these two know each other through it. */
#include <multifrost/slo.h>

#include "base/error.h"
#include "core/observe/slo.h"
#include "core/runtime/runtime.h"

_Static_assert(MF_SLO_MAX == MFI_SLO_MAX, "the public limit is the observer's");
_Static_assert(MF_SLO_NAME_MAX + 1 == MFI_SLO_NAME_BYTES, "the public limit is the observer's");

/* The check comes first: it may be taken away again, an objective may not. */
static mf_status add(mf_runtime *runtime, mfi_slo *slo, mf_error *error)
{
    mf_health_check check = {.struct_size = sizeof check,
                             .component = mfi_slo_name(slo),
                             .measurement = "burnRate",
                             .check = mfi_slo_check,
                             .user_data = slo};
    mf_status status = mf_runtime_add_health_check(runtime, &check, error);
    if (status == MF_OK) {
        status = mfi_slo_add(runtime->observer, slo, error);
        if (status != MF_OK) {
            mf_runtime_remove_health_check(runtime, check.component, check.measurement);
        }
    }
    return status;
}

mf_status mf_slo_declare(mf_runtime *runtime, const mf_slo_options *options, mf_error *error)
{
    mf_slo_options from;
    mfi_slo *slo = NULL;
    if (runtime == NULL || options == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is NULL",
                        runtime == NULL ? "runtime" : "options");
    }
    mf_status status = mfi_runtime_check(runtime, error);
    if (status == MF_OK) {
        status =
            mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_slo_options", error);
    }
    if (status != MF_OK) {
        return status;
    }
    const mfi_slo_options settings = {.name = from.name,
                                      .target = from.target,
                                      .function = from.function,
                                      .threshold_ms = from.threshold_ms,
                                      .objective = from.objective,
                                      .count_app_errors = from.count_app_errors};
    status = mfi_slo_make(&slo, &settings, runtime->clock, error);
    if (status == MF_OK) {
        status = add(runtime, slo, error);
        if (status != MF_OK) {
            mfi_slo_free(slo);
        }
    }
    return status;
}
