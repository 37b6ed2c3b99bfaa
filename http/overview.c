/* Makes the page /overview. It reads the families by their names, because the rooms that record
 * them are above this one. Absent values are left out; a number that is not known is null. */
#include "http/overview.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "http/json.h"
#include "metrics/history.h"
#include "metrics/metric_set.h"

#define NAME_SIZE MFI_HISTORY_NAME_MAX
#define ROWS_MAX MFI_OVERVIEW_ROWS_MAX

/* A function of a target, as callers see it or as its workers do. */
typedef struct function_row {
    bool is_handled;
    char name[NAME_SIZE];
    mfi_history_totals totals;
} function_row;

typedef struct worker_row {
    char target[NAME_SIZE], name[NAME_SIZE], state[16], last_exit[256];
    int64_t pid;
    uint64_t restarts;
    int32_t exit_code, exit_signal;
    double restart_in, up, cpu, memory, threads, load, start_time;
} worker_row;

/* Gauges of one target, beside its totals. */
typedef struct target_row {
    char name[NAME_SIZE];
    double in_flight, oldest_seconds, queue_depth;
} target_row;

typedef struct overview {
    function_row functions[ROWS_MAX];
    worker_row workers[ROWS_MAX];
    target_row targets[ROWS_MAX];
    size_t function_count, worker_count, target_count;
    uint64_t functions_left_out, workers_left_out; /* series, and workers */
    double start_time, cpu, memory;                /* of this process */
    mfi_cells cells;                               /* of one function, while they are merged */
    mfi_history_reading totals;
    mfi_history_point points[MFI_HISTORY_POINTS];
} overview;

static void copy(char *to, const char *text)
{
    (void)mfi_str_copy(to, NAME_SIZE, text != NULL ? text : "");
}

/* The value of a label; "" if the family has no such label. */
static const char *value_of(const mf_family *family, const mfi_series *series, const char *label)
{
    for (size_t i = 0; i < family->label_count; i++) {
        if (strcmp(family->label_names[i], label) == 0) {
            return series->values[i];
        }
    }
    return "";
}

/* ---- Functions ---- */

/* Series are sorted, so the row that was found last is the likely one. NULL if there is no room. */
static function_row *function_of(overview *at, bool is_handled, const char *target,
                                 const char *name)
{
    function_row wanted = {.is_handled = is_handled,
                           .totals = {.p50 = NAN, .p95 = NAN, .p99 = NAN}};
    copy(wanted.name, name);
    copy(wanted.totals.target, target);
    for (size_t i = at->function_count; i-- > 0;) {
        function_row *row = &at->functions[i];
        if (row->is_handled == is_handled && strcmp(row->name, wanted.name) == 0 &&
            strcmp(row->totals.target, wanted.totals.target) == 0) {
            return row;
        }
    }
    if (at->function_count == ROWS_MAX) {
        at->functions_left_out++;
        return NULL;
    }
    at->functions[at->function_count] = wanted;
    return &at->functions[at->function_count++];
}

static void take_calls(overview *at, const mf_family *family, bool is_handled)
{
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        function_row *row = function_of(at, is_handled, value_of(family, series, "target"),
                                        value_of(family, series, "function"));
        if (row != NULL) {
            mfi_history_count(&row->totals, value_of(family, series, "status"),
                              mf_counter_value(&series->as.counter));
        }
    }
    at->functions_left_out += family->other_used;
}

static void end_function(overview *at, function_row *row, const mfi_layout *layout)
{
    mf_distribution summary = MF_DISTRIBUTION_INIT;
    if (row != NULL) {
        mfi_cells_summarise(&at->cells, layout, &summary);
        row->totals.p50 = summary.p50;
        row->totals.p95 = summary.p95;
        row->totals.p99 = summary.p99;
    }
    memset(&at->cells, 0, sizeof at->cells);
}

/* The outcome is the last label, so the series of one function come one after the other. */
static void take_durations(overview *at, const mf_family *family, bool is_handled)
{
    function_row *row = NULL;
    memset(&at->cells, 0, sizeof at->cells);
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        function_row *next = function_of(at, is_handled, value_of(family, series, "target"),
                                         value_of(family, series, "function"));
        if (next != row) {
            end_function(at, row, family->layout);
            row = next;
        }
        if (row != NULL) {
            mfi_histogram_merge(series->as.histogram, &at->cells);
        }
    }
    end_function(at, row, family->layout);
}

/* ---- Targets and workers ---- */

static void take_target_gauge(overview *at, const mf_family *family, size_t offset)
{
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        char name[NAME_SIZE];
        size_t i = 0;
        copy(name, value_of(family, series, "target"));
        while (i < at->target_count && strcmp(at->targets[i].name, name) != 0) {
            i++;
        }
        if (i == ROWS_MAX) {
            continue;
        }
        if (i == at->target_count) {
            at->targets[i] =
                (target_row){.in_flight = NAN, .oldest_seconds = NAN, .queue_depth = NAN};
            copy(at->targets[i].name, name);
            at->target_count++;
        }
        *(double *)((char *)&at->targets[i] + offset) = mf_gauge_value(&series->as.gauge);
    }
}

static double number_of(const mf_family *family, const mfi_series *series)
{
    return family->type == MF_METRIC_COUNTER
               ? (double)mf_counter_value(&series->as.counter) * family->counter_factor
               : mf_gauge_value(&series->as.gauge);
}

static void take_worker_number(overview *at, const mf_family *family, size_t offset)
{
    for (const mfi_series *series = family->series; series != NULL; series = series->next) {
        const char *target = value_of(family, series, "target");
        const char *worker = value_of(family, series, "worker");
        for (size_t i = 0; i < at->worker_count; i++) {
            worker_row *row = &at->workers[i];
            if (strncmp(row->name, worker, NAME_SIZE - 1) == 0 &&
                strncmp(row->target, target, NAME_SIZE - 1) == 0) {
                *(double *)((char *)row + offset) = number_of(family, series);
            }
        }
    }
}

static void take_worker(const mf_circuit_row *row, void *user_data)
{
    overview *at = user_data;
    const mf_circuit_worker *worker = &row->worker;
    if (worker->name == NULL) {
        return;
    }
    if (at->worker_count == ROWS_MAX) {
        at->workers_left_out++;
        return;
    }
    worker_row *to = &at->workers[at->worker_count++];
    *to = (worker_row){.pid = worker->pid,
                       .restarts = worker->restarts,
                       .exit_code = worker->last_exit_code,
                       .exit_signal = worker->last_exit_signal,
                       .restart_in = worker->restart_in_seconds,
                       .up = NAN,
                       .cpu = NAN,
                       .memory = NAN,
                       .threads = NAN,
                       .load = row->worker_says_load ? row->worker_load : (double)NAN,
                       .start_time = NAN};
    copy(to->target, row->target);
    copy(to->name, worker->name);
    (void)mfi_str_copy(to->state, sizeof to->state, worker->state != NULL ? worker->state : "");
    (void)mfi_str_copy(to->last_exit, sizeof to->last_exit,
                       worker->last_exit != NULL ? worker->last_exit : "");
}

/* ---- Families ---- */

static const struct {
    const char *family;
    size_t offset; /* in the row; those of the process: in the overview */
} worker_numbers[] =
    {
        {"multifrost_worker_up", offsetof(worker_row, up)},
        {"multifrost_worker_cpu_seconds_total", offsetof(worker_row, cpu)},
        {"multifrost_worker_resident_memory_bytes", offsetof(worker_row, memory)},
        {"multifrost_worker_threads", offsetof(worker_row, threads)},
        {"multifrost_worker_start_time_seconds", offsetof(worker_row, start_time)},
},
  target_numbers[] =
      {
          {"multifrost_client_calls_in_flight", offsetof(target_row, in_flight)},
          {"multifrost_client_oldest_call_age_seconds", offsetof(target_row, oldest_seconds)},
          {"multifrost_client_queue_depth", offsetof(target_row, queue_depth)},
},
  process_numbers[] = {
      {"process_start_time_seconds", offsetof(overview, start_time)},
      {"process_cpu_seconds_total", offsetof(overview, cpu)},
      {"process_resident_memory_bytes", offsetof(overview, memory)},
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void take_numbers(overview *at, const mf_family *family)
{
    for (size_t i = 0; i < COUNT(worker_numbers); i++) {
        if (strcmp(family->name, worker_numbers[i].family) == 0) {
            take_worker_number(at, family, worker_numbers[i].offset);
        }
    }
    for (size_t i = 0; i < COUNT(target_numbers); i++) {
        if (strcmp(family->name, target_numbers[i].family) == 0) {
            take_target_gauge(at, family, target_numbers[i].offset);
        }
    }
    for (size_t i = 0; i < COUNT(process_numbers) && family->series != NULL; i++) {
        if (strcmp(family->name, process_numbers[i].family) == 0) {
            *(double *)((char *)at + process_numbers[i].offset) = number_of(family, family->series);
        }
    }
}

static void take_family(mf_family *family, void *user_data)
{
    overview *at = user_data;
    if (strcmp(family->name, "multifrost_client_calls_total") == 0) {
        take_calls(at, family, false);
    } else if (strcmp(family->name, "multifrost_server_calls_total") == 0) {
        take_calls(at, family, true);
    } else if (strcmp(family->name, "multifrost_client_call_duration_seconds") == 0) {
        take_durations(at, family, false);
    } else if (strcmp(family->name, "multifrost_server_call_duration_seconds") == 0) {
        take_durations(at, family, true);
    } else {
        take_numbers(at, family);
    }
}

/* ---- JSON ---- */

static void add_totals(mfi_json to, const mfi_history_totals *totals)
{
    mfi_json_number(to, "calls", (double)totals->calls);
    mfi_json_number(to, "errors", (double)totals->errors);
    mfi_json_number(to, "app_errors", (double)totals->app_errors);
    mfi_json_number(to, "p50_seconds", totals->p50);
    mfi_json_number(to, "p95_seconds", totals->p95);
    mfi_json_number(to, "p99_seconds", totals->p99);
}

/* An array of numbers as one raw item: a ring has thousands of them. */
static void add_points(mfi_json to, const char *name, const overview *at, size_t count,
                       size_t offset)
{
    mfi_buf text;
    mfi_buf_init(&text, 0);
    mfi_buf_append_str(&text, "[");
    for (size_t i = 0; i < count; i++) {
        char number[40];
        double value = *(const float *)((const char *)&at->points[i] + offset);
        (void)mfi_format_measured(number, sizeof number, isfinite(value) ? value : 0);
        mfi_buf_append_str(&text, i > 0 ? "," : "");
        mfi_buf_append_str(&text, isfinite(value) ? number : "null");
    }
    mfi_buf_append_str(&text, "]");
    mfi_buf_append_byte(&text, 0);
    *to.failed |= text.failed;
    (void)mfi_json_part(
        to, cJSON_AddRawToObject(to.item, name, text.failed ? "[]" : (const char *)text.data));
    mfi_buf_fini(&text);
}

static void add_history(mfi_json all, overview *at, mfi_health *health, const char *target)
{
    static const struct {
        const char *name;
        size_t offset;
    } lines[] = {{"calls_per_second", offsetof(mfi_history_point, calls)},
                 {"errors_per_second", offsetof(mfi_history_point, errors)},
                 {"app_errors_per_second", offsetof(mfi_history_point, app_errors)},
                 {"p50_seconds", offsetof(mfi_history_point, p50)},
                 {"p95_seconds", offsetof(mfi_history_point, p95)},
                 {"p99_seconds", offsetof(mfi_history_point, p99)}};
    uint64_t end_wall_ns = 0;
    size_t count =
        health != NULL ? mfi_history_copy(&health->history, target, at->points, &end_wall_ns) : 0;
    mfi_json history = mfi_json_object(all, "history");
    mfi_json_text(history, "target", target);
    mfi_json_number(history, "step_seconds", (double)MFI_HISTORY_STEP_NS / 1e9);
    if (count > 0) {
        mfi_json_time(history, "end", end_wall_ns);
    }
    for (size_t i = 0; i < COUNT(lines); i++) {
        add_points(history, lines[i].name, at, count, lines[i].offset);
    }
}

/* Open calls of all targets, those without a row included; null without such a gauge. */
static double in_flight_of_all(const overview *at)
{
    double sum = at->target_count > 0 ? 0 : NAN;
    for (size_t i = 0; i < at->target_count; i++) {
        sum += isnan(at->targets[i].in_flight) ? 0 : at->targets[i].in_flight;
    }
    return sum;
}

static bool has_totals(const overview *at, const char *target)
{
    size_t i = 1;
    while (i < at->totals.count && strcmp(at->totals.totals[i].target, target) != 0) {
        i++;
    }
    return i < at->totals.count;
}

/* Of the targets that exist, those beyond the lines of the ring; one without a call has no row, and
 * is not left out. */
static uint64_t targets_left_out(const overview *at)
{
    uint64_t count = 0;
    for (size_t i = 0; at->totals.count == MFI_HISTORY_LINES_MAX && i < at->target_count; i++) {
        count += !has_totals(at, at->targets[i].name);
    }
    return count;
}

static void add_targets(mfi_json all, const overview *at)
{
    mfi_json list = mfi_json_array(all, "targets");
    for (size_t i = 1; i < at->totals.count; i++) {
        const mfi_history_totals *totals = &at->totals.totals[i];
        mfi_json one = mfi_json_entry(list);
        mfi_json_text(one, "target", totals->target);
        add_totals(one, totals);
        for (size_t j = 0; j < at->target_count; j++) {
            const target_row *row = &at->targets[j];
            if (strcmp(row->name, totals->target) == 0) {
                mfi_json_number(one, "in_flight", row->in_flight);
                mfi_json_number(one, "oldest_call_seconds", row->oldest_seconds);
                mfi_json_number(one, "queue_depth", row->queue_depth);
            }
        }
    }
    mfi_json_number(all, "targets_left_out", (double)targets_left_out(at));
}

static void add_functions(mfi_json all, const overview *at)
{
    mfi_json list = mfi_json_array(all, "functions");
    for (size_t i = 0; i < at->function_count; i++) {
        const function_row *row = &at->functions[i];
        if (row->totals.calls == 0) {
            continue; /* the series of all others is there before its first call */
        }
        mfi_json one = mfi_json_entry(list);
        mfi_json_text(one, "seen_by", row->is_handled ? "worker" : "caller");
        mfi_json_text(one, "target", row->totals.target);
        mfi_json_text(one, "function", row->name);
        add_totals(one, &row->totals);
    }
    mfi_json_number(all, "functions_left_out", (double)at->functions_left_out);
}

static void add_workers(mfi_json all, const overview *at)
{
    mfi_json list = mfi_json_array(all, "workers");
    for (size_t i = 0; i < at->worker_count; i++) {
        const worker_row *row = &at->workers[i];
        mfi_json one = mfi_json_entry(list);
        mfi_json_text(one, "target", row->target);
        mfi_json_text(one, "worker", row->name);
        mfi_json_text(one, "state", row->state);
        mfi_json_number(one, "pid", (double)row->pid);
        mfi_json_number(one, "up", row->up);
        mfi_json_number(one, "cpu_seconds", row->cpu);
        mfi_json_number(one, "memory_bytes", row->memory);
        mfi_json_number(one, "threads", row->threads);
        mfi_json_number(one, "load", row->load);
        mfi_json_number(one, "start_time_seconds", row->start_time);
        mfi_json_number(one, "restarts", (double)row->restarts);
        mfi_json_number(one, "restart_in_seconds", row->restart_in);
        if (row->last_exit[0] != '\0') {
            mfi_json last_exit = mfi_json_object(one, "last_exit");
            mfi_json_text(last_exit, "text", row->last_exit);
            mfi_json_number(last_exit, "code", row->exit_code);
            mfi_json_number(last_exit, "signal", row->exit_signal);
        }
    }
    mfi_json_number(all, "workers_left_out", (double)at->workers_left_out);
}

static void add_all(mfi_json all, const mfi_page_request *request, overview *at, const char *target)
{
    const mf_probe_info *info = &request->probe->info;
    mfi_json_text(all, "schema", "multifrost.overview/1");
    mfi_json_time(all, "time", mfi_wall_ns());
    mfi_json_text(all, "service", info->service);
    mfi_json_text(all, "version", info->version);
    mfi_json_text(all, "instance", info->instance);
    mfi_json process = mfi_json_object(all, "process");
    mfi_json_number(process, "start_time_seconds", at->start_time);
    mfi_json_number(process, "cpu_seconds", at->cpu);
    mfi_json_number(process, "memory_bytes", at->memory);
    mfi_json totals = mfi_json_object(all, "totals");
    add_totals(totals, &at->totals.totals[0]);
    mfi_json_number(totals, "in_flight", in_flight_of_all(at));
    add_targets(all, at);
    add_functions(all, at);
    add_workers(all, at);
    add_history(all, at, request->health, target);
}

/* ---- The page ---- */

/* The target whose history is asked for; "" for all. NULL: the page is the refusal. */
static const char *read_query(const mfi_page_request *request, mfi_page *page)
{
    const char *target = "";
    for (size_t i = 0; i < request->argument_count; i++) {
        if (strcmp(request->arguments[i].name, "target") != 0) {
            mfi_page_error(page, 400, "'%.40s' is not known here: use target",
                           request->arguments[i].name);
            return NULL;
        }
        target = request->arguments[i].value;
    }
    return target;
}

void mfi_page_overview(const mfi_page_request *request, mfi_page *page)
{
    const mf_probe *probe = request->probe;
    bool failed = false;
    const char *target = read_query(request, page);
    if (target == NULL) {
        return;
    }
    overview *at = calloc(1, sizeof *at);
    if (at == NULL) {
        mfi_page_error(page, 500, "no memory for the overview");
        return;
    }
    at->start_time = at->cpu = at->memory = NAN;
    probe->visit_circuits(probe->self, take_worker, at);
    mfi_metric_set_visit(probe->metrics, take_family, at);
    mfi_history_read(probe->metrics, &at->totals);
    mfi_json all = mfi_json_part((mfi_json){.failed = &failed}, cJSON_CreateObject());
    add_all(all, request, at, target);
    mfi_json_print(all, page, "application/json");
    cJSON_Delete(all.item);
    free(at);
}
