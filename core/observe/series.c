/* The series of one target and of its functions. They are made once, so that recording needs no
 * look-up. Series with a closed label set are zero from the start, so that rates and alerts work
 * from the first event on. */
#include <string.h>

#include "base/clock.h"
#include "core/observe/holding.h"
#include "core/observe/parts.h"
#include "core/observe/serving.h"
#include "metrics/metric_set.h"

static const char *const *pair(const char **values, const char *first, const char *second)
{
    values[0] = first;
    values[1] = second;
    return values;
}

static mf_counter *counter1(mf_family *family, const char *value)
{
    return mf_family_counter(family, &value);
}

static mf_gauge *hold1(const mfi_target *target, mf_family *family, const char *value)
{
    return mfi_hold(target, family, &value);
}

static mf_histogram *histogram1(mf_family *family, const char *value)
{
    return mf_family_histogram(family, &value);
}

/* ---- Functions ---- */

void mfi_function_series_make(mfi_target *target, mfi_function *function, const char *name)
{
    const mfi_families *families = &target->observer->families;
    if (target->observer->metrics == NULL) {
        return;
    }
    name = target->owner->counted ? name : MF_METRIC_OTHER;
    mf_family *started = target->is_server ? families->server_started : families->calls_started;
    const char *names[3] = {target->label, name};
    if (target->is_server) {
        mfi_serving_names(target, false, names);
        names[2] = name;
    }
    function->started = mf_family_counter(started, names);
    mfi_durations_make(target, function);
}

/* ---- Targets ---- */

static void make_traffic(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    for (size_t d = 0; d < MFI_DIRECTION_COUNT; d++) {
        const char *names[3] = {target->label, mfi_direction_word((mfi_direction)d), NULL};
        target->bytes[d] = mf_family_counter(families->bytes, names);
        for (size_t t = 0; t < MFI_TRAFFIC_COUNT; t++) {
            names[2] = mfi_traffic_word((mfi_traffic)t);
            target->messages[d][t] = mf_family_counter(families->messages, names);
        }
    }
    target->send_blocked = counter1(families->send_blocked, target->label);
    target->connections = hold1(target, families->connections, target->name);
    for (size_t i = 0; i < MFI_DISCONNECT_COUNT; i++) {
        const char *names[] = {target->label, mfi_disconnect_word((mfi_disconnect_reason)i)};
        target->disconnects[i] = mf_family_counter(families->disconnects, names);
    }
}

static void make_circuit(mfi_target *target)
{
    static const mfi_circuit_state legal[][2] = {{MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_OPEN},
                                                 {MFI_CIRCUIT_OPEN, MFI_CIRCUIT_HALF_OPEN},
                                                 {MFI_CIRCUIT_HALF_OPEN, MFI_CIRCUIT_CLOSED},
                                                 {MFI_CIRCUIT_HALF_OPEN, MFI_CIRCUIT_OPEN},
                                                 {MFI_CIRCUIT_OPEN, MFI_CIRCUIT_CLOSED}};
    const mfi_families *families = &target->observer->families;
    const char *names[] = {target->name, target->worker, NULL};
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        names[2] = mfi_circuit_state_word((mfi_circuit_state)i);
        target->circuit_states[i] = mfi_hold(target, families->circuit_state, names);
    }
    target->circuit_probe = mfi_hold(target, families->circuit_probe, names);
    target->circuit_since = mfi_hold(target, families->circuit_since, names);
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        const char *change[] = {target->label, target->worker_label,
                                mfi_circuit_state_word(legal[i][0]),
                                mfi_circuit_state_word(legal[i][1])};
        (void)mf_family_counter(families->circuit_transitions, change);
    }
}

static void make_worker(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2];
    (void)pair(names, target->name, target->worker);
    target->up = mfi_hold(target, families->worker_up, names);
    target->exit_code = mfi_hold(target, families->worker_exit_code, names);
    target->exit_signal = mfi_hold(target, families->worker_exit_signal, names);
    target->pid = mfi_hold(target, families->worker_pid, names);
    mfi_show(target->exit_code, -1);
    target->restart_backoff = mfi_hold(target, families->restart_backoff, names);
    target->start_duration = histogram1(families->worker_start, target->label);
    for (size_t i = MFI_RESTART_NONE + 1; i < MFI_RESTART_COUNT; i++) {
        const char *reason = mfi_restart_word((mfi_restart_reason)i);
        target->restarts[i] =
            mf_family_counter(families->worker_restarts, pair(names, target->label, reason));
    }
    target->heartbeat_rtt = histogram1(families->heartbeat_rtt, target->label);
    target->heartbeat_missed = counter1(families->heartbeat_missed, target->label);
    target->heartbeat_consecutive = hold1(target, families->heartbeat_consecutive, target->name);
    target->heartbeat_last = hold1(target, families->heartbeat_last, target->name);
}

static void make_attempts(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2] = {target->label, NULL};
    for (size_t i = 0; i < MFI_ATTEMPT_COUNT; i++) {
        names[1] = mfi_attempt_word((mfi_attempt_kind)i);
        target->attempts[i] = mf_family_counter(families->attempts, names);
    }
    for (size_t i = MFI_SUPPRESSED_NOT + 1; i < MFI_SUPPRESSED_COUNT; i++) {
        names[1] = mfi_suppression_word((mfi_suppression)i);
        target->suppressed[i] = mf_family_counter(families->retries_suppressed, names);
    }
}

static void make_client(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2] = {target->label, NULL};
    target->window = mf_family_window(families->latency_window, &target->label);
    for (size_t i = 0; i < MFI_CALL_PHASE_COUNT; i++) {
        names[1] = mfi_call_phase_word((mfi_call_phase)i);
        target->phases[i] = mf_family_histogram(families->call_phase, names);
    }
    for (size_t i = 0; i < MFI_REFUSAL_COUNT; i++) {
        names[1] = mfi_refusal_word((mfi_refusal)i);
        target->refused[i] = mf_family_counter(families->refused, names);
    }
    target->late_replies = counter1(families->late_replies, target->label);
    target->request_size = histogram1(families->request_size, target->label);
    target->response_size = histogram1(families->response_size, target->label);
    target->in_flight = hold1(target, families->in_flight, target->name);
    target->oldest_age = hold1(target, families->oldest_age, target->name);
    target->queue_depth = hold1(target, families->queue_depth, target->name);
    target->queue_capacity = hold1(target, families->queue_capacity, target->name);
    target->concurrency_limit = hold1(target, families->concurrency_limit, target->name);
    make_attempts(target);
    make_circuit(target);
    mfi_circuit_series_make(target);
    make_worker(target);
    mfi_segments_make(target);
}

void mfi_target_series_make(mfi_target *target)
{
    if (target->observer->metrics == NULL) {
        return;
    }
    if (target->is_server) {
        mfi_serving_make(target);
    } else {
        make_client(target);
    }
    make_traffic(target);
    mfi_answer_series_make(target);
    target->measured = true;
    mfi_function_series_make(target, &target->other, MF_METRIC_OTHER);
}

/* ---- Gauges ---- */

/* Made when a pool is first seen, so that only programs with pools have the family. */
static void show_pool(mfi_target *target, const uint64_t members[MFI_POOL_COUNT])
{
    for (size_t i = MFI_POOL_NONE + 1; i < MFI_POOL_COUNT; i++) {
        const char *names[] = {target->name, mfi_pool_word((mfi_pool_state)i)};
        if (target->pool[i] == NULL) {
            target->pool[i] = mfi_hold(target, target->observer->families.pool_workers, names);
        }
        mfi_show(target->pool[i], (double)members[i]);
    }
}

/* The pool is gone; the target may be that of a parent, too, which goes on. */
static void drop_pool(mfi_target *target)
{
    for (size_t i = MFI_POOL_NONE + 1; i < MFI_POOL_COUNT; i++) {
        mfi_drop(target->observer->families.pool_workers, &target->pool[i]);
    }
}

/* Shows the gauges that every worker has for itself. */
static void show_worker(mfi_target *target, const mfi_client_gauges *gauges)
{
    if (!mfi_segments_show_locked(target) && (gauges->says_busy || target->serving.age != NULL)) {
        mfi_serving_show_age(target, gauges->handler_seconds);
    }
    bool up = gauges->state == MFI_WORKER_READY || gauges->state == MFI_WORKER_DRAINING;
    mfi_answer_show_load(target, gauges);
    mfi_show(target->up, up ? 1 : 0);
    mfi_show(target->pid, (double)gauges->pid);
    mfi_show(target->restart_backoff, gauges->restart_backoff_seconds);
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        mfi_show(target->circuit_states[i], i == gauges->circuit ? 1 : 0);
    }
    mfi_show(target->circuit_since, (double)gauges->circuit_since_ns / (double)MFI_NS_PER_S);
    mfi_show(target->circuit_probe, (double)gauges->next_probe_ns / (double)MFI_NS_PER_S);
    mfi_circuit_series_show(target, gauges);
}

static void add_gauges(mfi_client_gauges *sum, const mfi_client_gauges *more)
{
    sum->calls_in_flight += more->calls_in_flight;
    sum->queue_depth += more->queue_depth;
    sum->queue_capacity += more->queue_capacity;
    sum->concurrency_limit += more->concurrency_limit;
    sum->restarts = sum->restarts || more->restarts;
    sum->restart_budget += more->restarts ? more->restart_budget : 0;
    if (more->oldest_call_age_seconds > sum->oldest_call_age_seconds) {
        sum->oldest_call_age_seconds = more->oldest_call_age_seconds;
    }
    if (more->heartbeat_misses > sum->heartbeat_misses) {
        sum->heartbeat_misses = more->heartbeat_misses;
    }
    /* The oldest last answer, of those parents that ever got one. */
    if (more->heartbeat_last_ns != 0 &&
        (sum->heartbeat_last_ns == 0 || more->heartbeat_last_ns < sum->heartbeat_last_ns)) {
        sum->heartbeat_last_ns = more->heartbeat_last_ns;
    }
}

static void show_client(mfi_target *target, const mfi_client_gauges *sum)
{
    mfi_show(target->in_flight, (double)sum->calls_in_flight);
    mfi_show(target->oldest_age, sum->oldest_call_age_seconds);
    mfi_show(target->queue_depth, (double)sum->queue_depth);
    mfi_show(target->queue_capacity, (double)sum->queue_capacity);
    mfi_show(target->concurrency_limit, (double)sum->concurrency_limit);
    mfi_show(target->heartbeat_consecutive, sum->heartbeat_misses);
    mfi_show(target->heartbeat_last, (double)sum->heartbeat_last_ns / (double)MFI_NS_PER_S);
    if (sum->restarts && target->restart_budget == NULL) {
        target->restart_budget =
            hold1(target, target->observer->families.restart_budget, target->name);
    }
    if (!sum->restarts) {
        mfi_drop(target->observer->families.restart_budget, &target->restart_budget);
    }
    mfi_show(target->restart_budget, (double)sum->restart_budget);
}

static bool same_series(const mfi_target *a, const mfi_target *b)
{
    return b != NULL && a->is_server == b->is_server && strcmp(a->name, b->name) == 0;
}

/* How many circuits and workers are in each state, whether they have series of their own or not. */
typedef struct totals {
    uint64_t circuits[MFI_CIRCUIT_STATE_COUNT], workers[MFI_WORKER_STATE_COUNT];
} totals;

static void show_totals(mfi_observer *observer, const totals *all)
{
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        mf_gauge_set(observer->circuits[i], (double)all->circuits[i]);
    }
    for (size_t i = 0; i < MFI_WORKER_STATE_COUNT; i++) {
        mf_gauge_set(observer->workers[i], (double)all->workers[i]);
    }
}

/* Each shows all targets that share the series of the first one, and returns the next other target.
 */
static mfi_target *collect_clients_locked(mfi_target *first, totals *all)
{
    mfi_client_gauges sum = {0};
    uint64_t members[MFI_POOL_COUNT] = {0};
    mfi_target *target = first;
    for (; same_series(first, target); target = target->next) {
        mfi_client_gauges gauges = {0};
        target->client_gauges(&gauges, target->user_data);
        add_gauges(&sum, &gauges);
        members[gauges.pool_state]++;
        all->circuits[gauges.circuit]++;
        all->workers[gauges.state]++;
        show_worker(target, &gauges);
    }
    show_client(first, &sum);
    uint64_t in_pools = 0;
    for (size_t i = MFI_POOL_NONE + 1; i < MFI_POOL_COUNT; i++) {
        in_pools += members[i];
    }
    /* Parents outside of pools may have the same target. */
    if (in_pools > 0) {
        show_pool(first, members);
    } else {
        drop_pool(first);
    }
    return target;
}

static mfi_target *collect_servers_locked(mfi_target *first)
{
    mfi_server_gauges sum = {0};
    mfi_target *target = first;
    for (; same_series(first, target); target = target->next) {
        mfi_server_gauges gauges = {0};
        target->server_gauges(&gauges, target->user_data);
        mfi_serving_add(&sum, &gauges);
    }
    mfi_serving_show(first, &sum);
    return target;
}

void mfi_targets_collect(void *user_data)
{
    mfi_observer *observer = user_data;
    totals all = {.circuits = {0}};
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *target = observer->targets; target != NULL;) {
        target = target->is_server ? collect_servers_locked(target)
                                   : collect_clients_locked(target, &all);
    }
    mfi_mutex_unlock(&observer->mutex);
    show_totals(observer, &all);
}

/* ---- The end ---- */

static void drop_client(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    mfi_drop(families->in_flight, &target->in_flight);
    mfi_drop(families->oldest_age, &target->oldest_age);
    mfi_drop(families->queue_depth, &target->queue_depth);
    mfi_drop(families->queue_capacity, &target->queue_capacity);
    mfi_drop(families->concurrency_limit, &target->concurrency_limit);
    mfi_drop(families->heartbeat_consecutive, &target->heartbeat_consecutive);
    mfi_drop(families->heartbeat_last, &target->heartbeat_last);
    mfi_drop(families->worker_up, &target->up);
    mfi_drop(families->worker_exit_code, &target->exit_code);
    mfi_drop(families->worker_exit_signal, &target->exit_signal);
    mfi_drop(families->worker_pid, &target->pid);
    mfi_drop(families->restart_backoff, &target->restart_backoff);
    mfi_drop(families->restart_budget, &target->restart_budget);
    mfi_figures_end(target);
    mfi_drop(families->circuit_since, &target->circuit_since);
    mfi_drop(families->circuit_probe, &target->circuit_probe);
    mfi_circuit_series_end(target);
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        mfi_drop(families->circuit_state, &target->circuit_states[i]);
    }
    drop_pool(target);
}

void mfi_target_series_end(mfi_target *target)
{
    if (!target->measured) {
        return;
    }
    const mfi_families *families = &target->observer->families;
    if (target->connections != NULL) { /* another target may show them too */
        mf_gauge_add(target->connections,
                     -(double)atomic_load_explicit(&target->connected, memory_order_relaxed));
    }
    mfi_answer_series_end(target);
    mfi_drop(families->connections, &target->connections);
    mfi_serving_end(target);
    if (!target->is_server) {
        drop_client(target);
    }
}
