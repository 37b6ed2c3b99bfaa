"""The unit tests mirror the rooms: tests/unit/<room>/test_<file>.c for each .c file of a room.

A reader who changes a file then knows where its test is, and a file without one is not overlooked."""

import glob
import json
import os
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]

# Files that a unit test cannot reach, why, and the test that runs them instead.
EXCEPTIONS = {
    "core/process/multifrost_exec.c": (
        "a program of its own, through which every worker is started",
        "tests/integration/test_supervision.c",
    ),
    "http/exchange.c": (
        "libmicrohttpd calls it, with connections that only libmicrohttpd can make",
        "tests/http/test_http.py",
    ),
    "http/refusal.c": (
        "reads headers of connections that only libmicrohttpd can make",
        "tests/http/test_http.py",
    ),
    "core/transport/zmq.c": (
        "needs libzmq with its threads and sockets on both sides",
        "tests/integration/test_calls.c",  # as integration.calls.libzmq
    ),
}

# Files that have no unit test yet; other tests run them. A line goes when its test comes.
OPEN = """
core/transport/direct/connection.c
core/transport/direct/events.c
core/transport/direct/linger.c
core/transport/direct/peers.c
core/transport/message.c
core/client/call/async.c
core/client/call/call.c
core/client/call/future.c
core/client/calls/calls.c
core/client/link/exited.c
core/client/link/lost.c
core/client/link/monitor.c
core/client/link/spawned.c
core/client/member.c
core/client/parent.c
core/client/probe.c
core/client/stats.c
""".split()


def read_rooms():
    """Name and folder of each room, as the build has them."""
    with open(f"{BUILD}/rooms.txt", encoding="utf-8") as file:
        return [tuple(line.split()[:2]) for line in file]


def files_below(folder, pattern):
    return [os.path.relpath(path, SOURCE) for path in sorted(glob.glob(f"{SOURCE}/{folder}/**/{pattern}", recursive=True))]


def expected_tests():
    """Each .c file of a room with the path of its test, which no other file of the room may share."""
    return {
        path: f"tests/unit/{room}/test_{os.path.basename(path)}"
        for room, folder in read_rooms()
        for path in files_below(folder, "*.c")
    }


def exists(path):
    return os.path.exists(f"{SOURCE}/{path}")


class MirrorTest(unittest.TestCase):
    maxDiff = None

    def test_rooms_have_files(self):
        self.assertGreater(len(expected_tests()), 100)

    def test_each_file_has_a_test(self):
        missing = [
            f"{path} has no {test}"
            for path, test in expected_tests().items()
            if not exists(test) and path not in EXCEPTIONS and path not in OPEN
        ]
        self.assertEqual(missing, [])

    def test_no_two_files_share_a_test(self):
        tests = list(expected_tests().values())
        self.assertEqual(sorted({test for test in tests if tests.count(test) > 1}), [])

    def test_exceptions_are_needed(self):
        expected = expected_tests()
        listed = [*EXCEPTIONS, *OPEN]
        gone = [path for path in listed if path not in expected]
        self.assertEqual(gone, [], "no file of a room: take it out of the list")
        tested = [path for path in listed if exists(expected[path])]
        self.assertEqual(tested, [], "has a unit test: take it out of the list")
        self.assertEqual(len(listed), len(set(listed)))

    def test_exceptions_name_a_test_that_exists(self):
        for path, (reason, test) in EXCEPTIONS.items():
            self.assertTrue(reason, path)
            self.assertTrue(exists(test), f"{path}: {test} does not exist")

    def test_each_test_belongs_to_a_room(self):
        rooms = {room for room, _ in read_rooms()}
        folders = {os.path.dirname(path) for path in files_below("tests/unit", "*.c")}
        self.assertEqual(sorted(folders - {f"tests/unit/{room}" for room in rooms}), [])

    def test_each_test_is_built(self):
        with open(f"{BUILD}/compile_commands.json", encoding="utf-8") as file:
            built = {os.path.relpath(entry["file"], SOURCE) for entry in json.load(file)}
        self.assertEqual([path for path in files_below("tests/unit", "*.c") if path not in built], [])


if __name__ == "__main__":
    unittest.main()
