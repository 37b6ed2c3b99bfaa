"""A caller with the behaviour of the Python implementation, oddities included."""

import os
import subprocess
import sys
import time

import zmq

import registry
import wire


class CallError(Exception):
    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Call:
    """One call in flight; `done(result, error)` hears of its end."""

    def __init__(self, name, timeout, done):
        self.name = name
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout if timeout else None
        self.done = done


class Parent:
    """Driven by tick(), which whoever owns it calls each 10 ms."""

    def __init__(self, interval=5.0, timeout=3.0, misses=3, auto_restart=False):
        self.interval, self.timeout, self.misses_allowed = interval, timeout, misses
        self.auto_restart = auto_restart
        self.max_restart_attempts = 5
        self.restart_at = None
        self.failures = 0
        self.pending = {}
        self.process = None
        self.service = None
        self.script_name = "worker"
        self.dealer = None
        self.listening = False
        self.heartbeat_at = None
        self.heartbeat = None  # (id, deadline) of the one that waits for its answer
        self.heartbeats = {"sent": 0, "answered": 0, "missed": 0}
        self.in_a_row = 0
        self.rtt = None

    # ---- Life ----

    def _new_dealer(self):
        self.dealer = zmq.Context.instance().socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.RCVTIMEO, 100)
        self.dealer.setsockopt(zmq.SNDTIMEO, 100)
        self.dealer.setsockopt(zmq.LINGER, 0)

    def spawn(self, script, executable=sys.executable):
        self.port = registry.free_port()
        self.script_name = os.path.basename(script)
        self.command = [executable, script]
        self._new_dealer()
        self.dealer.bind(f"tcp://*:{self.port}")
        self._run([*self.command, "--worker"], COMLINK_WORKER_MODE="1")
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise RuntimeError(f"Child process exited with status {self.process.returncode}")
        time.sleep(1)
        self.listening = True
        self.heartbeat_at = time.monotonic()

    def _run(self, command, **environment):
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "COMLINK_ZMQ_PORT": str(self.port), **environment},
            stdout=subprocess.PIPE,  # nobody ever reads these
            stderr=subprocess.PIPE,
        )

    def connect(self, service):
        self.service = service
        self._discover()
        self.listening = True

    def _discover(self):
        port = registry.discover(self.service)
        if self.dealer:
            self.dealer.close()
        self._new_dealer()
        self.dealer.connect(f"tcp://localhost:{port}")

    def stop(self):
        """The socket goes first; the worker ends with nobody connected."""
        self.listening = False
        self._fail_all("Worker shutting down")
        self.dealer.close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def healthy(self):
        return self.failures < self.max_restart_attempts

    # ---- Calls ----

    def call(self, name, args, done, timeout=0, namespace="default", **optional):
        """Sends; optional: client_name, metadata. Raises CallError when it cannot."""
        if not self.healthy:
            raise CallError(
                "circuit", f"Circuit breaker open after {self.failures} consecutive failures"
            )
        if self.process and self.process.poll() is not None:
            raise CallError("notrunning", "Child process is not running")
        metadata = {"timestamp_sent": time.time(), **(optional.get("metadata") or {})}
        fields = wire.message(
            "call",
            function=name,
            args=tuple(args),
            namespace=namespace,
            client_name=optional.get("client_name"),
            metadata=metadata,
        )
        self._send(wire.pack(fields))
        self.pending[fields["id"]] = Call(name, timeout, done)

    def _send(self, payload):
        for attempt in range(5):
            try:
                self.dealer.send_multipart([b"", payload], zmq.NOBLOCK)
                return
            except zmq.Again:
                if attempt < 4:
                    time.sleep(0.1)
        self.failures += 1
        raise CallError("other", "Failed to send request: socket busy after retries")

    def send_shutdown(self):
        self._send(wire.pack(wire.message("shutdown")))

    def _fail_all(self, text, kind="notrunning"):
        calls, self.pending = list(self.pending.values()), {}
        for call in calls:
            call.done(None, CallError(kind, text))

    # ---- What happens by itself ----

    def tick(self):
        if self.restart_at:
            self._restart_when_due()
            return
        while self.listening and self.dealer.poll(0):
            frames = self.dealer.recv_multipart()
            if len(frames) >= 2:
                self._take(frames[1])
        self._end_late_calls()
        if not self.listening:
            return
        if self.process and self.process.poll() is not None:
            self._on_exit()
        elif self.heartbeat_at:
            self._beat(time.monotonic())

    def _end_late_calls(self):
        now = time.monotonic()
        for identifier, call in list(self.pending.items()):
            if call.deadline and now >= call.deadline:
                del self.pending[identifier]
                self.failures += 1
                text = f"Function '{call.name}' timed out after {call.timeout} seconds"
                call.done(None, CallError("timeout", text))

    def _on_exit(self):
        """From here on nothing is received any more, whatever is started again."""
        self.listening = False
        self.failures += 1
        self._fail_all("Child process terminated unexpectedly")
        if self.auto_restart:
            self.restart_at = time.monotonic() + 1

    def _restart_when_due(self):
        if time.monotonic() >= self.restart_at:
            self.restart_at = None
            self._run(self.command)  # the same port; without --worker and COMLINK_WORKER_MODE
            time.sleep(0.5)
            if self.process.poll() is None:
                self.failures = 0

    def _take(self, payload):
        try:
            fields = wire.unpack(payload)
        except Exception as error:
            print(f"ERROR: Failed to process message: {error}", file=sys.stderr)
            return
        if fields["app"] != wire.APP:
            return
        kind, identifier = fields.get("type"), fields["id"]
        if kind == "stdout" and fields.get("output") and identifier:
            print(f"[{self.script_name} STDOUT]: {fields['output']}", flush=True)
        elif kind == "stderr" and fields.get("output") and identifier:
            print(f"[{self.script_name} STDERR]: {fields['output']}", file=sys.stderr, flush=True)
        elif kind == "heartbeat":
            self._beat_answer(fields)
        elif kind in ("response", "error") and identifier in self.pending:
            self._finish(self.pending.pop(identifier), fields)

    def _finish(self, call, fields):
        if fields["type"] == "response":
            self.failures = 0
            call.done(fields.get("result"), None)
            return
        self.failures += 1
        call.done(None, CallError("remote", str(fields.get("error", "Unknown error"))))
        if self.service:
            self._discover()  # whatever the error was; answers to other calls are lost

    # ---- Heartbeats, in spawn mode only ----

    def _beat(self, now):
        if self.heartbeat:
            if now < self.heartbeat[1]:
                return
            self.heartbeat = None
            self.heartbeats["missed"] += 1
            self.in_a_row += 1
            if self.in_a_row >= self.misses_allowed:
                self.failures += 1
                self.heartbeat_at = None  # and there is never another one
                return
        if now >= self.heartbeat_at:
            fields = wire.message("heartbeat", metadata={"hb_timestamp": time.time()})
            self.heartbeat = (fields["id"], now + self.timeout)
            self.heartbeat_at = now + self.interval
            self.heartbeats["sent"] += 1
            self._send(wire.pack(fields))

    def _beat_answer(self, fields):
        metadata = fields.get("metadata") or {}
        if self.heartbeat and fields["id"] == self.heartbeat[0] and metadata.get("hb_response"):
            self.heartbeat = None
            self.in_a_row = 0
            self.heartbeats["answered"] += 1
            self.rtt = (time.time() - metadata["hb_timestamp"]) * 1000
