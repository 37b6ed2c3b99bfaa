"""A worker in C under parents of another language."""

import os
import signal
import subprocess

import features
from session import SERVICE, Session, wait_for
from suite_base import LINE, Conformance
from support import CHILD


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
            busy = session.caller.send("sleep_ms", (5000,))

            def three():
                return int(session.caller.ask("heartbeats")[1]) >= 3

            wait_for(three, 20, what="three answered heartbeats")
            self.assertNotIn(busy, session.caller.answers)  # answered while the function runs
            self.assertEqual(session.caller.ask("heartbeats")[2], "0")
            rtt = float(session.caller.ask("rtt")[0])
            self.assertEqual(session.caller.answer(busy), ("ok", 5000))
        if self.peer == "js":
            self.assertLess(rtt, -1e12)
            self.note("Heartbeat with round-trip time", "answered; the time is nonsense: JavaScript")
        else:
            self.assertGreaterEqual(rtt, 0)
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
