/* How a target's calls fare now: the last minute, and what is open. It exists for the health
 * checks, which judge a target by it, whatever parents share the target's name. */
#include <math.h>
#include <string.h>

#include "core/observe/parts.h"
#include "core/observe/targets.h"
#include "metrics/metric_set.h"

enum { CALLS, FAILED, APP_ERRORS, CANCELLED };

static void add_status(const char *status, uint64_t count, void *user_data)
{
    uint64_t *totals = user_data;
    totals[CALLS] += count;
    if (strcmp(status, mfi_call_status_word(MFI_STATUS_APP_ERROR)) == 0) {
        totals[APP_ERRORS] += count;
    } else if (strcmp(status, mfi_call_status_word(MFI_STATUS_CANCELLED)) == 0) {
        totals[CANCELLED] += count;
    } else if (strcmp(status, mfi_call_status_word(MFI_STATUS_OK)) != 0) {
        totals[FAILED] += count;
    }
}

/* False for a target whose calls count as those of `_OTHER`. */
static bool has_counters(const mfi_target *target)
{
    return target->measured && target->owner->counted && target->window != NULL;
}

static void read_calls(mfi_target *target, uint64_t now_ns, mfi_target_recent *ret_recent)
{
    uint64_t totals[MFI_RECENT_VALUES] = {0};
    uint64_t grown[MFI_RECENT_VALUES];
    mf_distribution latency = MF_DISTRIBUTION_INIT;
    mfi_family_count(target->observer->families.calls, target->label, add_status, totals);
    mfi_recent_read(&target->recent, now_ns, totals, grown);
    mf_window_read(target->window, &latency);
    ret_recent->is_counted = true;
    ret_recent->calls = grown[CALLS];
    ret_recent->failed = grown[FAILED];
    ret_recent->app_errors = grown[APP_ERRORS];
    ret_recent->cancelled = grown[CANCELLED];
    ret_recent->p99_seconds = latency.p99;
}

static void add_open(const mfi_target *target, mfi_target_recent *recent)
{
    mfi_client_gauges gauges = {0};
    target->client_gauges(&gauges, target->user_data);
    recent->in_flight += gauges.calls_in_flight;
    recent->queue_depth += gauges.queue_depth;
    recent->queue_capacity += gauges.queue_capacity;
    if (gauges.oldest_call_age_seconds > recent->oldest_seconds) {
        recent->oldest_seconds = gauges.oldest_call_age_seconds;
    }
}

void mfi_target_read_recent(mfi_target *target, uint64_t now_ns, mfi_target_recent *ret_recent)
{
    mfi_observer *observer = target->observer;
    *ret_recent = (mfi_target_recent){.p99_seconds = (double)NAN};
    if (has_counters(target)) {
        read_calls(target, now_ns, ret_recent);
    }
    mfi_mutex_lock(&observer->mutex);
    for (const mfi_target *at = observer->targets; at != NULL; at = at->next) {
        if (!at->is_server && at->client_gauges != NULL && strcmp(at->name, target->name) == 0) {
            add_open(at, ret_recent);
        }
    }
    mfi_mutex_unlock(&observer->mutex);
}

void mfi_observer_read_load(mfi_observer *observer, mfi_program_load *ret_load)
{
    *ret_load = (mfi_program_load){.workers = 0};
    mfi_mutex_lock(&observer->mutex);
    for (const mfi_target *at = observer->targets; at != NULL; at = at->next) {
        if (at->is_server && at->server_gauges != NULL) {
            mfi_server_gauges gauges = {0};
            at->server_gauges(&gauges, at->user_data);
            ret_load->in_flight += gauges.handlers_busy;
        } else if (!at->is_server && at->client_gauges != NULL) {
            mfi_client_gauges gauges = {0};
            at->client_gauges(&gauges, at->user_data);
            ret_load->workers++;
            ret_load->ready += gauges.state == MFI_WORKER_READY;
            ret_load->in_flight += gauges.calls_in_flight;
        }
    }
    mfi_mutex_unlock(&observer->mutex);
}

static bool has_name(const mfi_function_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

void mfi_target_add_names(mfi_target *target, mfi_function_names *names)
{
    for (size_t i = 0; i < MFI_FUNCTIONS_MAX && names->count < MF_HEALTH_AFFECTED_MAX; i++) {
        const mfi_function *function =
            atomic_load_explicit(&target->functions[i], memory_order_acquire);
        if (function != NULL && function->name != NULL && !has_name(names, function->name)) {
            names->names[names->count++] = function->name;
        }
    }
}
