"""Runs the fuzz target of the wire room on the vectors, and on changed forms of them."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["MF_SOURCE_DIR"]
MOST_BYTES = 4096
PROGRAM = sys.argv.pop()
TEXTS = ['{"a":[1,-2.5e3,true,null,"\\u00fc\\ud83d\\ude00"],"b":{}}', '[0,"\\"\\\\",{"a":1,"a":2}]']


def pack(value):
    """Messages as this library writes them: the vectors hold those of other peers."""
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xA0 + len(data)]) if len(data) < 32 else bytes([0xD9, len(data)])) + data
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xcd" + struct.pack(">H", value)
    if isinstance(value, list):
        return bytes([0x90 + len(value)]) + b"".join(map(pack, value))
    return bytes([0x80 + len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())


HEAD = {"app": "comlink_ipc_v3", "id": "0190c2a4-7d5e-7c3b-9a55-3f1d2b6c8e01"}
OWN = {
    "call": {
        "timestamp": 1764076364.25,
        "function": "add",
        "namespace": "default",
        "client_name": "shop",
        "metadata": {
            "timestamp_sent": 1764076364.25,
            "correlation_id": "7f9c24e8-3b1d-4f6a-8c2e-5d0b9a7e6f13",
            "parent_request_id": "order:7",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "tracestate": "rojo=00f067aa0ba902b7 , t61@congo=t61rcWkgMzE",
            "baggage": "user=a%20b;p=1 , secret=2",
            "deadline_ms_left": 29999,
            "attempt": 2,
        },
        "args": [1, 2.5, "three", [4, {"five": 6}]],
    },
    "response": {
        "timestamp": 1764076364.5,
        "result": 3,
        "metadata": {
            "timestamp_received": 1764076364.5,
            "server_queue_us": 12,
            "server_handler_us": 345,
        },
    },
    "heartbeat": {"timestamp": 1764076364.75, "metadata": {"hb_timestamp": 1764076364.75}},
}


def frame_bytes(frame):
    if isinstance(frame, str):
        return bytes.fromhex(frame)
    return b"".join(
        bytes.fromhex(part)
        if isinstance(part, str)
        else bytes.fromhex(part["repeat"]) * part["count"]
        for part in frame
    )


class FuzzWireTest(unittest.TestCase):
    def test_corpus(self):
        with tempfile.TemporaryDirectory() as corpus:
            count = 0
            with open(f"{SOURCE}/tests/vectors/vectors.jsonl", encoding="utf-8") as file:
                for line in file:
                    vector = json.loads(line)
                    payload = frame_bytes(vector["frames"][-1])
                    if len(payload) <= MOST_BYTES:
                        pathlib.Path(corpus, vector["name"]).write_bytes(payload)
                        count += 1
            for kind, fields in OWN.items():
                payload = pack({**HEAD, "type": kind, **fields})
                pathlib.Path(corpus, f"own_{kind}").write_bytes(payload)
                count += 1
            for number, text in enumerate(TEXTS):
                pathlib.Path(corpus, f"json_{number}").write_text(text, encoding="utf-8")
                count += 1
            mutations = os.environ.get("MF_FUZZ_MUTATIONS", "200")
            done = subprocess.run(
                [PROGRAM, corpus, mutations], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{count} files\n")


if __name__ == "__main__":
    unittest.main()
