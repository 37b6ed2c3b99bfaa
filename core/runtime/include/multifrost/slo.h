/**
 * @file slo.h
 * Objectives for calls: what share of them must succeed in time, and how fast the rest is used up.
 */
#ifndef MULTIFROST_SLO_H
#define MULTIFROST_SLO_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/runtime.h>

MF_EXTERN_C_BEGIN

#define MF_SLO_MAX 32      /**< Objectives of one runtime. */
#define MF_SLO_NAME_MAX 64 /**< Characters of a name. */

/** An objective for the calls of a target. Set by MF_SLO_OPTIONS_INIT. Texts are copied. */
typedef struct mf_slo_options {
    size_t struct_size;
    const char *name;      /**< [a-z0-9_.-]{1,64}; once for each runtime. */
    const char *target;    /**< Name of the target; it may come later. Not NULL, not empty. */
    const char *function;  /**< NULL: all functions of the target. */
    double threshold_ms;   /**< A good call takes at most this long; above 0. Fractions count. */
    double objective;      /**< Share of calls that must be good, above 0 and below 1: 0.999. */
    bool count_app_errors; /**< Calls whose handler failed are bad. Else they count neither way. */
} mf_slo_options;
#define MF_SLO_OPTIONS_INIT MF_DETAIL_INIT(mf_slo_options)

/**
 * Declares an objective, for the rest of the runtime's life. Calls that end from then on count.
 *
 * A call is good if it succeeded within the threshold, all attempts and waits included. It is bad
 * if it failed or took longer. A cancelled call counts neither way. Nor does a call whose handler
 * answered with an error (`app_error`), unless count_app_errors is set.
 *
 * Shown as multifrost_slo_requests_total{slo,result}, multifrost_slo_objective_ratio{slo} and
 * multifrost_slo_threshold_seconds{slo}, and as the check `<name>:burnRate` in /health. The check
 * shows how fast the budget of bad calls (1 - objective) is used: 1 uses it up exactly. It warns at
 * 14.4 over both 1 h and 5 min, or 6 over both 6 h and 30 min. It never fails, and gates no probe.
 *
 * @param runtime Borrowed; not NULL.
 * @param options Not NULL. Copied.
 * @param error   NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the option; MF_ERR_EXISTS if the name is taken,
 * also by a health check of the program; MF_ERR_LIMIT beyond MF_SLO_MAX; MF_ERR_FORKED;
 *         MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_slo_declare(mf_runtime *runtime, const mf_slo_options *options,
                                             mf_error *error);

MF_EXTERN_C_END

#endif
