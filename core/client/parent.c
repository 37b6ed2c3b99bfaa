/* mf_parent as its users see it: creation, start, stop, restart, heartbeats on demand, destruction.
 * It exists to put the parts together, in the right order. */
#include "core/client/parent.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/call/async.h"

/* A service is looked for as long as at the start. A process becomes ready, or is given up. */
static uint64_t restart_deadline(const mf_parent *parent)
{
    const mfi_parent_settings *settings = &parent->state.settings;
    uint64_t at = mfi_monotonic_ns();
    if (!mfi_state_connects(&parent->state)) {
        return MFI_NEVER;
    }
    at = mfi_deadline_after_ms(at, settings->stop_timeout_ms);
    at = mfi_deadline_after_ms(at, settings->discovery_timeout_ms);
    return mfi_deadline_after_ms(at, settings->start_timeout_ms);
}

mf_parent_state mf_parent_get_state(mf_parent *parent)
{
    return parent != NULL ? mfi_state_get(&parent->state) : MF_PARENT_CREATED;
}

/* ---- Start and stop ---- */

mf_status mf_parent_start_async(mf_parent *parent, mf_start_fn done, void *user_data,
                                mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->state.runtime, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_mutex_lock(&parent->state.mutex);
    bool first = mfi_state_get(&parent->state) == MF_PARENT_CREATED;
    if (first) {
        parent->state.start_done = done;
        parent->state.start_data = user_data;
        mfi_start_span_join(&parent->state);
        mfi_state_set(&parent->state, MF_PARENT_STARTING);
    }
    mfi_mutex_unlock(&parent->state.mutex);
    if (!first) {
        return mfi_fail(error, MF_ERR_STATE, "'%s' was started or stopped before",
                        parent->state.settings.target);
    }
    (void)mfi_loop_post(parent->state.loop, &parent->link.start_task);
    return MF_OK;
}

mf_status mf_parent_start(mf_parent *parent, mf_error *error)
{
    if (parent != NULL && mfi_loop_on_thread(parent->state.loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a start from a callback would wait for itself: use "
                        "mf_parent_start_async()");
    }
    mf_status status = mf_parent_start_async(parent, NULL, NULL, error);
    if (status != MF_OK) {
        return status;
    }
    (void)mfi_state_wait_while(&parent->state, MF_PARENT_STARTING, MF_PARENT_STOPPING, MFI_NEVER);
    mfi_mutex_lock(&parent->state.mutex);
    status = parent->state.start_status;
    if (status != MF_OK) {
        (void)mfi_fail(error, status, "%s", parent->state.exit_text);
    }
    mfi_mutex_unlock(&parent->state.mutex);
    return status;
}

mf_status mf_parent_stop(mf_parent *parent, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->state.runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->state.loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a stop from a callback would wait for itself");
    }
    mfi_mutex_lock(&parent->state.mutex);
    bool unused = mfi_state_get(&parent->state) == MF_PARENT_CREATED;
    if (unused) {
        mfi_state_set(&parent->state, MF_PARENT_STOPPED);
    }
    mfi_mutex_unlock(&parent->state.mutex);
    while (!unused && mfi_state_get(&parent->state) != MF_PARENT_STOPPED) {
        mf_parent_state state = mfi_state_get(&parent->state);
        (void)mfi_loop_post(parent->state.loop, &parent->link.stop_task);
        if (state != MF_PARENT_STOPPED) {
            mfi_futex_wait(&parent->state.value, state, MFI_NEVER);
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
    call->status = mfi_link_restart(&call->parent->link, call->error);
}

mf_status mf_parent_restart(mf_parent *parent, mf_error *error)
{
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is NULL");
    }
    mf_status status = mfi_runtime_check(parent->state.runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->state.loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a restart from a callback would wait for itself");
    }
    restart_call call = {.parent = parent, .error = error};
    mfi_loop_call(parent->state.loop, restart_on_engine, &call);
    if (call.status != MF_OK) {
        return call.status;
    }
    mf_parent_state state = mfi_state_wait_while(&parent->state, MF_PARENT_RESTARTING,
                                                 MF_PARENT_RESTARTING, restart_deadline(parent));
    if (state == MF_PARENT_READY) {
        return MF_OK;
    }
    if (state == MF_PARENT_RESTARTING) {
        return mfi_fail(error, MF_ERR_NOT_FOUND,
                        "Service '%s' was not found again in time; it is still looked for",
                        mfi_state_service(&parent->state));
    }
    if (state != MF_PARENT_FAILED) {
        return mfi_fail(error, MF_ERR_CANCELLED, "'%s' was stopped during the restart",
                        parent->state.settings.target);
    }
    mfi_mutex_lock(&parent->state.mutex);
    status =
        parent->state.start_status != MF_OK ? parent->state.start_status : MF_ERR_WORKER_EXITED;
    (void)mfi_fail(error, status, "%s", parent->state.exit_text);
    mfi_mutex_unlock(&parent->state.mutex);
    return status;
}

/* ---- Circuit events ---- */

static void on_circuit_timer(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, circuit_timer);
    mfi_circuit_tick(&parent->state.circuit);
    (void)mfi_timer_set(parent->state.loop, timer,
                        mfi_circuit_next_event_ns(&parent->state.circuit));
}

static void on_circuit_task(mfi_task *task)
{
    on_circuit_timer(&MFI_CONTAINER(task, mf_parent, circuit_task)->circuit_timer);
}

static void on_circuit_changed(void *user_data, const mfi_circuit_change *change)
{
    mf_parent *parent = user_data;
    const mfi_circuit_reason *reason = &change->reason;
    bool opens = change->to == MFI_CIRCUIT_OPEN || change->to == MFI_CIRCUIT_FORCED_OPEN;
    mfi_circuit_event event = {.from = change->from,
                               .to = change->to,
                               .cause = change->why,
                               .retry_in_ms = change->cool_down_ms};
    if (opens) {
        event.rule = reason->rule;
        event.window_calls = reason->window_calls;
        event.observed = reason->observed;
        event.threshold = reason->threshold;
        event.detail = reason->text;
        event.status = reason->status;
        event.correlation_id = mfi_str_or_null(reason->correlation_id);
        event.trace_id = mfi_str_or_null(reason->trace_id);
    }
    mfi_observe_circuit_changed(parent->state.observed, &event);
    /* The timer belongs to the engine thread; this may be any thread. */
    (void)mfi_loop_post(parent->state.loop, &parent->circuit_task);
}

static void on_circuit_probed(void *user_data, mfi_probe_result result)
{
    mf_parent *parent = user_data;
    mfi_observe_circuit_probed(parent->state.observed, result);
}

/* ---- Heartbeats on demand ---- */

mf_status mf_parent_heartbeat(mf_parent *parent, int64_t timeout_ms, uint64_t *ret_rtt_ns,
                              mf_error *error)
{
    if (parent == NULL || ret_rtt_ns == NULL || timeout_ms < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s",
                        timeout_ms < 0 ? "timeout_ms must not be negative"
                                       : "parent and ret_rtt_ns must not be NULL");
    }
    mf_status status = mfi_runtime_check(parent->state.runtime, error);
    if (status != MF_OK) {
        return status;
    }
    if (mfi_loop_on_thread(parent->state.loop)) {
        return mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                        "a heartbeat from a callback would wait for itself");
    }
    if (mfi_state_get(&parent->state) != MF_PARENT_READY) {
        return mfi_state_not_running(&parent->state, error);
    }
    return mfi_heartbeat_ask(&parent->heartbeat, timeout_ms, ret_rtt_ns, error);
}

/* ---- Creation ---- */

static mfi_pool_state pool_state(const mf_parent *parent)
{
    mf_parent_state state = mfi_state_get(&parent->state);
    if (!parent->state.settings.is_member) {
        return MFI_POOL_NONE;
    }
    if (atomic_load_explicit(&parent->calls.draining, memory_order_relaxed)) {
        return MFI_POOL_DRAINING;
    }
    if (mfi_parent_is_frozen(parent)) {
        return MFI_POOL_DOWN;
    }
    return state == MF_PARENT_READY                                       ? MFI_POOL_READY
           : state == MF_PARENT_STARTING || state == MF_PARENT_RESTARTING ? MFI_POOL_STARTING
                                                                          : MFI_POOL_DOWN;
}

static mfi_worker_state worker_state(const mf_parent *parent)
{
    bool drains = atomic_load_explicit(&parent->calls.draining, memory_order_relaxed);
    switch (mfi_state_get(&parent->state)) {
    case MF_PARENT_READY:
        return mfi_parent_is_frozen(parent) ? MFI_WORKER_FROZEN
               : drains                     ? MFI_WORKER_DRAINING
                                            : MFI_WORKER_READY;
    case MF_PARENT_STARTING:
        return MFI_WORKER_STARTING;
    case MF_PARENT_RESTARTING:
        return MFI_WORKER_RESTARTING;
    case MF_PARENT_STOPPING:
    case MF_PARENT_CREATED:
    case MF_PARENT_STOPPED:
    case MF_PARENT_FAILED:
        break;
    }
    return MFI_WORKER_DOWN;
}

static void read_gauges(mfi_client_gauges *ret_gauges, void *user_data)
{
    mf_parent *parent = user_data;
    uint64_t oldest = mfi_calls_oldest(&parent->calls);
    uint64_t now = mfi_monotonic_ns();
    uint32_t open = atomic_load_explicit(&parent->calls.open, memory_order_relaxed);
    mfi_circuit_snapshot circuit;
    mfi_circuit_read(&parent->state.circuit, &circuit);
    mfi_mutex_lock(&parent->state.mutex);
    uint64_t restart_at = parent->state.restart_at_ns;
    uint32_t budget = mfi_restart_budget(&parent->state.restart, now);
    mfi_mutex_unlock(&parent->state.mutex);
    *ret_gauges = (mfi_client_gauges){
        .restart_budget = budget,
        .pool_state = pool_state(parent),
        .calls_in_flight = open,
        .restarts = parent->state.settings.auto_restart,
        .state = worker_state(parent),
        .pid = mf_parent_pid(parent),
        .circuit = circuit.state,
        .circuit_since_ns = circuit.since_wall_ns,
        .failure_ratio = circuit.ratios.failure,
        .slow_ratio = circuit.ratios.slow,
        .window = {[MFI_WINDOW_OK] = circuit.counts.ok,
                   [MFI_WINDOW_FAILED] = circuit.counts.failed,
                   [MFI_WINDOW_SLOW] = circuit.counts.slow,
                   [MFI_WINDOW_EXCLUDED] = circuit.counts.excluded},
        .says_busy = atomic_load_explicit(&parent->calls.signs.says_busy, memory_order_relaxed),
        .handler_seconds =
            (double)atomic_load_explicit(&parent->calls.signs.busy_ms, memory_order_relaxed) / 1000,
        .says_load = atomic_load_explicit(&parent->calls.signs.says_load, memory_order_relaxed),
        .load = atomic_load_explicit(&parent->calls.signs.load, memory_order_relaxed),
        .heartbeat_misses = mfi_heartbeat_misses(&parent->heartbeat),
        .heartbeat_last_ns = atomic_load_explicit(&parent->heartbeat.last_ns, memory_order_relaxed),
        .queue_depth = mfi_calls_waiting(&parent->calls) +
                       atomic_load_explicit(&parent->calls.unsent, memory_order_relaxed),
        .queue_capacity = parent->state.settings.max_in_flight,
        .concurrency_limit = parent->state.settings.max_in_flight};
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

/* The settings are filled in. After a failure the parts can still be released. */
static mf_status init_parts(mf_parent *parent, mf_error *error)
{
    mfi_state *state = &parent->state;
    bool connects = mfi_state_connects(state);
    state->loop = state->runtime->loop;
    mfi_state_init(state);
    mfi_task_init(&parent->circuit_task, on_circuit_task);
    mfi_timer_init(&parent->circuit_timer, on_circuit_timer);
    mfi_circuit_listener listener = {
        .changed = on_circuit_changed, .probed = on_circuit_probed, .user_data = parent};
    mfi_circuit_init(&state->circuit, &state->settings.circuit, state->runtime->clock, NULL,
                     &listener);
    mfi_circuit_init(&state->trial, &state->settings.trial, state->runtime->clock, NULL, NULL);
    mf_status status = mfi_calls_init(&parent->calls, state, error);
    mfi_retries_init(&parent->calls);
    mfi_heartbeat_init(&parent->heartbeat, &parent->calls);
    mfi_link_init(&parent->link, &parent->calls, &parent->heartbeat,
                  connects ? &mfi_found_ops : &mfi_spawned_ops,
                  connects ? (void *)&parent->found : (void *)&parent->spawned);
    mfi_link_init_unfit(&parent->link);
    mfi_spawned_init(&parent->spawned, &parent->link, state);
    if (status == MF_OK) {
        status = mfi_found_init(&parent->found, &parent->link, state, error);
    }
    if (status == MF_OK) {
        mfi_client_options observed = {.target = state->settings.target,
                                       .worker = state->settings.worker,
                                       .gauges = read_gauges,
                                       .user_data = parent};
        status =
            mfi_target_create_client(&state->observed, state->runtime->observer, &observed, error);
    }
    return status;
}

static void free_parts(mf_parent *parent)
{
    mfi_target_hide(parent->state.observed); /* a collection reads the calls */
    mfi_found_fini(&parent->found);
    mfi_calls_fini(&parent->calls);
    mfi_target_destroy(parent->state.observed);
    mfi_circuit_fini(&parent->state.circuit);
    mfi_circuit_fini(&parent->state.trial);
    mfi_state_fini(&parent->state);
    mfi_runtime_leave_place(parent->state.runtime, &parent->state.place);
    mfi_parent_settings_fini(&parent->state.settings);
    mfi_runtime_unref(parent->state.runtime);
    free(parent);
}

mf_status mfi_parent_make(mf_parent **ret_parent, const mf_parent_options *options, bool is_member,
                          mf_error *error)
{
    if (ret_parent == NULL || options == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_parent and options must not be NULL");
    }
    mf_parent *parent = aligned_alloc(_Alignof(mf_parent), sizeof *parent);
    if (parent == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent");
    }
    memset(parent, 0, sizeof *parent);
    mf_runtime *runtime = NULL;
    mfi_parent_settings *settings = &parent->state.settings;
    settings->is_member = is_member;
    mf_status status = mfi_parent_settings_init(settings, options, &runtime, error);
    if (status == MF_OK) {
        status = mfi_runtime_use(&parent->state.runtime, runtime, "parent", error);
    }
    if (status != MF_OK) {
        mfi_parent_settings_fini(settings);
        free(parent);
        return status;
    }
    mfi_runtime_take_place(parent->state.runtime, &parent->state.place, settings->target);
    status = mfi_parent_settings_name(settings, parent->state.place.index, error);
    if (status != MF_OK) {
        mfi_runtime_leave_place(parent->state.runtime, &parent->state.place);
        mfi_runtime_unref(parent->state.runtime);
        mfi_parent_settings_fini(settings);
        free(parent);
        return status;
    }
    status = init_parts(parent, error);
    if (status != MF_OK) {
        free_parts(parent);
        return status;
    }
    mfi_parent_component_init(parent);
    mfi_parent_command_init(parent);
    mfi_runtime_add_component(parent->state.runtime, &parent->component);
    *ret_parent = parent;
    return MF_OK;
}

mf_status mf_parent_create(mf_parent **ret_parent, const mf_parent_options *options,
                           mf_error *error)
{
    return mfi_parent_make(ret_parent, options, false, error);
}

/* ---- Destruction ---- */

typedef struct settling {
    mf_parent *parent;
    bool done;
} settling;

static void settle(void *argument)
{
    settling *at = argument;
    mfi_calls *calls = &at->parent->calls;
    mfi_timer_cancel(at->parent->state.loop, &calls->deadline_timer);
    mfi_timer_cancel(at->parent->state.loop, &at->parent->circuit_timer);
    mfi_link_cancel_timers(&at->parent->link);
    mfi_calls_settle_faults(calls);
    at->done = mfi_calls_are_settled(calls);
}

void mf_parent_destroy(mf_parent *parent)
{
    if (parent == NULL || mfi_runtime_check(parent->state.runtime, NULL) != MF_OK ||
        mfi_loop_on_thread(parent->state.loop)) {
        /* In a forked process the threads do not exist; in a callback this would deadlock. */
        return;
    }
    (void)mf_parent_stop(parent, NULL);
    mfi_runtime_remove_component(parent->state.runtime, &parent->component);
    /* Each round comes behind the tasks that were posted before it. After the first round in which
     * nothing is on its way to a callback, one more lets the tasks of the last callbacks run. */
    settling at = {.parent = parent};
    while (!at.done) {
        mfi_loop_call(parent->state.loop, settle, &at);
    }
    mfi_loop_call(parent->state.loop, settle, &at);
    free_parts(parent);
}
