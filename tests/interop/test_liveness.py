"""A parent in C with workers that run one thing at a time: busy is not dead, and dead is not busy.

    test_liveness.py python|js spawn|connect

Heartbeats are so short that a worker which works misses many of them.
"""

import os
import signal
import sys
import unittest

from session import SERVICE, Caller, Session, wait_for
from support import PARENT

PEER, MODE = sys.argv[1:3]
HEARTBEAT_MS = 100
LIMITS = ("--heartbeat", str(HEARTBEAT_MS))
RESTARTS = ("--restart",) if MODE == "spawn" else ()
CALLS = 3000
LONG_MS = 30 * HEARTBEAT_MS
# The worker in Python naps for 10 ms after each message, that in JavaScript has to be told to.
SHORT = ("add", (40, 2), 42) if PEER == "python" else ("block_ms", (3,), 3)


class Stats:
    def __init__(self, caller):
        words = caller.ask("stats")
        self.state, self.circuit, self.frozen = words[0], words[2], words[4] == "frozen"
        self.restarts, self.trips = int(words[1]), int(words[3])
        self.last_exit = "" if words[5] == "-" else bytes.fromhex(words[5]).decode()


class Liveness(unittest.TestCase):
    def session(self, *flags):
        return Session("parent", PEER, MODE, (*LIMITS, *RESTARTS, *flags))

    def check_undisturbed(self, session, pid):
        stats = Stats(session.caller)
        self.assertEqual((stats.restarts, stats.trips, stats.circuit), (0, 0, "closed"))
        self.assertFalse(stats.frozen)
        self.assertEqual(stats.state, "ready")
        self.assertEqual(session.worker_pid(), pid)

    # ---- Busy ----

    def test_many_short_calls_in_flight(self):
        function, args, wanted = SHORT
        with self.session() as session:
            pid = session.worker_pid()
            tags = [session.caller.send(function, args, timeout=200_000) for _ in range(CALLS)]
            for tag in tags:
                self.assertEqual(session.caller.answer(tag, 200), ("ok", wanted))
            self.check_undisturbed(session, pid)

    def test_one_long_call(self):
        with self.session() as session:
            pid = session.worker_pid()
            self.assertEqual(session.caller.value("block_ms", LONG_MS, timeout=60_000), LONG_MS)
            self.check_undisturbed(session, pid)
            self.assertEqual(session.caller.value("add", 1, 2), 3)

    def test_a_call_that_was_given_up_is_still_worked_on(self):
        with self.session() as session:
            pid = session.worker_pid()
            kind, text = session.caller.call("block_ms", LONG_MS, timeout=HEARTBEAT_MS)
            self.assertEqual(kind, "timeout", text)
            wait_for(lambda: not self.is_silent(session), 60, "the end of the call")
            self.check_undisturbed(session, pid)
            self.assertEqual(session.caller.value("add", 1, 2), 3)

    # ---- Frozen ----

    def test_a_stopped_worker(self):
        with self.session() as session:
            pid = session.worker_pid()
            self.assertEqual(session.caller.value("add", 1, 2), 3)
            os.kill(pid, signal.SIGSTOP)
            if MODE == "spawn":
                self.check_replaced(session, pid, "was frozen")
            else:
                wait_for(lambda: Stats(session.caller).frozen, 30, "a frozen service")
                self.assertEqual(session.caller.call("add", 1, 2)[0], "circuit")
                os.kill(pid, signal.SIGCONT)
                wait_for(lambda: Stats(session.caller).circuit == "closed", 30, "a closed circuit")
                self.assertEqual(session.caller.value("add", 1, 2), 3)
                self.assertEqual(Stats(session.caller).restarts, 0)

    def test_a_worker_that_is_stopped_during_a_call(self):
        if MODE != "spawn":
            self.skipTest("the timeout of the call decides")
        with self.session() as session:
            pid = session.worker_pid()
            tag = session.caller.send("block_ms", (600_000,), timeout=0)
            os.kill(pid, signal.SIGSTOP)
            kind, text = session.caller.answer(tag, 30)
            self.assertEqual(kind, "notrunning", text)
            self.assertIn("was frozen", text)
            self.check_replaced(session, pid, "its process is stopped")

    # ---- Cut off ----

    def test_a_worker_that_hangs_up(self):
        with self.session() as session:
            pid = session.worker_pid()
            tag = session.caller.send("hang_up", (), timeout=0)
            kind, text = session.caller.answer(tag, 30)
            self.assertEqual(kind, "notrunning", text)
            self.assertIn("closed", text)
            if MODE == "spawn":
                self.check_replaced(session, pid, "closed its connection, did not end")
            else:
                wait_for(lambda: Stats(session.caller).circuit == "open", 30, "an open circuit")
                self.assertIn("closed the connection", Stats(session.caller).last_exit)
                self.assertTrue(os.path.exists(f"/proc/{pid}"))
                os.kill(pid, signal.SIGKILL)

    def check_replaced(self, session, pid, why):
        wait_for(lambda: Stats(session.caller).restarts == 1, 30, "a restart")
        self.assertIn(why, Stats(session.caller).last_exit)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 30, "the worker's end")
        wait_for(lambda: Stats(session.caller).circuit == "closed", 30, "a closed circuit")
        self.assertEqual(session.caller.value("add", 1, 2, timeout=30_000), 3)
        self.assertEqual(Stats(session.caller).restarts, 1)

    # ---- Start ----

    def test_a_start_to_a_busy_service(self):
        if MODE != "connect":
            self.skipTest("a spawned worker is not busy yet")
        with self.session() as session:
            tag = session.caller.send("block_ms", (LONG_MS,), timeout=60_000)
            wait_for(lambda: self.is_silent(session), 30, "a busy service")
            arguments = ["connect", SERVICE, *LIMITS, "--start", str(LONG_MS // 3)]
            other = Caller([PARENT, *arguments], session.environment)
            self.assertNotIn(tag, session.caller.answers)
            self.assertEqual(other.value("add", 1, 2, timeout=60_000), 3)
            self.assertEqual(session.caller.answer(tag, 60), ("ok", LONG_MS))
            self.assertEqual(other.quit(), 0)

    @staticmethod
    def is_silent(session):
        """Whether a heartbeat is not answered in time."""
        return session.caller.ask("rtt") == ["none"]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
