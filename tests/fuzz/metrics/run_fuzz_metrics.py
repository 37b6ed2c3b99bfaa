"""Runs the fuzz target of the segment's reader on segments with changed headers, blocks, running
calls and log lines, and on changed forms of the changes."""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop()
HEAD, BLOCKS, LOG, RUNNING = 0, 2, 4, 6
SCRIBBLES = 1


def patches(base, *changes):
    """The input: where offsets count from, then (offset, bytes) each."""
    parts = [bytes([base])]
    for offset, data in changes:
        parts.append(struct.pack("<I", offset)[:3] + bytes([len(data)]) + data)
    return b"".join(parts)


def block(size, series, kind, shard, octave):
    return struct.pack("<IIBBBBI", size, series, kind, shard, octave, 0, 0)


def blocks(base=BLOCKS):
    """Rows of blocks of every kind, with numbers that are right and wrong."""
    for kind, size in ((1, 16448), (2, 64), (3, 320), (4, 192), (5, 64), (0, 0)):
        for series, octave in ((0, 0), (3, 26), (3, 27), (0xFFFFFFFF, 255)):
            row = [(at * size if size else at, block(size, series, kind, 255, octave)) for at in range(8)]
            yield patches(base, *row)


INPUTS = [
    b"",
    patches(HEAD, (0, b"\xff" * 64)),
    patches(HEAD, (64, b"\xff" * 16)),  # used, lost_series
    patches(HEAD, (64, b"\x01" + b"\0" * 7)),
    patches(HEAD, (128, b"\xff" * 8 + b"\0" * 8), (192, b"\xff" * 24)),
    patches(HEAD, (128, struct.pack("<QQ", 2**64 - 32768, 2**64 - 1))),
    patches(RUNNING, (0, b"\1"), (512, b"\2" + b"\0" * 7 + b"\xff" * 200), (1024, b"\xff" * 255)),
    patches(LOG, (0, b"\n" * 255), (300, b"\xff\xfe\x1b\0\r\n" * 40), (600, bytes(range(255)))),
    patches(BLOCKS, (0, b"\xff" * 255)),
    patches(BLOCKS, (0, b"\0" * 255)),
    *blocks(),
]


class FuzzMetricsTest(unittest.TestCase):
    def run_on(self, inputs, mutations):
        with tempfile.TemporaryDirectory() as corpus:
            for number, data in enumerate(inputs):
                pathlib.Path(corpus, str(number)).write_bytes(data)
            done = subprocess.run([PROGRAM, corpus, str(mutations)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{len(inputs)} files\n")

    def test_corpus(self):
        self.run_on(INPUTS, int(os.environ.get("MF_FUZZ_MUTATIONS", "2000")) // 20)

    def test_while_a_thread_scribbles(self):
        inputs = [bytes([data[0] | SCRIBBLES]) + data[1:] for data in INPUTS if data]
        self.run_on(inputs, int(os.environ.get("MF_FUZZ_MUTATIONS", "2000")) // 100)


if __name__ == "__main__":
    unittest.main()
