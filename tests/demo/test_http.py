"""The endpoint of a running demo: its routes, its refusals, and its answers after a worker has
died."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest

DEMO = os.path.join(os.environ["MF_BUILD_DIR"], "examples", "demo", "demo")


class Endpoint:
    """A demo that serves on a port of its own."""

    def __init__(self):
        self.process = subprocess.Popen([DEMO, "--http-port", "0"], stdout=subprocess.PIPE, text=True)
        lines = [self.process.stdout.readline() for _ in range(4)]
        self.port = int(re.search(r":(\d+)/", lines[0]).group(1))
        # Health is evaluated once a second: soon after the workers are ready it says so.
        deadline = time.monotonic() + 60
        while "math-py:workers" not in self.get("/health")[2] or self.get("/readyz")[0] != 200:
            if time.monotonic() >= deadline:
                raise AssertionError("health does not tell of the workers")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        return self.process.returncode

    def raw(self, request, seconds=15):
        """Sends bytes, reads until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as link:
            link.sendall(request)
            answer = b""
            while piece := link.recv(65536):
                answer += piece
        return answer.decode()

    def get(self, path, method="GET", *headers):
        """Status, headers in lower case, body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        head, _, body = self.raw("\r\n".join(lines).encode()).partition("\r\n\r\n")
        first, *rest = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in rest)
        return int(first.split()[1]), fields, body


class HttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.endpoint = Endpoint()

    @classmethod
    def tearDownClass(cls):
        assert cls.endpoint.stop() == 0

    def test_every_route_answers(self):
        types = {
            "/": "text/html",
            "/metrics": "text/plain; version=0.0.4",
            "/livez": "application/health+json",
            "/readyz": "application/health+json",
            "/startupz": "application/health+json",
            "/healthz": "text/plain",
            "/health": "application/health+json",
            "/circuits": "application/json",
            "/circuits/math-c": "application/json",
            "/circuits/math-c-0": "application/json",
            "/readyz/math-c:workers": "application/health+json",
        }
        for path, kind in types.items():
            status, headers, body = self.endpoint.get(path)
            self.assertEqual(status, 200, path)
            self.assertTrue(headers["content-type"].startswith(kind), headers)
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertTrue(body)
            if "json" in kind:
                json.loads(body)
            status, headers, body = self.endpoint.get(path, "HEAD")
            self.assertEqual((status, body), (200, ""), path)

    def test_refusals_are_json_and_name_the_culprit(self):
        for path, method, wanted, culprit in (
            ("/nope", "GET", 404, "/nope"),
            ("//metrics", "GET", 404, "//metrics"),
            ("/../etc/passwd", "GET", 404, "passwd"),
            ("/circuits/nobody", "GET", 404, "nobody"),
            ("/readyz/nothing", "GET", 404, "nothing"),
            ("/metrics", "POST", 405, "POST"),
            ("/metrics", "DELETE", 405, "DELETE"),
            ("/%22%0a", "GET", 404, "no route"),
        ):
            status, headers, body = self.endpoint.get(path, method, "Content-Length: 0")
            self.assertEqual(status, wanted, path)
            error = json.loads(body)["error"]
            self.assertEqual(error["code"], wanted)
            self.assertIn(culprit, error["message"])
            if wanted == 405:
                self.assertEqual(headers["allow"], "get, head, options")

    def test_formats(self):
        for accept, kind in (
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2", "application/openmetrics"),
            ("application/openmetrics-text;q=0", "text/plain"),
            (";;;,q=", "text/plain"),
        ):
            _, headers, _ = self.endpoint.get("/metrics", "GET", f"Accept: {accept}")
            self.assertTrue(headers["content-type"].startswith(kind), accept)
            self.assertEqual(headers["vary"], "accept, accept-encoding")

    def test_verbose_and_exclude(self):
        _, _, body = self.endpoint.get("/health?verbose&exclude=uptime")
        self.assertIn("[+]math-c:workers ok\n", body)
        self.assertNotIn("uptime", body)

    def test_garbage_does_no_harm(self):
        for request in (b"\0\xff\x01\r\n\r\n", b"GET\r\n\r\n", b"GET /" + b"a" * 20000 + b" HTTP/1.0\r\n\r\n"):
            try:
                self.endpoint.raw(request)
            except ConnectionResetError:
                pass
        self.assertEqual(self.endpoint.get("/livez")[0], 200)


class KilledWorkerTest(unittest.TestCase):
    def test_readiness_and_circuit_say_why(self):
        endpoint = Endpoint()
        try:
            _, _, metrics = endpoint.get("/metrics")
            pid = int(float(re.search(r'multifrost_worker_pid\{target="math-c".*\} (\S+)', metrics).group(1)))
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 60
            status, body = 200, ""
            while status == 200 and time.monotonic() < deadline:
                status, _, body = endpoint.get("/readyz")
            self.assertEqual(status, 503)
            check = json.loads(body)["checks"]["math-c:workers"][0]
            self.assertIn("SIGKILL", check["output"])
            circuit = json.loads(endpoint.get("/circuits/math-c-0")[2])
            listed = json.loads(endpoint.get("/circuits/math-c")[2])["circuits"]
            self.assertEqual([one["worker"]["name"] for one in listed], ["math-c-0"])
            encoded = json.loads(endpoint.get("/circuits/%6dath%2Dc")[2])["circuits"]
            self.assertEqual(len(encoded), 1)
            self.assertEqual(circuit["reason"]["rule"], "process_exit")
            self.assertEqual(circuit["reason"]["observed"], 9)
            self.assertEqual(circuit["recent_transitions"][0]["to"], "open")
            self.assertEqual(endpoint.get("/livez")[0], 200)
        finally:
            self.assertEqual(endpoint.stop(), 0)


if __name__ == "__main__":
    unittest.main()
