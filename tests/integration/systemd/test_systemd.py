"""A program with mf_runtime_options.systemd, and a socket that stands for systemd: what is told, when,
and in which order."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest

WORKER = sys.argv.pop()
PROGRAM = sys.argv.pop()
PATIENCE = 100  # only an event that never happens takes longer


class Manager:
    """The socket of systemd, the program, and the worker that waits at a FIFO, until the end of a
    with block."""

    def __init__(self, abstract=False, serves=False, **environment):
        self.directory = tempfile.TemporaryDirectory()
        self.told = []
        name = os.path.join(self.directory.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind("\0" + name if abstract else name)
        self.fifo = os.path.join(self.directory.name, "fifo")
        os.mkfifo(self.fifo)
        given = dict(os.environ, NOTIFY_SOCKET="@" + name if abstract else name, **environment)
        self.process = subprocess.Popen(
            [PROGRAM, self.directory.name] if serves else [PROGRAM, WORKER, self.fifo],
            env=given,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()
        self.socket.close()
        self.directory.cleanup()

    def read(self):
        """The fields of the next datagram, which end with a newline each."""
        text = self.socket.recv(65536).decode()
        assert text.endswith("\n"), text
        fields = dict(line.split("=", 1) for line in text.splitlines())
        self.told.append(fields)
        return fields

    def until(self, condition):
        """The datagrams up to the first one that fits."""
        seen = []
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            seen.append(self.read())
            if condition(seen[-1]):
                return seen
        raise AssertionError(f"nothing fits in {seen}")

    def start_worker(self):
        with open(self.fifo, "w", encoding="ascii"):
            pass  # the worker reads to the end
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self):
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def rest(self):
        """What lies in the socket after the program's end."""
        self.socket.setblocking(False)
        seen = []
        try:
            while True:
                seen.append(self.read())
        except BlockingIOError:
            return seen


def has(field):
    return lambda fields: field in fields


class Systemd(unittest.TestCase):
    def test_ready_when_the_worker_is(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract), Manager(abstract) as manager:
                first = manager.until(lambda at: "math:workers fails" in at.get("STATUS", ""))
                self.assertFalse(any("READY" in fields for fields in first))
                self.assertIn("0 of 1 workers ready", first[-1]["STATUS"])
                self.assertIn("rule workers: 0 ready, 1 needed", first[-1]["STATUS"])
                manager.start_worker()
                seen = manager.until(has("READY"))
                self.assertFalse(any("READY" in fields for fields in seen[:-1]))
                self.assertEqual(seen[-1]["READY"], "1")
                self.assertIn("1 of 1 workers ready", seen[-1]["STATUS"])
                self.assertEqual(manager.end(), 0)
                rest = manager.rest()
                self.assertEqual([at["STOPPING"] for at in rest if "STOPPING" in at], ["1"])
                told = [name for fields in manager.told for name in fields]
                self.assertEqual(told.count("READY"), 1)
                self.assertNotIn("WATCHDOG", told)

    def test_watchdog_stops_when_the_engine_hangs(self):
        with Manager(WATCHDOG_USEC="200000") as manager:
            manager.start_worker()
            manager.until(has("READY"))
            manager.until(has("WATCHDOG"))
            manager.until(has("WATCHDOG"))
            manager.tell("hang")
            stuck = lambda at: "loop:lag fails" in at.get("STATUS", "")
            manager.until(stuck)
            after = manager.until(lambda at: "STATUS" in at) + manager.until(has("STATUS"))
            self.assertFalse(any("WATCHDOG" in fields for fields in after), after)
            self.assertIn("rule lag", after[-1]["STATUS"])
            manager.tell("go")
            manager.until(has("WATCHDOG"))
            self.assertEqual(manager.end(), 0)

    def test_watchdog_of_another_process(self):
        with Manager(WATCHDOG_USEC="1000", WATCHDOG_PID="1") as manager:
            manager.start_worker()
            manager.until(has("READY"))
            self.assertEqual(manager.end(), 0)
            manager.rest()
            self.assertFalse(any("WATCHDOG" in fields for fields in manager.told))

    def test_more_time_while_draining(self):
        with Manager() as manager:
            manager.start_worker()
            manager.until(has("READY"))
            self.assertFalse(any("EXTEND_TIMEOUT_USEC" in fields for fields in manager.told))
            manager.tell("drain")
            stopping = manager.until(has("STOPPING"))[-1]
            self.assertGreater(int(stopping["EXTEND_TIMEOUT_USEC"]), 1000000)
            for _ in range(2):
                more = manager.until(has("EXTEND_TIMEOUT_USEC"))[-1]
                self.assertNotIn("STOPPING", more)
            self.assertTrue(any("draining" in at.get("STATUS", "") for at in manager.told))
            self.assertEqual(manager.end(), 0)
            self.assertFalse(any("STOPPING" in fields for fields in manager.rest()))

    def test_service_that_a_signal_ends(self):
        with Manager(serves=True) as manager:
            self.assertEqual(manager.process.stdout.readline(), "made\n")
            manager.until(has("READY"))
            self.assertTrue(os.path.exists(os.path.join(manager.directory.name, "services.json")))
            self.assertFalse(any("STOPPING" in fields for fields in manager.told))
            manager.process.terminate()
            manager.until(has("STOPPING"))
            self.assertEqual(manager.process.stdout.readline(), "gone\n")
            self.assertEqual(manager.end(), 0)
            self.assertFalse(any("STOPPING" in fields for fields in manager.rest()))

    def test_socket_that_is_none(self):
        for name in ("vsock:2:1", "@", "notify", "/" + "x" * 200):
            made = subprocess.run(
                [PROGRAM, WORKER, "/nowhere"],
                env=dict(os.environ, NOTIFY_SOCKET=name),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            self.assertEqual(made.returncode, 1)
            self.assertIn("NOTIFY_SOCKET", made.stderr)


if __name__ == "__main__":
    unittest.main()
