"""A worker that calls a service in another language. Both calls have the same correlation id."""

import sys

from multifrost_peer import Client, Worker

worker = Worker()


@worker.function
def relay(name):
    worker.log("relay.asked", f"asking the greeter for {name}", "info")
    with Client("greeter") as greeter:
        return greeter.call("greet", name)


sys.exit(worker.run())
