/* mf_child: registration of functions, health, creation. */
#include "core/server/child.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/limits.h"

#define TAKE_OVER_NS MFI_NS_PER_MS

/* ---- Functions ---- */

/* name may hold a NUL: it comes from a stranger. */
static int compare_names(const char *known, const char *name, size_t length)
{
    size_t known_length = strlen(known);
    int order = memcmp(known, name, known_length < length ? known_length : length);
    return order != 0 ? order : (known_length > length) - (known_length < length);
}

/* Where a name is in the table, or would be. */
static size_t position_of(const mf_child *child, const char *name, size_t length, bool *ret_found)
{
    size_t low = 0;
    size_t high = child->handler_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(child->handlers[middle].name, name, length);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

mfi_handler *mfi_child_find(mf_child *child, const char *name, size_t length)
{
    bool found = false;
    size_t at = length != 0 ? position_of(child, name, length, &found) : 0;
    return found ? &child->handlers[at] : NULL;
}

mf_status mfi_child_add_handler(mf_child *child, const char *name, const mfi_handler *handler,
                                mf_error *error)
{
    bool found = false;
    size_t at = position_of(child, name, strlen(name), &found);
    mfi_handler *known = &child->handlers[at];
    if (found && !known->builtin) {
        return mfi_fail(error, MF_ERR_EXISTS, "function '%s' is registered already", name);
    }
    if (found) {
        known->run = handler->run;
        known->user_data = handler->user_data;
        known->builtin = false;
        known->hidden = false;
        return MF_OK;
    }
    if (child->handler_count == MFI_CHILD_FUNCTIONS_MAX) {
        return mfi_fail(error, MF_ERR_LIMIT, "more than %d functions", MFI_CHILD_FUNCTIONS_MAX);
    }
    char *copy = strdup(name);
    mfi_handler *grown =
        realloc(child->handlers, (child->handler_count + 1) * sizeof *child->handlers);
    if (grown != NULL) {
        child->handlers = grown;
    }
    if (copy == NULL || grown == NULL) {
        free(copy);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for function '%s'", name);
    }
    memmove(&grown[at + 1], &grown[at], (child->handler_count - at) * sizeof *grown);
    grown[at] = *handler;
    grown[at].name = copy;
    child->handler_count++;
    return MF_OK;
}

mf_status mf_child_handle(mf_child *child, const char *name, mf_handler_fn handler, void *user_data)
{
    mf_error error;
    mf_status status = MF_OK;
    mfi_error_clear(&error);
    if (child == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (child->ran) {
        status = mfi_fail(&error, MF_ERR_STATE, "functions are registered before mf_child_run()");
    } else if (name == NULL || handler == NULL || name[0] == '\0' ||
               strlen(name) > MFI_NAME_MAX_BYTES || !mfi_utf8_valid(name, strlen(name))) {
        status = mfi_fail(&error, MF_ERR_INVALID_ARGUMENT,
                          "a function needs a handler and a UTF-8 name of 1 to %zu bytes",
                          MFI_NAME_MAX_BYTES);
    } else {
        mfi_handler added = {.run = handler, .user_data = user_data};
        status = mfi_child_add_handler(child, name, &added, &error);
    }
    if (status != MF_OK && child->first_failure == MF_OK) {
        child->first_failure = status;
        mfi_error_copy(&child->failure, &error);
    }
    return status;
}

/* ---- What can be seen from outside ---- */

uint32_t mfi_child_busy(mf_child *child, uint64_t *ret_since_ns)
{
    uint32_t busy = 0;
    uint64_t oldest = 0;
    for (uint32_t i = 0; i < child->server_count; i++) {
        uint64_t since = atomic_load_explicit(&child->servers[i].since_ns, memory_order_relaxed);
        busy += since != 0 ? 1 : 0;
        oldest = since != 0 && (oldest == 0 || since < oldest) ? since : oldest;
    }
    *ret_since_ns = oldest;
    return busy;
}

static void visit_health(void *self, mf_health_visit_fn visit, void *user_data)
{
    mf_child *child = self;
    bool stopping = atomic_load_explicit(&child->stopping, memory_order_relaxed);
    mf_health_row row = {.struct_size = sizeof row,
                         .component = child->component.target,
                         .measurement = "serving",
                         .component_type = "component",
                         .status = stopping ? MF_HEALTH_FAIL : MF_HEALTH_PASS,
                         .gates = MF_GATE_READY,
                         .has_number = true,
                         .observed_number =
                             (double)atomic_load_explicit(&child->queued, memory_order_relaxed),
                         .observed_unit = "calls",
                         .output = stopping ? "the worker is stopping" : NULL};
    visit(&row, user_data);
    if (child->service_id != NULL) {
        bool registered = atomic_load_explicit(&child->registered, memory_order_relaxed);
        row.measurement = "registered";
        row.status = registered ? MF_HEALTH_PASS : MF_HEALTH_FAIL;
        row.observed_number = (double)mf_child_port(child);
        row.observed_unit = "port";
        row.output = registered ? NULL : "the service registry has no entry of this worker";
        visit(&row, user_data);
    }
}

static void read_gauges(mfi_target_gauges *ret_gauges, void *user_data)
{
    mf_child *child = user_data;
    uint64_t since = 0;
    *ret_gauges = (mfi_target_gauges){
        .handlers_busy = mfi_child_busy(child, &since),
        .handlers = child->server_count,
        .queue_depth = atomic_load_explicit(&child->queued, memory_order_relaxed),
        .queue_capacity = child->max_queued};
}

/* ---- Creation ---- */

static mf_status make_servers(mf_child *child, mf_error *error)
{
    child->servers = calloc(child->server_count, sizeof *child->servers);
    if (child->servers == NULL) {
        child->server_count = 0;
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    for (uint32_t i = 0; i < child->server_count; i++) {
        mfi_server *server = &child->servers[i];
        server->child = child;
        mfi_tree_init(&server->args);
        mfi_tree_init(&server->metadata);
        server->args.limits = &child->limits;
        server->metadata.limits = &child->limits;
    }
    return mfi_deferrals_create(child, error);
}

static mf_status make_parts(mf_child *child, mf_runtime *runtime, mf_error *error)
{
    mf_status status = mfi_runtime_use(&child->runtime, runtime, "child", error);
    if (status != MF_OK) {
        return status;
    }
    child->component = (mfi_component){
        .target = child->name, .is_child = true, .self = child, .visit_health = visit_health};
    status = mfi_driver_init(&child->driver, child->runtime->loop, &mfi_child_driver_ops, child,
                             TAKE_OVER_NS, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_target_options observed = {.target = child->component.target,
                                   .is_server = true,
                                   .gauges = read_gauges,
                                   .user_data = child};
    status = make_servers(child, error);
    child->spare = mfi_child_make_spare();
    if (status == MF_OK && child->spare == NULL) {
        status = mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    if (status == MF_OK) {
        status = mfi_target_create(&child->observed, child->runtime->observer, &observed, error);
    }
    if (status == MF_OK) {
        status = mfi_child_add_builtins(child, error);
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
    child->driver.wake_fd = -1;
    child->parent_fd = -1;
    child->started_ns = mfi_monotonic_ns();
    child->started_wall_ns = mfi_wall_ns();
    mfi_source_init(&child->parent_source, NULL);
    mfi_source_init(&child->monitor_source, NULL);
    mfi_task_init(&child->stall_task, mfi_child_on_stall);
    mfi_timer_init(&child->stall_timer, mfi_child_on_stall_timer);
    mfi_timer_init(&child->orphan_timer, mfi_child_on_orphan_timer);
    mfi_mutex_init(&child->pool.mutex);
    mfi_cond_init(&child->pool.cond);
    status = mfi_child_take_options(child, &from, error);
    if (status == MF_OK) {
        status = make_parts(child, from.runtime, error);
    }
    if (status == MF_OK) {
        status = mfi_service_create(child, &from, error);
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
    if (child == NULL) {
        return;
    }
    if (child->runtime != NULL) {
        mfi_runtime_remove_component(child->runtime, &child->component);
    }
    if (child->driver.wake_fd >= 0) {
        mfi_child_drop_all(child);
        mfi_driver_fini(&child->driver);
    }
    mfi_call_in_free(child->spare);
    mf_registry_destroy(child->registry);
    mfi_target_destroy(child->observed);
    mfi_deferrals_unref(child->deferrals);
    for (size_t i = 0; i < child->handler_count; i++) {
        free(child->handlers[i].name);
    }
    free(child->handlers);
    for (uint32_t i = 0; child->servers != NULL && i < child->server_count; i++) {
        mfi_tree_fini(&child->servers[i].args);
        mfi_tree_fini(&child->servers[i].metadata);
    }
    free(child->servers);
    mfi_cond_fini(&child->pool.cond);
    mfi_mutex_fini(&child->pool.mutex);
    free(child->namespace_name);
    free(child->service_id);
    free(child->bind_address);
    mfi_runtime_unref(child->runtime);
    free(child);
}
