/* mf_child: options, registration, and what handlers see of requests and replies. */
#include "core/engine/child.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/build_info.h"
#include "core/wire/limits.h"

#define TAKE_OVER_NS MFI_NS_PER_MS

/* ---- Functions ---- */

mfi_handler *mfi_child_find(mf_child *child, const char *name, size_t length)
{
    for (size_t i = 0; i < child->handler_count; i++) {
        mfi_handler *handler = &child->handlers[i];
        if (strncmp(handler->name, name, length) == 0 && handler->name[length] == '\0') {
            return handler;
        }
    }
    return NULL;
}

static mf_status add_handler(mf_child *child, const char *name, mf_handler_fn run, void *user_data,
                             bool builtin, mf_error *error)
{
    mfi_handler *known = mfi_child_find(child, name, strlen(name));
    if (known != NULL && !known->builtin) {
        return mfi_fail(error, MF_ERR_EXISTS, "function '%s' is registered already", name);
    }
    if (known != NULL) {
        known->run = run;
        known->user_data = user_data;
        known->builtin = false;
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
    child->handlers[child->handler_count++] = (mfi_handler){copy, run, user_data, builtin};
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
        status = add_handler(child, name, handler, user_data, false, &error);
    }
    if (status != MF_OK && child->first_failure == MF_OK) {
        child->first_failure = status;
        mfi_error_copy(&child->failure, &error);
    }
    return status;
}

/* ---- Functions that every child has ---- */

static mf_status ping(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, "pong");
}

static int compare_names(const void *a, const void *b)
{
    const mf_value *left = a;
    const mf_value *right = b;
    return strcmp(left->as.str, right->as.str);
}

static mf_status list_functions(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    const mf_child *child = request->child;
    mf_value *names = calloc(child->handler_count, sizeof *names);
    uint32_t count = 0;
    if (names == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < child->handler_count; i++) {
        if (child->handlers[i].name[0] != '_') {
            names[count++] = mf_str(child->handlers[i].name);
        }
    }
    qsort(names, count, sizeof *names, compare_names);
    mf_status status = mf_reply_set(reply, mf_array(names, count));
    free(names);
    return status;
}

/* ---- Requests ---- */

const char *mf_request_function(const mf_request *request)
{
    return request->function;
}

mf_args mf_request_args(const mf_request *request)
{
    const mf_value *args = &request->child->args.root;
    if (args->type != MF_TYPE_ARRAY) {
        return MF_NO_ARGS;
    }
    return (mf_args){args->as.items, args->length};
}

const mf_value *mf_request_metadata(mf_request *request)
{
    mfi_tree *tree = &request->child->metadata;
    if (!request->metadata_decoded) {
        request->metadata_decoded = true;
        tree->root = mf_nil();
        mfi_slice bytes = request->call->envelope.metadata;
        if (bytes.data == NULL || mfi_tree_decode(tree, bytes, NULL) != MF_OK ||
            tree->root.type != MF_TYPE_MAP) {
            tree->root = mf_nil();
        }
    }
    return &tree->root;
}

const mf_context *mf_request_context(const mf_request *request)
{
    return &request->context;
}

mf_status mf_request_read(mf_request *request, const mf_out *outs, uint32_t count)
{
    mf_args args = mf_request_args(request);
    return mf_values_unpack(args.items, args.count, outs, count, &request->error);
}

/* ---- Replies ---- */

mf_status mf_reply_set(mf_reply *reply, mf_value value)
{
    mf_error error;
    mfi_error_clear(&error);
    mfi_buf_clear(&reply->out->buf);
    mfi_buf_clear(&reply->error_text);
    reply->has_error = false;
    mf_status status = mfi_encode_response_begin(&reply->out->buf, reply->call->envelope.id, &value,
                                                 (double)mfi_wall_ns() / (double)MFI_NS_PER_S,
                                                 &reply->child->limits, &error);
    reply->has_result = status == MF_OK;
    if (status != MF_OK) {
        (void)mf_reply_error(reply, "ResultError", "%s", error.message);
    }
    return status;
}

mf_status mf_reply_error(mf_reply *reply, const char *type, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = length < 0 ? 0
                  : (size_t)length < sizeof text
                      ? (size_t)length
                      : mfi_utf8_prefix(text, (size_t)length, sizeof text - 1);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            text[i] = ' '; /* one line, and nothing that moves a terminal's cursor */
        }
    }
    reply->has_error = true;
    reply->has_result = false;
    mfi_buf_clear(&reply->error_text);
    if (type != NULL && type[0] != '\0') {
        mfi_buf_append_str(&reply->error_text, type);
        mfi_buf_append_str(&reply->error_text, ": ");
    }
    mfi_buf_append(&reply->error_text, text, size);
    return MF_OK;
}

/* ---- Creation ---- */

static mf_status read_port(mf_child *child, const char *service_id, mf_error *error)
{
    int64_t port = 0;
    const char *text = getenv("COMLINK_ZMQ_PORT"); /* NOLINT: read once, before any thread */
    if (text != NULL && text[0] != '\0') {
        if (!mfi_parse_int(text, 1024, 65535, &port)) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "FATAL: Invalid port '%.32s': COMLINK_ZMQ_PORT must be a number from "
                            "1024 to 65535",
                            text);
        }
        child->port = (uint16_t)port;
        return MF_OK;
    }
    if (service_id != NULL) {
        return mfi_fail(error, MF_ERR_UNSUPPORTED,
                        "FATAL: service '%.64s' cannot be registered: this version runs workers "
                        "that a parent spawned (COMLINK_ZMQ_PORT)",
                        service_id);
    }
    return mfi_fail(error, MF_ERR_NOT_FOUND,
                    "FATAL: Need COMLINK_ZMQ_PORT (set by the parent that spawns a worker)");
}

static mf_status take_options(mf_child *child, const mf_child_options *from, mf_error *error)
{
    const char *name = from->namespace_name != NULL ? from->namespace_name : MFI_DEFAULT_NAMESPACE;
    if (from->max_queued < 0 || from->max_message_bytes < 0 ||
        from->max_message_bytes > (int64_t)MFI_MESSAGE_MAX_BYTES ||
        strlen(name) > MFI_NAME_MAX_BYTES) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "max_queued, max_message_bytes or namespace_name is out of range");
    }
    child->max_queued = from->max_queued != 0 ? (uint32_t)from->max_queued : 10000;
    child->max_message_bytes =
        from->max_message_bytes != 0 ? (size_t)from->max_message_bytes : MFI_MESSAGE_MAX_BYTES;
    child->limits = mfi_limits_default;
    child->no_signals = from->no_signals;
    child->no_output_capture = from->no_output_capture;
    child->on_stop = from->on_stop;
    child->user_data = from->user_data;
    child->namespace_name = strdup(name);
    if (child->namespace_name == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    return read_port(child, from->service_id, error);
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
}

static void read_gauges(mfi_target_gauges *ret_gauges, void *user_data)
{
    mf_child *child = user_data;
    bool busy = atomic_load_explicit(&child->handler_since_ns, memory_order_relaxed) != 0;
    *ret_gauges = (mfi_target_gauges){
        .handlers_busy = busy ? 1 : 0,
        .handlers = 1,
        .queue_depth = atomic_load_explicit(&child->queued, memory_order_relaxed),
        .queue_capacity = child->max_queued};
}

static mf_status make_parts(mf_child *child, mf_runtime *runtime, mf_error *error)
{
    mf_status status = mfi_runtime_use(&child->runtime, runtime, "child", error);
    if (status != MF_OK) {
        return status;
    }
    child->component = (mfi_component){.target = mfi_build_program(),
                                       .is_child = true,
                                       .self = child,
                                       .visit_health = visit_health};
    status = mfi_driver_init(&child->driver, child->runtime->loop, &mfi_child_driver_ops, child,
                             TAKE_OVER_NS, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_target_options observed = {.target = child->component.target,
                                   .is_server = true,
                                   .gauges = read_gauges,
                                   .user_data = child};
    status = mfi_target_create(&child->observed, child->runtime->observer, &observed, error);
    if (status == MF_OK) {
        status = add_handler(child, "ping", ping, NULL, true, error);
    }
    if (status == MF_OK) {
        status = add_handler(child, "list_functions", list_functions, NULL, true, error);
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
    mfi_source_init(&child->parent_source, NULL);
    mfi_source_init(&child->monitor_source, NULL);
    mfi_tree_init(&child->args);
    mfi_tree_init(&child->metadata);
    child->args.limits = &child->limits;
    child->metadata.limits = &child->limits;
    status = take_options(child, &from, error);
    if (status == MF_OK) {
        status = make_parts(child, from.runtime, error);
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
    mfi_target_destroy(child->observed);
    for (size_t i = 0; i < child->handler_count; i++) {
        free(child->handlers[i].name);
    }
    free(child->handlers);
    free(child->namespace_name);
    mfi_tree_fini(&child->args);
    mfi_tree_fini(&child->metadata);
    mfi_runtime_unref(child->runtime);
    free(child);
}
