"""A process of the attack on the registry, by the rules of the Python implementation: its own lock,
no rule for stale locks, one name for the temporary file. Prints the same lines as registry_peer.

    peer.py live DIRECTORY ID OTHER-ID...   registers and unregisters until its input ends
    peer.py die DIRECTORY                   takes the lock and is killed with it
    peer.py check DIRECTORY                 reads the file all the time, and ends if it is torn
"""

import fcntl
import json
import os
import random
import select
import signal
import sys
import time

MODE, FOLDER = sys.argv[1:3]
FILE = os.path.join(FOLDER, "services.json")
LOCK = os.path.join(FOLDER, "registry.lock")


def say(*words):
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def is_over(seconds):
    return bool(select.select([0], [], [], seconds)[0])


def acquire():
    deadline = time.monotonic() + 10
    while True:
        try:
            handle = os.open(LOCK, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(0.1)
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, str(os.getpid()).encode())
        return handle


def release(handle):
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)
    os.unlink(LOCK)


def read():
    with open(FILE, encoding="utf-8") as file:
        return json.load(file)


def write(services):
    temporary = os.path.join(FOLDER, "services.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(services, file, indent=2)
    os.rename(temporary, FILE)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def change(what, edit):
    """Under the lock; tells how it went."""
    begun = time.monotonic_ns()
    try:
        handle = acquire()
    except TimeoutError:
        say(what, "timeout", begun, time.monotonic_ns())
        return False
    try:
        services = read()
        edit(services)
        write(services)
    finally:
        release(handle)
    say(what, "ok", begun, time.monotonic_ns())
    return True


def come_and_go(name, others):
    port = random.randint(1, 65535)
    mine = {"port": port, "pid": os.getpid(), "started": time.strftime("%Y-%m-%dT%H:%M:%S")}

    def add(services):
        if name in services and is_alive(services[name]["pid"]):
            say("lost register: exists", services[name])
        services[name] = mine

    def remove(services):
        if services.get(name, {}).get("pid") != mine["pid"]:
            say("lost own entry: unregister finds", services.get(name))
        services.pop(name, None)

    if not change("register", add):
        return
    for _ in range(random.randint(1, 5)):
        services = read()
        if services.get(name) != mine:
            say("lost own entry:", services.get(name))
        services.get(random.choice(others))
        is_over(random.random() * 0.04)
    while not change("unregister", remove):
        pass


def check():
    while not is_over(0.001):
        text = ""
        try:
            with open(FILE, encoding="utf-8") as file:
                text = file.read()
            if not isinstance(json.loads(text), dict):
                raise ValueError("no object")
        except (OSError, ValueError) as error:
            say("lost file:", error, repr(text))
            return


if MODE == "live":
    come_and_go(sys.argv[3], sys.argv[4:])
    while not is_over(random.random() * 0.2):
        come_and_go(sys.argv[3], sys.argv[4:])
elif MODE == "die":
    acquire()
    os.kill(os.getpid(), signal.SIGKILL)
else:
    check()
