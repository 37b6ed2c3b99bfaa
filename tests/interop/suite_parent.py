"""A parent in C with workers of another language."""

import os
import signal
import subprocess

from session import SERVICE, wait_for
from suite_base import LINE, Conformance
from support import CHILD, PARENT


class ParentInC(Conformance):
    """conformance_parent with a worker of another language."""

    def test_remote_errors(self):
        kind, text = self.refused("divide", 1, 0)
        self.assertEqual(kind, "remote")
        wanted = {"python": "ZeroDivisionError: division by zero", "js": "division by zero"}
        self.assertEqual(text.split("\n")[0], wanted[self.peer])
        self.note("Error: raised by the function", {"python": "type and text", "js": "text"}[self.peer])

    def test_wrong_arguments(self):
        if self.peer == "python":
            kind, text = self.refused("add", 1)
            self.assertEqual(kind, "remote")
            self.assertTrue(text.startswith("TypeError: "), text)
            self.note("Error: wrong arguments")
            return
        self.assertIsNone(self.caller.value("add", 1))  # 1 + undefined
        kind, text = self.refused("add", 2**40, 1)
        self.assertEqual(kind, "remote")
        self.assertIn("Cannot mix BigInt and other types", text)
        self.note("Error: wrong arguments", "yes; too few are undefined: JavaScript")

    def test_nothing(self):
        self.assertIsNone(self.caller.value("nothing"))
        self.note("No result is nil")

    def test_asynchronous_function(self):
        name = {"python": "sleep_async", "js": "sleep_ms"}[self.peer]
        self.assertEqual(self.caller.value(name, 5), 5)
        self.note("Asynchronous function")

    def test_lists_functions(self):
        name = {"python": "list_functions", "js": "listFunctions"}[self.peer]
        names = self.caller.value(name)
        self.assertIn("fibonacci", names)
        self.assertNotIn("_secret", names)
        self.note("List of functions", f"`{name}`")

    def test_metadata(self):
        given = self.caller.value("metadata")
        if self.peer == "python":
            self.assertRegex(given["traceparent"], r"^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9a-f]$")
            self.assertTrue(given["correlation_id"])
            self.note("Metadata of the call", "sent; functions do not see it: Python")
        else:
            self.assertEqual(given, {})
            self.note("Metadata of the call", "sent; functions do not see it: JavaScript")

    def test_heartbeats(self):
        milliseconds = float(self.caller.ask("rtt")[0])
        self.assertGreater(milliseconds, 0)
        self.note("Heartbeat with round-trip time")

    def test_output(self):
        with self.session("--output") as session:
            self.assertEqual(session.caller.value("print_lines", 3), 3)
            if self.peer == "js":
                session.caller.wait_output(f"line 2 {LINE}".encode().hex())
                session.caller.value("print_error", "to stderr")
                line = session.caller.wait_output("to stderr".encode().hex())
                self.assertTrue(line.startswith("output stderr "))
                text = "yes, and each failed call's diagnosis"
                session.caller.call("divide", 1, 0)
                session.caller.wait_output(b"ERROR: Function call failed: division by zero".hex())
            elif self.mode == "spawn":
                session.caller.value("write_lines", 3)
                session.caller.wait_output(f"line 2 {LINE}".encode().hex())
                text = "of descriptors; `print` is lost: Python"
                self.assertEqual(len(session.caller.outputs), 3)
            else:
                session.caller.value("add", 1, 2)
                self.assertEqual(session.caller.outputs, [])
                text = "lost: Python"
        self.note("Output reaches the parent", text)

    def test_flood_of_output(self):
        self.flood("print_lines")
        if self.mode == "spawn":
            self.flood("write_lines")
        self.note("10 MB of output block nobody")

    def test_quit(self):
        with self.session("--patient") as session:  # a signal would come too late for this test
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            worker = session.worker_pid()
            self.assertEqual(session.caller.quit(60), 0)
            if self.mode == "spawn":
                session.wait_no_worker()
                self.note("Stop", "the worker gets SHUTDOWN and ends")
            else:
                self.assertEqual(session.workers(), [worker])
                self.note("Stop", "the service goes on")

    def test_worker_ends(self):
        with self.session() as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            os.kill(session.worker_pid(), signal.SIGTERM)
            session.wait_no_worker()
            if self.mode == "spawn":
                wait_for(lambda: session.caller.call("add", 1, 2)[0] == "notrunning", what="the news")
                self.note("Worker ended by SIGTERM", "calls fail at once")
            else:
                self.assertEqual(session.service.wait(10), 0)
                self.assertNotIn(SERVICE, session.home.entries())
                self.assertNotEqual(session.caller.call("add", 1, 2, timeout=500)[0], "ok")
                self.note("Worker ended by SIGTERM", "its entry is gone, calls fail")

    def test_restart(self):
        flags = ("--restart",) if self.mode == "spawn" else ()
        with self.session(*flags) as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            old = session.worker_pid()
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: old not in session.workers(), what="the old worker's end")
            if self.mode == "connect":
                session.service.wait()
                session.start_service()
            wait_for(lambda: session.caller.call("add", 1, 2, timeout=3000)[0] == "ok", 20, "a restart")
            self.assertNotEqual(session.worker_pid(), old)
        self.note(
            "Worker killed",
            {"spawn": "started again, calls go on", "connect": "found again on its new port"}[self.mode],
        )

    def test_service_unknown(self):
        result = subprocess.run(
            [PARENT, "connect", "nobody"],
            env=self.shared.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("nobody", result.stderr)
        self.note("Unknown service: an error after 5 s")

    def test_service_taken(self):
        entry = self.shared.home.entries()[SERVICE]
        result = subprocess.run(
            [CHILD, "--service", SERVICE],
            env=self.shared.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual(result.returncode, 1)
        wanted = f"Service '{SERVICE}' already running (PID: {entry['pid']}, port: {entry['port']})"
        self.assertIn(wanted, result.stderr)
        self.note("Taken service id is refused", "by C, held by the peer")
