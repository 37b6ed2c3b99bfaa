"""The walls between rooms hold: what a room may not include does not compile."""

import json
import os
import shlex
import subprocess
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
FORBIDDEN = {
    "base/buf.c": ["metrics/instruments.h", "multifrost/log.h"],
    "metrics/window.c": ["logging/record.h", "multifrost/parent.h", "core/observe.h", "core/words/drops.h"],
    "logging/sink.c": ["metrics/instruments.h", "core/span.h", "core/words/statuses.h"],
    "core/wire/reader.c": ["metrics/instruments.h", "logging/record.h"],
    "core/engine/loop.c": ["http/pages.h", "multifrost/http.h"],
    "http/pages.c": ["core/observe.h", "core/words/circuits.h", "multifrost/parent.h"],
}


class WallsTest(unittest.TestCase):
    def compile(self, entry, header):
        words = shlex.split(entry["command"])
        flags = [word for word in words if word.startswith(("-I", "-D", "-isystem", "-std"))]
        return subprocess.run(
            ["gcc", *flags, "-fsyntax-only", "-x", "c", "-"],
            input=f'#include "{header}"\nint unused;\n',
            capture_output=True,
            text=True,
            check=False,
        )

    def test_walls_hold(self):
        with open(f"{BUILD}/compile_commands.json", encoding="utf-8") as file:
            entries = {os.path.relpath(entry["file"], SOURCE): entry for entry in json.load(file)}
        for source, headers in FORBIDDEN.items():
            self.assertEqual(self.compile(entries[source], "base/clock.h").returncode, 0, source)
            for header in headers:
                result = self.compile(entries[source], header)
                self.assertNotEqual(result.returncode, 0, f"{source} may include {header}")
                self.assertIn("No such file", result.stderr)


if __name__ == "__main__":
    unittest.main()
