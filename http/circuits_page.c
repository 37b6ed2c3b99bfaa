/* Makes the pages /circuits, /circuits/<target> and /circuits/<worker>. Absent values are left out,
 * never null. */
#include <string.h>

#include "base/clock.h"
#include "http/json.h"
#include "http/pages.h"
#include "http/status_page.h"

/* "count:50"; nothing for 0. */
static void add_length(mfi_json to, uint32_t calls)
{
    char window[24];
    if (calls != 0) {
        (void)mfi_str_format(window, sizeof window, "count:%u", (unsigned)calls);
        mfi_json_text(to, "window", window);
    }
}

/* A rule that is off has no figure. */
static void add_positive(mfi_json to, const char *name, double value)
{
    if (value > 0) {
        mfi_json_number(to, name, value);
    }
}

static void add_reason(mfi_json to, const mf_circuit_row *row)
{
    if (row->rule == NULL) {
        return;
    }
    mfi_json reason = mfi_json_object(to, "reason");
    mfi_json_text(reason, "rule", row->rule);
    mfi_json_number(reason, "observed", row->observed);
    add_positive(reason, "threshold", row->threshold);
    add_length(reason, row->reason_window_calls);
    mfi_json_text(reason, "text", row->reason_text);
    mfi_json_text(reason, "first_error", row->first_error);
    mfi_json_text(reason, "correlation_id", row->correlation_id);
    mfi_json_text(reason, "trace_id", row->trace_id);
}

static double share(uint64_t part, uint64_t all)
{
    return all > 0 ? (double)part / (double)all : 0;
}

static void add_window(mfi_json to, const char *name, const mf_circuit_window *window,
                       uint64_t slow, bool by_status)
{
    mfi_json object = mfi_json_object(to, name);
    mfi_json_number(object, "calls", (double)window->calls);
    mfi_json_number(object, "ok", (double)window->ok);
    mfi_json_number(object, "failed", (double)window->failed);
    mfi_json_number(object, "slow", (double)slow);
    if (!by_status) {
        uint64_t counted = window->ok + window->failed;
        mfi_json_number(object, "excluded", (double)window->excluded);
        mfi_json_number(object, "failure_ratio", share(window->failed, counted));
        mfi_json_number(object, "slow_ratio", share(slow, counted));
        return;
    }
    const struct {
        const char *name;
        uint64_t count;
    } parts[] = {{"timeout", window->timeout},
                 {"unavailable", window->unavailable},
                 {"worker_crashed", window->worker_crashed},
                 {"protocol_error", window->protocol_error}};
    mfi_json statuses = mfi_json_object(object, "by_status");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].count > 0) {
            mfi_json_number(statuses, parts[i].name, (double)parts[i].count);
        }
    }
}

static void add_config(mfi_json to, const mf_circuit_row *row)
{
    static const char *const counts[] = {"timeout", "unavailable", "worker_crashed",
                                         "protocol_error"};
    mfi_json config = mfi_json_object(to, "config");
    mfi_json_number(config, "consecutive_failures", row->config_consecutive_failures);
    mfi_json_number(config, "heartbeat_misses", row->config_heartbeat_misses);
    add_positive(config, "failure_ratio", row->config_failure_ratio);
    add_positive(config, "slow_ratio", row->config_slow_ratio);
    add_positive(config, "slow_call_seconds", row->config_slow_call_seconds);
    add_positive(config, "min_calls", row->config_min_calls);
    add_length(config, row->config_window_calls);
    mfi_json_number(config, "open_seconds", row->config_open_seconds);
    mfi_json_number(config, "open_max_seconds", row->config_open_max_seconds);
    mfi_json_number(config, "jitter", row->config_jitter);
    mfi_json words = mfi_json_part(config, cJSON_CreateStringArray(counts, 4));
    if (words.item != NULL && !cJSON_AddItemToObject(config.item, "counts", words.item)) {
        *config.failed = true;
        cJSON_Delete(words.item);
    }
}

static void add_trial(mfi_json to, const mf_circuit_trial *trial)
{
    if (trial->state == NULL) {
        return;
    }
    mfi_json object = mfi_json_object(to, "trial");
    mfi_json_text(object, "state", trial->state);
    mfi_json_number(object, "refused", (double)trial->refused);
    if (trial->rule != NULL) {
        mfi_json reason = mfi_json_object(object, "reason");
        mfi_json_text(reason, "rule", trial->rule);
        mfi_json_number(reason, "observed", trial->observed);
        add_positive(reason, "threshold", trial->threshold);
        add_length(reason, trial->window_calls);
        mfi_json_text(reason, "text", trial->reason_text);
    }
    mfi_json config = mfi_json_object(object, "config");
    add_positive(config, "failure_ratio", trial->failure_ratio);
    add_positive(config, "slow_ratio", trial->slow_ratio);
    add_positive(config, "slow_call_seconds", trial->slow_call_seconds);
    add_positive(config, "min_calls", trial->min_calls);
    add_length(config, trial->window_calls);
}

static void add_transitions(mfi_json to, const mf_circuit_row *row)
{
    mfi_json list = mfi_json_array(to, "recent_transitions");
    for (size_t i = 0; i < row->transition_count; i++) {
        const mf_circuit_transition *past = &row->transitions[i];
        mfi_json one = mfi_json_entry(list);
        mfi_json_text(one, "from", past->from);
        mfi_json_text(one, "to", past->to);
        mfi_json_time(one, "at", past->at_wall_ns);
        mfi_json_text(one, "reason", past->reason);
    }
}

/* Adds the worker behind the circuit: whether it runs, and how its last process ended. */
static void add_worker(mfi_json to, const mf_circuit_row *row)
{
    const mf_circuit_worker *worker = &row->worker;
    if (worker->name == NULL) {
        return;
    }
    mfi_json object = mfi_json_object(to, "worker");
    mfi_json_text(object, "name", worker->name);
    mfi_json_text(object, "state", worker->state);
    if (worker->pid != 0) {
        mfi_json_number(object, "pid", (double)worker->pid);
    }
    mfi_json_number(object, "restarts", (double)worker->restarts);
    mfi_json_number(object, "restarts_in_period", worker->restarts_in_period);
    if (worker->restarts_permitted != 0) {
        mfi_json_number(object, "restarts_permitted", worker->restarts_permitted);
    }
    if (worker->restart_in_seconds > 0) {
        mfi_json_number(object, "restart_in_seconds", worker->restart_in_seconds);
    }
    if (worker->last_exit != NULL) {
        mfi_json last_exit = mfi_json_object(object, "last_exit");
        mfi_json_text(last_exit, "text", worker->last_exit);
        mfi_json_number(last_exit, "code", worker->last_exit_code);
        mfi_json_number(last_exit, "signal", worker->last_exit_signal);
    }
    if (worker->heartbeat_rtt_seconds > 0) {
        mfi_json_number(object, "heartbeat_rtt_seconds", worker->heartbeat_rtt_seconds);
    }
    mfi_json_number(object, "heartbeat_misses", (double)worker->heartbeat_misses);
    if (worker->says_busy) {
        mfi_json_number(object, "running_handler_seconds", worker->handler_seconds);
        mfi_json_number(object, "queue_length", (double)worker->handler_queue);
    }
    if (row->worker_says_load) {
        mfi_json_number(object, "load", row->worker_load);
    }
}

static void add_circuit(mfi_json circuit, const mf_circuit_row *row)
{
    mfi_json_text(circuit, "target", row->target);
    mfi_json_text(circuit, "state", row->state);
    mfi_json_time(circuit, "since", row->since_wall_ns);
    mfi_json_number(circuit, "since_seconds", row->since_seconds);
    mfi_json_number(circuit, "generation", (double)row->generation);
    add_reason(circuit, row);
    if (row->next_probe_wall_ns != 0) {
        mfi_json_time(circuit, "next_probe_at", row->next_probe_wall_ns);
        mfi_json_number(circuit, "next_probe_in_seconds", row->next_probe_in_seconds);
    }
    mfi_json_number(circuit, "open_count_in_row", row->open_count_in_row);
    add_window(circuit, "window", &row->window, row->window_slow, false);
    if (row->rule != NULL) {
        add_window(circuit, "window_at_trip", &row->window_at_trip, row->window_at_trip_slow, true);
    }
    mfi_json half_open = mfi_json_object(circuit, "half_open");
    mfi_json_number(half_open, "permitted", row->probes_permitted);
    mfi_json_number(half_open, "in_flight", row->probes_in_flight);
    mfi_json_number(half_open, "ok", row->probes_ok);
    mfi_json_number(half_open, "failed", row->probes_failed);
    mfi_json_number(half_open, "slot_timeout_seconds", row->probe_slot_seconds);
    mfi_json_number(circuit, "consecutive_failures", row->consecutive_failures);
    mfi_json_number(circuit, "refused_since_open", (double)row->refused_since_open);
    add_config(circuit, row);
    add_trial(circuit, &row->trial);
    add_transitions(circuit, row);
    add_worker(circuit, row);
}

typedef struct selection {
    const char *asked; /* "" for all */
    mfi_json list, one;
    bool is_target, is_worker; /* what was asked for */
} selection;

static bool is_worker(const selection *at, const mf_circuit_row *row)
{
    return row->worker.name != NULL && strcmp(at->asked, row->worker.name) == 0;
}

/* A target's name comes before a worker's. */
static void look_for(const mf_circuit_row *row, void *user_data)
{
    selection *at = user_data;
    at->is_target = at->is_target || strcmp(at->asked, row->target) == 0;
    at->is_worker = at->is_worker || is_worker(at, row);
}

static void take_circuit(const mf_circuit_row *row, void *user_data)
{
    selection *at = user_data;
    if (at->list.item == NULL) {
        if (at->is_worker && is_worker(at, row)) {
            at->is_worker = false; /* it is shown */
            add_circuit(at->one, row);
        }
    } else if (at->asked[0] == '\0' || strcmp(at->asked, row->target) == 0) {
        add_circuit(mfi_json_entry(at->list), row);
    }
}

void mfi_page_circuits(const mfi_page_request *request, mfi_page *page)
{
    const mf_probe *probe = request->probe;
    bool failed = false;
    selection at = {.asked = request->rest};
    if (at.asked[0] != '\0') {
        probe->visit_circuits(probe->self, look_for, &at);
        if (!at.is_target && !at.is_worker) {
            mfi_page_error(page, 404, "no circuit '%.100s'", at.asked);
            return;
        }
    }
    at.one = mfi_json_part((mfi_json){.failed = &failed}, cJSON_CreateObject());
    at.list = (mfi_json){.failed = &failed};
    if (at.asked[0] == '\0' || at.is_target) {
        mfi_json_text(at.one, "schema", "multifrost.circuits/1");
        mfi_json_time(at.one, "time", mfi_wall_ns());
        at.list = mfi_json_array(at.one, "circuits");
    }
    probe->visit_circuits(probe->self, take_circuit, &at);
    mfi_json_print(at.one, page, "application/json");
    cJSON_Delete(at.one.item);
    mfi_status_page_for_people(request, page);
}
