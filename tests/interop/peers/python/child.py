"""A worker with the behaviour of the Python implementation, oddities included."""

import asyncio
import inspect
import os
import signal
import sys
import time
import traceback

import zmq

import registry
import wire


class LostOutput:
    """Takes the place of sys.stdout: the message goes out as a single frame, which a ROUTER reads
    as an address that nobody has. What is printed is lost."""

    def __init__(self, child):
        self.child = child

    def write(self, text):
        if text.strip():
            payload = wire.pack(wire.message("stdout", output=text.rstrip("\n")))
            try:
                self.child.router.send(payload, zmq.NOBLOCK)
            except zmq.ZMQError:
                pass
        return len(text)

    def flush(self):
        pass


class Child:
    """Public methods of a subclass can be called."""

    def __init__(self, service=None, namespace="default"):
        self.service = service
        self.namespace = namespace
        self.router = None
        self.running = False
        self.call_metadata = {}

    def list_functions(self):
        names = (name for name in dir(self) if not name.startswith("_"))
        return [name for name in names if callable(getattr(self, name))]

    # ---- Life ----

    def run(self):
        """Serves until SIGTERM, SIGINT or SHUTDOWN. The exit status."""
        port = os.environ.get("COMLINK_ZMQ_PORT", "")
        if not port and not self.service:
            print("FATAL: COMLINK_ZMQ_PORT not set and no service id", file=sys.stderr)
            return 1
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._open(port)
        except (ValueError, RuntimeError, TimeoutError) as error:
            print(f"FATAL: {error}", file=sys.stderr)
            return 1
        real, sys.stdout = sys.stdout, LostOutput(self)
        try:
            self._loop()
        finally:
            sys.stdout = real
            if not port:
                registry.unregister(self.service)
            self.router.close()
        return 0

    def _on_signal(self, *_):
        self.running = False

    def _open(self, port):
        self.router = zmq.Context.instance().socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 1000)
        self.router.setsockopt(zmq.SNDTIMEO, 100)
        if not port:
            self.router.bind(f"tcp://*:{registry.register(self.service)}")
        elif port.strip().isdigit() and 1024 <= int(port) <= 65535:
            self.router.connect(f"tcp://localhost:{int(port)}")
        else:
            raise ValueError(f"Invalid port '{port}': Port {port} out of valid range")
        self.running = True

    def _loop(self):
        """One message, then a nap: about a hundred a second at best."""
        while self.running:
            if self.router.poll(100):
                frames = self.router.recv_multipart()
                if len(frames) >= 3:
                    try:
                        self._handle(frames[0], wire.unpack(frames[2]))
                    except Exception as error:  # nothing that comes in may end the loop
                        print(f"ERROR: Failed to process message: {error}", file=sys.stderr)
                time.sleep(0.01)

    # ---- Messages ----

    def _send(self, route, fields):
        payload = wire.pack(fields)
        for wait in (0.001, 0):
            try:
                self.router.send_multipart([route, b"", payload])
                return
            except zmq.Again:
                time.sleep(wait)

    def _handle(self, route, fields):
        if fields["app"] != wire.APP:
            return
        if "namespace" in fields and fields["namespace"] != self.namespace:
            return
        kind = fields.get("type")
        if kind == "call":
            self._answer(route, fields)
        elif kind == "heartbeat":
            metadata = fields.get("metadata") or {}
            stamp = metadata.get("hb_timestamp", time.time())
            self._send(
                route,
                wire.message(
                    "heartbeat", fields["id"], metadata={"hb_timestamp": stamp, "hb_response": True}
                ),
            )
        elif kind == "shutdown":
            self.running = False

    def _answer(self, route, fields):
        self.call_metadata = fields.get("metadata") or {}
        try:
            answer = wire.message("response", fields["id"], result=self._call(fields))
        except Exception as error:
            text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            answer = wire.message("error", fields["id"] or None, error=text)
        answer["metadata"] = {"timestamp_received": time.time()}
        self._send(route, answer)

    def _call(self, fields):
        name = fields.get("function")
        if not name:
            raise ValueError("Message missing 'function' field")
        if not fields["id"]:
            raise ValueError("Message missing 'id' field")
        if not hasattr(self, name):
            raise AttributeError(f"Function '{name}' not found")
        function = getattr(self, name)
        if not callable(function):
            raise AttributeError(f"'{name}' is not callable")
        if name.startswith("_"):
            raise AttributeError(f"Cannot call private method '{name}'")
        result = function(*fields.get("args", ()))
        if inspect.isawaitable(result):
            result = asyncio.run(asyncio.wait_for(result, 30))
        return result
