/* The library's mf_probe: shows parents, children, the loop and the program's own health checks. It
 * exists so that an endpoint needs only function pointers. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/str.h"
#include "core/runtime/runtime.h"
#include "core/words/statuses.h"
#include "metrics/health_checks.h"

#define LIVE_TIMEOUT_NS (10 * MFI_NS_PER_S)

/* A task that is posted to the loop, so that a blocked loop is noticed. */
struct mfi_ping {
    mfi_task task;
    mf_runtime *runtime;
    _Atomic(uint64_t) sent_ns; /* 0: answered */
    _Atomic(uint64_t) lag_ns;  /* of the last answered ping */
};

/* ---- Loop ---- */

static void on_ping(mfi_task *task)
{
    struct mfi_ping *ping = (struct mfi_ping *)(void *)task;
    uint64_t sent = atomic_load_explicit(&ping->sent_ns, memory_order_relaxed);
    uint64_t lag = mfi_monotonic_ns() - sent;
    atomic_store_explicit(&ping->lag_ns, lag, memory_order_relaxed);
    atomic_store_explicit(&ping->sent_ns, 0, memory_order_release);
    mfi_loop_was_due(ping->runtime->loop, sent);
}

static void visit_loop(mf_runtime *runtime, mf_health_visit_fn visit, void *user_data)
{
    char output[128];
    struct mfi_ping *ping = runtime->ping;
    uint64_t now = mfi_monotonic_ns();
    uint64_t sent = atomic_load_explicit(&ping->sent_ns, memory_order_acquire);
    uint64_t lag = atomic_load_explicit(&ping->lag_ns, memory_order_relaxed);
    if (sent == 0) {
        atomic_store_explicit(&ping->sent_ns, now, memory_order_relaxed);
        (void)mfi_loop_post(runtime->loop, &ping->task);
    } else {
        lag = now - sent; /* not answered yet: the lag is at least this */
    }
    mf_health_row row = {.struct_size = sizeof row,
                         .component = "loop",
                         .measurement = "lag",
                         .component_type = "system",
                         .status = MF_HEALTH_PASS,
                         .gates = MF_GATE_LIVE,
                         .has_number = true,
                         .observed_number = (double)lag / (double)MFI_NS_PER_S,
                         .observed_unit = "s"};
    if (lag > LIVE_TIMEOUT_NS) {
        row.status = MF_HEALTH_FAIL;
        row.output = output;
        (void)mfi_str_format(
            output, sizeof output,
            "the engine has made no progress for %s s; rule lag: the limit is %s s, /livez "
            "fails",
            mfi_fixed_text(row.observed_number, 0).text,
            mfi_fixed_text((double)LIVE_TIMEOUT_NS / (double)MFI_NS_PER_S, 0).text);
    }
    visit(&row, user_data);
}

static void visit_uptime(mf_runtime *runtime, mf_health_visit_fn visit, void *user_data)
{
    uint64_t up = mfi_monotonic_ns() - runtime->started_ns;
    mf_health_row row = {.struct_size = sizeof row,
                         .component = "uptime",
                         .measurement = "",
                         .component_type = "system",
                         .status = MF_HEALTH_PASS,
                         .has_number = true,
                         .observed_number = (double)up / (double)MFI_NS_PER_S,
                         .observed_unit = "s"};
    visit(&row, user_data);
}

/* ---- The log, and the end ---- */

static void visit_drops(mf_runtime *runtime, mf_health_visit_fn visit, void *user_data)
{
    mf_log_stats stats = MF_LOG_STATS_INIT;
    mf_log_stats_read(runtime->logger, &stats);
    mfi_health_show_drops(&runtime->limits, &stats, &runtime->drops, mfi_monotonic_ns(), visit,
                          user_data);
}

static void visit_draining(const mf_runtime *runtime, mf_health_visit_fn visit, void *user_data)
{
    mf_health_row row = {.struct_size = sizeof row,
                         .component = "process",
                         .measurement = "draining",
                         .component_type = "system",
                         .status = MF_HEALTH_FAIL,
                         .gates = MF_GATE_READY,
                         .observed_text = "yes",
                         .output = "the program drains; it gets no new traffic, and ends when its "
                                   "calls have"};
    if (atomic_load(&runtime->draining)) {
        visit(&row, user_data);
    }
}

void mf_runtime_begin_drain(mf_runtime *runtime)
{
    if (runtime == NULL || mfi_runtime_check(runtime, NULL) != MF_OK ||
        atomic_exchange(&runtime->draining, true)) {
        return; /* after a fork, its threads and locks are the other process's */
    }
    mfi_runtime_tell_change(runtime);
    mfi_systemd_wake(runtime);
}

/* ---- Targets ---- */

/* The targets that the program needs. */
typedef struct required_target {
    char *name;
    bool was_ready; /* visit_health's thread alone */
} required_target;

struct mfi_required {
    size_t count;
    required_target targets[];
};

static void required_free(struct mfi_required *required)
{
    for (size_t i = 0; required != NULL && i < required->count; i++) {
        free(required->targets[i].name);
    }
    free(required);
}

/* NULL without memory. */
static struct mfi_required *required_copy(const char *const *names)
{
    size_t count = 0;
    while (names != NULL && names[count] != NULL) {
        count++;
    }
    struct mfi_required *made = calloc(1, sizeof *made + count * sizeof made->targets[0]);
    for (size_t i = 0; made != NULL && i < count; i++) {
        made->targets[i].name = strdup(names[i]);
        made->count = i + 1;
        if (made->targets[i].name == NULL) {
            required_free(made);
            made = NULL;
        }
    }
    return made;
}

static required_target *find_required(mf_runtime *runtime, const char *name)
{
    for (size_t i = 0; i < runtime->required->count; i++) {
        if (strcmp(runtime->required->targets[i].name, name) == 0) {
            return &runtime->required->targets[i];
        }
    }
    return NULL;
}

static void show_workers(const char *target, const mfi_workers_row *workers,
                         const mfi_function_names *names, mf_health_visit_fn visit, void *user_data)
{
    char output[MFI_WORKERS_TEXT_MAX + 80];
    mf_health_row row = {.struct_size = sizeof row,
                         .component = target,
                         .measurement = "workers",
                         .component_type = "component",
                         .status = MF_HEALTH_PASS,
                         .gates =
                             MF_GATE_READY | (workers->starts ? MF_GATE_STARTUP : MF_GATE_NONE),
                         .has_number = true,
                         .observed_number = workers->ready,
                         .observed_unit = "workers"};
    if (workers->starts || workers->ready < workers->needed) {
        row.status = MF_HEALTH_FAIL;
    } else if (workers->warns) {
        row.status = MF_HEALTH_WARN;
    }
    if (row.status != MF_HEALTH_PASS) {
        (void)mfi_str_format(output, sizeof output, "%s; rule workers: %u ready, %u needed",
                             workers->output, (unsigned)workers->ready, (unsigned)workers->needed);
        row.output = output;
        row.affected = names->names;
        row.affected_count = names->count;
    }
    visit(&row, user_data);
}

static mfi_component *component_of(mfi_list_node *node)
{
    return MFI_CONTAINER(node, mfi_component, node);
}

/* Shows the components that share the first one's target, and the rows of that target. Returns the
 * next component. */
static mfi_list_node *visit_target(mf_runtime *runtime, mfi_list_node *first,
                                   mf_health_visit_fn visit, void *user_data)
{
    const char *target = component_of(first)->target;
    uint32_t circuits = 0;
    mfi_workers_row workers = {.ready = 0};
    mfi_function_names names = {.count = 0};
    const mfi_component *parent = NULL; /* one that can show the target */
    bool has_workers = false;
    mfi_list_node *end = first;
    for (; end != NULL && strcmp(component_of(end)->target, target) == 0; end = end->next) {
        circuits += component_of(end)->visit_circuit != NULL;
    }
    for (mfi_list_node *node = first; node != end; node = node->next) {
        const mfi_component *at = component_of(node);
        if (at->visit_health != NULL) {
            at->visit_health(at->self, circuits == 1, visit, user_data);
        }
        if (at->add_workers != NULL) {
            at->add_workers(at->self, &workers);
            has_workers = true;
        }
        if (at->add_names != NULL) {
            at->add_names(at->self, &names);
        }
        parent = parent == NULL && at->visit_target != NULL ? at : parent;
    }
    if (has_workers) {
        show_workers(target, &workers, &names, visit, user_data);
        required_target *required = find_required(runtime, target);
        if (required != NULL && workers.ready >= workers.needed && !workers.starts) {
            required->was_ready = true;
        }
    }
    if (parent != NULL) {
        parent->visit_target(parent->self, visit, user_data);
    }
    return end;
}

static bool has_workers_locked(const mf_runtime *runtime, const char *target)
{
    for (mfi_list_node *node = runtime->components.first; node != NULL; node = node->next) {
        const mfi_component *at = component_of(node);
        if (at->add_workers != NULL && strcmp(at->target, target) == 0) {
            return true;
        }
    }
    return false;
}

/* Shows the targets that the program needs and that do not exist. */
static void visit_missing_locked(mf_runtime *runtime, mf_health_visit_fn visit, void *user_data)
{
    for (size_t i = 0; i < runtime->required->count; i++) {
        const required_target *required = &runtime->required->targets[i];
        if (!has_workers_locked(runtime, required->name)) {
            const mfi_function_names nothing = {.count = 0};
            mfi_workers_row none = {.needed = 1, .starts = !required->was_ready};
            (void)mfi_str_format(none.output, sizeof none.output,
                                 "target %s is required, and has no parent or pool",
                                 required->name);
            show_workers(required->name, &none, &nothing, visit, user_data);
        }
    }
}

/* ---- The program's own checks ---- */

mf_status mf_runtime_add_health_check(mf_runtime *runtime, const mf_health_check *check,
                                      mf_error *error)
{
    if (runtime == NULL || check == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is NULL",
                        runtime == NULL ? "runtime" : "check");
    }
    return mfi_health_checks_add(runtime->checks, check, error);
}

void mf_runtime_remove_health_check(mf_runtime *runtime, const char *component,
                                    const char *measurement)
{
    if (runtime != NULL && component != NULL) {
        mfi_health_checks_remove(runtime->checks, component, measurement);
    }
}

/* ---- The interface ---- */

/* Components are visited under the runtime's mutex, so that none is freed meanwhile: a thread that
 * removes a component waits for the end of the visit. */
static void visit_health(void *self, mf_health_visit_fn visit, void *user_data)
{
    mf_runtime *runtime = self;
    mfi_mutex_lock(&runtime->mutex);
    for (mfi_list_node *node = runtime->components.first; node != NULL;) {
        node = visit_target(runtime, node, visit, user_data);
    }
    visit_missing_locked(runtime, visit, user_data);
    mfi_mutex_unlock(&runtime->mutex);
    mfi_health_checks_visit(runtime->checks, visit, user_data);
    visit_loop(runtime, visit, user_data);
    visit_uptime(runtime, visit, user_data);
    visit_drops(runtime, visit, user_data);
    visit_draining(runtime, visit, user_data);
}

static void visit_circuits(void *self, mf_circuit_visit_fn visit, void *user_data)
{
    mf_runtime *runtime = self;
    mfi_mutex_lock(&runtime->mutex);
    for (mfi_list_node *node = runtime->components.first; node != NULL; node = node->next) {
        const mfi_component *at = MFI_CONTAINER(node, mfi_component, node);
        if (at->visit_circuit != NULL) {
            at->visit_circuit(at->self, visit, user_data);
        }
    }
    mfi_mutex_unlock(&runtime->mutex);
}

/* ---- Notes ---- */

typedef struct noting {
    mf_note_visit_fn visit;
    void *user_data;
} noting;

static void note_circuit(const mf_circuit_row *row, void *user_data)
{
    const noting *to = user_data;
    char note[128];
    (void)mfi_str_format(note, sizeof note, "circuit %s %s",
                         row->worker.name != NULL ? row->worker.name : row->target, row->state);
    to->visit(note, to->user_data);
}

/* The note of the end comes first, because only some notes are kept. */
static void visit_notes(void *self, mf_note_visit_fn visit, void *user_data)
{
    mf_runtime *runtime = self;
    noting to = {.visit = visit, .user_data = user_data};
    visit(atomic_load(&runtime->draining) ? "draining yes" : "draining no", user_data);
    visit_circuits(runtime, note_circuit, &to);
}

static const char *const call_statuses[] = {MFI_CALL_STATUSES(MFI_WORD_TEXT) NULL};

static bool visit_calls(void *self, const mf_call_query *query, mf_call_visit_fn visit,
                        void *user_data, mf_call_counts *ret_counts)
{
    const mf_runtime *runtime = self;
    *ret_counts = (mf_call_counts){.struct_size = sizeof *ret_counts};
    return mfi_observer_visit_calls(runtime->observer, query, visit, user_data, ret_counts);
}

static void health_changed(void *self, const char *check, mf_health from, mf_health to,
                           const char *output)
{
    const mf_runtime *runtime = self;
    mfi_observe_health_changed(runtime->observer, check, from, to, output);
}

static void watch(void *self, void (*changed)(void *user_data), void *user_data)
{
    mfi_runtime_watch_components(self, changed, user_data);
}

static uint64_t visit_crashes(void *self, mf_crash_visit_fn visit, void *user_data)
{
    const mf_runtime *runtime = self;
    return mfi_observer_visit_crashes(runtime->observer, visit, user_data);
}

mf_status mfi_engine_probe_init(mf_runtime *runtime, const char *const *required, mf_error *error)
{
    runtime->ping = calloc(1, sizeof *runtime->ping);
    runtime->checks = mfi_health_checks_create();
    runtime->required = required_copy(required);
    if (runtime->ping == NULL || runtime->checks == NULL || runtime->required == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a runtime's probe");
    }
    mfi_task_init(&runtime->ping->task, on_ping);
    runtime->ping->runtime = runtime;
    runtime->probe = (mf_probe){.struct_size = sizeof runtime->probe,
                                .self = runtime,
                                .metrics = runtime->metrics,
                                .info = {.service = runtime->service,
                                         .version = runtime->version,
                                         .instance = runtime->instance},
                                .visit_health = visit_health,
                                .visit_circuits = visit_circuits,
                                .health_changed = health_changed,
                                .watch = watch,
                                .visit_calls = visit_calls,
                                .call_statuses = call_statuses,
                                .visit_crashes = visit_crashes,
                                .visit_notes = visit_notes};
    return MF_OK;
}

void mfi_engine_probe_fini(mf_runtime *runtime)
{
    mfi_health_checks_destroy(runtime->checks);
    required_free(runtime->required);
    free(runtime->ping);
}
