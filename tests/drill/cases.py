"""The failures of the fire drill: how each is made, who has to name it, and how it is repaired."""

import os
import resource
import signal

from ward import SCALE, fetch

TELLTALES = {"heartbeat_interval_ms": 200, "heartbeat_timeout_ms": 500}
NO_CIRCUIT = {"circuit_failures": -1}


class Case:
    """injected: in words. breaks, repairs: are called with the drill. alerts, checks, log: each of them has to say so. circuit:
    the target's state, if it has to change. beside: alerts and checks that the same cause may bring up too. stays: checks
    whose windows take longer than a drill. goes_on: is called at each look while it is broken. answers: the broken program
    does."""

    def __init__(self, name, injected, breaks, repairs, alerts, checks=(), circuit=None, log=(), beside=(), stays=(), options=None,
                 load="load 50 work 1 2000", service=False, programs=1, goes_on=None, answers=True):
        self.name, self.injected, self.breaks, self.repairs, self.goes_on = name, injected, breaks, repairs, goes_on
        self.alerts, self.checks, self.circuit, self.log = set(alerts), set(checks), circuit, set(log)
        self.beside, self.stays = set(beside), set(stays)
        self.options, self.load, self.service, self.programs = options or {}, load, service, programs
        self.answers = answers


def fault(kind, **fields):
    return lambda drill: drill.patient.fault(kind, **fields)


def clear_fault(drill):
    drill.patient.clear_fault()


def command(line):
    return lambda drill: drill.patient.command(line)


def admin(**fields):
    return lambda drill: drill.patient.admin(**fields)


def back_to_normal(drill):
    drill.patient.command(drill.case.load)


def thaw(drill):
    clear_fault(drill)
    os.kill(drill.patient.worker_pid(), signal.SIGCONT)


def fill_disk(drill):
    drill.patient.limit(resource.RLIMIT_FSIZE, os.path.getsize(drill.patient.log))


def use_up_descriptors(drill):
    drill.patient.limit(resource.RLIMIT_NOFILE, drill.patient.descriptors() * 10 // 9)


def kill_other(drill):
    os.kill(drill.patient.worker_pid("other"), signal.SIGKILL)


def scrape_in_haste(drill):
    fetch(f"http://{drill.patient.address}/metrics", {"X-Prometheus-Scrape-Timeout-Seconds": "0.000000001"})


def start_again(drill):
    drill.patient.stop()
    drill.patient.start()


FAILURES = [
    Case("slow_function", "fault delay, 2 s", fault("delay", delay_ms=2000), clear_fault,
         {"MultifrostLatencyHigh"}, {"math:responseTime"}, load="load 20 work 1 0"),
    Case("crashing_worker", "fault crash, 1 of 20 calls", fault("crash", share=0.05), clear_fault,
         {"MultifrostWorkerCrashLoop"}, {"math:workers"}, log={"process_exit"}, circuit="math",
         beside={"MultifrostCircuitOpen", "MultifrostCircuitFlapping", "MultifrostWorkerDown", "math:circuit", "math:errorShare",
                 "math:responseTime"},
         options={"auto_restart": 1, "restart_backoff_ms": 100, "restart_backoff_max_ms": 2000, "max_restart_attempts": 100,
                  "circuit_open_ms": 200, "circuit_open_max_ms": 1000}),
    Case("frozen_worker", "fault freeze", fault("freeze", delay_ms=600000, count=1), thaw,
         {"MultifrostWorkerFrozen"}, {"math:workers", "math:circuit"}, circuit="math", log={"heartbeat_missed"},
         beside={"MultifrostCircuitOpen", "MultifrostWorkerDown", "math:errorShare", "math:responseTime"}, options=TELLTALES),
    Case("remote_errors", "the function raises errors", command("load 50 fail 0 0"), back_to_normal,
         {"MultifrostCircuitOpen"}, {"math:circuit"}, circuit="math", log={"circuit_open"},
         beside={"MultifrostCircuitFlapping", "math:errorShare"},
         options={"circuit_counts_remote_errors": 1, "circuit_open_max_ms": 5000}),
    Case("overload", "more calls than the worker answers", command("load 200 work 20 0"), back_to_normal,
         {"MultifrostQueueSaturated"}, {"math:queue"}, beside={"MultifrostLatencyHigh", "math:responseTime", "math:errorShare"},
         options={"max_in_flight": 50}),
    Case("stuck_handler", "a handler never returns", command("call work -1 600000"), admin(command="restart", worker="math-0"),
         {"MultifrostStuckCall"}, {"math:oldestCall"},
         beside={"MultifrostWorkerDown", "math:workers", "math:responseTime", "math:errorShare"},  # of the restart that repairs it
         options={"threads": 2, "stop_timeout_ms": 200}),
    Case("lost_service", "the service is killed", lambda drill: drill.service.stop(), lambda drill: drill.service.start(),
         {"MultifrostWorkerDown"}, {"math:workers"},
         beside={"MultifrostCircuitOpen", "math:circuit", "math:errorShare", "math:responseTime"},
         options={"service_id": "math"} | TELLTALES, service=True),
    Case("full_disk", "the log file may not grow", fill_disk, lambda drill: drill.patient.limit(resource.RLIMIT_FSIZE, None),
         {"MultifrostLogsDropped"}, {"log:drops"}),
]

ALERTS = [
    Case("program_stopped", "SIGSTOP", lambda drill: drill.patient.signal(signal.SIGSTOP),
         lambda drill: drill.patient.signal(signal.SIGCONT), {"MultifrostTargetDown"}, answers=False),
    Case("budget", "fault error, half of the calls", fault("error", share=0.5), clear_fault,
         {"MultifrostErrorBudgetFast", "MultifrostErrorBudgetSlow"}, {"calls:burnRate", "math:errorShare"}, stays={"calls:burnRate"},
         options={"objective_percent": 99} | NO_CIRCUIT),
    Case("flapping", "fault error, 3 of 10 calls", fault("error", share=0.3), clear_fault,
         {"MultifrostCircuitFlapping"}, {"math:circuit"}, circuit="math", beside={"MultifrostCircuitOpen", "math:errorShare"},
         options={"circuit_failures": 3, "circuit_open_ms": 100, "circuit_open_max_ms": 100}),
    Case("unnamed_circuit", "circuit of the target beyond max_targets is forced open",
         admin(command="circuit", action="force_open", target="other"), admin(command="circuit", action="auto", target="other"),
         {"MultifrostCircuitsOpenUnnamed"}, {"other:circuit"}, circuit="other", options={"targets": 2, "max_targets": 1}),
    Case("unnamed_worker", "worker of the target beyond max_targets is killed", kill_other, admin(command="restart", worker="other-0"),
         {"MultifrostWorkersDownUnnamed"}, {"other:workers"}, beside={"MultifrostCircuitsOpenUnnamed", "other:circuit"},
         options={"targets": 2, "max_targets": 1}),
    Case("late", "timeouts shorter than the function", command("load 25 work 60 30"), back_to_normal,
         {"MultifrostExpiredWork", "MultifrostLateReplies"}, {"math:errorShare"}, options={"threads": 4} | NO_CIRCUIT),
    Case("large_answers", "answers beyond max_message_bytes", command("load 10 large 0 500"), back_to_normal,
         {"MultifrostMessagesDropped"}, {"math:errorShare"}, options={"max_message_bytes": 4096} | NO_CIRCUIT),
    Case("folded", "label sets beyond max_series", lambda drill: None, lambda drill: None, {"MultifrostSeriesFolded"},
         goes_on=command("series 20")),
    Case("many_series", "42,000 of 50,000 series", command("series 42000"), start_again, {"MultifrostSeriesNearLimit"},
         beside={"MultifrostTargetDown", "math:workers"}, options={"max_series": 42000}),
    Case("partial_scrapes", "scrapes with hardly any time", lambda drill: None, lambda drill: None,
         {"MultifrostScrapeSlowOrPartial"}, goes_on=scrape_in_haste),
    Case("stalled_loop", "callbacks that take 0.7 s", command("stall 700"), command("stall 0"), {"MultifrostLoopStalled"},
         beside={"MultifrostLatencyHigh", "math:responseTime", "loop:lag"}, load="load 1 work 1 0", options=NO_CIRCUIT),
    Case("descriptors", "RLIMIT_NOFILE just above what is open", use_up_descriptors,
         lambda drill: drill.patient.limit(resource.RLIMIT_NOFILE, None), {"MultifrostFdsNearLimit"}),
    Case("skew", "another log level in one of two programs", admin(command="log_level", level="debug"),
         admin(command="log_level", level="info"), {"MultifrostConfigSkew"}, programs=2),
]
CASES = FAILURES + ALERTS
# The ones that only promtool makes (tests/rules): alert and severity.
PROMTOOL = {("MultifrostErrorBudgetSlow", "ticket")}
assert SCALE == 60
