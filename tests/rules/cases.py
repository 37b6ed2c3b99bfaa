"""For each alert: series under which it fires, and series under which it stays quiet. Values are in promtool's
notation, one for each minute ("0+3x20": 0, 3, 6, ..., 60)."""

P = 'job="multifrost",instance="a:1"'
T = P + ',target="math"'
W = T + ',worker="math-0"'
JOB = {"job": "multifrost"}
INSTANCE = JOB | {"instance": "a:1"}
TARGET = JOB | {"target": "math"}


class Case:
    """series: pairs of a series and its values. at: when to look. labels: of the alert that fires; None: none does."""

    def __init__(self, series, at, labels=None, interval="1m"):
        self.series, self.at, self.labels, self.interval = series, at, labels, interval


def budget(bad, good, minutes):
    """Calls in a minute, for so long, with an objective of 99 %."""
    slo = P + ',slo="fast"'
    return [(f'multifrost_slo_requests_total{{{slo},result="bad"}}', f"0+{bad}x{minutes}"),
            (f'multifrost_slo_requests_total{{{slo},result="good"}}', f"0+{good}x{minutes}"),
            (f"multifrost_slo_objective_ratio{{{slo}}}", f"0.99x{minutes}")]


def circuits(named, total):
    return [(f'multifrost_circuit_state{{{W},state="{state}"}}', f"{int(state == named)}x20") for state in ("open", "closed")] + [
        (f'multifrost_circuits{{{P},state="open"}}', f"{total}x20")]


def workers(up, down):
    return [(f"multifrost_worker_up{{{W}}}", f"{up}x20"), (f'multifrost_workers{{{P},state="ready"}}', "3x20"),
            (f'multifrost_workers{{{P},state="down"}}', f"{down}x20")]


def buckets(name, labels, within, *bounds):
    """A histogram that counts 10 a minute: those bounds that `within` reaches have all."""
    return [(f'{name}_bucket{{{labels},le="{bound}"}}', "0+10x40" if bound == "+Inf" or float(bound) >= within else "0x40")
            for bound in (*bounds, "+Inf")]


def latency(seconds, calls, threshold=None):
    series = buckets("multifrost_client_call_duration_seconds", T + ',function="add",outcome="ok"', seconds, "0.1", "0.5", "1", "5")
    series += [(f'multifrost_client_calls_total{{{T},function="add",status="ok"}}', f"0+{calls}x40"),
               (f"multifrost_client_calls_in_flight{{{T}}}", "0x40")]
    if threshold is not None:
        series.append((f'multifrost_slo_threshold_seconds{{{P},slo="math"}}', f"{threshold}x40"))
    return series


def share(part, labels, whole, parts, wholes):
    return [(f"{part}{{{labels}}}", f"0+{parts}x40"), (f'{whole}', f"0+{wholes}x40")]


STARTED = f'multifrost_server_calls_started_total{{{W},function="add"}}'
CALLS = f'multifrost_client_calls_total{{{T},function="add",status="ok"}}'
EXPIRED = ("multifrost_server_expired_calls_total", W + ',stage="before_start"', STARTED)
LATE = ("multifrost_client_late_replies_total", T, CALLS)
SCRAPES = ("multifrost_scrape_duration_seconds", P + ',format="om"')
PARTIAL = f"multifrost_scrape_partial_total{{{P}}}"
LAG = ("multifrost_loop_lag_seconds", P + ',loop="engine"')
BUILD = (f"multifrost_build_info{{{P}}}", "1x30")


def configurations(one, other):
    return [(f'multifrost_config_info{{job="multifrost",instance="{name}",hash="{value}"}}', "1x90") for name, value in (("a:1", one), ("b:1", other))]


SLO = JOB | {"slo": "fast"}
FIRES = {
    "MultifrostTargetDown": [Case([(f"up{{{P}}}", "1x5 0x10")], "10m", INSTANCE | {"severity": "page"})],
    "MultifrostErrorBudgetFast": [Case(budget(20, 80, 120), "2h", SLO | {"severity": "page"})],
    "MultifrostErrorBudgetSlow": [Case(budget(10, 90, 480), "8h", SLO | {"severity": "page"}),
                                  Case(budget(8, 392, 1500), "90h", SLO | {"severity": "ticket"}, "4m")],
    "MultifrostCircuitOpen": [Case(circuits("open", 1), "5m", TARGET | {"severity": "page"})],
    "MultifrostCircuitsOpenUnnamed": [Case(circuits("closed", 1), "5m", INSTANCE | {"severity": "page"}), Case(circuits("open", 2), "5m", INSTANCE | {"severity": "page"}),
                                      Case(circuits("closed", 1)[2:], "5m", INSTANCE | {"severity": "page"})],
    "MultifrostWorkersDownUnnamed": [Case(workers(1, 1), "5m", INSTANCE | {"severity": "page"}), Case(workers(0, 2), "5m", INSTANCE | {"severity": "page"})],
    "MultifrostCircuitFlapping": [Case([(f'multifrost_circuit_transitions_total{{{W},from="closed",to="open"}}', "0+1x20")], "15m", TARGET | {"severity": "ticket"})],
    "MultifrostWorkerDown": [Case([(f"multifrost_worker_up{{{W}}}", "1x5 0x10")], "10m", INSTANCE | TARGET | {"worker": "math-0", "severity": "page"})],
    "MultifrostWorkerCrashLoop": [Case([(f'multifrost_worker_restarts_total{{{T},reason="signal"}}', "0+1x20")], "15m", TARGET | {"severity": "page"}),
                                  Case([(f"multifrost_worker_restart_budget_remaining{{{T}}}", "0x20")], "15m", TARGET | {"severity": "page"})],
    "MultifrostWorkerFrozen": [Case([(f'multifrost_workers{{{P},state="frozen"}}', "1x20")], "5m", INSTANCE | {"state": "frozen", "severity": "page"})],
    "MultifrostLatencyHigh": [Case(latency(5, 10), "20m", TARGET | {"severity": "ticket"}), Case(latency(0.5, 10, 0.2), "20m", TARGET | {"severity": "ticket"})],
    "MultifrostQueueSaturated": [Case([(f"multifrost_client_calls_in_flight{{{T}}}", "90x20"), (f"multifrost_client_concurrency_limit{{{T}}}", "100x20")], "10m",
                                      INSTANCE | TARGET | {"severity": "ticket"})],
    "MultifrostStuckCall": [Case([(f"multifrost_client_oldest_call_age_seconds{{{T}}}", "0+60x20")], "10m", INSTANCE | TARGET | {"severity": "ticket"})],
    "MultifrostExpiredWork": [Case(share(*EXPIRED, 2, 100), "30m", TARGET | {"severity": "ticket"})],
    "MultifrostLateReplies": [Case(share(*LATE, 2, 100), "30m", TARGET | {"severity": "ticket"})],
    "MultifrostMessagesDropped": [Case([(f'multifrost_transport_dropped_messages_total{{{P},reason="hwm"}}', "0+1x20")], "15m", INSTANCE | {"reason": "hwm", "severity": "ticket"})],
    "MultifrostLogsDropped": [Case([(f'multifrost_log_dropped_total{{{P},reason="sink_error"}}', "0+1x20")], "15m", INSTANCE | {"reason": "sink_error", "severity": "ticket"})],
    "MultifrostSeriesFolded": [Case([(f'multifrost_series_folded_total{{{P},family="case_total"}}', "0+1x60")], "40m", INSTANCE | {"family": "case_total", "severity": "ticket"})],
    "MultifrostSeriesNearLimit": [Case([(f"multifrost_series{{{P}}}", "900x40"), (f"multifrost_series_limit{{{P}}}", "1000x40")], "30m", INSTANCE | {"severity": "ticket"})],
    "MultifrostScrapeSlowOrPartial": [Case(buckets(*SCRAPES, 2, "0.5", "2"), "30m", INSTANCE | {"severity": "ticket"}),
                                      Case([(PARTIAL, "0+1x40")], "30m", INSTANCE | {"severity": "ticket"})],
    "MultifrostLoopStalled": [Case(buckets(*LAG, 2, "0.1", "2"), "20m", INSTANCE | {"loop": "engine", "severity": "page"})],
    "MultifrostFdsNearLimit": [Case([(f"process_open_fds{{{P}}}", "90x30"), (f"process_max_fds{{{P}}}", "100x30"), BUILD], "20m", INSTANCE | {"severity": "ticket"})],
    "MultifrostConfigSkew": [Case(configurations("1f", "2e"), "70m", JOB | {"severity": "ticket"})],
}
QUIET = {
    "MultifrostTargetDown": [Case([(f"up{{{P}}}", "1x5 0x1 1x10")], "10m"), Case([('up{job="node",instance="a:2"}', "0x20")], "10m")],
    "MultifrostErrorBudgetFast": [Case(budget(1, 99, 120), "2h"), Case(budget(0.3, 1.2, 120), "2h")],  # the second one has few calls
    "MultifrostErrorBudgetSlow": [Case(budget(0, 100, 480), "8h"), Case(budget(0.02, 0.08, 480), "8h")],
    "MultifrostCircuitOpen": [Case(circuits("closed", 0), "5m")],
    "MultifrostCircuitsOpenUnnamed": [Case(circuits("open", 1), "5m"), Case(circuits("closed", 0), "5m")],
    "MultifrostWorkersDownUnnamed": [Case(workers(0, 1), "5m"), Case(workers(1, 0), "5m")],
    "MultifrostCircuitFlapping": [Case([(f'multifrost_circuit_transitions_total{{{W},from="closed",to="open"}}', "0x5 1x15")], "15m"),
                                  # A circuit that stays open, whose probe calls fail.
                                  Case([(f'multifrost_circuit_transitions_total{{{W},from="half_open",to="open"}}', "0+1x20")], "15m")],
    "MultifrostWorkerDown": [Case([(f"multifrost_worker_up{{{W}}}", "1x5 0x1 1x10")], "10m")],
    "MultifrostWorkerCrashLoop": [Case([(f'multifrost_worker_restarts_total{{{T},reason="signal"}}', "0x5 1x15"),
                                        (f"multifrost_worker_restart_budget_remaining{{{T}}}", "4x20")], "15m"),
                                  Case([(f'multifrost_worker_restarts_total{{{T},reason="manual"}}', "0+1x20")], "15m")],
    "MultifrostWorkerFrozen": [Case([(f'multifrost_workers{{{P},state="frozen"}}', "0x20"), (f'multifrost_workers{{{P},state="ready"}}', "1x20")], "5m")],
    "MultifrostLatencyHigh": [Case(latency(0.5, 10), "20m"), Case(latency(5, 10, 10), "20m"), Case(latency(5, 1), "20m")],  # the last one has few calls
    "MultifrostQueueSaturated": [Case([(f"multifrost_client_calls_in_flight{{{T}}}", "70x20"), (f"multifrost_client_concurrency_limit{{{T}}}", "100x20")], "10m"),
                                 Case([(f"multifrost_client_calls_in_flight{{{T}}}", "9x20"), (f"multifrost_client_concurrency_limit{{{T}}}", "0x20")], "10m")],
    "MultifrostStuckCall": [Case([(f"multifrost_client_oldest_call_age_seconds{{{T}}}", "250x20")], "10m")],
    "MultifrostExpiredWork": [Case(share(*EXPIRED, 0.5, 100), "30m"), Case(share(*EXPIRED, 1, 5), "30m")],
    "MultifrostLateReplies": [Case(share(*LATE, 0.5, 100), "30m"), Case(share(*LATE, 1, 5), "30m")],
    "MultifrostMessagesDropped": [Case([(f'multifrost_transport_dropped_messages_total{{{P},reason="hwm"}}', "3x20")], "15m")],
    "MultifrostLogsDropped": [Case([(f'multifrost_log_dropped_total{{{P},reason="sink_error"}}', "3x20"),
                                    (f'multifrost_log_dropped_total{{{P},reason="sampled"}}', "0+1x20")], "15m")],
    "MultifrostSeriesFolded": [Case([(f'multifrost_series_folded_total{{{P},family="case_total"}}', "3x60")], "40m")],
    "MultifrostSeriesNearLimit": [Case([(f"multifrost_series{{{P}}}", "700x40"), (f"multifrost_series_limit{{{P}}}", "1000x40")], "30m")],
    "MultifrostScrapeSlowOrPartial": [Case([*buckets(*SCRAPES, 0.5, "0.5", "2"), (PARTIAL, "1x40")], "30m")],
    "MultifrostLoopStalled": [Case(buckets(*LAG, 0.1, "0.1", "2"), "20m")],
    "MultifrostFdsNearLimit": [Case([(f"process_open_fds{{{P}}}", "70x30"), (f"process_max_fds{{{P}}}", "100x30"), BUILD], "20m"),
                               Case([('process_open_fds{job="node",instance="a:2"}', "90x30"), ('process_max_fds{job="node",instance="a:2"}', "100x30")], "20m")],
    "MultifrostConfigSkew": [Case(configurations("1f", "1f"), "70m")],
}
