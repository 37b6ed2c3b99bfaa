"""The demo under a real Prometheus: the metrics must equal the numbers that the demo counted
itself."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

from prometheus_client.openmetrics import parser

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
TOOLS = os.environ.get("MF_TEST_PROMETHEUS_DIR", "")
DEMO = os.path.join(BUILD, "examples", "demo", "demo")


def fetch(url, accept=None, text=True):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
        return body.decode() if text else body, answer.headers["Content-Type"]


def until(condition, seconds, what):
    """Waits for what has no event of its own; fails when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Demo:
    """The demo, serving on a port of its own."""

    def __init__(self, directory, *arguments):
        self.counts = os.path.join(directory, "counts.json")
        self.process = subprocess.Popen(
            [DEMO, "--http-port", "0", "--counts-file", self.counts, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [self.process.stdout.readline() for _ in range(4)]
        self.url = lines[0].split()[1].rstrip("/")

    def quiesce(self):
        self.process.send_signal(signal.SIGUSR1)
        return until(self._read_counts, 20, "the demo's counts")

    def _read_counts(self):
        try:
            with open(self.counts, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=20)
        return self.process.returncode, output


class Prometheus:
    """Debian's Prometheus, scraping one target once a second."""

    def __init__(self, directory, target, *options, config="prometheus.yml", alertmanager="127.0.0.1:9093"):
        with open(os.path.join(SOURCE, "dashboards", config), encoding="utf-8") as file:
            text = file.read().replace("127.0.0.1:9464", target).replace("15s", "1s")
        config = os.path.join(directory, config)
        with open(config, "w", encoding="utf-8") as file:
            file.write(text.replace("127.0.0.1:9093", alertmanager))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(os.path.join(directory, "prometheus.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                os.path.join(TOOLS, "prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address={self.url[7:]}",
                *options,
            ],
            stdout=self.log,
            stderr=self.log,
        )
        until(self._ready, 30, "Prometheus")

    def _ready(self):
        try:
            return fetch(f"{self.url}/-/ready")
        except OSError:
            return None

    def query(self, expression):
        text = urllib.parse.urlencode({"query": expression})
        answer = json.loads(fetch(f"{self.url}/api/v1/query?{text}")[0])
        if answer["status"] != "success":
            raise AssertionError(f"{expression}: {answer}")
        return answer["data"]["result"]

    def exemplars(self, expression):
        """Of the last hour."""
        now = time.time()
        text = urllib.parse.urlencode({"query": expression, "start": now - 3600, "end": now + 60})
        return json.loads(fetch(f"{self.url}/api/v1/query_exemplars?{text}")[0])["data"]

    def last_scrape(self):
        result = self.query('timestamp(up{job="multifrost"})')
        return float(result[0]["value"][1]) if result else 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@unittest.skipUnless(TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
class PrometheusTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.demo = Demo(cls.directory.name)
        cls.prometheus = Prometheus(cls.directory.name, cls.demo.url[7:])
        until(lambda: cls.prometheus.last_scrape() > 0, 30, "a first scrape")
        until(cls.has_load, 120, "load enough for rates")
        cls.counts = cls.demo.quiesce()
        quiet = time.time()
        until(lambda: cls.prometheus.last_scrape() > quiet, 30, "one more scrape")

    @classmethod
    def has_load(cls):
        """Whether several scrapes saw each kind of call, also a call that failed."""
        ended = 'multifrost_client_calls_total{status="%s"} > 0'
        seen = [
            cls.prometheus.query(f"count(count_over_time(({ended % status})[2m:1s]) >= 3)")
            for status in ("ok", "app_error")
        ]
        return all(seen) and float(seen[0][0]["value"][1]) >= 6 and float(seen[1][0]["value"][1]) >= 2

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        status, output = cls.demo.stop()
        cls.directory.cleanup()
        assert status == 0, output

    def vector(self, expression, *labels):
        return {
            tuple(row["metric"][label] for label in labels): float(row["value"][1])
            for row in self.prometheus.query(expression)
        }

    def test_counts_are_equal(self):
        wanted = {
            (target, function, status): count
            for target, functions in self.counts.items()
            for function, statuses in functions.items()
            for status, count in statuses.items()
        }
        expression = "sum by (target, function, status) (multifrost_client_calls_total)"
        got = self.vector(expression, "target", "function", "status")
        self.assertGreater(len(wanted), 5)
        self.assertEqual({key: count for key, count in got.items() if count > 0}, wanted)

    def test_started_equals_ended_equals_observed(self):
        started = self.vector("sum(multifrost_client_calls_started_total)")
        ended = self.vector("sum(multifrost_client_calls_total)")
        refused = '{status!~"circuit_open|rejected"}'
        kept = self.vector(f"sum(multifrost_client_calls_total{refused})")
        observed = self.vector("sum(multifrost_client_call_duration_seconds_count)")
        self.assertEqual(started, ended)
        self.assertEqual(kept, observed)

    def test_promtool_says_nothing(self):
        body, _ = fetch(f"{self.demo.url}/metrics")
        result = subprocess.run(
            [os.path.join(TOOLS, "promtool"), "check", "metrics"],
            input=body,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_openmetrics_is_strict(self):
        body, kind = fetch(f"{self.demo.url}/metrics", "application/openmetrics-text")
        self.assertEqual(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        families = {family.name for family in parser.text_string_to_metric_families(body)}
        self.assertIn("multifrost_client_calls", families)

    def test_config_is_checked(self):
        for name in ("prometheus.yml", "prometheus-file-sd.yml", "prometheus-http-sd.yml"):
            config = os.path.join(SOURCE, "dashboards", name)
            result = subprocess.run(
                [os.path.join(TOOLS, "promtool"), "check", "config", config],
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
