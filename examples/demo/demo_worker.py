"""The demo's Python worker, built on the small peer multifrost_peer.py."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from multifrost_peer import Worker  # noqa: E402

worker = Worker(service="math-py-worker")


@worker.function
def greet(name):
    worker.log("math.handled", function="greet")
    return f"Hello, {name}!"


@worker.function
def mean(numbers):
    worker.log("math.handled", function="mean")
    if not numbers:
        raise ValueError("mean of no numbers")
    return sum(numbers) / len(numbers)


@worker.function
def sleep_ms(ms):
    worker.log("math.handled", function="sleep_ms")
    time.sleep(ms / 1000)
    return ms


sys.exit(worker.run())
