"""The demo as a user runs it: its log, its end, and its error when the port is taken."""

import collections
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

DEMO = os.path.join(os.environ["MF_BUILD_DIR"], "examples", "demo", "demo")
CALLS = 1000
ENDS = {"request_complete", "request_error", "request_timeout"}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z\Z")


class DemoTest(unittest.TestCase):
    def run_demo(self, *arguments, **environment):
        return subprocess.run(
            [DEMO, "--http-port", "0", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment},
            check=False,
        )

    def test_log_joins_calls(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "demo.log")
            with subprocess.Popen(
                [DEMO, "--http-port", "0", "--log-file", path],
                stdout=subprocess.DEVNULL,
                env={**os.environ, "COMLINK_LOG_LEVEL": "debug"},
            ) as demo:
                self.wait_for_log(demo, path)
                demo.send_signal(signal.SIGINT)
            self.assertEqual(demo.returncode, 0)
            with open(path, encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
        for record in records:
            self.assertEqual(next(iter(record)), "timestamp")
            self.assertRegex(record["timestamp"], STAMP)
            for key in ("level", "event", "message", "service", "instance", "role"):
                self.assertIsInstance(record[key], str, record)
            for key in ("severity_number", "seq", "pid", "tid"):
                self.assertIsInstance(record[key], int, record)
        self.check_pairs([record for record in records if record["role"] == "parent"])
        self.check_workers(records)
        self.check_seq(records)

    def wait_for_log(self, demo, path):
        """Until it tells of many calls, and of some from both workers."""
        wanted = {(b'"role":"parent"', b"request_start"): CALLS + 1}
        wanted |= {(b"math.handled", service): 1 for service in (b"math-c-worker", b"math-py-worker")}
        seen = collections.Counter()
        while any(seen[words] < times for words, times in wanted.items()):
            self.assertIsNone(demo.poll())
            time.sleep(0.1)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    lines = file.readlines()
                seen = collections.Counter(
                    words for line in lines for words in wanted if all(word in line for word in words)
                )

    def check_pairs(self, records):
        starts = [record for record in records if record["event"] == "request_start"]
        ends = {}
        for record in records:
            if record["event"] in ENDS:
                self.assertNotIn(record["request_id"], ends)
                ends[record["request_id"]] = record
        self.assertGreater(len(starts), CALLS)
        self.assertEqual(len(starts), len(ends))
        for start in starts:
            end = ends[start["request_id"]]
            self.assertEqual(start["correlation_id"], end["correlation_id"])
            self.assertIn("status", end)
            self.assertIn("phases", end)

    def check_workers(self, records):
        known = {r["correlation_id"] for r in records if r["role"] == "parent" and "correlation_id" in r}
        own = [record for record in records if record["event"] == "math.handled"]
        self.assertEqual({r["service"] for r in own}, {"math-c-worker", "math-py-worker"})
        for record in own:
            self.assertIn(record["correlation_id"], known)

    def check_seq(self, records):
        processes = {}
        for record in records:
            seen = processes.setdefault(record["instance"], set())
            seen.add(record["seq"])
            if record["event"] == "log_dropped":
                seen.update(range(record["first_seq"], record["last_seq"] + 1))
        for instance, seen in processes.items():
            self.assertEqual(seen, set(range(1, len(seen) + 1)), instance)

    def test_summary(self):
        result = self.run_demo("--seconds", "2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("/metrics", result.stdout)
        self.assertRegex(result.stdout, r"\d+ calls in \d+\.\d s")

    def test_interrupt(self):
        with subprocess.Popen([DEMO, "--http-port", "0"], stdout=subprocess.PIPE, text=True) as demo:
            demo.stdout.readline()
            demo.send_signal(signal.SIGINT)
            output, _ = demo.communicate(timeout=20)
        self.assertEqual(demo.returncode, 0)
        self.assertIn("calls in", output)

    def test_taken_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            result = subprocess.run(
                [DEMO, "--http-port", port], capture_output=True, text=True, timeout=20, check=False
            )
        self.assertEqual(result.returncode, 1)
        self.assertIn(port, result.stderr)
        self.assertIn("--http-port", result.stderr)

    def test_bad_arguments(self):
        for arguments in (["--seconds", "x"], ["--http-port", "65536"], ["--nope"], ["extra"]):
            result = self.run_demo(*arguments)
            self.assertEqual(result.returncode, 1, arguments)
            self.assertIn("usage:", result.stderr)


if __name__ == "__main__":
    unittest.main()
