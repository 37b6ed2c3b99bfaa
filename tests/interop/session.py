"""One caller and one worker of two languages, in a home directory of their own."""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from support import BUILD, CHILD, PARENT, pack, unpack

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.environ.get("MF_NODE_MODULES") or os.path.join(BUILD, "..", "node", "node_modules")
SERVICE = "conformance"
PEERS = {
    "python": ["/usr/bin/python3", os.path.join(HERE, "peers", "python", "%s.py")],
    "js": [shutil.which("node") or "node", os.path.join(HERE, "peers", "js", "%s.js")],
}


def command_of(peer, program):
    """Interpreter and script of a peer's `worker` or `caller`."""
    interpreter, script = PEERS[peer]
    return [interpreter, script % program]


def wait_for(condition, seconds=10, what="the condition"):
    """What the condition gives once that is true; fails when it stays false."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {seconds} s")
        time.sleep(0.01)


class Home:
    """A HOME for registry and processes; whatever runs in it at the end is killed."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="mf-interop-")
        self.registry = os.path.join(self.path, ".multifrost", "services.json")

    def environment(self, **more):
        return {**os.environ, "HOME": self.path, "NODE_PATH": MODULES, "COMLINK_ZMQ_PORT": "", **more}

    def entries(self):
        try:
            with open(self.registry, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def make_registry(self):
        """JavaScript cannot make the first one itself."""
        os.makedirs(os.path.dirname(self.registry), 0o700)
        with open(self.registry, "w", encoding="utf-8") as file:
            file.write("{}")

    def processes(self):
        """Pid, name of the executable and command line of all that run in this home."""
        mark = f"HOME={self.path}".encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    if mark not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
                yield int(pid), os.path.basename(os.readlink(f"/proc/{pid}/exe")), words
            except OSError:
                pass  # it has ended meanwhile, or is a zombie

    def remove(self):
        for pid, _, _ in list(self.processes()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.path, ignore_errors=True)


class Caller:
    """A program that makes calls, driven by lines."""

    def __init__(self, command, environment):
        self.outputs = []  # what the worker printed, as the caller shows it
        self.noise = []
        self.answers = {}  # by tag
        self.rest = b""
        self.tag = 0
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines = []
        self.expect("ready", 20)

    # ---- Lines ----

    def write(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _pump(self, seconds):
        """Takes in what comes; false at the end of it or of the time."""
        stdout = self.process.stdout.fileno()
        if not select.select([stdout], [], [], max(0, seconds))[0]:
            return False
        block = os.read(stdout, 65536)
        *lines, self.rest = (self.rest + block).split(b"\n")
        for line in lines:
            self._sort(line.decode(errors="replace"))
        return bool(block)

    def _sort(self, line):
        words = line.split(" ")
        if words[0] in ("ok", "err") and len(words) >= 3:
            self.answers[words[1]] = words
        elif line.startswith("[") or words[0] == "output":
            self.outputs.append(line)
        elif words[0] in ("ready", "rtt", "heartbeats", "healthy", "pid", "shutdown", "exited", "stats"):
            self.lines.append(words)
        else:
            self.noise.append(line)

    def _await(self, found, seconds, what):
        deadline = time.monotonic() + seconds
        while not found():
            if not self._pump(deadline - time.monotonic()) and not found():
                noise = "\n".join(self.noise[-10:])
                raise AssertionError(f"no {what} from {self.process.args}; it said:\n{noise}")

    def expect(self, word, seconds=10):
        """The words of the next line that begins with it."""
        self._await(lambda: any(line[0] == word for line in self.lines), seconds, word)
        found = next(line for line in self.lines if line[0] == word)
        self.lines.remove(found)
        return found[1:]

    def ask(self, word):
        self.write(word)
        return self.expect(word)

    def wait_output(self, text, seconds=10):
        """The first line of the worker's output that holds the text."""
        self._await(lambda: any(text in line for line in self.outputs), seconds, f"output {text!r}")
        return next(line for line in self.outputs if text in line)

    # ---- Calls ----

    def send(self, function, args, timeout=10000, namespace="default", metadata=None):
        """Makes a call and gives its tag. Arguments that are bytes already go as they are."""
        self.tag += 1
        data = args if isinstance(args, bytes) else pack(list(args))
        line = f"t{self.tag} {function} {namespace} {timeout} {data.hex()}"
        if metadata is None:
            self.write(f"call {line}")
        else:
            self.write(f"callm {line} {pack(metadata).hex()}")
        return f"t{self.tag}"

    def answer(self, tag, seconds=30):
        """("ok", value) or (kind, text)."""
        self._await(lambda: tag in self.answers, seconds, f"answer {tag}")
        word, _, *rest = self.answers.pop(tag)
        if word == "ok":
            return "ok", unpack(bytes.fromhex(rest[0]))
        return rest[0], "" if rest[1] == "-" else bytes.fromhex(rest[1]).decode()

    def call(self, function, *args, **options):
        return self.answer(self.send(function, args, **options))

    def value(self, function, *args, **options):
        """The result of a call that must succeed."""
        kind, value = self.call(function, *args, **options)
        if kind != "ok":
            raise AssertionError(f"{function}: {kind} {value}")
        return value

    def quit(self, seconds=15):
        """Its exit status."""
        if self.process.poll() is None:
            try:
                self.write("quit")
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        self.process.stdin = None
        while self._pump(seconds):
            pass
        self.process.stdout.close()
        return self.process.wait(seconds)


class Session:
    """`side` says which end is in C. Worker and caller run from __enter__ on."""

    def __init__(self, side, peer, mode, flags=(), executable=None, namespace="default"):
        self.side, self.peer, self.mode = side, peer, mode
        self.flags = list(flags)
        self.home = Home()
        self.environment = self.home.environment(
            MF_CLIENT_NAME="tester", MF_PEER_NAMESPACE=namespace
        )
        self.namespace = namespace
        self.service = None
        self.caller = None
        self.worker = [CHILD] if side == "child" else command_of(peer, "worker")
        self.executable = executable

    def __enter__(self):
        try:
            if self.side == "parent" and self.peer == "js":
                self.home.make_registry()
            if self.mode == "connect":
                self.start_service()
            self.caller = self.start_caller()
        except BaseException:
            self.home.remove()
            raise
        return self

    def __exit__(self, *_):
        try:
            if self.caller.process.poll() is None:
                self.caller.quit()
            if self.service and self.service.poll() is None:
                self.service.terminate()
                self.service.wait(10)
        finally:
            self.home.remove()

    def start_service(self):
        """Starts it and waits for its entry."""
        forward = ["--forward"] if self.side == "child" else []
        self.service = subprocess.Popen(
            [*self.worker, "--service", SERVICE, "--namespace", self.namespace, *forward],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pid = self.service.pid
        wait_for(
            lambda: self.home.entries().get(SERVICE, {}).get("pid") == pid
            or self.service.poll() is not None,
            what="the registration",
        )

    def start_caller(self):
        program = [PARENT] if self.side == "parent" else command_of(self.peer, "caller")
        if self.mode == "connect":
            arguments = ["connect", SERVICE]
        elif self.side == "parent":
            arguments = ["spawn", *self.worker]
        elif self.namespace != "default":
            arguments = ["spawn", "/bin/sh", self.wrapper()]
        else:
            arguments = ["spawn", self.executable or "/usr/bin/env", CHILD]
        return Caller([*program, *arguments, *self.flags], self.environment)

    def wrapper(self):
        """A script that gives the worker in C its namespace, which spawning parents cannot."""
        path = os.path.join(self.home.path, "worker.sh")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'exec {CHILD} --namespace {self.namespace} "$@"\n')
        return path

    def workers(self):
        """Pids of the workers, whoever started them."""
        names = ("conformance_child",) if self.side == "child" else ("python3", "node")
        return [
            pid
            for pid, name, words in self.home.processes()
            if name.startswith(names) and self.worker[-1] in words and pid != self.caller.process.pid
        ]

    def worker_pid(self):
        return wait_for(self.workers, what="a worker")[0]

    def wait_no_worker(self):
        wait_for(lambda: not self.workers(), what="the worker's end")
