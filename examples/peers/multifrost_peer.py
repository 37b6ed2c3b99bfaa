"""A small worker and a small caller in Python for the protocol comlink_ipc_v3, built on pyzmq and
msgpack.

    worker = Worker()

    @worker.function
    def add(a, b):
        return a + b

    sys.exit(worker.run())

    with Client("math") as math:
        print(math.call("add", 1, 2))

In the worker one thread owns the socket and answers heartbeats at once. The main thread runs one
function at a time, in the order in which calls arrive.
"""

import contextvars
import inspect
import json
import math
import os
import queue
import re
import secrets
import signal
import socket
import sys
import threading
import time
import uuid

import msgpack
import zmq

APP = "comlink_ipc_v3"
ID_FORM = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
TRACE_FORM = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
SEVERITY = {"debug": 5, "info": 9, "warn": 13, "error": 17}

_context = contextvars.ContextVar("multifrost_call", default={})


def clean(value, depth=0):
    """Makes a value that every peer can read: no NaN, integers of 64 bits, str keys."""
    if depth > 98:
        raise ValueError("the value nests too deep")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-(2**63), min(2**63 - 1, value))
    if isinstance(value, dict):
        return {str(key): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item, depth + 1) for item in value]
    return value


def message(kind, identifier=None, **fields):
    """A message with the four fields that every message has."""
    fields.update(app=APP, id=identifier or str(uuid.uuid4()), type=kind, timestamp=time.time())
    return fields


class Worker:
    """Registers functions and answers the calls of the parent that spawned this process."""

    def __init__(self, service=None, namespace="default"):
        self.service = service or os.path.basename(sys.argv[0])
        self.namespace = namespace
        self.functions = {"ping": lambda: "pong", "list_functions": self._list}
        self._calls = queue.Queue()
        self._out = queue.Queue()
        self._busy_since = None
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._log_fd = self._open_log()
        self._seq = 0

    def function(self, handler):
        """Decorator: registers a function under its name."""
        self.functions[handler.__name__] = handler
        return handler

    def _list(self):
        return sorted(name for name in self.functions if not name.startswith("_"))

    # ---- Logging ----

    @staticmethod
    def _open_log():
        if "--log-file" not in sys.argv[:-1]:
            return None
        path = sys.argv[sys.argv.index("--log-file") + 1]
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def log(self, event, text="", level="debug", **fields):
        """Appends one JSON line with the ids of the running call."""
        if self._log_fd is None:
            return
        self._seq += 1
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
        record = {
            "timestamp": f"{stamp}.{now % 10**9 // 1000:06d}Z",
            "level": level,
            "severity_number": SEVERITY[level],
            "event": event,
            "message": text,
            "seq": self._seq,
            "service": self.service,
            "instance": f"{socket.gethostname()}-{os.getpid()}",
            "role": "child",
            "pid": os.getpid(),
            "tid": threading.get_native_id(),
        }
        record.update(_context.get())
        if fields:
            record["fields"] = fields
        os.write(self._log_fd, json.dumps(record).encode() + b"\n")

    # ---- Running ----

    def run(self):
        """Serves until SHUTDOWN, a signal or the end of the parent. Returns the exit status."""
        port = os.environ.get("COMLINK_ZMQ_PORT", "")
        if not port.isascii() or not port.isdigit() or not 1024 <= int(port) <= 65535:
            print(f"FATAL: Invalid port {port!r}", file=sys.stderr)
            return 1
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        threading.Thread(target=self._io, args=(int(port),), daemon=True).start()
        parent = os.getppid()
        while not self._stopping.is_set():
            try:
                call = self._calls.get(timeout=0.2)
            except queue.Empty:
                if os.getppid() != parent:
                    break
                continue
            if call is not None:
                self._serve(*call)
        self.stop()
        self._io_done.wait(2)
        return 0

    def stop(self):
        """Makes run() return after the running function. Safe in signal handlers."""
        self._stopping.set()
        self._calls.put(None)
        self._wake_write.send(b"x")

    _io_done = threading.Event()

    def _io(self, port):
        router = zmq.Context.instance().socket(zmq.ROUTER)
        router.setsockopt(zmq.LINGER, 500)
        router.connect(f"tcp://127.0.0.1:{port}")
        poller = zmq.Poller()
        poller.register(router, zmq.POLLIN)
        poller.register(self._wake_read, zmq.POLLIN)
        while not self._stopping.is_set() or not self._out.empty():
            events = dict(poller.poll())
            if self._wake_read.fileno() in events:
                self._wake_read.recv(4096)
            while router in events and router.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                self._receive(router, router.recv_multipart())
            while not self._out.empty():
                self._send(router, *self._out.get())
        router.close()
        self._io_done.set()

    @staticmethod
    def _send(router, route, fields):
        router.send_multipart([route, b"", msgpack.packb(fields, use_bin_type=True)])

    def _receive(self, router, frames):
        if len(frames) < 3:
            return
        try:
            call = msgpack.unpackb(frames[2], raw=False, strict_map_key=False)
        except (ValueError, msgpack.UnpackException):
            return
        if not isinstance(call, dict) or call.get("app", APP) != APP:
            return
        if call.get("namespace", self.namespace) != self.namespace:
            return
        kind = call.get("type")
        if kind == "heartbeat":
            self._send(router, frames[0], self._heartbeat_answer(call))
        elif kind == "shutdown":
            self.stop()
        elif kind == "call" and call.get("id"):
            self._calls.put((frames[0], call, time.monotonic_ns()))

    def _heartbeat_answer(self, request):
        since = self._busy_since
        metadata = request.get("metadata") or {}
        answer = message(
            "heartbeat",
            request.get("id"),
            metadata={
                "hb_timestamp": metadata.get("hb_timestamp", time.time()),
                "hb_response": True,
                "busy_ms": (time.monotonic_ns() - since) // 10**6 if since else 0,
                "queue_length": self._calls.qsize(),
            },
        )
        if "args" in request:
            answer["args"] = request["args"]
        return answer

    # ---- One call ----

    @staticmethod
    def _ids(call):
        """The ids for this call's log lines, taken from its metadata."""
        metadata = call.get("metadata") if isinstance(call.get("metadata"), dict) else {}
        trace = TRACE_FORM.match(str(metadata.get("traceparent", "")))
        trace_id = trace.group(1) if trace else secrets.token_hex(16)
        correlation = str(metadata.get("correlation_id", ""))
        ids = {
            "correlation_id": correlation if ID_FORM.match(correlation) else trace_id,
            "trace_id": trace_id,
            "span_id": secrets.token_hex(8),
            "trace_flags": trace.group(3) if trace else "02",
            "request_id": str(call["id"]),
        }
        if trace:
            ids["parent_span_id"] = trace.group(2)
        return ids

    def _run_function(self, call):
        name = call.get("function")
        args = call.get("args")
        if not name:
            raise ValueError("Message missing 'function' field")
        if name not in self.functions:
            raise AttributeError(f"Function '{name}' not found")
        if name.startswith("_"):
            raise AttributeError(f"Cannot call private method '{name}'")
        if args is not None and not isinstance(args, list):
            raise TypeError("args must be an array")
        handler = self.functions[name]
        inspect.signature(handler).bind(*(args or []))
        return clean(handler(*(args or [])))

    def _serve(self, route, call, received):
        started = self._busy_since = time.monotonic_ns()
        token = _context.set(self._ids(call))
        try:
            answer = message("response", call["id"], result=self._run_function(call))
            msgpack.packb(answer, use_bin_type=True)
        except Exception as error:  # of any kind, because the caller waits for an answer
            answer = message("error", call["id"], error=f"{type(error).__name__}: {error}")
        finally:
            _context.reset(token)
            self._busy_since = None
        answer["metadata"] = {
            "timestamp_received": time.time(),
            "server_queue_us": (started - received) // 1000,
            "server_handler_us": (time.monotonic_ns() - started) // 1000,
        }
        self._out.put((route, answer))
        self._wake_write.send(b"x")


class RemoteError(Exception):
    """The called function raised an error."""


class Client:
    """Finds a service by its name in the service registry and calls it. One thread at a time."""

    def __init__(self, service, discovery_seconds=5):
        self._dealer = zmq.Context.instance().socket(zmq.DEALER)
        self._dealer.setsockopt(zmq.LINGER, 0)
        self._dealer.connect(f"tcp://127.0.0.1:{self._discover(service, discovery_seconds)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._dealer.close()

    @staticmethod
    def _discover(service, seconds):
        path = os.path.join(os.environ["HOME"], ".multifrost", "services.json")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with open(path, encoding="utf-8") as file:
                    entry = json.load(file)[service]
                os.kill(entry["pid"], 0)  # raises for an entry that a dead process left
                return entry["port"]
            except (FileNotFoundError, KeyError, ProcessLookupError):
                time.sleep(0.1)
        raise TimeoutError(f"Service '{service}' not found within {seconds} s")

    @staticmethod
    def _metadata():
        """The ids of the running call, for a call that is made on its behalf."""
        ids = _context.get()
        metadata = {"timestamp_sent": time.time()}
        if ids:
            trace = f"00-{ids['trace_id']}-{ids['span_id']}-{ids['trace_flags']}"
            metadata.update(
                correlation_id=ids["correlation_id"],
                parent_request_id=ids["request_id"],
                traceparent=trace,
            )
        return metadata

    def call(self, function, *args, timeout=30):
        """Returns the function's result. Raises RemoteError or TimeoutError."""
        call = message(
            "call",
            function=function,
            args=clean(args),
            namespace="default",
            metadata=self._metadata(),
        )
        self._dealer.send_multipart([b"", msgpack.packb(call, use_bin_type=True)])
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not self._dealer.poll(left * 1000):
                break
            answer = msgpack.unpackb(self._dealer.recv_multipart()[1], strict_map_key=False)
            if answer.get("id") != call["id"]:
                continue  # the answer of an earlier call, or a line of output
            if answer["type"] == "error":
                raise RemoteError(answer.get("error"))
            return answer.get("result")
        raise TimeoutError(f"Function '{function}' timed out after {timeout} s")
