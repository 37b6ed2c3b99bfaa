"""Twenty processes in C and twenty in Python share a registry while the test kills holders of its
locks. All the time:

- a living process that has registered finds its own entry (each process checks that itself);
- when a process has died, the next complete write in C removes its entry;
- the file can be read at every moment;
- an operation in C that gives up has waited for the locks for 10 s;
- Python's locks, which only C breaks, do not stop the others: after the last kill every process
  completes an operation once more.
"""

import json
import os
import random
import selectors
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
HERE = os.path.dirname(os.path.abspath(__file__))
C_PEER = os.path.join(BUILD, "tests", "registry_peer")
PYTHON = [sys.executable, "-ES", os.path.join(HERE, "peer.py")]
SECONDS = float(os.environ.get("MF_ATTACK_SECONDS", "5"))
EACH = 20
LOCK_NS = 10_000_000_000
CALM_SECONDS = 90


class Peer:
    """One process; a killed one is replaced by another of the same name."""

    def __init__(self, attack, name):
        self.attack, self.name = attack, name
        self.is_c = name.startswith("c-")
        self.cycles = 0
        self.rest = b""
        self.process = None
        self.start()

    def start(self):
        others = [name for name in self.attack.names if name != self.name]
        command = [C_PEER] if self.is_c else [*PYTHON, "live"]
        self.process = subprocess.Popen(
            [*command, self.attack.folder, self.name, *others],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.attack.selector.register(self.process.stdout, selectors.EVENT_READ, self)

    def read(self):
        """Whole lines; None at the end."""
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            return None
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [line.decode() for line in lines]

    def end(self):
        self.attack.selector.unregister(self.process.stdout)
        self.process.stdin.close()
        self.process.stdout.close()
        self.rest = b""


class Attack(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.folder = os.path.join(home.name, ".multifrost")
        self.selector = selectors.DefaultSelector()
        self.addCleanup(self.selector.close)
        self.random = random.Random()
        self.names = [f"{kind}-{i}" for kind in ("c", "py") for i in range(EACH)]
        self.peers, self.dead, self.faults = {}, [], []
        self.counts = {"kills": 0, "locks left": 0}
        self.slowest_ns = 0
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for peer in self.peers.values():
            if not peer.process.stdout.closed:
                peer.process.kill()
                peer.process.wait()
                peer.end()

    def services(self):
        with open(os.path.join(self.folder, "services.json"), encoding="utf-8") as file:
            return json.load(file)

    def lock_pid(self):
        try:
            with open(os.path.join(self.folder, "registry.lock"), encoding="ascii") as file:
                return int(file.read(200).split()[0])
        except (OSError, IndexError):
            return None

    # ---- What the peers say ----

    def check_dead(self, begun):
        """An operation in C that began at this time is through."""
        entries = self.services() if self.dead and self.dead[0][0] < begun else {}
        while self.dead and self.dead[0][0] < begun:
            _, name, pid = self.dead.pop(0)
            if entries.get(name, {}).get("pid") == pid:
                self.faults.append(f"the entry of {name} outlived its process {pid}")

    def take_line(self, peer, line):
        words = line.split()
        if words[0] == "lost":
            self.faults.append(f"{peer.name}: {line}")
            return
        what, result, begun, ended = words[0], words[1], int(words[2]), int(words[3])
        key = f"{'C' if peer.is_c else 'Python'} {what} {result}"
        self.counts[key] = self.counts.get(key, 0) + 1
        if what == "unregister" and result == "ok":
            peer.cycles += 1
        if peer.is_c:
            self.slowest_ns = max(self.slowest_ns, ended - begun)
            if result == "ok":
                self.check_dead(begun)
            elif ended - begun < LOCK_NS:
                self.faults.append(f"{peer.name}: {line}: it gave up too early")

    def listen(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.faults and (left := deadline - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                peer = key.data
                lines = peer.read()
                if lines is None:
                    peer.end()
                    status = peer.process.wait()
                    if status != 0:
                        self.faults.append(f"{peer.name} ended with status {status}")
                for line in lines or []:
                    self.take_line(peer, line)

    # ---- What is done to them ----

    def kill(self, peer):
        peer.process.kill()
        peer.process.wait()
        self.counts["kills"] += 1
        if self.lock_pid() == peer.process.pid:
            self.counts["locks left"] += 1
        for line in peer.read() or []:  # said before it died
            self.take_line(peer, line)
        peer.end()
        self.dead.append((time.monotonic_ns(), peer.name, peer.process.pid))
        peer.start()

    def kill_somebody(self):
        """By preference who holds the lock."""
        holders = {peer.process.pid: peer for peer in self.peers.values()}
        for _ in range(self.random.randint(0, 200)):
            peer = holders.get(self.lock_pid())
            if peer is not None:
                return self.kill(peer)
        return self.kill(self.random.choice(list(self.peers.values())))

    def leave_python_lock(self):
        """One that surely has a pid in it: of a Python process that died holding it."""
        process = subprocess.run([*PYTHON, "die", self.folder], check=False, capture_output=True)
        if process.returncode == -9:
            self.counts["locks left"] += 1
        # else it did not get the lock in its ten seconds: there are others

    def was_enough(self):
        return self.counts["kills"] > SECONDS and self.counts["locks left"] > 0

    def attack(self):
        """For a while, and until enough has happened."""
        deadline = time.monotonic() + SECONDS
        next_lock = 0
        while not self.faults and (time.monotonic() < deadline or not self.was_enough()):
            self.listen(self.random.random() * 0.1)
            self.kill_somebody()
            if time.monotonic() >= next_lock:
                self.leave_python_lock()
                next_lock = time.monotonic() + 1

    def calm_down(self):
        """Everybody gets through once more, a cycle that began after the last kill."""
        self.leave_python_lock()
        wanted = {name: peer.cycles + 2 for name, peer in self.peers.items()}
        deadline = time.monotonic() + CALM_SECONDS
        while not self.faults and any(self.peers[n].cycles < c for n, c in wanted.items()):
            self.listen(0.05)
            if time.monotonic() >= deadline:
                stuck = [n for n, c in wanted.items() if self.peers[n].cycles < c]
                self.faults.append(f"no progress of {stuck}")

    def stop(self):
        for peer in self.peers.values():
            if not peer.process.stdout.closed:
                peer.process.stdin.close()
        deadline = time.monotonic() + CALM_SECONDS
        while any(not peer.process.stdout.closed for peer in self.peers.values()):
            self.listen(0.05)
            if self.faults or time.monotonic() >= deadline:
                break

    def start_first(self):
        """The file is there from now on."""
        self.peers["c-0"] = Peer(self, "c-0")
        while self.peers["c-0"].cycles == 0 and not self.faults:
            self.listen(0.05)

    def test_nothing_is_lost(self):
        self.start_first()
        checker = subprocess.Popen(
            [*PYTHON, "check", self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            for name in self.names[1:]:
                self.peers[name] = Peer(self, name)
            self.attack()
            self.calm_down()
            self.stop()
        finally:
            torn, _ = checker.communicate(b"end\n")
        print(self.counts, f"slowest in C: {self.slowest_ns / 1e9:.3f} s")
        self.assertEqual(torn, b"")
        self.assertEqual(self.faults, [])
        self.assertEqual([p.name for p in self.peers.values() if not p.process.stdout.closed], [])
        self.assertTrue(self.was_enough())
        self.assert_clean()

    def assert_clean(self):
        """One more in C, and nothing is left of anybody."""
        last = self.peers["c-0"]
        last.start()
        wanted = last.cycles + 1
        while last.cycles < wanted and not self.faults:
            self.listen(0.05)
        self.stop()
        self.assertEqual(self.faults, [])
        self.assertEqual(self.services(), {})
        self.assertEqual([n for n in os.listdir(self.folder) if "lock" in n], [])


if __name__ == "__main__":
    unittest.main()
