#!/usr/bin/env python3
"""Writes the Grafana dashboards beside it from the panels below. It exists because a panel is one line of
thought and forty lines of JSON: variables, filters, no-data texts and links are the same everywhere.

usage: dashboards/make.py [--check]      --check: writes nothing, and says which files are stale

In expressions {I}, {T}, {F} and {W} stand for the filters by instance, target, function and worker;
[R] for the range that fits the step."""

import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
LOGS = {"type": "loki", "uid": "${logs}"}
FILTERS = {"I": 'job=~"$job",instance=~"$instance"'}
FILTERS["T"] = FILTERS["I"] + ',target=~"$target"'
FILTERS["F"] = FILTERS["T"] + ',function=~"$function"'
FILTERS["W"] = FILTERS["T"] + ',worker=~"$worker"'
UNSCRAPED = "the program is not scraped"
NO_CALL = "no call was made, or " + UNSCRAPED
NO_WORKER = "there is no worker, or " + UNSCRAPED
WIDTH = 24


def expand(expression):
    expression = re.sub(r"\{([ITFW])(?=[,}])", lambda found: "{" + FILTERS[found.group(1)], expression)
    return expression.replace("[R]", "[$__rate_interval]")


def panel(kind, title, unit, shows, no_data, *queries, w=8, h=8, **more):
    """queries: pairs of expression and legend."""
    return {"kind": kind, "title": title, "unit": unit, "shows": shows, "no_data": no_data, "queries": queries,
            "w": w, "h": h} | more


def graph(*arguments, **more):
    return panel("timeseries", *arguments, **more)


def stat(*arguments, **more):
    return panel("stat", *arguments, **more)


def heatmap(*arguments, **more):
    return panel("heatmap", *arguments, **more)


def quantiles(family, filters, by, extra=""):
    return [(f"histogram_quantile({q}, sum by ({by}le) (rate({family}_bucket{{{filters}{extra}}}[R])))", f"p{name}{legend}")
            for q, name in ((0.5, "50"), (0.95, "95"), (0.99, "99"))
            for legend in [" {{target}}" if by == "target, " else " {{worker}}" if by else ""]]


CALLS = "multifrost_client_calls_total"
STATES = [("closed", "green"), ("open", "red"), ("half_open", "yellow"), ("forced_open", "dark-red"), ("disabled", "text")]

OVERVIEW = [
    graph("Request rate", "reqps", "Calls ended in a second, by target.", NO_CALL,
          (f"sum by (target) (rate({CALLS}{{F}}[R]))", "{{target}}")),
    graph("Error ratio", "percentunit", "Share of calls that failed for another reason than the function itself, by target.", NO_CALL,
          (f'sum by (target) (rate({CALLS}{{F,status!~"ok|cancelled|app_error"}}[R])) / sum by (target) (rate({CALLS}{{F}}[R]))'
           f" or sum by (target) (rate({CALLS}{{F}}[R])) * 0", "{{target}}")),
    graph("Errors that functions raised", "percentunit",
          "Share of calls whose function itself answered with an error (status app_error), by target. The service did its work; its callers "
          "may have asked for nonsense, or what it depends on fails.", NO_CALL,
          (f'sum by (target) (rate({CALLS}{{F,status="app_error"}}[R])) / sum by (target) (rate({CALLS}{{F}}[R]))'
           f" or sum by (target) (rate({CALLS}{{F}}[R])) * 0", "{{target}}")),
    graph("Latency", "s", "Quantiles of the time from call to result, all attempts included.", NO_CALL,
          *quantiles("multifrost_client_call_duration_seconds", "F", "target, "), exemplar=True),
    graph("Failures by status", "reqps", "Calls in a second that did not end with ok, by status; app_error is what functions raised.", NO_CALL,
          (f'sum by (status) (rate({CALLS}{{F,status!="ok"}}[R])) > 0', "{{status}}"), none="no failure"),
    graph("Calls in flight", "short", "Calls that are open now.", "no parent exists, or " + UNSCRAPED,
          ("sum by (target) (multifrost_client_calls_in_flight{T})", "{{target}}")),
    graph("Refused calls", "reqps", "Calls that ended before anything was sent, by reason.", "no parent was made, or " + UNSCRAPED,
          ("sum by (target, reason) (rate(multifrost_client_refused_total{T}[R]))", "{{target}} {{reason}}")),
    graph("Error budget burn", "short", "How many times faster than allowed each objective uses its budget of bad calls, over 1 h and 5 min. "
          "14.4 uses 2 % of a month's budget in an hour.", "no objective is declared (mf_slo_declare), or none has calls",
          *((f'sum by (slo) (rate(multifrost_slo_requests_total{{I,result="bad"}}[{w}])) / sum by (slo) (rate(multifrost_slo_requests_total{{I}}[{w}]))'
             " / on (slo) (1 - max by (slo) (multifrost_slo_objective_ratio{I}))", "{{slo}} " + w) for w in ("1h", "5m")),
          none="no objective", steps=((None, "green"), (1, "yellow"), (14.4, "red"))),
    stat("Workers up", "short", "1: connected and answering.", NO_WORKER,
         ("max by (target, worker) (multifrost_worker_up{W})", "{{worker}}"), steps=((None, "red"), (1, "green"))),
    stat("Circuit state", "short", "The present state of each circuit, and how many there are of each state in all.", NO_WORKER,
         ("max by (target, worker, state) (multifrost_circuit_state{W}) == 1", "{{worker}} {{state}}"),
         ("sum by (state) (multifrost_circuits{I})", "all {{state}}")),
    graph("Restarts", "short", "Restarts of workers in the step, by reason.", "no worker is restarted by its parent, or " + UNSCRAPED,
          ("sum by (target, reason) (increase(multifrost_worker_restarts_total{T}[R]))", "{{target}} {{reason}}")),
    stat("Endpoints scraped", "short", "1: the last scrape succeeded.", "Prometheus knows no such job",
         ('up{job=~"$job",instance=~"$instance"}', "{{instance}}"), steps=((None, "red"), (1, "green"))),
]

FUNCTIONS = [
    panel("table", "Functions", "short", "Calls in a second, error ratio, share of errors that the function raised, and p99, by function. "
          "A name leads to its graphs.", NO_CALL,
          (f"sum by (target, function) (rate({CALLS}{{F}}[R]))", "calls/s"),
          (f'sum by (target, function) (rate({CALLS}{{F,status!~"ok|cancelled|app_error"}}[R])) / sum by (target, function) (rate({CALLS}{{F}}[R]))', "errors"),
          (f'sum by (target, function) (rate({CALLS}{{F,status="app_error"}}[R])) / sum by (target, function) (rate({CALLS}{{F}}[R]))', "raised"),
          ("histogram_quantile(0.99, sum by (target, function, le) (rate(multifrost_client_call_duration_seconds_bucket{F}[R])))", "p99"),
          w=24, h=9, units={"calls/s": "reqps", "errors": "percentunit", "raised": "percentunit", "p99": "s"}),
    heatmap("Latency heatmap", "s", "How many calls took how long, as the caller saw them.", NO_CALL,
            ("sum by (le) (increase(multifrost_client_call_duration_seconds_bucket{F}[R]))", "{{le}}"), w=12),
    graph("Latency by function", "s", "p99 of the time from call to result. Dots are single calls: each leads to its log lines.", NO_CALL,
          ("histogram_quantile(0.99, sum by (target, function, le) (rate(multifrost_client_call_duration_seconds_bucket{F}[R])))",
           "{{target}} {{function}}"), w=12, exemplar=True),
    graph("Where the time goes", "s", "Mean time of each phase of a call: waiting to be sent, the wire, the worker's queue, the handler, waiting to be "
          "received.", NO_CALL,
          ("sum by (phase) (rate(multifrost_client_call_phase_seconds_sum{T}[R])) / sum by (phase) (rate(multifrost_client_call_phase_seconds_count{T}[R]))",
           "{{phase}}"), stack=True),
    graph("Handler time", "s", "p99 of the handlers' own run time, workers summed.", "no worker in C ran a handler, or " + UNSCRAPED,
          ("histogram_quantile(0.99, sum by (target, function, le) (rate(multifrost_server_call_duration_seconds_bucket{F}[R])))",
           "{{target}} {{function}}")),
    graph("What handlers do", "percentunit", "Share of the time of sampled handlers: on a processor, ready and waiting for one, blocked.",
          "no worker in C ran a handler, or " + UNSCRAPED,
          ("sum by (state) (rate(multifrost_server_handler_state_seconds_total{W}[R])) / ignoring (state) group_left"
           " sum(rate(multifrost_server_handler_state_seconds_total{W}[R]))", "{{state}}"), stack=True),
    graph("Failures by function", "reqps", "Calls in a second that did not end with ok, by function and status; app_error is what the function raised.", NO_CALL,
          (f'sum by (target, function, status) (rate({CALLS}{{F,status!="ok"}}[R])) > 0', "{{target}} {{function}} {{status}}"), none="no failure"),
    graph("Oldest open call", "s", "Age of the oldest call that is open.", "no parent exists, or " + UNSCRAPED,
          ("max by (target) (multifrost_client_oldest_call_age_seconds{T})", "{{target}}")),
    graph("Sizes", "bytes", "p95 of the size of encoded requests and responses.", NO_CALL,
          *((f"histogram_quantile(0.95, sum by (target, le) (rate(multifrost_client_{side}_size_bytes_bucket{{T}}[R])))", "{{target}} " + side)
            for side in ("request", "response"))),
]

WORKERS = [
    graph("Busy share", "percentunit", "Share of the handler threads that are busy.", "no worker in C, or " + UNSCRAPED,
          ("sum by (target, worker) (rate(multifrost_server_busy_seconds_total{W}[R])) / sum by (target, worker) (multifrost_server_threads{W})", "{{worker}}")),
    graph("Load as workers say it", "percentunit", "Busy share of the last second, as the last answer of each worker said it.",
          "no worker has said it: none has answered a call, or they are in another language",
          ("max by (target, worker) (multifrost_worker_load_ratio{W})", "{{worker}}")),
    graph("Queue wait", "s", "p95 of the time between receipt and handler start.", "no worker in C ran a handler, or " + UNSCRAPED,
          ("histogram_quantile(0.95, sum by (target, worker, le) (rate(multifrost_server_queue_wait_seconds_bucket{W}[R])))", "{{worker}}")),
    graph("Queue of workers", "short", "Calls that wait for a handler.", "no worker in C runs, or " + UNSCRAPED,
          ("sum by (target, worker) (multifrost_server_queue_depth{W})", "{{worker}}")),
    graph("Open calls against the limit", "percentunit", "Calls that are open, as a share of max_in_flight; beyond it calls are refused.",
          "no parent exists, or " + UNSCRAPED,
          ("max by (target) (multifrost_client_calls_in_flight{T} / (multifrost_client_concurrency_limit{T} > 0))", "{{target}}"),
          steps=((None, "green"), (0.8, "red"))),
    graph("Age of the running handler", "s", "How long the handler that has run longest has run.", "no worker says it: none runs, or it has no heartbeats",
          ("max by (target, worker) (multifrost_server_running_handler_age_seconds{W})", "{{worker}}")),
    graph("Processors", "short", "Processors that each worker uses, and those that its threads wait for.", NO_WORKER + ", or /proc is hidden",
          ("sum by (target, worker) (rate(multifrost_worker_cpu_seconds_total{W}[R]))", "{{worker}} used"),
          ("sum by (target, worker) (rate(multifrost_worker_run_queue_seconds_total{W}[R]))", "{{worker}} waited for")),
    graph("Memory", "bytes", "Resident memory of each worker.", NO_WORKER + ", or /proc is hidden",
          ("max by (target, worker) (multifrost_worker_resident_memory_bytes{W})", "{{worker}}")),
    graph("Descriptors and threads", "short", "Open descriptors and threads of each worker.", NO_WORKER + ", or /proc is hidden",
          ("max by (target, worker) (multifrost_worker_open_fds{W})", "{{worker}} descriptors"),
          ("max by (target, worker) (multifrost_worker_threads{W})", "{{worker}} threads")),
    graph("Restarts by reason", "short", "Restarts in the step.", "no worker is restarted by its parent, or " + UNSCRAPED,
          ("sum by (target, reason) (increase(multifrost_worker_restarts_total{T}[R]))", "{{target}} {{reason}}")),
    graph("Restarts left", "short", "Restarts that are left in the present period. At 0 a worker that ends stays down.",
          "no worker is started again, or their number has no limit",
          ("min by (target) (multifrost_worker_restart_budget_remaining{T})", "{{target}}")),
    graph("Wait before the next start", "s", "0 while the worker runs.", NO_WORKER,
          ("max by (target, worker) (multifrost_worker_restart_backoff_seconds{W})", "{{worker}}")),
    stat("Last exit", "short", "Exit code and signal of the last process that ended: code -1 and signal 0 if none has; a signal has the code -1.", NO_WORKER,
         ("max by (target, worker) (multifrost_worker_last_exit_code{W})", "{{worker}} code"),
         ("max by (target, worker) (multifrost_worker_last_exit_signal{W})", "{{worker}} signal")),
    stat("Started", "dateTimeFromNow", "When each worker's process started.", NO_WORKER + ", or /proc is hidden",
         ("max by (target, worker) (multifrost_worker_start_time_seconds{W}) * 1000", "{{worker}}")),
    stat("Workers by state", "short", "All workers, those without series of their own too.", UNSCRAPED,
         ("sum by (state) (multifrost_workers{I})", "{{state}}")),
    graph("Time to start", "s", "p95 of the time from start to the first answered heartbeat.", "no worker was started, or " + UNSCRAPED,
          ("histogram_quantile(0.95, sum by (target, le) (rate(multifrost_worker_start_duration_seconds_bucket{T}[R])))", "{{target}}")),
    graph("Pools", "short", "Members of pools by state.", "there is no pool, or " + UNSCRAPED,
          ("sum by (target, state) (multifrost_pool_workers{T})", "{{target}} {{state}}"), none="no pool"),
]

RESILIENCE = [
    panel("state-timeline", "Circuits", "short", "The state of each circuit over time.", NO_WORKER,
          ("max by (target, worker) (" + " or ".join(f'multifrost_circuit_state{{W,state="{state}"}} * {i + 1} > 0' for i, (state, _) in enumerate(STATES)) + ")",
           "{{worker}}"), w=24,
          mappings={str(i + 1): {"text": state, "color": color, "index": i} for i, (state, color) in enumerate(STATES)}),
    graph("Failed calls in the window", "percentunit", "Share of failed calls in each circuit's window; 0 below the least number of calls. "
          "/circuits shows the threshold.", NO_WORKER,
          ("max by (target, worker) (multifrost_circuit_failure_ratio{W})", "{{worker}}")),
    graph("Slow calls in the window", "percentunit", "Share of slow calls in each circuit's window; 0 below the least number of calls. "
          "/circuits shows the threshold.", NO_WORKER,
          ("max by (target, worker) (multifrost_circuit_slow_call_ratio{W})", "{{worker}}")),
    graph("Calls in the window", "short", "What the rules of the circuits look at, by how the calls ended.", NO_WORKER,
          ("sum by (target, worker, kind) (multifrost_circuit_window_calls{W})", "{{worker}} {{kind}}")),
    graph("Transitions", "short", "Changes of state in the step.", NO_WORKER,
          ("sum by (target, worker, from, to) (increase(multifrost_circuit_transitions_total{W}[R])) > 0", "{{worker}} {{from}} to {{to}}"), none="no change"),
    graph("Probe calls", "short", "Calls that half-open circuits let through, in the step.", NO_WORKER,
          ("sum by (target, result) (increase(multifrost_circuit_probes_total{W}[R]))", "{{target}} {{result}}")),
    graph("What trial policies would refuse", "short", "Calls in the step that a policy on trial would have refused.", "no policy is on trial, or " + UNSCRAPED,
          ("sum by (target, policy) (increase(multifrost_circuit_shadow_refusals_total{W}[R]))", "{{target}} {{policy}}"), none="no trial"),
    graph("Refused calls", "reqps", "Calls that ended before anything was sent, by reason.", "no parent was made, or " + UNSCRAPED,
          ("sum by (target, reason) (rate(multifrost_client_refused_total{T}[R]))", "{{target}} {{reason}}")),
    graph("Retries", "reqps", "Retries that were sent, and those that were not, by reason.", NO_CALL,
          ('sum by (target) (rate(multifrost_client_attempts_total{T,kind="retry"}[R]))', "{{target}} sent"),
          ("sum by (target, reason) (rate(multifrost_client_retries_suppressed_total{T}[R]))", "{{target}} not sent: {{reason}}")),
    heatmap("Used share of the deadline", "percentunit", "How much of their timeout calls took. Above 1: they ended late.", "no call with a timeout was made, or " + UNSCRAPED,
            ("sum by (le) (increase(multifrost_client_deadline_used_ratio_bucket{T}[R]))", "{{le}}")),
    graph("Late answers", "reqps", "Answers that arrived after their call had ended: the timeout was too short.", NO_CALL,
          ("sum by (target) (rate(multifrost_client_late_replies_total{T}[R]))", "{{target}}")),
    graph("Expired calls", "reqps", "Calls that workers in C got to, or answered, after their deadline.", "no worker in C, or " + UNSCRAPED,
          ("sum by (target, stage) (rate(multifrost_server_expired_calls_total{W}[R]))", "{{target}} {{stage}}")),
    graph("Heartbeats: round trip", "s", "p95 of the round trip.", "heartbeats are off, or " + UNSCRAPED,
          ("histogram_quantile(0.95, sum by (target, le) (rate(multifrost_heartbeat_rtt_seconds_bucket{T}[R])))", "{{target}}")),
    graph("Heartbeats: misses", "short", "Misses in the step, and misses in a row now.", "heartbeats are off, or " + UNSCRAPED,
          ("sum by (target) (increase(multifrost_heartbeat_missed_total{T}[R]))", "{{target}}"),
          ("max by (target) (multifrost_heartbeat_consecutive_misses{T})", "{{target}} in a row")),
    graph("Connections that ended", "short", "In the step, by reason.", "no connection was made, or " + UNSCRAPED,
          ("sum by (target, reason) (increase(multifrost_transport_disconnects_total{T}[R]))", "{{target}} {{reason}}")),
    graph("Injected faults", "short", "Calls in the step that a fault hit, which an operator armed for a drill (docs/admin.md).", "no fault was armed, or " + UNSCRAPED,
          ("sum by (target, kind) (increase(multifrost_faults_injected_total{T}[R]))", "{{target}} {{kind}}"), none="no fault"),
]

TELEMETRY = [
    graph("Time of scrapes", "s", "p95 of the time to build a page of metrics, by format.", UNSCRAPED,
          ("histogram_quantile(0.95, sum by (format, le) (rate(multifrost_scrape_duration_seconds_bucket{I}[R])))", "{{format}}")),
    graph("Size of scrapes", "bytes", "Size of the last page of metrics, by format.", UNSCRAPED,
          ("max by (instance, format) (multifrost_scrape_size_bytes{I})", "{{instance}} {{format}}")),
    graph("Partial scrapes", "short", "Scrapes in the step that had waited too long for a collection: their figures may be old.", UNSCRAPED,
          ("sum by (instance) (increase(multifrost_scrape_partial_total{I}[R]))", "{{instance}}")),
    graph("Series against the cap", "percentunit", "Series, as a share of the most that may exist.", UNSCRAPED,
          ("max by (instance) (multifrost_series{I} / multifrost_series_limit{I})", "{{instance}}"), steps=((None, "green"), (0.8, "red"))),
    graph("Folded label sets", "short", "Label sets in the step that went into _OTHER, or were left out, by family.", UNSCRAPED,
          ("sum by (instance, family) (increase(multifrost_series_folded_total{I}[R])) > 0", "{{instance}} {{family}}"), none="none folded"),
    graph("Log records", "short", "Records in a second, by level.", UNSCRAPED,
          ("sum by (level) (rate(multifrost_log_records_total{I}[R]))", "{{level}}")),
    graph("Lost log records", "short", "Records in a second that were dropped, by reason; sampled ones on purpose.", UNSCRAPED,
          ("sum by (reason) (rate(multifrost_log_dropped_total{I}[R]))", "{{reason}}")),
    graph("Fill of the log ring", "percentunit", "Highest fill since the scrape before. At 100 % records are dropped.", UNSCRAPED,
          ("max by (instance) (multifrost_log_ring_used_ratio{I})", "{{instance}}"), steps=((None, "green"), (0.8, "red"))),
    graph("Loop lag", "s", "p99 of how late the engine's loop wakes.", UNSCRAPED,
          ("histogram_quantile(0.99, sum by (instance, loop, le) (rate(multifrost_loop_lag_seconds_bucket{I}[R])))", "{{instance}} {{loop}}")),
    graph("Dropped messages", "short", "Messages in a second that were not delivered or not accepted, by reason.", UNSCRAPED,
          ("sum by (reason) (rate(multifrost_transport_dropped_messages_total{I}[R]))", "{{reason}}")),
    graph("Descriptors", "percentunit", "Open descriptors of the program, as a share of the most that may be open.", UNSCRAPED,
          ("max by (instance) (process_open_fds{I} / process_max_fds{I} and on (job, instance) multifrost_build_info)", "{{instance}}"),
          steps=((None, "green"), (0.8, "red"))),
    graph("Memory of the program", "bytes", "Resident memory and heap.", UNSCRAPED,
          ("max by (instance) (process_resident_memory_bytes{I} and on (job, instance) multifrost_build_info)", "{{instance}} resident"),
          ("max by (instance) (process_heap_bytes{I} and on (job, instance) multifrost_build_info)", "{{instance}} heap")),
    graph("Requests to the endpoint", "reqps", "Answers of the endpoint, by route and code.", UNSCRAPED,
          ("sum by (route, code) (rate(multifrost_http_requests_total{I}[R]))", "{{route}} {{code}}")),
    graph("Commands of operators", "short", "Commands at the admin socket in the step, by result.", "the program has no admin socket, or " + UNSCRAPED,
          ("sum by (command, result) (increase(multifrost_admin_commands_total{I}[R])) > 0", "{{command}} {{result}}"), none="no command"),
    graph("Service registry", "short", "Operations in a second, by result.", "the program uses no registry, or " + UNSCRAPED,
          ("sum by (op, result) (rate(multifrost_registry_operations_total{I}[R]))", "{{op}} {{result}}")),
    stat("Configurations", "short", "Different sets of options in each job. More than one is a skew.", UNSCRAPED,
         ("count by (job) (count by (job, hash) (multifrost_config_info{I}))", "{{job}}"), steps=((None, "green"), (2, "yellow"))),
]

STREAM = '{job=~"$job"} | json | level=~"$level" | correlation_id=~"$correlation_id" | trace_id=~"$trace_id"'
LOG_PANELS = [
    panel("timeseries", "Records by level", "short", "Log records in the step.", "no record has the chosen ids, or no log is shipped to Loki",
          (f"sum by (level) (count_over_time({STREAM} [$__auto]))", "{{level}}"), w=24, h=6, source=LOGS, stack=True),
    panel("logs", "Log", "short", "Records of the chosen level, correlation id and trace; all calls of one chain have one id.",
          "no record has the chosen ids, or no log is shipped to Loki", (STREAM, ""), w=24, h=20, source=LOGS),
]

BOARDS = {
    "overview": ("Multifrost overview", "Rate, errors and duration of calls, and what may explain them.", OVERVIEW),
    "functions": ("Multifrost functions", "Each function: rate, errors, latency, and where the time goes.", FUNCTIONS),
    "workers": ("Multifrost workers", "Utilization, saturation and errors of workers.", WORKERS),
    "resilience": ("Multifrost resilience", "Circuits, retries, deadlines, heartbeats.", RESILIENCE),
    "telemetry": ("Multifrost telemetry", "Whether the figures themselves can be trusted: scrapes, series, log, loops.", TELEMETRY),
    "logs": ("Multifrost logs", "Log records by level and correlation id.", LOG_PANELS),
}


def variable(name, query):
    return {"name": name, "type": "query", "datasource": SOURCE, "query": query, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "refresh": 2}


def variables(name):
    found = [{"name": "datasource", "type": "datasource", "query": "prometheus"},
             variable("job", "label_values(multifrost_build_info, job)"),
             variable("instance", 'label_values(multifrost_build_info{job=~"$job"}, instance)'),
             variable("target", f"label_values(multifrost_client_calls_started_total{{{FILTERS['I']}}}, target)"),
             variable("function", f"label_values(multifrost_client_calls_started_total{{{FILTERS['T']}}}, function)"),
             variable("worker", f"label_values(multifrost_worker_up{{{FILTERS['T']}}}, worker)")]
    if name == "logs":
        levels = ["trace", "debug", "info", "warn", "error", "fatal"]
        found += [{"name": "logs", "type": "datasource", "query": "loki"},
                  {"name": "level", "type": "custom", "query": ",".join(levels), "multi": True, "includeAll": True, "allValue": ".*",
                   "current": {"text": "All", "value": "$__all"}},
                  *({"name": name, "type": "textbox", "query": ".*", "current": {"text": ".*", "value": ".*"}} for name in ("correlation_id", "trace_id"))]
    return found


def annotation(name, expression, text, color):
    return {"name": name, "datasource": SOURCE, "enable": True, "expr": expand(expression), "titleFormat": text, "iconColor": color}


def target_of(one, at, query):
    expression, legend = query
    source = one.get("source", SOURCE)
    made = {"refId": chr(ord("A") + at), "datasource": source, "expr": expand(expression) if source is SOURCE else expression}
    if legend:
        made["legendFormat"] = legend
    if one["kind"] == "table":
        made |= {"format": "table", "instant": True}
    if one["kind"] == "heatmap":
        made["format"] = "heatmap"
    if one.get("exemplar"):
        made["exemplar"] = True
    return made


def table_parts(one):
    """One row for each function: the columns are the queries, by their legends."""
    names = {f"Value #{chr(ord('A') + i)}": legend for i, (_, legend) in enumerate(one["queries"])}
    overrides = [{"matcher": {"id": "byName", "options": legend}, "properties": [{"id": "unit", "value": unit}]}
                 for legend, unit in one["units"].items()]
    link = {"title": "Its graphs", "url": "/d/multifrost-functions?${__url_time_range}&${job:queryparam}"
            "&var-target=${__data.fields.target}&var-function=${__value.text}"}
    overrides.append({"matcher": {"id": "byName", "options": "function"}, "properties": [{"id": "links", "value": [link]}]})
    return overrides, [{"id": "merge", "options": {}}, {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}}]


def panel_json(one, number, place):
    defaults = {"unit": one["unit"], "noValue": one.get("none", "no data")}
    if "steps" in one:
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in one["steps"]]}
        defaults["color"] = {"mode": "thresholds"} if one["kind"] == "stat" else {"mode": "palette-classic"}
    if "mappings" in one:
        defaults["mappings"] = [{"type": "value", "options": one["mappings"]}]
    if one.get("stack"):
        defaults["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    made = {"id": number, "type": one["kind"], "title": one["title"], "description": f"{one['shows']} No data: {one['no_data']}.",
            "datasource": one.get("source", SOURCE), "gridPos": place, "fieldConfig": {"defaults": defaults, "overrides": []},
            "targets": [target_of(one, at, query) for at, query in enumerate(one["queries"])]}
    if one["kind"] == "table":
        made["fieldConfig"]["overrides"], made["transformations"] = table_parts(one)
    if one["kind"] == "heatmap":
        made["options"] = {"calculate": False, "yAxis": {"unit": one["unit"]}}
    if one["kind"] == "stat":
        made["options"] = {"textMode": "value_and_name", "reduceOptions": {"calcs": ["lastNotNull"]}}
    if one["kind"] == "logs":
        made["options"] = {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"}
    return made


def place_panels(panels):
    made, x, y, height = [], 0, 0, 0
    for number, one in enumerate(panels, 1):
        if x + one["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        made.append(panel_json(one, number, {"x": x, "y": y, "w": one["w"], "h": one["h"]}))
        x, height = x + one["w"], max(height, one["h"])
    return made


def board(name):
    title, description, panels = BOARDS[name]
    annotations = [] if name == "logs" else [
        annotation("Circuit opened", 'sum by (target, worker) (increase(multifrost_circuit_transitions_total{W,to="open"}[R])) > 0', "{{worker}} opened", "red"),
        annotation("Circuit closed", 'sum by (target, worker) (increase(multifrost_circuit_transitions_total{W,to="closed"}[R])) > 0', "{{worker}} closed", "green"),
        annotation("Worker restarted", "sum by (target, reason) (increase(multifrost_worker_restarts_total{T}[R])) > 0", "{{target}} restarted: {{reason}}", "orange")]
    return {"uid": f"multifrost-{name}", "title": title, "description": description, "schemaVersion": 38, "version": 1, "editable": True,
            "time": {"from": "now-1h", "to": "now"}, "refresh": "10s", "tags": ["multifrost"],
            "links": [{"type": "dashboards", "title": "Multifrost", "tags": ["multifrost"], "asDropdown": False, "keepTime": True, "includeVars": True}],
            "templating": {"list": variables(name)}, "annotations": {"list": annotations}, "panels": place_panels(panels)}


def main():
    stale = []
    for name in BOARDS:
        path = os.path.join(HERE, f"{name}.json")
        text = json.dumps(board(name), indent=2) + "\n"
        old = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
        if old != text:
            stale.append(f"{name}.json")
            if "--check" not in sys.argv[1:]:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
    if "--check" in sys.argv[1:] and stale:
        sys.exit(f"stale: {', '.join(stale)}: run dashboards/make.py")


if __name__ == "__main__":
    main()
