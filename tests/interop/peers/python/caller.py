"""Runs the Python parent by lines on stdin, as conformance_parent does in C. Further lines:

    callm TAG FUNCTION NAMESPACE TIMEOUT_MS HEX HEXMETA     a call with the given metadata
    heartbeats  ->  heartbeats SENT ANSWERED MISSED
    healthy     ->  healthy true | healthy false
    pid         ->  pid PID
    shutdown    ->  shutdown sent
    quit        ->  exited STATUS (spawn mode), then the end
"""

import os
import sys

import msgpack
import zmq

from parent import CallError, Parent


def unpack(text):
    return msgpack.unpackb(bytes.fromhex(text), raw=False, strict_map_key=False)


def say(text):
    print(text, flush=True)


class Caller:
    def __init__(self, parent):
        self.parent = parent

    def call(self, tag, name, namespace, timeout_ms, args, metadata="80"):
        def done(result, error):
            if error is None:
                say(f"ok {tag} {msgpack.packb(result, use_bin_type=True).hex()}")
            else:
                say(f"err {tag} {error.kind} {str(error).encode().hex() or '-'}")

        try:
            self.parent.call(
                name,
                unpack(args),
                done,
                timeout=int(timeout_ms) / 1000,
                namespace=namespace,
                metadata=unpack(metadata),
                client_name=os.environ.get("MF_CLIENT_NAME"),
            )
        except CallError as error:
            done(None, error)
        except (OverflowError, TypeError, ValueError) as error:
            done(None, CallError("other", f"{type(error).__name__}: {error}"))

    callm = call

    def rtt(self):
        say("rtt none" if self.parent.rtt is None else f"rtt {self.parent.rtt:.6f}")

    def heartbeats(self):
        say("heartbeats {sent} {answered} {missed}".format(**self.parent.heartbeats))

    def healthy(self):
        say(f"healthy {str(self.parent.healthy).lower()}")

    def pid(self):
        say(f"pid {self.parent.process.pid}")

    def shutdown(self):
        self.parent.send_shutdown()
        say("shutdown sent")

    def serve(self):
        """Lines come through the same loop as the socket; true until quit or end of file."""
        poller = zmq.Poller()
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        rest = b""
        while True:
            if poller.poll(10):
                block = os.read(sys.stdin.fileno(), 65536)
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    word, *words = line.decode().split(" ")
                    if word == "quit":
                        return
                    getattr(self, word)(*words)
                if not block:
                    return
            self.parent.tick()


def option(name, default):
    return float(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def main():
    parent = Parent(
        option("--interval", 5.0), option("--timeout", 3.0), auto_restart="--restart" in sys.argv
    )
    try:
        if sys.argv[1] == "spawn":
            parent.spawn(sys.argv[3], sys.argv[2])
        else:
            parent.connect(sys.argv[2])
    except (OSError, RuntimeError, TimeoutError) as error:
        sys.exit(str(error))
    say("ready")
    Caller(parent).serve()
    parent.stop()
    if parent.process:
        say(f"exited {parent.process.returncode}")


main()
