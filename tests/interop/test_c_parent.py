"""A parent in C with a worker in Python, and with one in C."""

import math
import os
import signal
import tempfile
import unittest

from session import wait_for
from support import CHILD, SOURCE, LineParent

WORKER = os.path.join(SOURCE, "examples", "peers", "conformance_worker.py")


def processes_with(text):
    """Pids whose command line holds the text."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if text.encode() in file.read():
                    found.append(int(name))
        except OSError:
            pass
    return found


class ParentTest(unittest.TestCase):
    def test_calls(self):
        with LineParent("/usr/bin/python3", WORKER) as parent:
            self.assertEqual(parent.call("add", 40, 2), 42)
            self.assertEqual(parent.call("greet", "Ada"), "Hello, Ada!")
            for value in (None, True, -(2**63), 1.5, "gr\u00fc\u00df", b"\0\xff", [1, [2]], {"a": [None]}):
                self.assertEqual(parent.call("echo", value), value)
            self.assertIsNone(parent.call("echo", math.nan))
            self.assertIsNone(parent.call("echo", math.inf))
            self.assertEqual(parent.quit(), 0)

    def test_errors(self):
        with LineParent("/usr/bin/python3", WORKER) as parent:
            self.assertEqual(
                parent.call("divide", 1, 0), ("remote", "ZeroDivisionError: division by zero")
            )
            kind, text = parent.call("nope")
            self.assertEqual((kind, text), ("remote", "AttributeError: Function 'nope' not found"))
            kind, text = parent.call("sleep_ms", 2000, timeout=50)
            self.assertEqual((kind, text), ("timeout", "Function 'sleep_ms' timed out after 50 ms"))
            self.assertEqual(parent.call("add", 1, 1, timeout=60000), 2)

    def test_thousand_calls_in_flight(self):
        with LineParent("/usr/bin/python3", WORKER) as parent:
            wanted = set()
            for i in range(1000):
                parent.write(f"call c{i} add default 20000 92cd{i:04x}01")
                wanted.add(f"c{i}")
            got = set()
            for _ in range(1000):
                word, tag, _ = parent.read()
                self.assertEqual(word, "ok")
                got.add(tag)
            self.assertEqual(got, wanted)

    def test_round_trip_time(self):
        with LineParent("/usr/bin/python3", WORKER) as parent:
            parent.write("rtt")
            word, ms = parent.read()
            self.assertEqual(word, "rtt")
            self.assertGreater(float(ms), 0)

    def test_dead_worker(self):
        with LineParent("/usr/bin/env", CHILD) as parent:
            self.assertEqual(parent.call("add", 1, 2), 3)
            parent.write("call t sleep_ms default 0 91ce000927c0")
            own = [pid for pid in processes_with(CHILD) if self.is_worker_of(pid, parent.process.pid)]
            self.assertEqual(len(own), 1)
            os.kill(own[0], signal.SIGKILL)
            word, _, kind, text = parent.read()
            self.assertEqual((word, kind), ("err", "notrunning"))
            self.assertIn("SIGKILL", bytes.fromhex(text).decode())
            self.assertEqual(parent.call("add", 1, 2)[0], "notrunning")

    @staticmethod
    def is_worker_of(pid, ancestor):
        """Whether the process is a grandchild: its parent is the helper, whose parent is ours. A
        process of another test may end meanwhile."""

        def parent_of(child):
            with open(f"/proc/{child}/stat", encoding="utf-8") as file:
                return int(file.read().rpartition(")")[2].split()[1])

        try:
            return parent_of(parent_of(pid)) == ancestor
        except (FileNotFoundError, ProcessLookupError):
            return False

    def test_killed_parent_leaves_no_worker(self):
        with LineParent("/usr/bin/env", CHILD) as parent:
            own = [pid for pid in processes_with(CHILD) if self.is_worker_of(pid, parent.process.pid)]
            parent.process.kill()
            parent.process.wait()
            wait_for(lambda: not os.path.exists(f"/proc/{own[0]}"), 20, "the worker's end")

    def test_killed_parent_leaves_no_grandchild(self):
        with tempfile.TemporaryDirectory() as directory:
            script = os.path.join(directory, "worker.sh")
            mark = f"31{os.getpid()}"  # seconds that nobody else sleeps
            with open(script, "w", encoding="utf-8") as file:
                file.write(f"setsid sleep {mark} &\nsleep {mark} &\nexec {CHILD}\n")
            with LineParent("/bin/sh", script) as parent:
                self.assertEqual(parent.call("add", 1, 2), 3)
                wait_for(lambda: len(processes_with(f"sleep\0{mark}")) == 2, 20, "two grandchildren")
                parent.process.kill()
                parent.process.wait()
                wait_for(lambda: not processes_with(f"sleep\0{mark}"), 20, "the grandchildren's end")

    def test_end_of_file_ends_it(self):
        with LineParent("/usr/bin/python3", WORKER) as parent:
            parent.process.stdin.close()
            self.assertEqual(parent.process.wait(10), 0)
            parent.process.stdin = None


if __name__ == "__main__":
    unittest.main()
