/* mf_child: creates a worker from its parts, and answers what users and probes ask. It exists so
 * that one file knows every part and the order of creation; no part knows this file. */
#include "core/server/child_inside.h"
#include "core/wire/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/process/private.h"

/* ---- What probes see ---- */

static void visit_health(void *self, bool alone, mf_health_visit_fn visit, void *user_data)
{
    (void)alone;
    mf_child *child = self;
    bool stopping = atomic_load_explicit(&child->state.stopping, memory_order_relaxed);
    uint32_t queued = atomic_load_explicit(&child->state.queued, memory_order_relaxed);
    mf_health_row row = {.struct_size = sizeof row,
                         .component = child->component.target,
                         .measurement = "serving",
                         .component_type = "component",
                         .status = stopping ? MF_HEALTH_FAIL : MF_HEALTH_PASS,
                         .gates = MF_GATE_READY,
                         .has_number = true,
                         .observed_number = (double)queued,
                         .observed_unit = "calls",
                         .output = stopping ? "the worker is stopping" : NULL};
    visit(&row, user_data);
    if (child->settings.registers) {
        bool registered = mfi_announce_is_registered(&child->announcement);
        row.measurement = "registered";
        row.status = registered ? MF_HEALTH_PASS : MF_HEALTH_FAIL;
        row.observed_number = (double)mfi_announce_port(&child->announcement);
        row.observed_unit = "port";
        row.output = registered ? NULL : "the service registry has no entry of this worker";
        visit(&row, user_data);
    }
}

static void read_gauges(mfi_server_gauges *ret_gauges, void *user_data)
{
    const mf_child *child = user_data;
    uint64_t since = 0;
    *ret_gauges = (mfi_server_gauges){
        .handlers_busy = mfi_child_state_busy(&child->state, &since),
        .handlers = child->settings.threads,
        .queue_depth = atomic_load_explicit(&child->state.queued, memory_order_relaxed),
        .queue_bytes = atomic_load_explicit(&child->state.queued_bytes, memory_order_relaxed)};
    if (since != 0) {
        ret_gauges->handler_seconds = (double)(mfi_monotonic_ns() - since) / (double)MFI_NS_PER_S;
    }
}

/* ---- Creation ---- */

static mf_status make_io(mf_child *child, mf_error *error)
{
    const mfi_child_settings *settings = &child->settings;
    mfi_server_io_options options = {.runtime = child->runtime,
                                     .limits = settings->limits,
                                     .max_message_bytes = settings->max_message_bytes,
                                     .max_queued = settings->max_queued,
                                     .max_queued_bytes = settings->max_queued_bytes,
                                     .state = &child->state,
                                     .functions = &child->functions,
                                     .serving = &child->serving};
    child->serving.channel = &child->io.channel;
    child->serving.namespace_name = settings->namespace_name;
    child->serving.baggage_keys = child->runtime->baggage_keys;
    child->serving.handler_sampling = settings->handler_sampling;
    child->serving.load = &child->load;
    child->state.driver = &child->io.channel.driver;
    mf_status status = mfi_server_io_init(&child->io, &options, error);
    if (status == MF_OK) {
        status = mfi_handlers_init(&child->handlers, settings->threads, &child->serving,
                                   &child->state, error);
    }
    mfi_load_init(&child->load, &child->state, mfi_monotonic_ns());
    if (status == MF_OK) {
        status = mfi_deferrals_create(&child->deferrals, &child->io.channel, &child->state,
                                      settings->deferred_timeout_ms, error);
    }
    child->serving.deferrals = child->deferrals;
    return status;
}

static mf_status make_builtins(mf_child *child, mf_error *error)
{
    child->builtins = (mfi_builtins){.functions = &child->functions,
                                     .settings = &child->settings,
                                     .state = &child->state,
                                     .observed = child->io.channel.observed,
                                     .version = child->runtime->version,
                                     .started_ns = mfi_monotonic_ns(),
                                     .started_wall_ns = mfi_wall_ns()};
    return mfi_builtins_add(&child->builtins, &child->functions, error);
}

/* The variable stays in the environment, as its convention says: what this program starts itself
 * belongs to the same trace. */
static void join_trace(mf_child *child)
{
    mf_context start;
    mfi_span_clear_ids(&start);
    if (mfi_traceparent_inherited(start.trace_id, start.span_id, &start.trace_flags)) {
        mfi_target_started_by(child->io.channel.observed, &start);
    }
}

static bool serves(void *self)
{
    const mf_child *child = self;
    return atomic_load_explicit(&child->state.serves, memory_order_relaxed);
}

static mf_status make_parts(mf_child *child, const mf_child_options *from, mf_error *error)
{
    mf_status status = mfi_runtime_use(&child->runtime, from->runtime, "child", error);
    if (status != MF_OK) {
        return status;
    }
    child->component = (mfi_component){.target = child->settings.name,
                                       .is_child = true,
                                       .self = child,
                                       .visit_health = visit_health,
                                       .serves = serves,
                                       .config = mfi_child_settings_fingerprint(&child->settings)};
    mfi_server_options observed = {.worker = child->component.target,
                                   .gauges = read_gauges,
                                   .user_data = child,
                                   .handlers = child->settings.threads,
                                   .segment_fd = mfi_private_take_segment()};
    status = make_io(child, error);
    if (status == MF_OK) {
        status = mfi_target_create_server(&child->io.channel.observed, child->runtime->observer,
                                          &observed, error);
    }
    child->state.observed = child->io.channel.observed;
    if (status == MF_OK) {
        join_trace(child);
        status = make_builtins(child, error);
    }
    if (status == MF_OK) {
        status = mfi_announce_init(&child->announcement, &child->io.channel, &child->state,
                                   &child->settings, from, child->runtime, error);
    }
    return status;
}

mf_status mf_child_create(mf_child **ret_child, const mf_child_options *options, mf_error *error)
{
    mf_child_options from;
    if (ret_child == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_child is NULL");
    }
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_child_options", error);
    if (status != MF_OK) {
        return status;
    }
    mf_child *child = aligned_alloc(_Alignof(mf_child), sizeof *child);
    if (child == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    memset(child, 0, sizeof *child);
    child->state.leave_fd = -1;
    mfi_watch_init(&child->watch, &child->io.channel, &child->state);
    status = mfi_child_settings_init(&child->settings, &from, error);
    if (status == MF_OK) {
        status = mfi_admission_allow(&child->watch.admission, from.allow_users, error);
    }
    if (status == MF_OK) {
        status = make_parts(child, &from, error);
    }
    if (status != MF_OK) {
        mf_child_destroy(child);
        return status;
    }
    mfi_runtime_add_component(child->runtime, &child->component);
    *ret_child = child;
    return MF_OK;
}

void mf_child_destroy(mf_child *child)
{
    if (child == NULL ||
        (child->runtime != NULL && mfi_runtime_check(child->runtime, NULL) != MF_OK)) {
        return; /* in a forked process the threads do not exist */
    }
    if (child->runtime != NULL) {
        mfi_runtime_remove_component(child->runtime, &child->component);
    }
    mfi_server_io_fini(&child->io);
    mfi_announce_fini(&child->announcement);
    mfi_target_destroy(child->io.channel.observed);
    mfi_deferrals_unref(child->deferrals);
    mfi_functions_fini(&child->functions);
    mfi_handlers_fini(&child->handlers);
    mfi_child_settings_fini(&child->settings);
    mfi_runtime_unref(child->runtime);
    free(child);
}

/* ---- What users ask for ---- */

mf_status mf_child_handle(mf_child *child, const char *name, mf_handler_fn handler, void *user_data)
{
    return child != NULL
               ? mfi_functions_register(&child->functions, name, handler, user_data, child->ran)
               : MF_ERR_INVALID_ARGUMENT;
}

void mf_child_stop(mf_child *child)
{
    if (child != NULL) {
        mfi_child_state_stop(&child->state);
    }
}

uint16_t mf_child_port(mf_child *child)
{
    return child != NULL ? mfi_announce_port(&child->announcement) : 0;
}
