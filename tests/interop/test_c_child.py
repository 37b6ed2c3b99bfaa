"""A worker in C under a parent in Python."""

import json
import math
import os
import signal
import subprocess
import unittest

from session import wait_for
from support import APP, CHILD, SOURCE, Parent, closed_port, pack


def catches(pid, number):
    """Whether the process has a handler for the signal."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        caught = next(line.split()[1] for line in file if line.startswith("SigCgt:"))
    return int(caught, 16) >> (number - 1) & 1


class ChildTest(unittest.TestCase):
    def test_functions(self):
        with Parent() as parent:
            for function, args, wanted in (
                ("add", (40, 2), 42),
                ("multiply", (-6, 7), -42),
                ("factorial", (20,), 2432902008176640000),
                ("fibonacci", (92,), 7540113804746346429),
                ("greet", ("Ada",), "Hello, Ada!"),
                ("divide", (1, 4), 0.25),
                ("ping", (), "pong"),
            ):
                answer = parent.call(function, *args)
                self.assertEqual((answer["type"], answer["result"]), ("response", wanted))
                self.assertGreaterEqual(answer["metadata"]["server_handler_us"], 0)
                self.assertGreaterEqual(answer["metadata"]["server_queue_us"], 0)
                self.assertTrue(0 <= answer["metadata"]["load"] <= 1)
                self.assertNotIn("retry_after_ms", answer["metadata"])
            names = parent.call("list_functions")["result"]
            self.assertIn("add", names)
            self.assertNotIn("_secret", names)

    def test_errors(self):
        with Parent() as parent:
            for function, args, wanted in (
                ("nope", (), "AttributeError: Function 'nope' not found"),
                ("_nope", (), "AttributeError: Function '_nope' not found"),
                ("_secret", (1, 2), "AttributeError: Cannot call private method '_secret'"),
                ("", (), "ValueError: Message missing 'function' field"),
                ("divide", (1, 0), "ZeroDivisionError: division by zero"),
                ("add", (1,), "TypeError: expected 2 arguments, got 1"),
                ("add", (2**63 - 1, 1), "OverflowError: the sum does not fit 64 bits"),
            ):
                answer = parent.call(function, *args)
                self.assertEqual((answer["type"], answer["error"]), ("error", wanted))

    def test_types_come_back(self):
        with Parent() as parent:
            values = [None, True, 0, -1, 127, 128, 2**31, -(2**63), 1.5, "", "gr\u00fc\u00df", b"\0\xff"]
            values += [[], [1, [2]], {}, {"a": {"b": [None]}}]
            for value in values:
                answer = parent.call("echo", value)
                self.assertEqual(answer["result"], value)
                self.assertIs(type(answer["result"]), type(value))
            self.assertIsNone(parent.call("echo", math.nan)["result"])
            self.assertEqual(parent.call("echo", 2**64 - 1)["result"], 2**63 - 1)
            deep = 0
            for _ in range(97):
                deep = [deep]
            self.assertEqual(parent.call("echo", deep)["result"], deep)

    def test_metadata_reaches_the_function(self):
        with Parent() as parent:
            answer = parent.call("metadata", metadata={"correlation_id": "abc", "own": 7})
            self.assertEqual(answer["result"], {"correlation_id": "abc", "own": 7})

    def test_wrong_namespace_is_ignored(self):
        with Parent() as parent:
            for namespace in ("other", None, ""):
                parent.message("call", function="add", args=[1, 2], namespace=namespace)
            parent.message("shutdown", namespace="other")
            self.assertEqual(parent.call("add", 1, 2)["result"], 3)

    def test_heartbeats_of_both_kinds(self):
        with Parent() as parent:
            busy = parent.message("call", function="sleep_ms", args=[3000])
            for fields in ({"metadata": {"hb_timestamp": 1.5}}, {"args": [1234.5]}):
                # An answer of the busy function that came first would be lost here.
                answer = parent.receive(parent.message("heartbeat", **fields))
                self.assertTrue(answer["metadata"]["hb_response"])
                if "args" in fields:
                    self.assertEqual(answer["args"], fields["args"])
                else:
                    self.assertEqual(answer["metadata"]["hb_timestamp"], 1.5)
            self.assertEqual(parent.receive(busy)["result"], 3000)

    def test_thousand_calls_in_flight(self):
        with Parent() as parent:
            ids = [parent.message("call", function="add", args=[i, 1]) for i in range(1000)]
            for i, identifier in enumerate(ids):
                self.assertEqual(parent.receive(identifier)["result"], i + 1)

    def test_captured_and_odd_messages_do_no_harm(self):
        path = os.path.join(SOURCE, "tests", "vectors", "vectors.jsonl")
        sent = 0
        with Parent() as parent, open(path, encoding="utf-8") as file:
            for line in file:
                vector = json.loads(line)
                if vector["direction"] != "parent->child" or self.is_shutdown(vector):
                    continue
                parent.dealer.send_multipart([self.expand(frame) for frame in vector["frames"]])
                sent += 1
                self.assertEqual(parent.call("add", sent, 1)["result"], sent + 1, vector["name"])
        self.assertGreater(sent, 150)

    @staticmethod
    def is_shutdown(vector):
        decoded = vector.get("decoded")
        return isinstance(decoded, dict) and decoded.get("type") == "shutdown"

    @staticmethod
    def expand(frame):
        if isinstance(frame, str):
            return bytes.fromhex(frame)
        return b"".join(
            bytes.fromhex(part) if isinstance(part, str) else bytes.fromhex(part["repeat"]) * part["count"]
            for part in frame
        )

    def test_output_is_forwarded(self):
        with Parent() as parent:
            answer = parent.call("print_lines", 3, metadata={"correlation_id": "abc"})
            self.assertEqual(answer["result"], 3)
            parent.message("shutdown")
            self.assertEqual(parent.process.wait(10), 0)
            while len(parent.outputs) < 3:
                self.assertTrue(parent.dealer.poll(5000))
                with self.assertRaises(TimeoutError):
                    parent.receive("nobody", 0.2)
            self.assertEqual({output["type"] for output in parent.outputs}, {"stdout"})
            self.assertEqual({output["metadata"]["correlation_id"] for output in parent.outputs}, {"abc"})
            self.assertTrue(parent.outputs[0]["output"].startswith("line 0 "))

    def test_private_variables_are_not_inherited(self):
        with Parent(COMLINK_WORKER_MODE="1", COMLINK_WORKER_NAME="x-0", COMLINK_OUTPUT_PIPES="1:2,3:4") as parent:
            self.assertEqual(parent.call("inherited")["result"], 0)

    def test_ends(self):
        with Parent() as parent:
            parent.call("ping")
            parent.message("shutdown")
            self.assertEqual(parent.process.wait(10), 0)
        lonely = subprocess.Popen([CHILD], env={**os.environ, "COMLINK_ZMQ_PORT": str(closed_port())})
        wait_for(lambda: catches(lonely.pid, signal.SIGTERM), what="its handler of SIGTERM")
        lonely.send_signal(signal.SIGTERM)
        self.assertEqual(lonely.wait(10), 0)

    def test_bad_ports(self):
        for port in ("80", "65536", "5555x", " 5555", "-1", "x"):
            result = subprocess.run(
                [CHILD], env={**os.environ, "COMLINK_ZMQ_PORT": port}, capture_output=True, text=True, timeout=10, check=False
            )
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"Invalid port '{port}'", result.stderr)
        result = subprocess.run([CHILD], env={**os.environ, "COMLINK_ZMQ_PORT": ""}, capture_output=True, text=True, timeout=10, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("COMLINK_ZMQ_PORT", result.stderr)

    def test_unsendable_message_is_answered(self):
        with Parent() as parent:
            identifier = parent.message("call", function="echo", args="text")
            self.assertIn("args must be an array", parent.receive(identifier)["error"])
            parent.send(pack({"app": APP, "type": "call", "function": "echo"}))
            self.assertEqual(parent.call("echo", 1)["result"], 1)


if __name__ == "__main__":
    unittest.main()
