/* What answers say of a worker and of a call's time: the states of sampled handlers, the load, and
 * the share of its deadline that a call took. */
#include "core/observe/holding.h"
#include "core/observe/parts.h"
#include "metrics/instruments.h"
#include "metrics/metric_set.h"

void mfi_answer_series_make(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    if (!target->is_server) {
        target->deadline_used = mf_family_histogram(families->deadline_used, &target->label);
        return;
    }
    for (size_t i = 0; i < MFI_HANDLER_STATE_COUNT; i++) {
        const char *names[] = {"", target->label, mfi_handler_state_word((mfi_handler_state)i)};
        target->handler_states[i] = mf_family_counter(families->handler_state, names);
    }
}

/* ---- Load ---- */

/* The load of a worker that ended is no state of the next one, which says its own. */
void mfi_answer_show_load(mfi_target *target, const mfi_client_gauges *gauges)
{
    const char *names[] = {target->name, target->worker};
    if (!gauges->says_load) {
        mfi_answer_series_end(target);
        return;
    }
    if (target->load == NULL) {
        target->load = mfi_hold(target, target->observer->families.worker_load, names);
    }
    mfi_show(target->load, gauges->load);
}

void mfi_answer_series_end(mfi_target *target)
{
    mfi_drop(target->observer->families.worker_load, &target->load);
}

/* ---- Reports ---- */

void mfi_measure_handler_times(const mfi_target *target, const mfi_handler_times *times)
{
    for (size_t i = 0; target->measured && i < MFI_HANDLER_STATE_COUNT; i++) {
        mf_counter_add(target->handler_states[i], times->ns[i]);
    }
}

/* Shares are recorded in billionths: duration / (deadline_ms * 10^6) * 10^9. */
void mfi_measure_deadline_used(const mfi_client_span *span, unsigned shard)
{
    uint64_t duration = span->end_ns - span->start_ns;
    if (span->deadline_ms > 0 && span->deadline_ms != MF_TIMEOUT_INFINITE &&
        duration < UINT64_MAX / 1000) {
        mfi_histogram_record_share_at(span->target->deadline_used, shard,
                                      duration * 1000 / (uint64_t)span->deadline_ms);
    }
}
