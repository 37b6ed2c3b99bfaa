/* The series of one target and of its functions: made once, so that recording never looks anything
 * up. Those with a closed label set exist at zero from the start, so that rates and alerts work
 * from the first event on. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe_parts.h"
#include "metrics/metric_set.h"

static const char *const phase_words[MFI_PHASE_COUNT] = {"send_wait", "wire", "peer_queue",
                                                         "handler", "receive_wait"};
static const char *const traffic_words[MFI_TRAFFIC_COUNT] = {
    "call", "response", "error", "heartbeat", "output", "control", "other"};
static const char *const state_words[5] = {"closed", "open", "half_open", "forced_open",
                                           "disabled"};

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
    if (target->is_server) {
        function->started =
            mf_family_counter(families->server_started, pair(names, target->name, name));
        function->duration_ok =
            mf_family_histogram(families->server_duration, pair(names, name, "ok"));
        function->duration_error =
            mf_family_histogram(families->server_duration, pair(names, name, "error"));
        return;
    }
    const char *ok[] = {target->name, name, "ok"};
    const char *failed[] = {target->name, name, "error"};
    function->started = mf_family_counter(families->calls_started, pair(names, target->name, name));
    function->duration_ok = mf_family_histogram(families->call_duration, ok);
    function->duration_error = mf_family_histogram(families->call_duration, failed);
}

/* ---- Targets ---- */

static void make_traffic(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    static const char *const directions[2] = {"received", "sent"};
    for (size_t d = 0; d < 2; d++) {
        const char *names[3] = {target->name, directions[d], NULL};
        target->bytes[d] = mf_family_counter(families->bytes, names);
        for (size_t t = 0; t < MFI_TRAFFIC_COUNT; t++) {
            names[2] = traffic_words[t];
            target->messages[d][t] = mf_family_counter(families->messages, names);
        }
    }
    target->send_blocked = counter1(families->send_blocked, target->name);
    target->connections = gauge1(families->connections, target->name);
    static const char *const reasons[] = {"closed", "handshake_failed", "timeout", "shutdown",
                                          "unknown"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        const char *names[2];
        (void)mf_family_counter(families->disconnects, pair(names, target->name, reasons[i]));
    }
}

static void make_circuit(mfi_target *target)
{
    const char *circuit = mfi_circuit_name(target);
    static const char *const legal[][2] = {{"closed", "open"},
                                           {"open", "half_open"},
                                           {"half_open", "closed"},
                                           {"half_open", "open"},
                                           {"open", "closed"}};
    const mfi_families *families = &target->observer->families;
    for (size_t i = 0; i < 5; i++) {
        const char *names[2];
        target->circuit_states[i] =
            mf_family_gauge(families->circuit_state, pair(names, circuit, state_words[i]));
        mf_gauge_set(target->circuit_states[i], i == 0 ? 1 : 0);
    }
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        const char *names[3] = {circuit, legal[i][0], legal[i][1]};
        (void)mf_family_counter(families->circuit_transitions, names);
    }
    target->circuit_probe = gauge1(families->circuit_probe, circuit);
    target->circuit_since = gauge1(families->circuit_since, circuit);
    mf_gauge_set(target->circuit_since, (double)mfi_wall_ns() / 1e9);
}

static void make_worker(mfi_target *target)
{
    static const char *const reasons[] = {"exit_ok",   "exit_error",    "signal",
                                          "heartbeat", "start_timeout", "manual"};
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
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        (void)mf_family_counter(families->worker_restarts, pair(names, target->name, reasons[i]));
    }
    target->heartbeat_rtt = histogram1(families->heartbeat_rtt, target->name);
    target->heartbeat_missed = counter1(families->heartbeat_missed, target->name);
    target->heartbeat_consecutive = gauge1(families->heartbeat_consecutive, target->name);
    target->heartbeat_last = gauge1(families->heartbeat_last, target->name);
}

static void make_retries(mfi_target *target)
{
    static const char *const reasons[] = {"budget", "deadline", "not_idempotent", "pushback",
                                          "circuit"};
    const mfi_families *families = &target->observer->families;
    const char *names[2];
    target->attempts_first =
        mf_family_counter(families->attempts, pair(names, target->name, "first"));
    target->attempts_retry =
        mf_family_counter(families->attempts, pair(names, target->name, "retry"));
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        (void)mf_family_counter(families->retries_suppressed,
                                pair(names, target->name, reasons[i]));
    }
}

static void make_client(mfi_target *target)
{
    static const char *const reasons[] = {"circuit_open", "queue_full", "concurrency_limit",
                                          "draining", "no_worker"};
    const mfi_families *families = &target->observer->families;
    const char *names[2];
    target->window = mf_family_window(families->latency_window, (const char *const *)&target->name);
    for (size_t i = 0; i < MFI_PHASE_COUNT; i++) {
        target->phases[i] =
            mf_family_histogram(families->call_phase, pair(names, target->name, phase_words[i]));
    }
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        (void)mf_family_counter(families->refused, pair(names, target->name, reasons[i]));
    }
    target->late_replies = counter1(families->late_replies, target->name);
    target->request_size = histogram1(families->request_size, target->name);
    target->response_size = histogram1(families->response_size, target->name);
    target->in_flight = gauge1(families->in_flight, target->name);
    target->oldest_age = gauge1(families->oldest_age, target->name);
    target->queue_depth = gauge1(families->queue_depth, target->name);
    target->queue_capacity = gauge1(families->queue_capacity, target->name);
    target->concurrency_limit = gauge1(families->concurrency_limit, target->name);
    make_retries(target);
    make_circuit(target);
    make_worker(target);
}

static void make_server(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[2];
    target->queue_wait = histogram1(families->server_queue_wait, target->name);
    target->in_flight = gauge1(families->server_in_flight, target->name);
    target->unknown = counter1(families->server_unknown, target->name);
    target->busy = counter1(families->server_busy, target->name);
    target->expired[0] =
        mf_family_counter(families->server_expired, pair(names, target->name, "before_start"));
    target->expired[1] =
        mf_family_counter(families->server_expired, pair(names, target->name, "at_reply"));
    target->threads_busy =
        mf_family_gauge(families->server_threads, pair(names, target->name, "busy"));
    target->threads_idle =
        mf_family_gauge(families->server_threads, pair(names, target->name, "idle"));
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

/* Made on first sight, so that only pools have the family. */
static void show_pool(mfi_target *target, const uint64_t members[MFI_POOL_STATES])
{
    static const char *const words[MFI_POOL_STATES] = {NULL, "ready", "starting", "draining",
                                                       "down"};
    for (size_t i = MFI_POOL_READY; i < MFI_POOL_STATES; i++) {
        const char *names[2];
        if (target->pool[i] == NULL) {
            target->pool[i] = mf_family_gauge(target->observer->families.pool_workers,
                                              pair(names, target->name, words[i]));
        }
        mf_gauge_set(target->pool[i], (double)members[i]);
    }
}

static void show_server(mfi_target *target, const mfi_target_gauges *gauges)
{
    uint64_t idle =
        gauges->handlers > gauges->handlers_busy ? gauges->handlers - gauges->handlers_busy : 0;
    mf_gauge_set(target->in_flight, (double)gauges->handlers_busy);
    mf_gauge_set(target->threads_busy, (double)gauges->handlers_busy);
    mf_gauge_set(target->threads_idle, (double)idle);
}

/* What one worker shows by itself. */
static void show_worker(mfi_target *target, const mfi_target_gauges *gauges)
{
    mf_gauge_set(target->restart_backoff, gauges->restart_backoff_seconds);
    mf_gauge_set(target->circuit_probe, (double)gauges->next_probe_ns / (double)MFI_NS_PER_S);
}

static void add_gauges(mfi_target_gauges *sum, const mfi_target_gauges *more)
{
    sum->calls_in_flight += more->calls_in_flight;
    sum->queue_depth += more->queue_depth;
    sum->queue_capacity += more->queue_capacity;
    sum->concurrency_limit += more->concurrency_limit;
    sum->restart_budget += more->restart_budget;
    sum->handlers_busy += more->handlers_busy;
    sum->handlers += more->handlers;
    if (more->oldest_call_age_seconds > sum->oldest_call_age_seconds) {
        sum->oldest_call_age_seconds = more->oldest_call_age_seconds;
    }
    if (more->heartbeat_misses > sum->heartbeat_misses) {
        sum->heartbeat_misses = more->heartbeat_misses;
    }
    /* The one that has been silent longest, of those that ever spoke. */
    if (more->heartbeat_last_ns != 0 &&
        (sum->heartbeat_last_ns == 0 || more->heartbeat_last_ns < sum->heartbeat_last_ns)) {
        sum->heartbeat_last_ns = more->heartbeat_last_ns;
    }
}

static void show_client(mfi_target *target, const mfi_target_gauges *sum)
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

/* Shows all targets that share the series of the first one; gives the next other one. */
static mfi_target *collect_group_locked(mfi_target *first)
{
    mfi_target_gauges sum = {0};
    uint64_t members[MFI_POOL_STATES] = {0};
    mfi_target *target = first;
    for (; same_series(first, target); target = target->next) {
        mfi_target_gauges gauges = {0};
        target->gauges(&gauges, target->user_data);
        add_gauges(&sum, &gauges);
        members[gauges.pool_state]++;
        if (!target->is_server) {
            show_worker(target, &gauges);
        }
    }
    if (first->is_server) {
        show_server(first, &sum);
        return target;
    }
    show_client(first, &sum);
    if (members[MFI_POOL_NONE] == 0) {
        show_pool(first, members);
    }
    return target;
}

void mfi_targets_collect(void *user_data)
{
    mfi_observer *observer = user_data;
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *target = observer->targets; target != NULL;) {
        target = collect_group_locked(target);
    }
    mfi_mutex_unlock(&observer->mutex);
}

void mfi_target_series_end(mfi_target *target)
{
    if (!target->measured) {
        return;
    }
    const mfi_target_gauges nothing = {0};
    mf_gauge_add(target->connections,
                 -(double)atomic_load_explicit(&target->connected, memory_order_relaxed));
    if (target->is_server) {
        show_server(target, &nothing);
        return;
    }
    /* Those that share these series are summed up again at the next collection. */
    show_client(target, &nothing);
    show_worker(target, &nothing);
    mf_gauge_set(target->up, 0);
    mf_gauge_set(target->pid, 0);
}

/* ---- Reading back ---- */

void mfi_target_read(mfi_target *target, mf_distribution *ret_distribution)
{
    mfi_cells cells = {0};
    if (target->measured) {
        mfi_family_merge(target->observer->families.call_duration, 0, target->name, &cells);
    }
    mfi_cells_summarise(&cells, mfi_layout_of(MF_SCALE_DURATION), ret_distribution);
}

double mfi_target_recent_p50(mfi_target *target)
{
    mf_distribution recent = MF_DISTRIBUTION_INIT;
    if (!target->measured || target->window == NULL) {
        return (double)NAN;
    }
    mf_window_read(target->window, &recent);
    return recent.p50;
}

static bool read_runs(const mfi_function *function, mfi_function_runs *ret_runs)
{
    mfi_cells cells = {0};
    mf_distribution all = MF_DISTRIBUTION_INIT;
    mfi_histogram_merge(function->duration_error, &cells);
    ret_runs->errors = cells.count;
    mfi_histogram_merge(function->duration_ok, &cells);
    mfi_cells_summarise(&cells, mfi_layout_of(MF_SCALE_DURATION), &all);
    ret_runs->name = function->name;
    ret_runs->calls = all.count;
    ret_runs->p50 = all.p50;
    ret_runs->p95 = all.p95;
    ret_runs->p99 = all.p99;
    return all.count != 0;
}

void mfi_target_visit_runs(mfi_target *target,
                           void (*visit)(const mfi_function_runs *runs, void *user_data),
                           void *user_data)
{
    mfi_function_runs runs;
    for (size_t i = 0; target->measured && i <= MFI_FUNCTIONS_MAX; i++) {
        const mfi_function *function =
            i < MFI_FUNCTIONS_MAX
                ? atomic_load_explicit(&target->functions[i], memory_order_acquire)
                : &target->other;
        if (function != NULL && read_runs(function, &runs)) {
            visit(&runs, user_data);
        }
    }
}
