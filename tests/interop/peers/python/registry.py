"""Keeps services.json as a Python peer does, with only that language's lock."""

import datetime
import fcntl
import json
import os
import socket
import time

FOLDER = os.path.join(os.path.expanduser("~"), ".multifrost")
PATH = os.path.join(FOLDER, "services.json")
LOCK_SECONDS = 10


class Lock:
    """registry.lock: made exclusively, flocked, with the pid in it. It knows no stale holder."""

    def __init__(self):
        self.path = os.path.join(FOLDER, "registry.lock")
        self.fd = -1

    def __enter__(self):
        os.makedirs(FOLDER, exist_ok=True)
        deadline = time.monotonic() + LOCK_SECONDS
        while self.fd < 0:
            try:
                self.fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise TimeoutError("Could not acquire registry lock after 10s") from None
                time.sleep(0.1)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        os.write(self.fd, str(os.getpid()).encode())
        return self

    def __exit__(self, *_):
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        os.close(self.fd)
        os.unlink(self.path)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def load():
    if not os.path.exists(PATH):
        return {}
    with open(PATH, encoding="utf-8") as file:
        return json.loads(file.read() or "{}")


def store(entries):
    temporary = os.path.join(FOLDER, "services.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=2)
    os.replace(temporary, PATH)


def free_port():
    """Found with a throw-away socket, so that someone else may take it before the real bind."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def register(service):
    """Enters this process; the port is bound only afterwards."""
    with Lock():
        entries = load()
        old = entries.get(service)
        if old and alive(old["pid"]):
            raise RuntimeError(
                f"Service '{service}' already running (PID: {old['pid']}, port: {old['port']})"
            )
        port = free_port()
        entries[service] = {
            "port": port,
            "pid": os.getpid(),
            "started": datetime.datetime.now().isoformat(),
        }
        store(entries)
        return port


def unregister(service):
    with Lock():
        entries = load()
        if entries.get(service, {}).get("pid") == os.getpid():
            del entries[service]
            store(entries)


def discover(service, seconds=5.0):
    """The port of a live service, looked for under the lock each 100 ms."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with Lock():
            entry = load().get(service)
        if entry and alive(entry["pid"]):
            return entry["port"]
        time.sleep(0.1)
    raise TimeoutError(f"Service '{service}' not found within {seconds}s")
