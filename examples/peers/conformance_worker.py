"""The functions of the conformance worker, in Python."""

import sys
import time

from multifrost_peer import Worker

worker = Worker()


@worker.function
def add(a, b):
    return a + b


@worker.function
def multiply(a, b):
    return a * b


@worker.function
def greet(name):
    return f"Hello, {name}!"


@worker.function
def divide(a, b):
    return a / b


@worker.function
def echo(value):
    return value


@worker.function
def sleep_ms(ms):
    time.sleep(ms / 1000)
    return ms


sys.exit(worker.run())
