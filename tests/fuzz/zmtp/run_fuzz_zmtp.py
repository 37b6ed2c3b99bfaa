"""Runs the fuzz target of ZMTP on conversations of real peers, and on changed forms of them."""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop()
MORE, LONG, COMMAND = 1, 2, 4


def greeting(version=(3, 1), padding=bytes(8), mechanism=b"NULL"):
    return b"\xff" + padding + b"\x7f" + bytes(version) + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body, flags=0):
    if len(body) > 255 or flags & LONG:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def command(name, data=b""):
    return frame(bytes([len(name)]) + name + data, COMMAND)


def ready(**properties):
    data = b""
    for name, value in properties.items():
        name = name.replace("_", "-").encode()
        data += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return command(b"READY", data)


def message(payload, *further):
    frames = [b"", payload, *further]
    return b"".join(frame(each, MORE) for each in frames[:-1]) + frame(frames[-1])


PING = command(b"PING", b"\0\x0a")
DEALER = ready(Socket_Type=b"DEALER", Identity=b"")
ROUTER = ready(Socket_Type=b"ROUTER", Identity=b"")
UP = greeting() + DEALER
LIBZMQ = greeting(padding=bytes(7) + b"\1") + ready(Socket_Type=b"DEALER", Identity=b"worker-7")
CONVERSATIONS = {
    "nothing": b"",
    "greeting": greeting(),
    "up": UP,
    "router": greeting((3, 0)) + ROUTER + message(b"response"),
    "libzmq": LIBZMQ + message(b"hello") + PING,
    "ping": UP + command(b"PING", b"\0\0" + bytes(range(16))) + PING + message(b"after"),
    "ping_between": UP + frame(b"", MORE) + PING + frame(b"payload") + PING,
    "ping_behind": UP + frame(b"", MORE) + frame(b"payload", MORE) + PING + frame(b"further"),
    "row": UP + b"".join(message(bytes(range(size))) for size in (0, 1, 2, 40, 0, 7)),
    "large": UP + message(b"x" * 255) + message(b"y" * 256) + message(b"z"),
    "further": UP + message(b"two", b"three", b"", b"five") + message(b"next"),
    "malformed": UP + frame(b"alone") + message(b"next") + frame(b"") + message(b""),
    "long_heads": UP + frame(b"", MORE | LONG) + frame(b"payload", LONG) + frame(b"x", 6),
    "like_messages": UP + frame(message(b"in a command") * 12, COMMAND) + message(message(b"in one")),
    "rest_missing": UP + message(b"x" * 300)[:-100],
}
ODD = {
    "http": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:5555\r\nAccept: */*\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(range(64)),
    "zmtp_1": bytes.fromhex("0100") + frame(b"hello"),
    "zmtp_2": b"\xff" + bytes(8) + b"\x7f\1\5\0\0" + message(b"hello"),
    "plain": greeting(mechanism=b"PLAIN") + command(b"HELLO", b"\4user\4pass"),
    "curve": greeting(mechanism=b"CURVE") + command(b"HELLO", bytes(194)),
    "error": greeting() + command(b"ERROR", b"\x0fInvalid command"),
    "properties": ready(X_App=b"7", SOCKET_TYPE=b"REP", Resource=b"a/b", Identity=bytes(200)),
    "two_types": ready(Socket_Type=b"PUB", socket_type=b"DEALER"),
    "ready_body": DEALER[2:],
    "ping_body": command(b"PING", b"\0\0context")[2:],
    "ping_long": UP + command(b"PING", bytes(2 + 17)) + command(b"PING", b"\0"),
    "reserved": UP + message(b"before") + frame(b"x", 8) + message(b"after"),
    "command_more": UP + frame(b"\4PING\0\0", COMMAND | MORE) + message(b"after"),
    "command_most": UP + frame(b"\4PING" + bytes(507), COMMAND) + message(b"after"),
    "command_long": UP + frame(b"\4PING" + bytes(508), COMMAND) + message(b"after"),
    "huge": UP + frame(b"", MORE) + b"\2\x7f" + b"\xff" * 7 + b"abc",
    "negative": UP + frame(b"", MORE) + b"\2" + b"\xff" * 8 + b"abc",
    "frames": message(b"a") + PING + message(b"bc", b"d") + frame(b"") + message(b""),
    "empty_frames": bytes([MORE, 0] * 20 + [0, 0] * 5 + [COMMAND, 0] * 5 + [MORE, 0, 0, 0] * 5),
}


class FuzzZmtpTest(unittest.TestCase):
    def test_corpus(self):
        files = {**CONVERSATIONS, **ODD}
        with tempfile.TemporaryDirectory() as corpus:
            for name, data in files.items():
                pathlib.Path(corpus, name).write_bytes(data)
            mutations = os.environ.get("MF_FUZZ_MUTATIONS", "300")
            done = subprocess.run(
                [PROGRAM, corpus, mutations], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{len(files)} files\n")


if __name__ == "__main__":
    unittest.main()
