/* The library's mf_probe: shows parents, children, the loop and the program's own health checks. It
 * exists so that an endpoint needs only function pointers. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/str.h"
#include "core/runtime/runtime.h"
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
    char output[96];
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
        (void)mfi_str_format(output, sizeof output, "the engine has made no progress for %s s",
                             mfi_fixed_text(row.observed_number, 0).text);
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
    for (mfi_list_node *node = runtime->components.first; node != NULL; node = node->next) {
        const mfi_component *at = MFI_CONTAINER(node, mfi_component, node);
        at->visit_health(at->self, visit, user_data);
    }
    mfi_mutex_unlock(&runtime->mutex);
    mfi_health_checks_visit(runtime->checks, visit, user_data);
    visit_loop(runtime, visit, user_data);
    visit_uptime(runtime, visit, user_data);
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

static void health_changed(void *self, const char *check, mf_health from, mf_health to,
                           const char *output)
{
    const mf_runtime *runtime = self;
    mfi_observe_health_changed(runtime->observer, check, from, to, output);
}

mf_status mfi_engine_probe_init(mf_runtime *runtime, mf_error *error)
{
    runtime->ping = calloc(1, sizeof *runtime->ping);
    runtime->checks = mfi_health_checks_create();
    if (runtime->ping == NULL || runtime->checks == NULL) {
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
                                .health_changed = health_changed};
    return MF_OK;
}

void mfi_engine_probe_fini(mf_runtime *runtime)
{
    mfi_health_checks_destroy(runtime->checks);
    free(runtime->ping);
}
