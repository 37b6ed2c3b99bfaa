/* Functions that every worker has. They exist so that a caller, or a person with a command line,
 * can see the functions and figures of any worker. A worker may register its own functions in their
 * place. */
#include "core/server/builtin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <multifrost/version.h>

#include "base/error.h"
#include "base/str.h"
#include "core/observe/build_info.h"
#include "core/wire/envelope.h"

#define STATS_MAX 40 /* functions with series of their own, and one row for all others */

static mf_status ping(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_value(reply, "pong");
}

/* Makes the sorted list of names that callers may use, to be freed with free(). NULL without
 * memory. */
static mf_value *make_names(const mfi_functions *functions, uint32_t *ret_count)
{
    mf_value *names = calloc(functions->count, sizeof *names);
    uint32_t count = 0;
    for (size_t i = 0; names != NULL && i < functions->count; i++) {
        if (functions->all[i].name[0] != '_' && !functions->all[i].hidden) {
            names[count++] = mf_str(functions->all[i].name);
        }
    }
    *ret_count = count;
    return names;
}

static mf_status list_functions(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    uint32_t count = 0;
    const mfi_builtins *builtins = user_data;
    mf_value *names = make_names(builtins->functions, &count);
    if (names == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    mf_status status = mf_reply_set(reply, mf_array(names, count));
    free(names);
    return status;
}

static double uptime_seconds(const mfi_builtins *builtins)
{
    return (double)(mfi_monotonic_ns() - builtins->started_ns) / (double)MFI_NS_PER_S;
}

static mf_status info(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    const mfi_builtins *builtins = user_data;
    const mfi_child_settings *settings = builtins->settings;
    char started[40];
    uint32_t count = 0;
    mf_value *names = make_names(builtins->functions, &count);
    if (names == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    (void)mfi_format_rfc3339(started, sizeof started, builtins->started_wall_ns, 3);
    mf_value map =
        MF_MAP("service", settings->service_id != NULL ? mf_str(settings->service_id) : mf_nil(),
               "program", mfi_build_program(), "version", builtins->version, "namespace",
               settings->namespace_name, "pid", (int64_t)getpid(), "started", (const char *)started,
               "uptime_seconds", uptime_seconds(builtins), "threads", settings->threads,
               "functions", mf_array(names, count), "protocol", MFI_APP, "language", "c",
               "library_version", MF_VERSION_STRING);
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
    (void)request;
    const mfi_builtins *builtins = user_data;
    uint64_t since = 0;
    uint32_t busy = mfi_child_state_busy(builtins->state, &since);
    stats *at = malloc(sizeof *at);
    if (at == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    at->count = 0;
    mfi_target_visit_runs(builtins->observed, add_function, at);
    mf_value map =
        MF_MAP("functions", mf_map(at->functions, at->count), "queue_length",
               atomic_load_explicit(&builtins->state->queued, memory_order_relaxed),
               "queue_capacity", builtins->settings->max_queued, "handlers_busy", busy, "handlers",
               builtins->settings->threads, "uptime_seconds", uptime_seconds(builtins));
    mf_status status = mf_reply_set(reply, map);
    free(at);
    return status;
}

mf_status mfi_builtins_add(mfi_builtins *builtins, mfi_functions *functions, mf_error *error)
{
    static const struct {
        const char *name;
        mf_handler_fn run;
        bool hidden;
    } all[] = {
        {"ping", ping, false},
        {"list_functions", list_functions, false},
        {"listFunctions", list_functions, true},
        {"multifrost.info", info, true},
        {"multifrost.stats", show_stats, true},
    };
    mf_status status = MF_OK;
    for (size_t i = 0; status == MF_OK && i < sizeof all / sizeof all[0]; i++) {
        mfi_handler handler = {
            .run = all[i].run, .user_data = builtins, .builtin = true, .hidden = all[i].hidden};
        status = mfi_functions_add(functions, all[i].name, &handler, error);
    }
    return status;
}
