"""The walls between rooms hold: a room cannot include a header of a room that it does not use."""

import glob
import json
import os
import shlex
import subprocess
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]


class Room:
    def __init__(self, line):
        self.name, self.folder, *self.uses = line.split()
        self.internal = []
        self.public = []

    def has_sources(self):
        """Whether the room has sources; a room of headers compiles nothing."""
        return bool(glob.glob(f"{SOURCE}/{self.folder}/**/*.c", recursive=True))

    def add_headers(self, rooms):
        """Each header belongs to the room with the deepest folder."""
        for path in sorted(glob.glob(f"{SOURCE}/{self.folder}/**/*.h", recursive=True)):
            name = os.path.relpath(path, SOURCE)
            owner = max((room for room in rooms if name.startswith(room.folder + "/")), key=lambda room: len(room.folder))
            if owner is not self:
                continue
            _, public, rest = name.rpartition("/include/")
            (self.public if public else self.internal).append(rest if public else name)


def read_rooms():
    with open(f"{BUILD}/rooms.txt", encoding="utf-8") as file:
        rooms = [Room(line) for line in file]
    for room in rooms:
        room.add_headers(rooms)
    return {room.name: room for room in rooms}


def closure(rooms, name):
    return {name}.union(*(closure(rooms, used) for used in rooms[name].uses))


def flags_of_rooms(rooms):
    """The compiler's flags for each room, taken from any source in its folder."""
    found = {}
    with open(f"{BUILD}/compile_commands.json", encoding="utf-8") as file:
        for entry in json.load(file):
            words = shlex.split(entry["command"])
            output = words[words.index("-o") + 1] if "-o" in words else ""
            for name in rooms:
                if f"/mf_{name}.dir/" in output:
                    found[name] = [word for word in words if word.startswith(("-I", "-D", "-isystem", "-std"))]
    return found


def is_found(flags, header):
    command = ["gcc", *flags, "-E", "-x", "c", "-"]
    text = f"#if !__has_include(<{header}>)\n#error hidden\n#endif\n"
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return "#error hidden" not in result.stderr


class WallsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rooms = read_rooms()
        cls.flags = flags_of_rooms(cls.rooms)

    def test_each_room_is_built(self):
        self.assertGreaterEqual(len(self.rooms), 6)
        with_sources = {room.name for room in self.rooms.values() if room.has_sources()}
        self.assertEqual(set(self.flags), with_sources)

    def test_rooms_use_only_rooms_before_them(self):
        names = list(self.rooms)
        for room in self.rooms.values():
            for used in room.uses:
                self.assertLess(names.index(used), names.index(room.name), f"{room.name} uses {used}")

    def test_internal_headers_are_seen_by_rooms_that_name_their_room(self):
        for room in map(self.rooms.get, self.flags):
            for other in self.rooms.values():
                for header in other.internal[:1]:
                    # A folder within a room's own folder cannot be hidden from that room.
                    seen = other is room or other.name in room.uses or other.folder.startswith(room.folder + "/")
                    self.assertEqual(is_found(self.flags[room.name], header), seen, f"{room.name}: {header}")

    def test_public_headers_are_seen_by_rooms_above(self):
        for room in map(self.rooms.get, self.flags):
            below = closure(self.rooms, room.name)
            for other in self.rooms.values():
                for header in other.public[:1]:
                    self.assertEqual(is_found(self.flags[room.name], header), other.name in below, f"{room.name}: {header}")


if __name__ == "__main__":
    unittest.main()
