/* mf_parent: options, creation, start and stop as users see them, and what they read back. */
#include "core/client/parent.h"
#include "core/client/calls/result.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/member.h"
#include "core/client/options.h"

#define IDLE_TICK_NS (20 * MFI_NS_PER_MS)

/* ---- State ---- */

void mfi_parent_set_state(mf_parent *parent, mf_parent_state state)
{
    atomic_store_explicit(&parent->state, state, memory_order_release);
    mfi_futex_wake(&parent->state, INT32_MAX);
}

mf_status mfi_parent_not_running(mf_parent *parent, mf_error *error)
{
    char reason[MFI_EXIT_TEXT_MAX];
    mf_parent_state state = mfi_parent_state(parent);
    if (state == MF_PARENT_CREATED) {
        return mfi_fail(error, MF_ERR_NOT_RUNNING, "'%s' is not running: it was not started",
                        parent->settings.target);
    }
    if (state == MF_PARENT_STOPPING || state == MF_PARENT_STOPPED) {
        return mfi_fail(error, MF_ERR_NOT_RUNNING, "'%s' is not running: it was stopped",
                        parent->settings.target);
    }
    mfi_mutex_lock(&parent->mutex);
    (void)mfi_str_copy(reason, sizeof reason, parent->exit_text);
    mfi_mutex_unlock(&parent->mutex);
    return mfi_fail(error, MF_ERR_NOT_RUNNING, "'%s' is %s: its worker %s", parent->settings.target,
                    state == MF_PARENT_RESTARTING ? "restarting" : "not running",
                    reason[0] != '\0' ? reason : "is not ready");
}

/* Waits until the state is none of two, or the deadline has passed. */
static mf_parent_state wait_while(mf_parent *parent, mf_parent_state a, mf_parent_state b,
                                  uint64_t deadline_ns)
{
    for (;;) {
        mf_parent_state state = mfi_parent_state(parent);
        if ((state != a && state != b) ||
            (deadline_ns != MFI_NEVER && mfi_monotonic_ns() >= deadline_ns)) {
            return state;
        }
        mfi_futex_wait(&parent->state, state, deadline_ns);
    }
}

/* A service is looked for as long as at the start; a process becomes ready or is given up. */
static uint64_t restart_deadline(const mf_parent *parent)
{
    const mfi_parent_settings *settings = &parent->settings;
    uint64_t at = mfi_monotonic_ns();
    if (!mfi_parent_connects(parent)) {
        return MFI_NEVER;
    }
    at = mfi_deadline_after_ms(at, settings->stop_timeout_ms);
    at = mfi_deadline_after_ms(at, settings->discovery_timeout_ms);
    return mfi_deadline_after_ms(at, settings->start_timeout_ms);
}

mf_parent_state mf_parent_get_state(mf_parent *parent)
{
    return parent != NULL ? mfi_parent_state(parent) : MF_PARENT_CREATED;
}

/* ---- Start and stop ---- */

mf_status mf_parent_start_async(mf_parent *parent, mf_start_fn done, void *user_data,
                                mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->runtime, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_mutex_lock(&parent->mutex);
    bool first = mfi_parent_state(parent) == MF_PARENT_CREATED;
    if (first) {
        parent->start_done = done;
        parent->start_data = user_data;
        mfi_parent_set_state(parent, MF_PARENT_STARTING);
    }
    mfi_mutex_unlock(&parent->mutex);
    if (!first) {
        return mfi_fail(error, MF_ERR_STATE, "'%s' was started or stopped before",
                        parent->settings.target);
    }
    (void)mfi_loop_post(parent->runtime->loop, &parent->start_task);
    return MF_OK;
}

mf_status mf_parent_start(mf_parent *parent, mf_error *error)
{
    if (parent != NULL && mfi_loop_on_thread(parent->runtime->loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a start from a callback would wait for itself: use "
                        "mf_parent_start_async()");
    }
    mf_status status = mf_parent_start_async(parent, NULL, NULL, error);
    if (status != MF_OK) {
        return status;
    }
    (void)wait_while(parent, MF_PARENT_STARTING, MF_PARENT_STOPPING, MFI_NEVER);
    mfi_mutex_lock(&parent->mutex);
    status = parent->start_status;
    if (status != MF_OK) {
        (void)mfi_fail(error, status, "%s", parent->exit_text);
    }
    mfi_mutex_unlock(&parent->mutex);
    return status;
}

mf_status mf_parent_stop(mf_parent *parent, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->runtime->loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a stop from a callback would wait for itself");
    }
    mfi_mutex_lock(&parent->mutex);
    bool unused = mfi_parent_state(parent) == MF_PARENT_CREATED;
    if (unused) {
        mfi_parent_set_state(parent, MF_PARENT_STOPPED);
    }
    mfi_mutex_unlock(&parent->mutex);
    while (!unused && mfi_parent_state(parent) != MF_PARENT_STOPPED) {
        mf_parent_state state = mfi_parent_state(parent);
        (void)mfi_loop_post(parent->runtime->loop, &parent->stop_task);
        if (state != MF_PARENT_STOPPED) {
            mfi_futex_wait(&parent->state, state, MFI_NEVER);
        }
    }
    return MF_OK;
}

typedef struct restart_call {
    mf_parent *parent;
    mf_error *error;
    mf_status status;
} restart_call;

static void restart_on_engine(void *argument)
{
    restart_call *call = argument;
    call->status = mfi_link_restart(call->parent, call->error);
}

mf_status mf_parent_restart(mf_parent *parent, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->runtime->loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a restart from a callback would wait for itself");
    }
    restart_call call = {.parent = parent, .error = error};
    mfi_loop_call(parent->runtime->loop, restart_on_engine, &call);
    if (call.status != MF_OK) {
        return call.status;
    }
    mf_parent_state state =
        wait_while(parent, MF_PARENT_RESTARTING, MF_PARENT_RESTARTING, restart_deadline(parent));
    if (state == MF_PARENT_READY) {
        return MF_OK;
    }
    if (state == MF_PARENT_RESTARTING) {
        return mfi_fail(error, MF_ERR_NOT_FOUND,
                        "Service '%s' was not found again in time; it is still looked for",
                        parent->settings.service_id);
    }
    if (state != MF_PARENT_FAILED) {
        return mfi_fail(error, MF_ERR_CANCELLED, "'%s' was stopped during the restart",
                        parent->settings.target);
    }
    mfi_mutex_lock(&parent->mutex);
    status = parent->start_status != MF_OK ? parent->start_status : MF_ERR_WORKER_EXITED;
    (void)mfi_fail(error, status, "%s", parent->exit_text);
    mfi_mutex_unlock(&parent->mutex);
    return status;
}

/* ---- Circuit events ---- */

static void on_circuit_timer(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, circuit_timer);
    mfi_circuit_tick(&parent->circuit);
    (void)mfi_timer_set(parent->runtime->loop, timer, mfi_circuit_next_event_ns(&parent->circuit));
}

static void on_circuit_task(mfi_task *task)
{
    on_circuit_timer(&MFI_CONTAINER(task, mf_parent, circuit_task)->circuit_timer);
}

void mfi_parent_circuit_changed(void *user_data, const mfi_circuit_change *change)
{
    mf_parent *parent = user_data;
    const mfi_circuit_reason *reason = &change->reason;
    bool opens = change->to == MFI_CIRCUIT_OPEN;
    mfi_circuit_event event = {.from = change->from,
                               .to = change->to,
                               .cause = change->why,
                               .retry_in_ms = change->cool_down_ms};
    if (opens) {
        event.observed = reason->observed;
        event.threshold = reason->threshold;
        event.status = reason->status;
        event.correlation_id = reason->correlation_id[0] != '\0' ? reason->correlation_id : NULL;
        event.trace_id = reason->trace_id[0] != '\0' ? reason->trace_id : NULL;
    }
    mfi_observe_circuit_changed(parent->observed, &event);
    /* The timer belongs to the engine thread, and we may be on any. */
    (void)mfi_loop_post(parent->runtime->loop, &parent->circuit_task);
}

/* ---- Creation ---- */

static mfi_pool_state pool_state(const mf_parent *parent)
{
    mf_parent_state state = mfi_parent_state(parent);
    if (!parent->settings.is_member) {
        return MFI_POOL_NONE;
    }
    if (atomic_load_explicit(&parent->draining, memory_order_relaxed)) {
        return MFI_POOL_DRAINING;
    }
    return state == MF_PARENT_READY                                       ? MFI_POOL_READY
           : state == MF_PARENT_STARTING || state == MF_PARENT_RESTARTING ? MFI_POOL_STARTING
                                                                          : MFI_POOL_DOWN;
}

static void read_gauges(mfi_client_gauges *ret_gauges, void *user_data)
{
    mf_parent *parent = user_data;
    uint64_t oldest = mfi_calls_oldest(parent);
    uint64_t now = mfi_monotonic_ns();
    uint32_t open = atomic_load_explicit(&parent->calls_open, memory_order_relaxed);
    mfi_circuit_snapshot circuit;
    mfi_circuit_read(&parent->circuit, &circuit);
    mfi_mutex_lock(&parent->mutex);
    uint64_t restart_at = parent->restart_at_ns;
    uint32_t budget = parent->settings.auto_restart ? mfi_restart_budget(&parent->restart, now) : 0;
    mfi_mutex_unlock(&parent->mutex);
    *ret_gauges = (mfi_client_gauges){
        .restart_budget = budget,
        .pool_state = pool_state(parent),
        .calls_in_flight = open,
        .heartbeat_misses = atomic_load_explicit(&parent->consecutive_misses, memory_order_relaxed),
        .heartbeat_last_ns = atomic_load_explicit(&parent->heartbeat_last_ns, memory_order_relaxed),
        .queue_capacity = parent->settings.max_in_flight,
        .concurrency_limit = parent->settings.max_in_flight};
    if (restart_at > now) {
        ret_gauges->restart_backoff_seconds = (double)(restart_at - now) / (double)MFI_NS_PER_S;
    }
    if (circuit.probe_at_ns > now) {
        ret_gauges->next_probe_ns = mfi_wall_ns() + (circuit.probe_at_ns - now);
    }
    if (oldest < now) {
        ret_gauges->oldest_call_age_seconds = (double)(now - oldest) / (double)MFI_NS_PER_S;
    }
}

static void init_parts(mf_parent *parent)
{
    mfi_mutex_init(&parent->mutex);
    mfi_mpsc_init(&parent->ended);
    mfi_mpsc_init(&parent->outputs);
    mfi_mpsc_init(&parent->new_retries);
    mfi_task_init(&parent->ended_task, mfi_calls_run_ended);
    mfi_task_init(&parent->outputs_task, mfi_parent_run_outputs);
    mfi_task_init(&parent->rearm_task, mfi_calls_rearm);
    mfi_task_init(&parent->circuit_task, on_circuit_task);
    mfi_task_init(&parent->retry_task, mfi_retries_run);
    mfi_timer_init(&parent->deadline_timer, mfi_calls_on_deadline);
    mfi_timer_init(&parent->heartbeat_timer, mfi_heartbeat_on_timer);
    mfi_timer_init(&parent->circuit_timer, on_circuit_timer);
    atomic_init(&parent->state, MF_PARENT_CREATED);
    atomic_init(&parent->armed_ns, MFI_NEVER);
    mfi_circuit_init(&parent->circuit, &parent->settings.circuit, parent->runtime->clock, NULL,
                     mfi_parent_circuit_changed, parent);
    mfi_worker_init(parent);
    mfi_link_init(parent);
}

static void free_parts(mf_parent *parent)
{
    mfi_service_fini(parent);
    mfi_pending_fini(&parent->pending);
    mf_result_destroy(parent->spare);
    mfi_target_destroy(parent->observed);
    mfi_circuit_fini(&parent->circuit);
    mfi_mutex_fini(&parent->mutex);
    mfi_parent_settings_fini(&parent->settings);
    mfi_runtime_unref(parent->runtime);
    free(parent);
}

mf_status mfi_parent_make(mf_parent **ret_parent, const mf_parent_options *options, bool is_member,
                          uint32_t index, mf_error *error)
{
    mf_parent *parent = NULL;
    if (ret_parent == NULL || options == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_parent and options must not be NULL");
    }
    parent = aligned_alloc(_Alignof(mf_parent), sizeof *parent);
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent");
    }
    memset(parent, 0, sizeof *parent);
    mf_runtime *runtime = NULL;
    parent->settings.is_member = is_member;
    parent->settings.index = index;
    mf_status status = mfi_parent_settings_init(&parent->settings, options, &runtime, error);
    if (status == MF_OK) {
        status = mfi_runtime_use(&parent->runtime, runtime, "parent", error);
    }
    if (status != MF_OK) {
        mfi_parent_settings_fini(&parent->settings);
        free(parent);
        return status;
    }
    init_parts(parent);
    status = mfi_service_init(parent, error);
    if (status != MF_OK) {
        free_parts(parent);
        return status;
    }
    parent->spare = mfi_result_new();
    if (parent->spare == NULL) {
        free_parts(parent);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent");
    }
    status = mfi_pending_init(&parent->pending, parent->settings.max_in_flight + MFI_CONTROL_SLOTS,
                              error);
    if (status == MF_OK) {
        mfi_client_options observed = {.target = parent->settings.target,
                                       .worker = parent->settings.worker,
                                       .circuit = is_member ? parent->settings.worker : NULL,
                                       .gauges = read_gauges,
                                       .user_data = parent};
        status = mfi_target_create_client(&parent->observed, parent->runtime->observer, &observed,
                                          error);
    }
    if (status == MF_OK) {
        status = mfi_driver_init(&parent->driver, parent->runtime->loop, &mfi_parent_driver_ops,
                                 parent, IDLE_TICK_NS, error);
    }
    if (status != MF_OK) {
        free_parts(parent);
        return status;
    }
    mfi_parent_component_init(parent);
    mfi_runtime_add_component(parent->runtime, &parent->component);
    *ret_parent = parent;
    return MF_OK;
}

mf_status mf_parent_create(mf_parent **ret_parent, const mf_parent_options *options,
                           mf_error *error)
{
    return mfi_parent_make(ret_parent, options, false, 0, error);
}

mf_status mfi_member_create(mf_parent **ret_parent, const mf_parent_options *options,
                            uint32_t index, mf_error *error)
{
    return mfi_parent_make(ret_parent, options, true, index, error);
}

/* ---- Destruction ---- */

static void cancel_timers(void *argument)
{
    mf_parent *parent = argument;
    mfi_timer_cancel(parent->runtime->loop, &parent->deadline_timer);
    mfi_timer_cancel(parent->runtime->loop, &parent->again_timer);
    mfi_timer_cancel(parent->runtime->loop, &parent->circuit_timer);
}

void mf_parent_destroy(mf_parent *parent)
{
    if (parent == NULL || mfi_runtime_check(parent->runtime, NULL) != MF_OK ||
        mfi_loop_on_thread(parent->runtime->loop)) {
        return; /* in a forked process its threads do not exist; in a callback it would hang */
    }
    (void)mf_parent_stop(parent, NULL);
    mfi_runtime_remove_component(parent->runtime, &parent->component);
    /* Tasks run in the order they were posted: after the first round all callbacks have run, and
     * what they posted is done after the second. */
    mfi_loop_call(parent->runtime->loop, cancel_timers, parent);
    mfi_loop_call(parent->runtime->loop, cancel_timers, parent);
    mfi_parent_drop_queue(parent);
    mfi_driver_fini(&parent->driver);
    free_parts(parent);
}
