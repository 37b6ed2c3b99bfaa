/* The histograms of how long calls took, by the status of the call. They stand apart because two
 * conventions name them: the library's own (label `outcome`: all failures are one series), and that
 * of OpenTelemetry (label `error_type`: the status, of failures alone). */
#include "core/observe/parts.h"
#include "metrics/metric_set.h"

#define SYSTEM "multifrost" /* rpc_system_name */

mf_histogram *mfi_duration_series(const mfi_observer *observer, bool of_handlers,
                                  const char *target, const char *function, mfi_call_status status)
{
    const mfi_families *families = &observer->families;
    mf_family *family = of_handlers ? families->server_duration : families->call_duration;
    const char *type = status == MFI_STATUS_OK      ? ""
                       : status == MFI_STATUS_COUNT ? MF_METRIC_OTHER
                                                    : mfi_call_status_word(status);
    const char *outcome =
        mfi_outcome_word(status == MFI_STATUS_OK ? MFI_OUTCOME_OK : MFI_OUTCOME_ERROR);
    return observer->otel_names
               ? mf_family_histogram(family, (const char *const[]){target, SYSTEM, function, type})
               : mf_family_histogram(family, (const char *const[]){target, function, outcome});
}

static mf_histogram *make(const mfi_target *target, mfi_function *function, mfi_call_status status)
{
    const char *name =
        target->owner->counted && function->name != NULL ? function->name : MF_METRIC_OTHER;
    /* A worker does not know which target it belongs to. */
    mf_histogram *made = mfi_duration_series(target->observer, target->is_server,
                                             target->is_server ? "" : target->label, name, status);
    atomic_store_explicit(&function->duration[status], made, memory_order_release);
    return made;
}

/* Under the library's names all series are there from the start. Under those of OpenTelemetry the
 * series of a failure is made by the first such failure, because there are eleven. */
void mfi_durations_make(const mfi_target *target, mfi_function *function)
{
    (void)make(target, function, MFI_STATUS_OK);
    if (!target->observer->otel_names) {
        mf_histogram *failed = make(target, function, MFI_STATUS_INTERNAL);
        for (size_t i = MFI_STATUS_OK + 1; i < MFI_STATUS_INTERNAL; i++) {
            atomic_store_explicit(&function->duration[i], failed, memory_order_release);
        }
    }
}

mf_histogram *mfi_duration_of(const mfi_target *target, mfi_function *function,
                              mfi_call_status status)
{
    mf_histogram *durations =
        atomic_load_explicit(&function->duration[status], memory_order_acquire);
    return __builtin_expect(durations != NULL, 1) ? durations : make(target, function, status);
}

/* Several statuses may share a series; such statuses stand side by side. */
void mfi_durations_merge(const mfi_function *function, mfi_cells *ret_cells)
{
    const mf_histogram *last = NULL;
    for (size_t i = 0; i < MFI_STATUS_COUNT; i++) {
        const mf_histogram *durations =
            atomic_load_explicit(&function->duration[i], memory_order_acquire);
        if (durations != NULL && durations != last) {
            mfi_histogram_merge(durations, ret_cells);
            last = durations;
        }
    }
}
