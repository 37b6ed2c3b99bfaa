"""The worker of the plain Python pair: a ROUTER that answers calls one after the other. Prints its
endpoint."""

import time

import msgpack
import zmq

FUNCTIONS = {"add": lambda a, b: a + b}


def main():
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.set_hwm(0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    receive, send, now = socket.recv_multipart, socket.send_multipart, time.time
    pack, unpack, functions = msgpack.Packer().pack, msgpack.unpackb, FUNCTIONS
    while True:
        identity, _, payload = receive()
        call = unpack(payload)
        answer = {"app": "comlink_ipc_v3", "id": call["id"], "type": "response", "timestamp": now()}
        try:
            answer["result"] = functions[call["function"]](*call["args"])
        except Exception as error:
            answer["type"] = "error"
            answer["error"] = f"{type(error).__name__}: {error}"
        send((identity, b"", pack(answer)))


main()
