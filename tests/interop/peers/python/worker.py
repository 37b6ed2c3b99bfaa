"""The functions of the conformance worker, in Python."""

import asyncio
import math
import os
import sys
import time

from child import Child

LINE = "line %d of a worker that talks a lot, and more than its parent may want to hear"


class Worker(Child):
    def add(self, a, b):
        return a + b

    def multiply(self, a, b):
        return a * b

    def factorial(self, n):
        return math.factorial(n)

    def fibonacci(self, n):
        a, b = 0, 1
        for _ in range(n):
            a, b = b, a + b
        return a

    def greet(self, name):
        return f"Hello, {name}!"

    def divide(self, a, b):
        return a / b

    def echo(self, value):
        return value

    def sleep_ms(self, ms):
        time.sleep(ms / 1000)
        return ms

    async def sleep_async(self, ms):
        await asyncio.sleep(ms / 1000)
        return ms

    def metadata(self):
        """For the tests: functions of the Python library get the arguments alone."""
        return self.call_metadata

    def print_lines(self, count):
        for i in range(count):
            print(LINE % i)
        return count

    def write_lines(self, count):
        """Past print(), to the descriptor."""
        for i in range(0, count, 1000):
            block = "".join(LINE % j + "\n" for j in range(i, min(count, i + 1000))).encode()
            while block:
                block = block[os.write(1, block) :]
        return count

    def block_ms(self, ms):
        return self.sleep_ms(ms)

    def hang_up(self):
        """Closes the connection, and goes on doing nothing."""
        self.router.close(0)
        while True:
            time.sleep(1)

    def nothing(self):
        return None

    def _secret(self, a, b):
        return a + b


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


namespace = option("--namespace", os.environ.get("MF_PEER_NAMESPACE", "default"))
sys.exit(Worker(option("--service", None), namespace).run())
