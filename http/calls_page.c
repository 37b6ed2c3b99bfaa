/* Makes the page /calls: the calls that are open, or those that ended, as the query asks. Absent
 * values are left out, never null. */
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/json.h"
#include "http/pages.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MOST 1000

/* ---- The query ---- */

static const struct {
    const char *key;
    mf_call_view view;
} views[] = {
    {"recent", MF_CALLS_RECENT}, {"failed", MF_CALLS_FAILED}, {"slowest", MF_CALLS_SLOWEST}};
static const char *const view_words[] = {[MF_CALLS_OPEN] = "open",
                                         [MF_CALLS_RECENT] = "recent",
                                         [MF_CALLS_FAILED] = "failed",
                                         [MF_CALLS_SLOWEST] = "slowest",
                                         [MF_CALLS_ALL] = "all"};

/* The statuses that the probe names; NULL if it names none. */
static const char *const *statuses_of(const mf_probe *probe)
{
    return probe->struct_size >= offsetof(mf_probe, call_statuses) + sizeof probe->call_statuses
               ? probe->call_statuses
               : NULL;
}

static bool is_status(const char *const *statuses, const char *text)
{
    while (*statuses != NULL && strcmp(text, *statuses) != 0) {
        statuses++;
    }
    return *statuses != NULL;
}

static void refuse_status(mfi_page *page, const char *const *statuses, const char *text)
{
    char all[320] = "";
    size_t used = 0;
    for (size_t i = 0; statuses[i] != NULL; i++) {
        used +=
            mfi_str_format(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", statuses[i]);
    }
    mfi_page_error(page, 400, "no status '%.80s': use %s", text, all);
}

/* 0: no number from 1 to LIMIT_MOST. */
static size_t read_limit(const char *text)
{
    size_t limit = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || limit > LIMIT_MOST) {
            return 0;
        }
        limit = limit * 10 + (size_t)(*c - '0');
    }
    return limit <= LIMIT_MOST ? limit : 0;
}

/* A text that selects calls; false if the key is no such one. */
static bool take_text(mf_call_query *query, const mfi_page_argument *argument)
{
    const struct {
        const char *key;
        const char **to;
    } texts[] = {{"function", &query->function},
                 {"target", &query->target},
                 {"worker", &query->worker},
                 {"correlation_id", &query->correlation_id},
                 {"status", &query->status}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(argument->name, texts[i].key) == 0) {
            *texts[i].to = argument->value;
            return true;
        }
    }
    return false;
}

static bool take_view(mf_call_query *query, const char *key, bool *has_view)
{
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (strcmp(key, views[i].key) == 0) {
            query->view = views[i].view;
            *has_view = true;
            return true;
        }
    }
    return false;
}

/* Without a view the open calls are shown, or all calls of an id or a status. False: the page is
 * the refusal. */
static bool read_query(const mfi_page_request *request, mf_call_query *query, mfi_page *page)
{
    bool has_view = false;
    const char *const *statuses = statuses_of(request->probe);
    *query = (mf_call_query){.struct_size = sizeof *query, .limit = LIMIT_DEFAULT};
    for (size_t i = 0; i < request->argument_count; i++) {
        const mfi_page_argument *argument = &request->arguments[i];
        if (strcmp(argument->name, "limit") == 0) {
            query->limit = read_limit(argument->value);
        } else if (!take_view(query, argument->name, &has_view) && !take_text(query, argument)) {
            mfi_page_error(page, 400,
                           "no query '%.80s': use recent, failed, slowest, function=, target=, "
                           "worker=, correlation_id=, status=, limit=",
                           argument->name);
            return false;
        }
    }
    if (query->limit == 0) {
        mfi_page_error(page, 400, "limit must be 1 to %d", LIMIT_MOST);
        return false;
    }
    if (query->status != NULL && statuses != NULL && !is_status(statuses, query->status)) {
        refuse_status(page, statuses, query->status);
        return false;
    }
    if (!has_view && (query->correlation_id != NULL || query->status != NULL)) {
        query->view = MF_CALLS_ALL;
    }
    return true;
}

/* ---- The page ---- */

static void add_seconds(mfi_json to, const char *name, double seconds)
{
    if (seconds >= 0) {
        mfi_json_number(to, name, seconds);
    }
}

static void add_phases(mfi_json call, const mf_call_row *row)
{
    if (row->send_wait_seconds < 0 && row->handler_seconds < 0 && row->receive_wait_seconds < 0) {
        return;
    }
    mfi_json phases = mfi_json_object(call, "phases");
    add_seconds(phases, "send_wait", row->send_wait_seconds);
    add_seconds(phases, "wire", row->wire_seconds);
    add_seconds(phases, "peer_queue", row->peer_queue_seconds);
    add_seconds(phases, "handler", row->handler_seconds);
    add_seconds(phases, "receive_wait", row->receive_wait_seconds);
}

static void add_states(mfi_json call, const mf_call_row *row)
{
    if (row->struct_size < sizeof *row || row->handler_sampled_one_in == 0) {
        return;
    }
    mfi_json states = mfi_json_object(call, "handler_state");
    add_seconds(states, "on_cpu", row->handler_on_cpu_seconds);
    add_seconds(states, "runnable", row->handler_runnable_seconds);
    add_seconds(states, "blocked", row->handler_blocked_seconds);
    mfi_json_number(call, "handler_sampled_one_in", row->handler_sampled_one_in);
}

static void add_call(const mf_call_row *row, void *user_data)
{
    mfi_json call = mfi_json_entry(*(const mfi_json *)user_data);
    bool has_ended = row->status != NULL;
    mfi_json_text(call, "function", row->function);
    mfi_json_text(call, "namespace", row->namespace_name);
    mfi_json_text(call, "target", row->target);
    mfi_json_text(call, "worker", row->worker);
    mfi_json_text(call, "role", row->role);
    mfi_json_text(call, "phase", row->phase);
    mfi_json_time(call, "start", row->start_wall_ns);
    mfi_json_number(call, has_ended ? "duration_seconds" : "age_seconds", row->age_seconds);
    if (row->has_deadline) {
        mfi_json_number(call, "deadline_left_seconds", row->deadline_left_seconds);
    }
    if (row->attempt != 0) {
        mfi_json_number(call, "attempt", row->attempt);
    }
    add_seconds(call, "retry_in_seconds", row->retry_in_seconds);
    mfi_json_text(call, "status", row->status);
    mfi_json_text(call, "error", row->error);
    mfi_json_text(call, "correlation_id", row->correlation_id);
    mfi_json_text(call, "trace_id", row->trace_id);
    mfi_json_text(call, "span_id", row->span_id);
    mfi_json_text(call, "request_id", row->request_id);
    add_phases(call, row);
    add_states(call, row);
    if (has_ended) {
        mfi_json_number(call, "request_bytes", row->request_bytes);
        mfi_json_number(call, "response_bytes", row->response_bytes);
    }
}

static void add_counts(mfi_json to, const mf_call_counts *counts)
{
    mfi_json object = mfi_json_object(to, "counts");
    mfi_json_number(object, "matched", (double)counts->matched);
    mfi_json_number(object, "shown", (double)counts->shown);
    mfi_json_number(object, "not_shown", (double)counts->not_shown);
    mfi_json_number(object, "overwritten", (double)counts->overwritten);
    mfi_json_number(object, "unreadable", (double)counts->unreadable);
    mfi_json_number(to, "kept_seconds", counts->kept_seconds);
}

void mfi_page_calls(const mfi_page_request *request, mfi_page *page)
{
    const mf_probe *probe = request->probe;
    mf_call_query query;
    mf_call_counts counts = {.struct_size = sizeof counts};
    bool failed = false;
    bool can = probe->struct_size >= offsetof(mf_probe, visit_calls) + sizeof probe->visit_calls &&
               probe->visit_calls != NULL;
    if (!read_query(request, &query, page)) {
        return;
    }
    mfi_json all = mfi_json_part((mfi_json){.failed = &failed}, cJSON_CreateObject());
    mfi_json_text(all, "schema", "multifrost.calls/1");
    mfi_json_time(all, "time", mfi_wall_ns());
    mfi_json_text(all, "view", view_words[query.view]);
    mfi_json calls = mfi_json_array(all, "calls");
    bool shown = can && probe->visit_calls(probe->self, &query, add_call, &calls, &counts);
    if (!can || (!shown && counts.kept_seconds <= 0)) {
        mfi_page_error(page, 404, "no calls are recorded here: see recorder_bytes");
    } else {
        failed = failed || !shown;
        add_counts(all, &counts);
        mfi_json_print(all, page, "application/json");
    }
    cJSON_Delete(all.item);
}
