/* The series of one target and of its functions. They are made once, so that recording needs no
 * look-up. Series with a closed label set are zero from the start, so that rates and alerts work
 * from the first event on. */
#include <string.h>

#include "base/clock.h"
#include "core/observe/parts.h"
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

static mf_gauge *gauge1(mf_family *family, const char *value)
{
    return mf_family_gauge(family, &value);
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
    const char *names[2];
    mf_family *started = target->is_server ? families->server_started : families->calls_started;
    function->started = mf_family_counter(started, pair(names, target->name, name));
    for (size_t i = 0; i < MFI_OUTCOME_COUNT; i++) {
        const char *outcome = mfi_outcome_word((mfi_outcome)i);
        const char *of_call[] = {target->name, name, outcome};
        function->duration[i] =
            target->is_server
                ? mf_family_histogram(families->server_duration, pair(names, name, outcome))
                : mf_family_histogram(families->call_duration, of_call);
    }
}

/* ---- Targets ---- */

static void make_traffic(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    for (size_t d = 0; d < MFI_DIRECTION_COUNT; d++) {
        const char *names[3] = {target->name, mfi_direction_word((mfi_direction)d), NULL};
        target->bytes[d] = mf_family_counter(families->bytes, names);
        for (size_t t = 0; t < MFI_TRAFFIC_COUNT; t++) {
            names[2] = mfi_traffic_word((mfi_traffic)t);
            target->messages[d][t] = mf_family_counter(families->messages, names);
        }
    }
    target->send_blocked = counter1(families->send_blocked, target->name);
    target->connections = gauge1(families->connections, target->name);
    for (size_t i = 0; i < MFI_DISCONNECT_COUNT; i++) {
        const char *names[] = {target->name, mfi_disconnect_word((mfi_disconnect_reason)i)};
        target->disconnects[i] = mf_family_counter(families->disconnects, names);
    }
}

static void make_circuit(mfi_target *target)
{
    const char *circuit = mfi_circuit_name(target);
    static const mfi_circuit_state legal[][2] = {{MFI_CIRCUIT_CLOSED, MFI_CIRCUIT_OPEN},
                                                 {MFI_CIRCUIT_OPEN, MFI_CIRCUIT_HALF_OPEN},
                                                 {MFI_CIRCUIT_HALF_OPEN, MFI_CIRCUIT_CLOSED},
                                                 {MFI_CIRCUIT_HALF_OPEN, MFI_CIRCUIT_OPEN},
                                                 {MFI_CIRCUIT_OPEN, MFI_CIRCUIT_CLOSED}};
    const mfi_families *families = &target->observer->families;
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        const char *names[] = {circuit, mfi_circuit_state_word((mfi_circuit_state)i)};
        target->circuit_states[i] = mf_family_gauge(families->circuit_state, names);
        mf_gauge_set(target->circuit_states[i], i == MFI_CIRCUIT_CLOSED ? 1 : 0);
    }
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        const char *names[] = {circuit, mfi_circuit_state_word(legal[i][0]),
                               mfi_circuit_state_word(legal[i][1])};
        (void)mf_family_counter(families->circuit_transitions, names);
    }
    target->circuit_probe = gauge1(families->circuit_probe, circuit);
    target->circuit_since = gauge1(families->circuit_since, circuit);
    mf_gauge_set(target->circuit_since, (double)mfi_wall_ns() / 1e9);
}

static void make_worker(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2];
    (void)pair(names, target->name, target->worker);
    target->up = mf_family_gauge(families->worker_up, names);
    target->exit_code = mf_family_gauge(families->worker_exit_code, names);
    target->exit_signal = mf_family_gauge(families->worker_exit_signal, names);
    target->pid = mf_family_gauge(families->worker_pid, names);
    mf_gauge_set(target->exit_code, -1);
    target->restart_backoff = mf_family_gauge(families->restart_backoff, names);
    target->restart_budget = gauge1(families->restart_budget, target->name);
    target->start_duration = histogram1(families->worker_start, target->name);
    for (size_t i = MFI_RESTART_NONE + 1; i < MFI_RESTART_COUNT; i++) {
        const char *reason = mfi_restart_word((mfi_restart_reason)i);
        target->restarts[i] =
            mf_family_counter(families->worker_restarts, pair(names, target->name, reason));
    }
    target->heartbeat_rtt = histogram1(families->heartbeat_rtt, target->name);
    target->heartbeat_missed = counter1(families->heartbeat_missed, target->name);
    target->heartbeat_consecutive = gauge1(families->heartbeat_consecutive, target->name);
    target->heartbeat_last = gauge1(families->heartbeat_last, target->name);
}

static void make_attempts(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2] = {target->name, NULL};
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
    const char *names[2] = {target->name, NULL};
    target->window = mf_family_window(families->latency_window, (const char *const *)&target->name);
    for (size_t i = 0; i < MFI_CALL_PHASE_COUNT; i++) {
        names[1] = mfi_call_phase_word((mfi_call_phase)i);
        target->phases[i] = mf_family_histogram(families->call_phase, names);
    }
    for (size_t i = 0; i < MFI_REFUSAL_COUNT; i++) {
        names[1] = mfi_refusal_word((mfi_refusal)i);
        target->refused[i] = mf_family_counter(families->refused, names);
    }
    target->late_replies = counter1(families->late_replies, target->name);
    target->request_size = histogram1(families->request_size, target->name);
    target->response_size = histogram1(families->response_size, target->name);
    target->in_flight = gauge1(families->in_flight, target->name);
    target->oldest_age = gauge1(families->oldest_age, target->name);
    target->queue_depth = gauge1(families->queue_depth, target->name);
    target->queue_capacity = gauge1(families->queue_capacity, target->name);
    target->concurrency_limit = gauge1(families->concurrency_limit, target->name);
    make_attempts(target);
    make_circuit(target);
    make_worker(target);
}

static void make_server(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2] = {target->name, NULL};
    target->queue_wait = histogram1(families->server_queue_wait, target->name);
    target->in_flight = gauge1(families->server_in_flight, target->name);
    target->waiting = gauge1(families->server_queue_depth, target->name);
    target->waiting_bytes = gauge1(families->server_queue_bytes, target->name);
    target->unknown = counter1(families->server_unknown, target->name);
    target->busy = counter1(families->server_busy, target->name);
    target->running_age = gauge1(families->server_running_age, target->name);
    for (size_t i = 0; i < MFI_EXPIRY_COUNT; i++) {
        names[1] = mfi_expiry_word((mfi_expiry)i);
        target->expired[i] = mf_family_counter(families->server_expired, names);
    }
    for (size_t i = 0; i < MFI_THREAD_COUNT; i++) {
        names[1] = mfi_thread_word((mfi_thread_state)i);
        target->threads[i] = mf_family_gauge(families->server_threads, names);
    }
}

void mfi_target_series_make(mfi_target *target)
{
    if (target->observer->metrics == NULL) {
        return;
    }
    if (target->is_server) {
        make_server(target);
    } else {
        make_client(target);
    }
    make_traffic(target);
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
            target->pool[i] = mf_family_gauge(target->observer->families.pool_workers, names);
        }
        mf_gauge_set(target->pool[i], (double)members[i]);
    }
}

static void show_server(const mfi_target *target, const mfi_server_gauges *gauges)
{
    uint64_t idle =
        gauges->handlers > gauges->handlers_busy ? gauges->handlers - gauges->handlers_busy : 0;
    mf_gauge_set(target->in_flight, (double)gauges->handlers_busy);
    mf_gauge_set(target->threads[MFI_THREAD_BUSY], (double)gauges->handlers_busy);
    mf_gauge_set(target->threads[MFI_THREAD_IDLE], (double)idle);
    mf_gauge_set(target->running_age, gauges->handler_seconds);
    mf_gauge_set(target->waiting, (double)gauges->queue_depth);
    mf_gauge_set(target->waiting_bytes, (double)gauges->queue_bytes);
}

/* Shows the gauges that every worker has for itself. */
static void show_worker(mfi_target *target, const mfi_client_gauges *gauges)
{
    if (gauges->says_busy && target->running_age == NULL) { /* made on first sight */
        target->running_age = gauge1(target->observer->families.server_running_age, target->worker);
    }
    if (target->running_age != NULL) {
        mf_gauge_set(target->running_age, gauges->handler_seconds);
    }
    if (gauges->frozen || target->shown_frozen) {
        mf_gauge_set(target->up, gauges->ready && !gauges->frozen ? 1 : 0);
        target->shown_frozen = gauges->frozen;
    }
    mf_gauge_set(target->restart_backoff, gauges->restart_backoff_seconds);
    mf_gauge_set(target->circuit_probe, (double)gauges->next_probe_ns / (double)MFI_NS_PER_S);
}

static void add_gauges(mfi_client_gauges *sum, const mfi_client_gauges *more)
{
    sum->calls_in_flight += more->calls_in_flight;
    sum->queue_depth += more->queue_depth;
    sum->queue_capacity += more->queue_capacity;
    sum->concurrency_limit += more->concurrency_limit;
    sum->restart_budget += more->restart_budget;
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

static void show_client(const mfi_target *target, const mfi_client_gauges *sum)
{
    mf_gauge_set(target->in_flight, (double)sum->calls_in_flight);
    mf_gauge_set(target->oldest_age, sum->oldest_call_age_seconds);
    mf_gauge_set(target->queue_depth, (double)sum->queue_depth);
    mf_gauge_set(target->queue_capacity, (double)sum->queue_capacity);
    mf_gauge_set(target->concurrency_limit, (double)sum->concurrency_limit);
    mf_gauge_set(target->heartbeat_consecutive, sum->heartbeat_misses);
    mf_gauge_set(target->heartbeat_last, (double)sum->heartbeat_last_ns / (double)MFI_NS_PER_S);
    mf_gauge_set(target->restart_budget, (double)sum->restart_budget);
}

static bool same_series(const mfi_target *a, const mfi_target *b)
{
    return b != NULL && a->is_server == b->is_server && strcmp(a->name, b->name) == 0;
}

/* Each shows all targets that share the series of the first one, and returns the next other target.
 */
static mfi_target *collect_clients_locked(mfi_target *first)
{
    mfi_client_gauges sum = {0};
    uint64_t members[MFI_POOL_COUNT] = {0};
    mfi_target *target = first;
    for (; same_series(first, target); target = target->next) {
        mfi_client_gauges gauges = {0};
        target->client_gauges(&gauges, target->user_data);
        add_gauges(&sum, &gauges);
        members[gauges.pool_state]++;
        show_worker(target, &gauges);
    }
    show_client(first, &sum);
    if (members[MFI_POOL_NONE] == 0) {
        show_pool(first, members);
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
        sum.handlers_busy += gauges.handlers_busy;
        sum.handlers += gauges.handlers;
        sum.queue_depth += gauges.queue_depth;
        sum.queue_bytes += gauges.queue_bytes;
        sum.handler_seconds = gauges.handler_seconds > sum.handler_seconds ? gauges.handler_seconds
                                                                           : sum.handler_seconds;
    }
    show_server(first, &sum);
    return target;
}

void mfi_targets_collect(void *user_data)
{
    mfi_observer *observer = user_data;
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *target = observer->targets; target != NULL;) {
        target =
            target->is_server ? collect_servers_locked(target) : collect_clients_locked(target);
    }
    mfi_mutex_unlock(&observer->mutex);
}

void mfi_target_series_end(mfi_target *target)
{
    if (!target->measured) {
        return;
    }
    mf_gauge_add(target->connections,
                 -(double)atomic_load_explicit(&target->connected, memory_order_relaxed));
    if (target->is_server) {
        show_server(target, &(mfi_server_gauges){0});
        return;
    }
    const mfi_client_gauges nothing = {0};
    /* Targets that share these series are summed up again at the next collection. */
    show_client(target, &nothing);
    show_worker(target, &nothing);
    mf_gauge_set(target->up, 0);
    mf_gauge_set(target->pid, 0);
}
