"""Python calls C: the service of examples/connect_service.c."""

from multifrost_peer import Client, RemoteError

with Client("greeter") as greeter:
    print(greeter.call("greet", "Ada"))
    try:
        greeter.call("greet", 1)
    except RemoteError as error:
        print(error)
