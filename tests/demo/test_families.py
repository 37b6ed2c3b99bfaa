"""Every family of docs/metrics.md is there in a program in which everything has happened, has the labels
and words that the page says, and has moved. A real Prometheus has stored it."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from test_prometheus import TOOLS, Prometheus, fetch, until

SOURCE = os.environ["MF_SOURCE_DIR"]
BUILD = os.environ["MF_BUILD_DIR"]
PROGRAM = os.path.join(BUILD, "tests", "demo", "everything")
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

sys.path.insert(0, os.path.join(SOURCE, "tests", "docs"))
import promql  # noqa: E402

# Families that the program does not move in each run, and why. A family that is neither here nor moved is new: let it
# happen in everything.c, or say here why it cannot, and which test moves it instead.
UNMOVED = {
    # Needs a full transport, and how much the kernel takes is its affair; tests/unit/observe/test_observe.c moves it.
    "multifrost_transport_send_blocked_total",
    # Need a worker that scribbles on its memory, or fills it; tests/unit/observe/test_segments_totals.c moves both.
    "multifrost_worker_segment_ignored_cells_total",
    "multifrost_worker_segment_lost_series_total",
}
# A worker has it at its own endpoint, and not its parent; tests/unit/observe/test_own_segment.c moves it.
OF_WORKERS = {"multifrost_exposed_by_parent"}
# Need an operator at an admin socket; tests/integration/test_admin_clients.c and test_admin_faults.c move them.
OF_OPERATORS = {"multifrost_admin_commands_total", "multifrost_faults_injected_total"}
# Facts, which do not move.
FACTS = {"multifrost_build_info", "multifrost_series_limit", "process_max_fds", "process_start_time_seconds",
         "process_virtual_memory_max_bytes", "target_info"}


def scrape(url):
    """Of each sample, by name and labels, its value."""
    text, _ = fetch(f"{url}/metrics")
    return {(name, labels or ""): float(value) for name, labels, value in SAMPLE.findall(text)}


def family_of(name, families):
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return name if name in families else base


class Everything:
    """The program; `names` are those of the durations of calls."""

    def __init__(self, directory, names):
        registry = os.path.join(directory, "registry")
        os.mkdir(registry, 0o700)
        self.process = subprocess.Popen(
            [PROGRAM, registry, os.path.join(directory, "log")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"COMLINK_METRIC_NAMES": names},
        )
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().split()[1]}"
        self.before = scrape(self.url)

    def let_it_happen(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(60)


class FamiliesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(f"{SOURCE}/docs/metrics.md", encoding="utf-8") as file:
            cls.all = promql.read_page(file.read())

    def expected(self, names):
        other = {"native": "rpc_", "otel": "multifrost_"}[names]
        durations = {f"{other}{side}_call_duration_seconds" for side in ("client", "server")}
        left_out = durations | OF_WORKERS | OF_OPERATORS
        self.assertEqual(left_out - set(self.all), set())
        return {name: family for name, family in self.all.items() if name not in left_out}

    def moved(self, program, families):
        """Names of families with a sample of another value than at the begin; absent ones count as 0."""
        now = scrape(program.url)
        return {family_of(name, families) for (name, labels), value in now.items() if value != program.before.get((name, labels), 0)}

    def check_labels(self, samples, families):
        seen = set()
        for name, labels in samples:
            family = families.get(family_of(name, families))
            if family is None:
                self.assertEqual(name, "case_total", "is not in docs/metrics.md")
                continue
            known = promql.labels_of(name, families)
            for label, value in LABEL.findall(labels):
                self.assertIn(label, known, f"{name}{{{labels}}}")
                if known[label] is not None:
                    self.assertIn(value, known[label], f"{name}{{{labels}}}")
                seen.add((family_of(name, families), label))
        listed = {(name, label) for name, family in families.items() for label in family.labels}
        self.assertEqual(sorted(listed - seen), [], "no sample has this label")

    def check_stored(self, directory, program, families):
        prometheus = Prometheus(directory, program.url.removeprefix("http://"))
        try:
            def missing():
                text, _ = fetch(f"{prometheus.url}/api/v1/label/__name__/values")
                return set(families) - {family_of(name, families) for name in json.loads(text)["data"]}

            try:
                until(lambda: not missing(), 30, "that all families are stored")
            except AssertionError:
                self.assertEqual(sorted(missing()), [], "not stored")
        finally:
            prometheus.stop()

    def run_with(self, names):
        families = self.expected(names)
        with tempfile.TemporaryDirectory() as directory:
            program = Everything(directory, names)
            try:
                self.assertEqual(program.let_it_happen(), "ready\n")
                fetch_partial(program.url)
                moved = set()

                def all_moved():
                    # Gauges follow the program, so a family may move in one scrape and not in the next.
                    moved.update(self.moved(program, families))
                    return set(families) - moved - FACTS <= UNMOVED

                try:
                    until(all_moved, 60, "that all families move")
                except AssertionError:
                    pass  # the next line names them
                self.assertEqual(sorted(UNMOVED - set(families)), [])
                self.assertEqual(sorted(set(families) - moved - FACTS - UNMOVED), [])
                now = scrape(program.url)
                present = {family_of(name, families) for name, _ in now}
                self.assertEqual(sorted(set(families) - present), [], "have no sample")
                self.check_labels(now, families)
                if TOOLS:
                    self.check_stored(directory, program, families)
            finally:
                status = program.close()
            self.assertEqual(status, 0)

    def test_native_names(self):
        self.run_with("native")

    def test_otel_names(self):
        self.run_with("otel")


def fetch_partial(url):
    """A scrape whose time is over before its turn."""
    request = urllib.request.Request(f"{url}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.000000001"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


if __name__ == "__main__":
    unittest.main()
