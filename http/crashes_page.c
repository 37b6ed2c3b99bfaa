/* Makes the page /crashes: what is known of each end of a worker that nobody asked for. Absent
 * values are left out, never null. */
#include "http/crashes_page.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "http/json.h"

/* What the query asks for. */
typedef struct selection {
    const char *target, *worker; /* NULL: all */
    uint64_t limit;
    uint64_t kept, matching;
    mfi_json list;
} selection;

/* ---- One crash ---- */

static void add_end(mfi_json to, const mf_crash_row *row)
{
    mfi_json_text(to, "how", row->how);
    mfi_json_text(to, "killed_for", row->killed_for);
    mfi_json_text(to, "text", row->text);
    if (row->exit_code >= 0) {
        mfi_json_number(to, "exit_code", row->exit_code);
    }
    if (row->signal != 0) {
        mfi_json_number(to, "signal", row->signal);
        mfi_json_text(to, "signal_name", row->signal_name);
        mfi_json core = mfi_json_object(to, "core");
        (void)mfi_json_part(core, cJSON_AddBoolToObject(core.item, "dumped", row->core_dumped));
        mfi_json_text(core, "pattern", row->core_pattern);
    }
}

static void add_usage(mfi_json to, const mf_crash_row *row)
{
    if (row->uptime_seconds > 0) {
        mfi_json_number(to, "uptime_seconds", row->uptime_seconds);
    }
    (void)mfi_json_part(to, cJSON_AddBoolToObject(to.item, "was_ready", row->was_ready));
    if (row->has_usage) {
        mfi_json usage = mfi_json_object(to, "usage");
        mfi_json_number(usage, "cpu_user_seconds", row->cpu_user_seconds);
        mfi_json_number(usage, "cpu_system_seconds", row->cpu_system_seconds);
        mfi_json_number(usage, "max_rss_bytes", (double)row->max_rss_bytes);
    }
}

static void add_next(mfi_json to, const mf_crash_row *row)
{
    mfi_json next = mfi_json_object(to, "next");
    mfi_json_text(next, "what", row->next);
    if (row->next != NULL && strcmp(row->next, "restart") == 0) {
        mfi_json_number(next, "restart_in_seconds", row->restart_in_seconds);
    }
    if (row->restarts_in_period != 0) {
        mfi_json_number(next, "restarts_in_period", row->restarts_in_period);
    }
    if (row->restarts_permitted != 0) {
        mfi_json_number(next, "restarts_permitted", row->restarts_permitted);
    }
}

static void add_calls(mfi_json to, const char *name, uint64_t all, const mf_crash_call *calls,
                      size_t count)
{
    mfi_json object = mfi_json_object(to, name);
    mfi_json_number(object, "count", (double)all);
    mfi_json_number(object, "unnamed", (double)(all > count ? all - count : 0));
    mfi_json list = mfi_json_array(object, "calls");
    for (size_t i = 0; i < count; i++) {
        mfi_json one = mfi_json_entry(list);
        mfi_json_text(one, "function", calls[i].function);
        mfi_json_text(one, "correlation_id", calls[i].correlation_id);
        mfi_json_number(one, "age_seconds", calls[i].age_seconds);
        if (calls[i].attempt != 0) {
            mfi_json_number(one, "attempt", calls[i].attempt);
        }
    }
}

static void add_line(mfi_json list, const char *line, size_t length)
{
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    mfi_utf8_append_clean(&clean, line, length);
    mfi_buf_append_byte(&clean, 0);
    *list.failed |= clean.failed;
    cJSON *text = cJSON_CreateString(clean.failed ? "" : (const char *)clean.data);
    if (text != NULL && !cJSON_AddItemToArray(list.item, text)) {
        cJSON_Delete(text);
        text = NULL;
    }
    (void)mfi_json_part(list, text);
    mfi_buf_fini(&clean);
}

static void add_lines(mfi_json to, const char *name, const char *lines)
{
    mfi_json list = lines != NULL ? mfi_json_array(to, name) : to;
    while (lines != NULL) {
        size_t length = strcspn(lines, "\n");
        add_line(list, lines, length);
        lines = lines[length] == '\n' ? lines + length + 1 : NULL;
    }
}

static void add_crash(mfi_json crash, const mf_crash_row *row)
{
    mfi_json_number(crash, "number", (double)row->number);
    mfi_json_time(crash, "time", row->at_wall_ns);
    mfi_json_text(crash, "target", row->target);
    mfi_json_text(crash, "worker", row->worker);
    if (row->pid != 0) {
        mfi_json_number(crash, "pid", (double)row->pid);
    }
    add_end(crash, row);
    add_usage(crash, row);
    add_next(crash, row);
    add_calls(crash, "open_calls", row->open_calls, row->calls, row->call_count);
    if (row->running_calls != 0) {
        add_calls(crash, "running_calls", row->running_calls, row->running, row->running_count);
    }
    add_lines(crash, "stderr", row->err);
    add_lines(crash, "stdout", row->out);
    add_lines(crash, "log", row->log);
}

/* ---- The page ---- */

/* A program may have been built with a header that did not have the function. */
static bool shows_crashes(const mf_probe *probe)
{
    size_t end = offsetof(mf_probe, visit_crashes) + sizeof probe->visit_crashes;
    return probe->struct_size >= end && probe->visit_crashes != NULL;
}

static void take_crash(const mf_crash_row *row, void *user_data)
{
    selection *at = user_data;
    at->kept++;
    if ((at->target != NULL && strcmp(at->target, row->target) != 0) ||
        (at->worker != NULL && strcmp(at->worker, row->worker) != 0)) {
        return;
    }
    if (at->matching++ < at->limit) {
        add_crash(mfi_json_entry(at->list), row);
    }
}

/* False: the page is the refusal. */
static bool read_query(const mfi_page_request *request, selection *to, mfi_page *page)
{
    int64_t limit = 0;
    for (size_t i = 0; i < request->argument_count; i++) {
        const char *name = request->arguments[i].name;
        const char *value = request->arguments[i].value;
        if (strcmp(name, "target") == 0) {
            to->target = value;
        } else if (strcmp(name, "worker") == 0) {
            to->worker = value;
        } else if (strcmp(name, "limit") != 0) {
            mfi_page_error(page, 400, "'%.40s' is not known here: use target, worker, limit", name);
            return false;
        } else if (mfi_parse_int(value, 1, MFI_CRASHES_LIMIT_MOST, &limit)) {
            to->limit = (uint64_t)limit;
        } else {
            mfi_page_error(page, 400, "limit must be 1 to %d, not '%.40s'", MFI_CRASHES_LIMIT_MOST,
                           value);
            return false;
        }
    }
    return true;
}

void mfi_page_crashes(const mfi_page_request *request, mfi_page *page)
{
    const mf_probe *probe = request->probe;
    bool failed = false;
    uint64_t seen = 0;
    selection at = {.limit = MFI_CRASHES_LIMIT_MOST};
    if (!read_query(request, &at, page)) {
        return;
    }
    mfi_json all = mfi_json_part((mfi_json){.failed = &failed}, cJSON_CreateObject());
    mfi_json_text(all, "schema", "multifrost.crashes/1");
    mfi_json_time(all, "time", mfi_wall_ns());
    at.list = mfi_json_array(all, "crashes");
    if (shows_crashes(probe)) {
        seen = probe->visit_crashes(probe->self, take_crash, &at);
    }
    mfi_json_number(all, "total", (double)seen);
    mfi_json_number(all, "kept", (double)at.kept);
    mfi_json_number(all, "matching", (double)at.matching);
    mfi_json_print(all, page, "application/json");
    cJSON_Delete(all.item);
}
