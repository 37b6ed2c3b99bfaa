"""The fire drill: breaks a program in each way, and prints who said so, after how many seconds, and when all was well again.

A minute of the shipped rules takes a second here. A failure that nobody names, an alert that does not fire or does not clear,
and an alert that tells of another cause fail the drill."""

import argparse
import json
import sys
import tempfile
import time

import cases
import ward


class Drill:
    def __init__(self, case, directory):
        self.case, self.directory = case, directory
        self.said = {"alerts": {}, "health": {}, "overview": [], "circuits": {}, "log": {}}
        self.after = {}  # seconds until an alert or check first spoke
        self.patients, self.service, self.prometheus = [], None, None
        self.broken_at, self.log_from, self.is_broken = None, 0, False
        self.alerts, self.checks = {}, {}  # at the last look

    @property
    def patient(self):
        return self.patients[0]

    # ---- Looking ----

    def note(self, kind, found):
        for name, text in found.items():
            if name not in self.said[kind]:
                self.said[kind][name] = text
                self.after[name] = round(time.monotonic() - self.broken_at, 1)

    def look(self):
        """What all of them say now; noted from the moment of the failure on."""
        self.alerts = self.prometheus.firing()
        self.checks = {}
        if self.broken_at is not None:
            self.note("alerts", self.alerts)
        if self.is_broken and not self.case.answers:
            self.said["overview"] = ["no answer"]
            return
        self.checks = self.patient.checks()
        if self.broken_at is None:
            return
        self.note("health", self.checks)
        self.note("circuits", self.patient.circuits())
        self.note("log", {record["event"]: record["message"] for record in self.patient.events(self.log_from)})
        if self.is_broken:
            self.said["overview"] = self.patient.figures() or self.said["overview"]
            if self.case.goes_on:
                self.case.goes_on(self)

    def unsaid(self):
        missing = self.case.alerts - self.said["alerts"].keys() | self.case.checks - self.said["health"].keys()
        missing |= self.case.log - self.said["log"].keys()
        return missing | ({self.case.circuit} - {None}) - self.said["circuits"].keys()

    def is_said(self):
        self.look()
        return not self.unsaid()

    def is_quiet(self):
        self.look()
        return not self.alerts and not self.checks.keys() - self.case.stays

    # ---- Running ----

    def start(self):
        if self.case.service:
            self.service = ward.Service(self.directory, "math")
        self.patients = [ward.Patient(self.directory, number, self.case.options) for number in range(self.case.programs)]
        for patient in self.patients:
            patient.start()
            patient.command(self.case.load)
        self.prometheus = ward.Prometheus(self.directory, [patient.address for patient in self.patients])
        ward.until(self.is_quiet, "a healthy program")

    def run(self):
        wrong, cleared = [], None
        try:
            self.start()
            with open(self.patient.log, "rb") as file:
                self.log_from = file.seek(0, 2)
            self.is_broken, self.broken_at = True, time.monotonic()
            self.case.breaks(self)
            self.await_(self.is_said, "said", wrong)
            self.case.repairs(self)
            self.is_broken, repaired_at = False, time.monotonic()
            if self.await_(self.is_quiet, "cleared", wrong):
                cleared = round(time.monotonic() - repaired_at, 1)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            wrong.append(f"the drill itself: {error!r}")
        finally:
            self.stop(wrong)
        return self.result(wrong, cleared)

    def await_(self, condition, what, wrong):
        try:
            return ward.until(condition, what)
        except TimeoutError:
            names = self.unsaid() if what == "said" else self.alerts.keys() | self.checks.keys() - self.case.stays
            wrong.append(f"not {what}: {', '.join(sorted(names))}")
            return False

    def stop(self, wrong):
        for part in (self.prometheus, *self.patients, self.service):
            try:
                if part is not None:
                    part.stop()
            except RuntimeError as error:
                wrong.append(str(error))

    def result(self, wrong, cleared):
        wrong = wrong + misleading(self.case, self.said)
        return {"name": self.case.name, "injected": self.case.injected, "said": self.said, "after_seconds": self.after,
                "alerts": sorted(self.case.alerts), "cleared_seconds": cleared, "stays": sorted(self.case.stays), "wrong": wrong}


def misleading(case, said):
    """Alerts and checks that the case does not name: they tell of a cause that is not there."""
    known = case.alerts | case.checks | case.beside | case.stays
    return [f"misleading: {name}: {text}" for kind in ("alerts", "health") for name, text in said[kind].items() if name not in known]


# ---- The table ----


def spoken(result, kind):
    return "; ".join(f"{name} {result['after_seconds'][name]} s" for name in result["said"][kind]) or "-"


def rows(result):
    yield "injected", result["injected"]
    yield "/overview", "; ".join(result["said"]["overview"]) or "-"
    yield "/health", spoken(result, "health")
    yield "/circuits", "; ".join(f"{name} {text}" for name, text in result["said"]["circuits"].items()) or "-"
    yield "log", spoken(result, "log")
    yield "alerts", spoken(result, "alerts")
    later = f" ({', '.join(result['stays'])} later: its window is longer)" if result["stays"] else ""
    yield "cleared", "no" if result["cleared_seconds"] is None else f"after {result['cleared_seconds']} s{later}"
    for line in result["wrong"]:
        yield "WRONG", line


def show(result):
    print(f"{result['name']}: {'failed' if result['wrong'] else 'passed'}")
    for what, text in rows(result):
        print(f"  {what:<10}{text}")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(prog="dev drill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME", action="append", choices=[case.name for case in cases.CASES],
                        help="this failure alone, may be repeated: " + ", ".join(case.name for case in cases.CASES))
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the table")
    given = parser.parse_args()
    chosen = [case for case in cases.CASES if not given.only or case.name in given.only]
    results = []
    for case in chosen:
        with tempfile.TemporaryDirectory() as directory:
            results.append(Drill(case, directory).run())
        if not given.json:
            show(results[-1])
    if given.json:
        print(json.dumps(results, indent=2))
    elif not given.only:
        for name, severity in sorted(cases.PROMTOOL):
            print(f"{name} ({severity}): promtool, because its window takes days\n")
    failed = [result["name"] for result in results if result["wrong"]]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed", file=sys.stderr if given.json else sys.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
