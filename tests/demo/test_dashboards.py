"""Every expression of the dashboards and rules under a real Prometheus, which scrapes the demo and the program in which
everything happens; and alerts on their way to a real Alertmanager."""

import contextlib
import glob
import http.server
import json
import math
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from test_families import Everything, fetch_partial
from test_prometheus import SOURCE, TOOLS, Demo, Prometheus, fetch, free_port, until

sys.path.insert(0, os.path.join(SOURCE, "tests", "docs"))
import promql  # noqa: E402

BOARDS = os.path.join(SOURCE, "dashboards")
# Expressions that may be empty, or have no number, in these programs, by a word of theirs: and why.
MAY_BE_EMPTY = {
    "multifrost_worker_start_duration_seconds": "all starts may lie before the first scrape that has the series",
    "multifrost_faults_injected_total": "an operator has to arm a fault",
    "multifrost_admin_commands_total": "the programs of this test have no admin socket",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def board_expressions():
    """Of each panel and annotation: where it stands, and the expression with all variables chosen."""
    for path in sorted(glob.glob(os.path.join(BOARDS, "*.json"))):
        board = json.loads(read(path))
        for part in board["panels"] + board["annotations"]["list"]:
            for expression in promql.expressions_of_json(part):
                for name in ("job", "instance", "target", "function", "worker"):
                    expression = expression.replace(f'"${name}"', '".*"')
                yield f"{os.path.basename(path)}: {part.get('title') or part['name']}", without_limit(expression.replace("$__rate_interval", "2m"))


def rule_expressions(name):
    return promql.expressions_of_rules(read(os.path.join(BOARDS, "rules", name)))[0]


def without_limit(expression):
    """With the outcome of each comparison, which is there also when all is well."""
    return re.sub(r"\s(==|>=|>|<)\s", r" \1 bool ", expression)


class Receiver:
    """What Alertmanager calls; keeps each alert."""

    def __init__(self):
        self.alerts = queue.Queue()
        self.seen = []
        kept = self.alerts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    kept.put(alert)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def wait_for(self, name, status):
        """Among those that came before too: they come in any order."""
        deadline = time.monotonic() + 60
        while True:
            for alert in self.seen:
                if alert["labels"]["alertname"] == name and alert["status"] == status:
                    return alert
            try:
                self.seen.append(self.alerts.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                seen = [(alert["labels"]["alertname"], alert["status"]) for alert in self.seen]
                raise AssertionError(f"{name} is not {status}; there were {seen}") from None

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Alertmanager:
    """Debian's, with the configuration of dashboards/, a receiver and no patience."""

    def __init__(self, directory, receiver):
        text = read(os.path.join(BOARDS, "alertmanager.yml"))
        text = text.replace("- name: team\n", f"- name: team\n    webhook_configs:\n      - url: {receiver.url}\n")
        text = text.replace("group_wait: 30s", "group_wait: 0s").replace("group_interval: 5m", "group_interval: 1s")
        config = os.path.join(directory, "alertmanager.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        self.address = f"127.0.0.1:{free_port()}"
        self.log = open(os.path.join(directory, "alertmanager.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [os.path.join(TOOLS, "prometheus-alertmanager"), f"--config.file={config}", f"--storage.path={directory}/alerts",
             f"--web.listen-address={self.address}", "--cluster.listen-address="], stdout=self.log, stderr=self.log)
        until(self._ready, 30, "Alertmanager")

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(read(self.log.name))
        try:
            return fetch(f"http://{self.address}/-/ready")
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def copy_rules(directory):
    """All `for` are one second."""
    target = os.path.join(directory, "rules")
    shutil.copytree(os.path.join(BOARDS, "rules"), target)
    path = os.path.join(target, "alerts.yml")
    text = re.sub(r"( for: )\d+\w", r"\g<1>1s", read(path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@unittest.skipUnless(TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
class ExpressionsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        place = cls.directory.name
        copy_rules(place)
        cls.demo = Demo(place)
        cls.everything = Everything(place, "native")
        cls.prometheus = Prometheus(place, f'{cls.demo.url[7:]}", "{cls.everything.url[7:]}')
        until(lambda: len(cls.prometheus.query("up == 1")) == 2, 30, "a first scrape of both")
        assert cls.everything.let_it_happen() == "ready\n"
        fetch_partial(cls.everything.url)

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        cls.everything.close()
        cls.demo.stop()
        cls.directory.cleanup()

    def has_data(self, expression):
        return any(not math.isnan(float(row["value"][1])) for row in self.prometheus.query(expression))

    def find_empty(self, expressions):
        """Those that have no number, when they had time for one."""
        left = list(expressions)

        def all_have_data():
            left[:] = [one for one in left if not self.has_data(one[1])]
            return not [one for one in left if not any(word in one[1] for word in MAY_BE_EMPTY)]

        try:
            until(all_have_data, 60, "data")
        except AssertionError:
            pass  # the caller names them
        return [one for one in left if not any(word in one[1] for word in MAY_BE_EMPTY)]

    def test_panels_have_data(self):
        expressions = list(board_expressions())
        self.assertGreater(len(expressions), 70)
        self.assertEqual(self.find_empty(expressions), [])

    def test_recorded_series_have_data(self):
        names = promql.expressions_of_rules(read(os.path.join(BOARDS, "rules", "recording.yml")))[1]
        self.assertEqual(len(names), 12)
        self.assertEqual(self.find_empty([("recorded", name) for name in names]), [])

    def test_alerts_look_at_series_that_are_there(self):
        expressions = [("alert", without_limit(one)) for one in rule_expressions("alerts.yml")]
        self.assertEqual(len(expressions), 24)
        self.assertEqual(self.find_empty(expressions), [])

    def test_alerts_are_evaluated_without_errors(self):
        groups = json.loads(fetch(f"{self.prometheus.url}/api/v1/rules")[0])["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertEqual(len(rules), 36)
        until(lambda: all(rule["health"] == "ok" for group in json.loads(fetch(f"{self.prometheus.url}/api/v1/rules")[0])["data"]["groups"]
                          for rule in group["rules"]), 30, "that all rules are evaluated well")

    def test_queries_and_curls_of_runbooks_work(self):
        pages = sorted(glob.glob(os.path.join(SOURCE, "docs", "runbooks", "*.md")))
        self.assertGreater(len(pages), 20)
        for page in map(read, pages):
            for query in re.search(r"^```promql\n(.*?)^```", page, re.MULTILINE | re.DOTALL).group(1).splitlines():
                self.prometheus.query(query)
            for path in re.findall(r"^curl -s 'http://127.0.0.1:9464([^']*)'$", page, re.MULTILINE):
                url = self.everything.url + path.replace("TARGET", "math").replace("WORKER", "math-0")
                request = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url], capture_output=True, text=True, check=False)
                self.assertIn(request.stdout, ("200", "503") if "/health" in path else ("200",), path)

    def test_reasons_for_emptiness_are_still_needed(self):
        known = [expression for _, expression in board_expressions()] + rule_expressions("alerts.yml")
        for word in MAY_BE_EMPTY:
            self.assertTrue(any(word in expression for expression in known), word)


@unittest.skipUnless(TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
class AlertsTest(unittest.TestCase):
    def test_alerts_arrive_and_end(self):
        with contextlib.ExitStack() as ends:
            place = ends.enter_context(tempfile.TemporaryDirectory())
            copy_rules(place)
            receiver = Receiver()
            ends.callback(receiver.close)
            alertmanager = Alertmanager(place, receiver)
            ends.callback(alertmanager.stop)
            everything = Everything(place, "native")
            ends.callback(everything.close)
            prometheus = Prometheus(place, everything.url[7:], alertmanager=alertmanager.address)
            ends.callback(prometheus.stop)
            until(lambda: prometheus.last_scrape() > 0, 30, "a first scrape")
            self.assertEqual(everything.let_it_happen(), "ready\n")
            alert = receiver.wait_for("MultifrostWorkerFrozen", "firing")
            self.assertEqual(alert["labels"]["severity"], "page")
            self.assertEqual(alert["annotations"]["runbook_url"], "docs/runbooks/MultifrostWorkerFrozen.md")
            self.assertIn(f" of {everything.url[7:]} did not", alert["annotations"]["description"])
            everything.close()
            receiver.wait_for("MultifrostTargetDown", "firing")
            receiver.wait_for("MultifrostWorkerFrozen", "resolved")


@unittest.skipUnless(TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
class DiscoveryTest(unittest.TestCase):
    def discover(self, config, labels):
        with tempfile.TemporaryDirectory() as place:
            demo = Demo(place)
            os.mkdir(os.path.join(place, "targets"))
            with open(os.path.join(place, "targets", "local.json"), "w", encoding="utf-8") as file:
                file.write(read(os.path.join(BOARDS, "targets", "local.json")).replace("127.0.0.1:9464", demo.url[7:]))
            prometheus = Prometheus(place, demo.url[7:], config=config)
            try:
                found = until(lambda: prometheus.query('up{job="multifrost"} == 1'), 60, "a scrape")
                self.assertEqual(len(found), 1)
                for name, value in labels.items():
                    self.assertEqual(found[0]["metric"].get(name), value)
                return found[0]["metric"], demo.url[7:]
            finally:
                prometheus.stop()
                demo.stop()

    def test_by_file(self):
        labels, address = self.discover("prometheus-file-sd.yml", {"service": "demo", "role": "program"})
        self.assertEqual(labels["instance"], address)

    def test_by_http(self):
        labels, address = self.discover("prometheus-http-sd.yml", {"service": "demo", "role": "program"})
        self.assertNotEqual(labels["instance"], address)  # the program's own name for itself


class BoardsTest(unittest.TestCase):
    def boards(self):
        return {os.path.basename(path): json.loads(read(path)) for path in glob.glob(os.path.join(BOARDS, "*.json"))}

    def test_boards_are_as_the_script_writes_them(self):
        result = subprocess.run([sys.executable, os.path.join(BOARDS, "make.py"), "--check"], capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_boards_have_uids_variables_and_no_datasource_of_their_own(self):
        boards = self.boards()
        self.assertEqual(set(boards), {f"{name}.json" for name in ("overview", "functions", "workers", "resilience", "telemetry", "logs")})
        for name, board in boards.items():
            self.assertEqual(board["uid"], f"multifrost-{name.removesuffix('.json')}")
            variables = {variable["name"] for variable in board["templating"]["list"]}
            self.assertLessEqual({"datasource", "job", "instance", "target", "function", "worker"}, variables)
            for uid in re.findall(r'"uid": "([^"]*)"', json.dumps(board["panels"] + [board["annotations"], board["templating"]])):
                self.assertIn(uid, ("${datasource}", "${logs}"))

    def test_panels_have_texts_and_units(self):
        for name, board in self.boards().items():
            places = set()
            for panel in board["panels"]:
                with self.subTest(name + ": " + panel["title"]):
                    self.assertRegex(panel["description"], r"\. No data: .+\.$")
                    self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                    self.assertTrue(panel["fieldConfig"]["defaults"]["noValue"])
                    self.assertTrue(panel["targets"])
                    place = panel["gridPos"]
                    cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
                    self.assertEqual(places & cells, set())
                    places |= cells

    def test_errors_of_functions_are_shown_apart(self):
        overview = self.boards()["overview.json"]
        of = {panel["title"]: panel["targets"][0]["expr"] for panel in overview["panels"]}
        self.assertIn('status="app_error"', of["Errors that functions raised"])
        self.assertIn('status!~"ok|cancelled|app_error"', of["Error ratio"])


if __name__ == "__main__":
    unittest.main()
