"""A worker in C that registers as a service, and parents in Python that find it."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

import zmq

from support import CHILD, Parent, pack


class Connected(Parent):
    """Connects a DEALER to a service that runs already."""

    def __init__(self, port):  # pylint: disable=super-init-not-called
        self.dealer = zmq.Context.instance().socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.LINGER, 0)
        self.dealer.connect(f"tcp://127.0.0.1:{port}")
        self.outputs = []

    def __exit__(self, *_):
        self.dealer.close()

    def receive_output(self, count, seconds=10):
        deadline = time.monotonic() + seconds
        while len(self.outputs) < count and time.monotonic() < deadline:
            try:
                self.receive("nobody", 0.1)
            except TimeoutError:
                pass
        return [output["output"] for output in self.outputs]


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.home.cleanup)

    def path(self):
        return os.path.join(self.home.name, ".multifrost", "services.json")

    def entries(self):
        try:
            with open(self.path(), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def spawn(self, *arguments, **environment):
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [CHILD, "--service", "math", *arguments],
            env={**os.environ, "HOME": self.home.name, "COMLINK_ZMQ_PORT": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def start(self, *arguments):
        """A service that is registered, and its port."""
        process = self.spawn(*arguments)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            entry = self.entries().get("math")
            if entry and entry["pid"] == process.pid:
                return process, entry["port"]
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        return self.fail("not registered")

    def test_calls_and_sigterm(self):
        process, port = self.start()
        with Connected(port) as parent:
            self.assertEqual(parent.call("add", 40, 2)["result"], 42)
            info = parent.call("multifrost.info")["result"]
            self.assertEqual((info["service"], info["pid"]), ("math", process.pid))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)
        self.assertEqual(self.entries(), {})

    def test_shutdown_message(self):
        process, port = self.start()
        with Connected(port) as parent:
            parent.message("shutdown")
            self.assertEqual(process.wait(10), 0)
        self.assertEqual(self.entries(), {})

    def test_second_one_is_refused(self):
        first, port = self.start()
        second = self.spawn()
        self.assertEqual(second.wait(20), 1)
        text = f"FATAL: Service 'math' already running (PID: {first.pid}, port: {port})"
        self.assertIn(text, second.communicate()[1])
        self.assertEqual(self.entries()["math"]["pid"], first.pid)

    def test_name_of_a_killed_one_is_free(self):
        first, port = self.start()
        first.kill()
        first.wait(10)
        self.assertEqual(self.entries()["math"]["port"], port)
        second, _ = self.start()
        self.assertNotEqual(second.pid, first.pid)

    def test_broken_registry_is_named_and_left_alone(self):
        os.mkdir(os.path.dirname(self.path()), 0o700)
        with open(self.path(), "w", encoding="utf-8") as file:
            file.write('{"other": ')
        process = self.spawn()
        self.assertEqual(process.wait(20), 1)
        self.assertIn(self.path(), process.communicate()[1])
        with open(self.path(), encoding="utf-8") as file:
            self.assertEqual(file.read(), '{"other": ')

    def test_without_port_and_name(self):
        for arguments in ([], ["--service", ""]):
            result = subprocess.run(
                [CHILD, *arguments],
                env={**os.environ, "HOME": self.home.name, "COMLINK_ZMQ_PORT": ""},
                capture_output=True, text=True, timeout=10, check=False,
            )
            self.assertEqual(result.returncode, 1)
            self.assertIn("FATAL: Need COMLINK_ZMQ_PORT", result.stderr)

    def test_output_is_its_own(self):
        process, port = self.start()
        with Connected(port) as parent:
            self.assertEqual(parent.call("print_lines", 3)["result"], 3)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
            self.assertEqual(len(out.splitlines()), 3)
            self.assertTrue(out.startswith("line 0 "))
            self.assertEqual(parent.receive_output(1, 0.5), [])

    def test_last_words_are_on_its_own_stderr(self):
        lines = []
        for _ in range(20):
            process, port = self.start()
            with Connected(port) as parent:
                parent.message("call", function="last_words", args=[10])
                lines += process.communicate(timeout=20)[1].splitlines()
            self.assertEqual(process.returncode, -signal.SIGABRT)
        self.assertEqual(lines, [f"last words {i + 1} of 10" for i in range(10)] * 20)

    def test_output_goes_to_every_parent(self):
        _, port = self.start("--forward")
        with Connected(port) as first, Connected(port) as second:
            with Connected(port) as gone:
                gone.call("ping")
            self.assertEqual(first.call("ping")["result"], "pong")
            self.assertEqual(second.call("ping")["result"], "pong")
            self.assertEqual(first.call("print_lines", 3)["result"], 3)
            for parent in (first, second):
                lines = parent.receive_output(3)
                self.assertEqual(len(lines), 3)
                self.assertTrue(lines[0].startswith("line 0 "))
            self.assertEqual(second.call("add", 1, 2)["result"], 3)

    def test_answers_do_not_go_astray(self):
        _, port = self.start()
        with Connected(port) as first, Connected(port) as second:
            mine = [first.message("call", function="add", args=[i, 0]) for i in range(200)]
            other = [second.message("call", function="add", args=[i, 1]) for i in range(200)]
            for i in range(200):
                self.assertEqual(second.receive(other[i])["result"], i + 1)
                self.assertEqual(first.receive(mine[i])["result"], i)

    def test_client_name_in_both_spellings_and_odd_namespaces(self):
        _, port = self.start("--namespace", "space")
        with Connected(port) as parent:
            for field in ("client_name", "clientName"):
                answer = parent.call("add", 1, 2, namespace="space", **{field: "someone"})
                self.assertEqual(answer["result"], 3)
            parent.message("call", function="add", args=[1, 2], namespace="default")
            parent.send(pack(["not", "a", "map"]))
            self.assertEqual(parent.call("add", 2, 2, namespace="space")["result"], 4)


if __name__ == "__main__":
    unittest.main()
