/* Functions that every worker has. A worker may put its own in their place. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/version.h>

#include "base/error.h"
#include "base/str.h"
#include "core/build_info.h"
#include "core/server/child.h"

#define STATS_MAX 40 /* functions with series of their own, and those that share one */

static mf_status ping(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, "pong");
}

/* Names that callers may use, in order; for free(). NULL without memory. */
static mf_value *make_names(const mf_child *child, uint32_t *ret_count)
{
    mf_value *names = calloc(child->handler_count, sizeof *names);
    uint32_t count = 0;
    for (size_t i = 0; names != NULL && i < child->handler_count; i++) {
        if (child->handlers[i].name[0] != '_' && !child->handlers[i].hidden) {
            names[count++] = mf_str(child->handlers[i].name);
        }
    }
    *ret_count = count;
    return names;
}

static mf_status list_functions(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    uint32_t count = 0;
    mf_value *names = make_names(request->server->child, &count);
    if (names == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    mf_status status = mf_reply_set(reply, mf_array(names, count));
    free(names);
    return status;
}

static double uptime_seconds(const mf_child *child)
{
    return (double)(mfi_monotonic_ns() - child->started_ns) / (double)MFI_NS_PER_S;
}

static mf_status info(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    const mf_child *child = request->server->child;
    char started[40];
    uint32_t count = 0;
    mf_value *names = make_names(child, &count);
    if (names == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    (void)mfi_format_rfc3339(started, sizeof started, child->started_wall_ns, 3);
    mf_value map = MF_MAP(
        "service", child->service_id != NULL ? mf_str(child->service_id) : mf_nil(), "program",
        mfi_build_program(), "version", child->runtime->version, "namespace", child->namespace_name,
        "pid", (int64_t)getpid(), "started", (const char *)started, "uptime_seconds",
        uptime_seconds(child), "threads", child->server_count, "functions", mf_array(names, count),
        "protocol", MFI_APP, "language", "c", "library_version", MF_VERSION_STRING);
    mf_status status = mf_reply_set(reply, map);
    free(names);
    return status;
}

/* ---- Numbers ---- */

typedef struct stats {
    mf_value functions[STATS_MAX * 2]; /* name, map */
    mf_value pairs[STATS_MAX][10];
    uint32_t count;
} stats;

static mf_value number_or_nil(double number)
{
    return isnan(number) ? mf_nil() : mf_float(number);
}

static void add_function(const mfi_function_runs *runs, void *user_data)
{
    stats *at = user_data;
    if (at->count == STATS_MAX) {
        return;
    }
    const mf_value pairs[] = {
        mf_str("calls"), mf_uint(runs->calls),     mf_str("errors"), mf_uint(runs->errors),
        mf_str("p50"),   number_or_nil(runs->p50), mf_str("p95"),    number_or_nil(runs->p95),
        mf_str("p99"),   number_or_nil(runs->p99)};
    mf_value *to = at->pairs[at->count];
    memcpy(to, pairs, sizeof pairs);
    at->functions[(size_t)at->count * 2] = mf_str(runs->name != NULL ? runs->name : "_OTHER");
    at->functions[(size_t)at->count * 2 + 1] = mf_map(to, 5);
    at->count++;
}

static mf_status show_stats(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    mf_child *child = request->server->child;
    uint64_t since = 0;
    uint32_t busy = mfi_child_busy(child, &since);
    stats *at = malloc(sizeof *at);
    if (at == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    at->count = 0;
    mfi_target_visit_runs(child->observed, add_function, at);
    mf_value map = MF_MAP("functions", mf_map(at->functions, at->count), "queue_length",
                          atomic_load_explicit(&child->queued, memory_order_relaxed),
                          "queue_capacity", child->max_queued, "handlers_busy", busy, "handlers",
                          child->server_count, "uptime_seconds", uptime_seconds(child));
    mf_status status = mf_reply_set(reply, map);
    free(at);
    return status;
}

mf_status mfi_child_add_builtins(mf_child *child, mf_error *error)
{
    static const struct {
        const char *name;
        mf_handler_fn run;
        bool hidden;
    } builtins[] = {
        {"ping", ping, false},
        {"list_functions", list_functions, false},
        {"listFunctions", list_functions, true},
        {"multifrost.info", info, true},
        {"multifrost.stats", show_stats, true},
    };
    mf_status status = MF_OK;
    for (size_t i = 0; status == MF_OK && i < sizeof builtins / sizeof builtins[0]; i++) {
        mfi_handler handler = {
            .run = builtins[i].run, .builtin = true, .hidden = builtins[i].hidden};
        status = mfi_child_add_handler(child, builtins[i].name, &handler, error);
    }
    return status;
}
