"""The caller of the plain Python pair: sends messages of comlink_ipc_v3 as Python programs do, with
pyzmq and msgpack and nothing else. Arguments: the server's endpoint, and a descriptor from which it
reads rounds. It answers each round with a line:

    sync CALLS                   ->  P50 P99    in microseconds
    pipelined IN_FLIGHT CALLS    ->  CALLS_PER_SECOND
"""

import sys
import time
import uuid

import msgpack
import zmq


class Client:
    def __init__(self, endpoint):
        self.socket = zmq.Context().socket(zmq.DEALER)
        self.socket.set_hwm(0)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.pack = msgpack.Packer().pack

    def request(self):
        name = str(uuid.uuid4())
        return name, self.pack(
            {
                "app": "comlink_ipc_v3",
                "id": name,
                "type": "call",
                "timestamp": time.time(),
                "function": "add",
                "args": [1, 2],
                "namespace": "default",
            }
        )

    def sync(self, calls):
        clock, request, unpack = time.perf_counter_ns, self.request, msgpack.unpackb
        send, receive = self.socket.send_multipart, self.socket.recv_multipart
        samples = []
        for _ in range(calls):
            start = clock()
            name, payload = request()
            send((b"", payload))
            answer = unpack(receive()[1])
            if answer["id"] != name or answer["result"] != 3:
                raise RuntimeError(f"unexpected answer {answer}")
            samples.append(clock() - start)
        samples.sort()
        return f"{samples[calls // 2] / 1e3} {samples[calls * 99 // 100] / 1e3}"

    def pipelined(self, in_flight, calls):
        request, unpack, again, later = self.request, msgpack.unpackb, zmq.Again, zmq.NOBLOCK
        send, receive = self.socket.send_multipart, self.socket.recv_multipart
        waiting = set()
        started = ended = 0
        start = time.perf_counter()
        while ended < calls:
            while len(waiting) < in_flight and started < calls:
                name, payload = request()
                waiting.add(name)
                send((b"", payload))
                started += 1
            flags = 0  # waits for one answer, then reads all that have arrived
            try:
                while waiting:
                    answer = unpack(receive(flags)[1])
                    waiting.remove(answer["id"])
                    if answer["result"] != 3:
                        raise RuntimeError(f"unexpected answer {answer}")
                    ended += 1
                    flags = later
            except again:
                pass
        return str(calls / (time.perf_counter() - start))


def main():
    client = Client(sys.argv[1])
    print("ready", flush=True)
    with open(int(sys.argv[2]), encoding="ascii") as rounds:
        for line in rounds:
            kind, *numbers = line.split()
            run = {"sync": client.sync, "pipelined": client.pipelined}[kind]
            print(run(*map(int, numbers)), flush=True)


main()
