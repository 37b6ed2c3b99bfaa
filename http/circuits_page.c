/* /circuits and /circuits/<target>. Absent values are left out, never null. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/pages.h"

static void add_time(cJSON *to, const char *name, uint64_t wall_ns)
{
    char time[40];
    (void)mfi_format_rfc3339(time, sizeof time, wall_ns, 3);
    (void)cJSON_AddStringToObject(to, name, time);
}

static void add_text(cJSON *to, const char *name, const char *text)
{
    if (text != NULL) {
        (void)cJSON_AddStringToObject(to, name, text);
    }
}

static void add_number(cJSON *to, const char *name, double number)
{
    (void)cJSON_AddNumberToObject(to, name, number);
}

static void add_reason(cJSON *to, const mf_circuit_row *row)
{
    if (row->rule == NULL) {
        return;
    }
    cJSON *reason = cJSON_AddObjectToObject(to, "reason");
    add_text(reason, "rule", row->rule);
    add_number(reason, "observed", row->observed);
    if (row->threshold > 0) {
        add_number(reason, "threshold", row->threshold);
    }
    add_text(reason, "text", row->reason_text);
    add_text(reason, "first_error", row->first_error);
    add_text(reason, "correlation_id", row->correlation_id);
    add_text(reason, "trace_id", row->trace_id);
}

static void add_window(cJSON *to, const char *name, const mf_circuit_window *window, bool by_status)
{
    cJSON *object = cJSON_AddObjectToObject(to, name);
    add_number(object, "calls", (double)window->calls);
    add_number(object, "ok", (double)window->ok);
    add_number(object, "failed", (double)window->failed);
    if (!by_status) {
        uint64_t judged = window->ok + window->failed;
        add_number(object, "excluded", (double)window->excluded);
        add_number(object, "failure_ratio",
                   judged > 0 ? (double)window->failed / (double)judged : 0);
        return;
    }
    const struct {
        const char *name;
        uint64_t count;
    } parts[] = {{"timeout", window->timeout},
                 {"unavailable", window->unavailable},
                 {"worker_crashed", window->worker_crashed},
                 {"protocol_error", window->protocol_error}};
    cJSON *statuses = cJSON_AddObjectToObject(object, "by_status");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].count > 0) {
            add_number(statuses, parts[i].name, (double)parts[i].count);
        }
    }
}

static void add_config(cJSON *to, const mf_circuit_row *row)
{
    static const char *const counts[] = {"timeout", "unavailable", "worker_crashed",
                                         "protocol_error"};
    cJSON *config = cJSON_AddObjectToObject(to, "config");
    add_number(config, "consecutive_failures", row->config_consecutive_failures);
    add_number(config, "heartbeat_misses", row->config_heartbeat_misses);
    add_number(config, "open_seconds", row->config_open_seconds);
    add_number(config, "open_max_seconds", row->config_open_max_seconds);
    add_number(config, "jitter", row->config_jitter);
    (void)cJSON_AddItemToObject(config, "counts", cJSON_CreateStringArray(counts, 4));
}

static void add_transitions(cJSON *to, const mf_circuit_row *row)
{
    cJSON *list = cJSON_AddArrayToObject(to, "recent_transitions");
    for (size_t i = 0; i < row->transition_count; i++) {
        const mf_circuit_transition *past = &row->transitions[i];
        cJSON *one = cJSON_CreateObject();
        (void)cJSON_AddItemToArray(list, one);
        add_text(one, "from", past->from);
        add_text(one, "to", past->to);
        add_time(one, "at", past->at_wall_ns);
        add_text(one, "reason", past->reason);
    }
}

/* What is behind the circuit: whether it runs, and how it ended last. */
static void add_worker(cJSON *to, const mf_circuit_worker *worker)
{
    if (worker->name == NULL) {
        return;
    }
    cJSON *object = cJSON_AddObjectToObject(to, "worker");
    add_text(object, "name", worker->name);
    add_text(object, "state", worker->state);
    if (worker->pid != 0) {
        add_number(object, "pid", (double)worker->pid);
    }
    add_number(object, "restarts", (double)worker->restarts);
    add_number(object, "restarts_in_period", worker->restarts_in_period);
    if (worker->restarts_permitted != 0) {
        add_number(object, "restarts_permitted", worker->restarts_permitted);
    }
    if (worker->restart_in_seconds > 0) {
        add_number(object, "restart_in_seconds", worker->restart_in_seconds);
    }
    if (worker->last_exit != NULL) {
        cJSON *last_exit = cJSON_AddObjectToObject(object, "last_exit");
        add_text(last_exit, "text", worker->last_exit);
        add_number(last_exit, "code", worker->last_exit_code);
        add_number(last_exit, "signal", worker->last_exit_signal);
    }
    if (worker->heartbeat_rtt_seconds > 0) {
        add_number(object, "heartbeat_rtt_seconds", worker->heartbeat_rtt_seconds);
    }
    add_number(object, "heartbeat_misses", (double)worker->heartbeat_misses);
    if (worker->says_busy) {
        add_number(object, "running_handler_seconds", worker->handler_seconds);
        add_number(object, "queue_length", (double)worker->handler_queue);
    }
}

static cJSON *circuit_json(const mf_circuit_row *row)
{
    cJSON *circuit = cJSON_CreateObject();
    add_text(circuit, "target", row->target);
    add_text(circuit, "state", row->state);
    add_time(circuit, "since", row->since_wall_ns);
    add_number(circuit, "since_seconds", row->since_seconds);
    add_number(circuit, "generation", (double)row->generation);
    add_reason(circuit, row);
    if (row->next_probe_wall_ns != 0) {
        add_time(circuit, "next_probe_at", row->next_probe_wall_ns);
        add_number(circuit, "next_probe_in_seconds", row->next_probe_in_seconds);
    }
    add_number(circuit, "open_count_in_row", row->open_count_in_row);
    add_window(circuit, "window", &row->window, false);
    if (row->rule != NULL) {
        add_window(circuit, "window_at_trip", &row->window_at_trip, true);
    }
    cJSON *half_open = cJSON_AddObjectToObject(circuit, "half_open");
    add_number(half_open, "permitted", row->probes_permitted);
    add_number(half_open, "in_flight", row->probes_in_flight);
    add_number(half_open, "ok", row->probes_ok);
    add_number(half_open, "failed", row->probes_failed);
    add_number(half_open, "slot_timeout_seconds", row->probe_slot_seconds);
    add_number(circuit, "consecutive_failures", row->consecutive_failures);
    add_number(circuit, "refused_since_open", (double)row->refused_since_open);
    add_config(circuit, row);
    add_transitions(circuit, row);
    add_worker(circuit, &row->worker);
    return circuit;
}

typedef struct selection {
    const char *target; /* "" for all */
    cJSON *list, *one;
} selection;

static void take_circuit(const mf_circuit_row *row, void *user_data)
{
    selection *at = user_data;
    if (at->target[0] == '\0') {
        (void)cJSON_AddItemToArray(at->list, circuit_json(row));
    } else if (at->one == NULL && strcmp(at->target, row->target) == 0) {
        at->one = circuit_json(row);
    }
}

void mfi_page_circuits(const mfi_page_request *request, mfi_page *page)
{
    const mf_probe *probe = request->probe;
    cJSON *body = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(body, "schema", "multifrost.circuits/1");
    add_time(body, "time", mfi_wall_ns());
    selection at = {.target = request->rest, .list = cJSON_AddArrayToObject(body, "circuits")};
    probe->visit_circuits(probe->self, take_circuit, &at);
    if (at.target[0] != '\0' && at.one == NULL) {
        mfi_page_error(page, 404, "no circuit '%.100s'", at.target);
    } else {
        page->body = cJSON_PrintUnformatted(at.one != NULL ? at.one : body);
        page->size = page->body != NULL ? strlen(page->body) : 0;
        (void)mfi_str_copy(page->type, sizeof page->type, "application/json");
    }
    cJSON_Delete(at.one);
    cJSON_Delete(body);
}
