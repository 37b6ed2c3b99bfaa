"""A worker that answers each call with a captured message, which the function's name chooses.

A well-formed answer "later" follows each captured one, so that a caller that ignores the captured
one gets an answer. The running call's ids replace those in the captured message.
"""

import json
import os
import sys
import time

import msgpack
import zmq

PLACEHOLDER = "PENDING-CALL-ID"


def expand(frame):
    """A frame's bytes: hex, or a list of pieces, some of them repeated."""
    if isinstance(frame, str):
        return bytes.fromhex(frame)
    return b"".join(
        bytes.fromhex(part) if isinstance(part, str) else bytes.fromhex(part["repeat"]) * part["count"]
        for part in frame
    )


def captured_id(vector):
    decoded = vector["decoded"]
    if isinstance(decoded, dict) and "$value" in decoded:
        decoded = decoded["$value"]
    return decoded.get("id") if isinstance(decoded, dict) else None


def patched(vector, identifier):
    """The vector's frames with the running call's id in them."""
    old = captured_id(vector)
    old = old if isinstance(old, str) and vector["source"] != "handmade" else PLACEHOLDER
    frames = []
    for frame in map(expand, vector["frames"]):
        frame = frame.replace(b"\xa2id" + msgpack.packb(old), b"\xa2id" + msgpack.packb(identifier))
        as_bytes = msgpack.packb(PLACEHOLDER.encode()), msgpack.packb(identifier.encode())
        frames.append(frame.replace(*as_bytes))
    return frames


def response(identifier, kind="response", **fields):
    base = {"app": "comlink_ipc_v3", "id": identifier, "type": kind, "timestamp": time.time()}
    return msgpack.packb({**base, **fields})


def main():
    path = os.path.join(os.environ["MF_SOURCE_DIR"], "tests", "vectors", "vectors.jsonl")
    with open(path, encoding="utf-8") as file:
        vectors = {vector["name"]: vector for vector in map(json.loads, file)}
    router = zmq.Context.instance().socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    router.connect(f"tcp://127.0.0.1:{os.environ['COMLINK_ZMQ_PORT']}")
    while True:
        peer, _, payload = router.recv_multipart()
        fields = msgpack.unpackb(payload)
        if fields["type"] == "heartbeat":
            answer = response(fields["id"], "heartbeat", metadata=fields.get("metadata", {}))
            router.send_multipart([peer, b"", answer])
        elif fields["type"] == "shutdown":
            sys.exit(0)
        elif fields["type"] == "call":
            vector = vectors[fields["function"]]
            router.send_multipart([peer, *patched(vector, fields["id"])])
            router.send_multipart([peer, b"", response(fields["id"], result="later")])


if __name__ == "__main__":
    main()
