"""One end in C, the other in Python or JavaScript, in spawn or connect mode.

    test_conformance.py parent|child python|js spawn|connect     which end is in C, the peer, the mode
"""

import os
import signal
import subprocess
import sys
import time
import unittest

import features
import mapping
from session import SERVICE, Session, wait_for
from support import CHILD, PARENT, pack

LINE = "of a worker that talks a lot, and more than its parent may want to hear"
FLOOD_LINES = 130_000  # more than 10 MB
CASE = tuple(sys.argv[1:4])
SEEN = []


class Conformance(unittest.TestCase):
    """What both ends must show. Each test notes its row of the table when it has passed."""

    side, peer, mode = CASE
    shared = None

    @classmethod
    def setUpClass(cls):
        cls.shared = Session(cls.side, cls.peer, cls.mode)
        cls.shared.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.shared.__exit__()

    def session(self, *flags, **options):
        return Session(self.side, self.peer, self.mode, flags, **options)

    def note(self, feature, text="yes"):
        SEEN.append([feature, text])

    @property
    def caller(self):
        return self.shared.caller

    def refused(self, function, *args, **options):
        """Kind and text of a call that must fail. A good one follows, so that no circuit opens."""
        kind, text = self.caller.call(function, *args, **options)
        self.assertNotEqual(kind, "ok", f"{function}{args} gave {text!r}")
        self.assertEqual(self.caller.value("add", 1, 2), 3)
        return kind, text

    # ---- Calls ----

    def test_calls(self):
        for function, args, wanted in (
            ("add", (40, 2), 42),
            ("multiply", (-6, 7), -42),
            ("factorial", (20,), 2432902008176640000),
            ("fibonacci", (50,), 12586269025),
            ("greet", ("Ada",), "Hello, Ada!"),
            ("greet", ("",), "Hello, !"),
            ("divide", (1, 4), 0.25),
        ):
            self.assertEqual(self.caller.value(function, *args), wanted)
        self.note("Calls")

    def test_types(self):
        for value in mapping.VALUES + mapping.SPECIAL:
            self.check_echo(value, mapping.expected(self.peer, value))
        for data, meaning in mapping.WIDE:
            kind, value = self.caller.answer(self.caller.send("echo", data))
            self.assertEqual((kind, value), ("ok", meaning), data.hex())
        self.note(
            "Types",
            {
                "python": "yes",
                "js": "yes; bytes become maps, whole floats integers: JavaScript",
            }[self.peer],
        )

    def check_echo(self, value, wanted):
        result = self.caller.value("echo", value)
        text = f"{str(value)[:80]} came back as {str(result)[:80]}, not {str(wanted)[:80]}"
        self.assertTrue(mapping.same(result, wanted), text)

    def test_large_values(self):
        text = "x" * 1_000_000
        self.assertEqual(self.caller.value("echo", text), text)
        kind, error = self.refused("echo", "x" * (10 * 1024 * 1024 + 1))
        self.assertEqual(kind, "other" if self.side == "parent" else "remote", error)
        self.note("1 MB text; over 10 MiB an error")

    def test_many_calls_in_flight(self):
        tags = [self.caller.send("add", (i, 1), timeout=60000) for i in range(1000)]
        for i, tag in enumerate(tags):
            self.assertEqual(self.caller.answer(tag, 60), ("ok", i + 1))
        self.note("1,000 calls in flight")

    def test_timeouts(self):
        kind, text = self.refused("sleep_ms", 300, timeout=50)
        self.assertEqual(kind, "timeout")
        self.assertIn("sleep_ms", text)
        self.note("Timeout; the late answer does no harm")

    def test_namespaces(self):
        kind, _ = self.refused("add", 1, 2, namespace="other", timeout=300)
        self.assertEqual(kind, "timeout")
        with self.session(namespace="math") as session:
            self.assertEqual(session.caller.value("add", 1, 2, namespace="math"), 3)
            kind, _ = session.caller.call("add", 1, 2, timeout=300)
            self.assertEqual(kind, "timeout")
            self.assertEqual(session.caller.quit(), 0)
            if self.mode == "spawn":
                session.wait_no_worker()
        self.note("Namespaces; another one is ignored")

    # ---- Errors ----

    def test_missing_function(self):
        for name in ("nope", "_nope"):
            kind, text = self.refused(name)
            self.assertEqual(kind, "remote")
            self.assertIn(f"Function '{name}' not found", text)
        self.note("Error: not found")

    def test_private_function(self):
        kind, text = self.refused("_secret", 1, 2)
        self.assertEqual(kind, "remote")
        self.assertIn("Cannot call private method '_secret'", text)
        self.note("Error: private function")

    # ---- Flood ----

    def flood(self, function):
        started = time.monotonic()
        tag = self.caller.send(function, (FLOOD_LINES,), timeout=60000)
        self.assertEqual(self.caller.answer(tag, 60), ("ok", FLOOD_LINES))
        self.assertEqual(self.caller.value("add", 1, 2, timeout=30000), 3)
        self.assertLess(time.monotonic() - started, 60)


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
            self.note("Metadata of the call")
        else:
            self.assertEqual(given, {})
            self.note("Metadata of the call", "sent; functions do not see it: JavaScript")

    def test_heartbeats(self):
        milliseconds = float(self.caller.ask("rtt")[0])
        self.assertGreater(milliseconds, 0)
        self.assertLess(milliseconds, 3000)
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
        with self.session() as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            worker = session.worker_pid()
            started = time.monotonic()
            self.assertEqual(session.caller.quit(), 0)
            self.assertLess(time.monotonic() - started, 2.5)
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


class ChildInC(Conformance):
    """conformance_child under a parent of another language."""

    def test_remote_errors(self):
        kind, text = self.refused("divide", 1, 0)
        self.assertEqual((kind, text), ("remote", "ZeroDivisionError: division by zero"))
        kind, text = self.refused("add", 2**63 - 1, 1)
        self.assertEqual(kind, "remote")
        self.assertIn("does not fit 64 bits", text)
        self.note("Error: raised by the function", "type and text")

    def test_wrong_arguments(self):
        for args in ((1,), (1, 2, 3), ("a", 1), (1.5, 1)):
            kind, text = self.refused("add", *args)
            self.assertEqual(kind, "remote")
            self.assertTrue(text.startswith("TypeError: "), text)
        self.note("Error: wrong arguments")

    def test_lists_functions(self):
        for name in ("list_functions", "listFunctions"):
            names = self.caller.value(name)
            self.assertIn("fibonacci", names)
            self.assertNotIn("_secret", names)
        self.note("List of functions", "`list_functions`, `listFunctions`")

    def test_ext(self):
        data = {"python": "91d40561", "js": "91d40000"}[self.peer]  # JavaScript's is `undefined`
        kind, text = self.caller.answer(self.caller.send("echo", bytes.fromhex(data)))
        self.assertEqual(kind, "remote")
        self.assertIn("an ext", text)
        self.assertEqual(self.caller.value("add", 1, 2), 3)
        self.note("Ext without a codec: an error")

    def test_whole_floats_as_integers(self):
        self.assertEqual(self.caller.value("add", 2.0, 3), 5)
        self.assertEqual(self.caller.value("add", float(2**40), 1), 2**40 + 1)
        self.note("Whole floats where integers are meant")

    def test_metadata(self):
        if self.peer == "js":
            self.assertEqual(self.caller.value("metadata"), {})
            self.note("Metadata of the call", "never sent: JavaScript")
            return
        given = self.caller.value("metadata", metadata={"correlation_id": "abc", "own": [7]})
        self.assertGreater(given.pop("timestamp_sent"), 1e9)
        self.assertEqual(given, {"correlation_id": "abc", "own": [7]})
        self.note("Metadata of the call")

    def test_heartbeats(self):
        language = features.PEER_NAMES[self.peer]
        if self.mode == "connect":
            self.assertEqual(self.caller.ask("rtt"), ["none"])
            self.note("Heartbeat with round-trip time", f"none in this mode: {language}")
            return
        unit = {"python": "2", "js": "2000"}[self.peer]  # JavaScript takes it for milliseconds
        with self.session("--interval", "0.1", "--timeout", unit) as session:
            busy = session.caller.send("sleep_ms", (2500,))

            def three():
                return int(session.caller.ask("heartbeats")[1]) >= 3

            wait_for(three, what="three answered heartbeats")
            self.assertNotIn(busy, session.caller.answers)  # answered while the function runs
            self.assertEqual(session.caller.ask("heartbeats")[2], "0")
            rtt = float(session.caller.ask("rtt")[0])
            self.assertEqual(session.caller.answer(busy), ("ok", 2500))
        if self.peer == "js":
            self.assertLess(rtt, -1e12)
            self.note("Heartbeat with round-trip time", "answered; the time is nonsense: JavaScript")
        else:
            self.assertTrue(0 <= rtt < 2000)
            self.note("Heartbeat with round-trip time")

    def test_output(self):
        self.caller.outputs.clear()
        self.assertEqual(self.caller.value("print_lines", 3), 3)
        name = {
            ("python", "spawn"): os.path.basename(CHILD),
            ("python", "connect"): "worker",
            ("js", "spawn"): CHILD,
            ("js", "connect"): SERVICE,
        }[self.peer, self.mode]
        for i in range(3):
            line = self.caller.wait_output(f"line {i} ")
            self.assertEqual(line, f"[{name} STDOUT]: line {i} {LINE}")
        self.note("Output reaches the parent")

    def test_flood_of_output(self):
        self.flood("print_lines")
        self.note("10 MB of output block nobody")

    def test_quit(self):
        """Parents of other languages close their socket first, and send SIGTERM, if anything."""
        with self.session() as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            worker = session.worker_pid()
            self.assertEqual(session.caller.quit(), 0)
            if self.mode == "connect":
                self.assertEqual(session.workers(), [worker])
                session.caller = session.start_caller()
                self.assertEqual(session.caller.value("add", 1, 2), 3)
                self.note("Stop of the parent", "the service goes on")
                return
            session.wait_no_worker()
            if self.peer == "python":
                self.assertEqual(session.caller.expect("exited"), ["0"])
            self.note("Stop of the parent", "the worker ends")

    def check_end(self, end):
        """The worker ends with status 0 when `end(session)` says so, and takes its entry out."""
        with self.session(executable="exec" if self.peer == "js" else None) as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            end(session)
            session.wait_no_worker()
            if self.mode == "connect":
                self.assertEqual(session.service.wait(10), 0)
                self.assertNotIn(SERVICE, session.home.entries())
                return
            self.assertEqual(session.caller.quit(), 0)
            self.assertEqual(session.caller.expect("exited"), ["0"])

    def test_shutdown_message(self):
        self.check_end(lambda session: session.caller.ask("shutdown"))
        self.note("SHUTDOWN: status 0")

    def test_sigterm(self):
        self.check_end(lambda session: os.kill(session.worker_pid(), signal.SIGTERM))
        self.note("SIGTERM: status 0")

    def test_restart(self):
        if self.mode == "connect":
            self.check_service_restart()
        elif self.peer == "python":
            self.check_python_restart()
        else:
            self.check_unnoticed_death()

    def check_service_restart(self):
        with self.session() as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            session.service.kill()
            session.service.wait()
            self.assertIn(SERVICE, session.home.entries())  # its entry outlives it
            session.start_service()
            session.caller.quit()
            session.caller = session.start_caller()
            self.assertEqual(session.caller.value("add", 1, 2), 3)
        self.note("Worker killed", "replaces the dead entry; a new parent finds it")

    def check_python_restart(self):
        with self.session("--restart") as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            old = session.worker_pid()
            self.assertEqual(session.caller.ask("pid"), [str(old)])
            os.kill(old, signal.SIGKILL)
            new = wait_for(lambda: [pid for pid in session.workers() if pid != old], what="a restart")
            kind, _ = session.caller.call("add", 1, 2, timeout=1000)
            self.assertEqual(kind, "timeout")
            self.assertEqual(session.workers(), new)
            self.assertEqual(session.caller.quit(), 0)
            session.wait_no_worker()
        self.note("Worker killed", "comes back on the same port; answers are never read: Python")

    def check_unnoticed_death(self):
        with self.session() as session:
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            os.kill(session.worker_pid(), signal.SIGKILL)
            session.wait_no_worker()
            self.assertEqual(session.caller.call("add", 1, 2, timeout=300)[0], "timeout")
            self.assertEqual(session.caller.ask("healthy"), ["true"])
        self.note("Worker killed", "not noticed: JavaScript")

    def test_service_taken(self):
        entry = self.shared.home.entries()[SERVICE]
        peer = Session("parent", self.peer, "connect")  # for the worker's command only
        result = subprocess.run(
            [*peer.worker, "--service", SERVICE],
            env=self.shared.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        peer.home.remove()
        self.assertEqual(result.returncode, 1)
        wanted = f"Service '{SERVICE}' already running (PID: {entry['pid']}, port: {entry['port']})"
        self.assertIn(wanted, result.stderr)
        self.note("Taken service id is refused", "by the peer, held by C")


def main():
    chosen = ParentInC if CASE[0] == "parent" else ChildInC
    names = [name for kind in (Conformance, chosen) for name in vars(kind) if name.startswith("test_")]
    if CASE[2] == "spawn":
        names = [name for name in names if not name.startswith("test_service_")]
    names = sys.argv[4:] or names
    result = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(map(chosen, names)))
    if result.wasSuccessful() and not sys.argv[4:]:
        features.save(CASE, SEEN)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
