"""A parent in Python, just large enough to test a worker in C."""

import os
import socket
import subprocess
import time
import uuid

import msgpack
import zmq

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
CHILD = os.path.join(BUILD, "tests", "conformance", "conformance_child")
PARENT = os.path.join(BUILD, "tests", "conformance", "conformance_parent")
APP = "comlink_ipc_v3"


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def unpack(data):
    return msgpack.unpackb(data, raw=False, strict_map_key=False)


class Parent:
    """Binds a DEALER, spawns the worker, and speaks the protocol by hand."""

    def __init__(self, *arguments, **environment):
        self.dealer = zmq.Context.instance().socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.LINGER, 0)
        port = self.dealer.bind_to_random_port("tcp://127.0.0.1")
        self.process = subprocess.Popen(
            [CHILD, *arguments, "--worker"],
            env={**os.environ, "COMLINK_ZMQ_PORT": str(port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.outputs = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=10)
        self.dealer.close()

    def send(self, payload):
        self.dealer.send_multipart([b"", payload])

    def message(self, kind, **fields):
        base = {"app": APP, "id": str(uuid.uuid4()), "type": kind, "timestamp": time.time()}
        base.update(fields)
        self.send(pack(base))
        return base["id"]

    def receive(self, identifier, seconds=10):
        """The answer with this id; output that comes in between is kept."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not self.dealer.poll(left * 1000):
                raise TimeoutError(identifier)
            answer = unpack(self.dealer.recv_multipart()[1])
            if answer["type"] in ("stdout", "stderr"):
                self.outputs.append(answer)
            elif answer.get("id") == identifier:
                return answer

    def call(self, function, *args, **fields):
        fields.setdefault("namespace", "default")
        identifier = self.message("call", function=function, args=list(args), **fields)
        return self.receive(identifier)


class LineParent:
    """conformance_parent, driven over its stdin and stdout."""

    def __init__(self, executable, script):
        self.process = subprocess.Popen(
            [PARENT, "spawn", executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise RuntimeError(f"not ready: {line!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self):
        return self.process.stdout.readline().split()

    def call(self, function, *args, timeout=60000, namespace="default"):
        self.write(f"call t {function} {namespace} {timeout} {pack(list(args)).hex()}")
        word, _, *rest = self.read()
        if word == "ok":
            return unpack(bytes.fromhex(rest[0]))
        return rest[0], "" if rest[1] == "-" else bytes.fromhex(rest[1]).decode()

    def quit(self):
        self.write("quit")
        return self.process.wait(10)


def closed_port():
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
