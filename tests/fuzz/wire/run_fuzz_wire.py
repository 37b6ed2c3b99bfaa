"""Replays the vectors, and changed forms of them, through the fuzz target of the wire room."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["MF_SOURCE_DIR"]
MOST_BYTES = 4096
PROGRAM = sys.argv.pop()
TEXTS = ['{"a":[1,-2.5e3,true,null,"\\u00fc\\ud83d\\ude00"],"b":{}}', '[0,"\\"\\\\",{"a":1,"a":2}]']


def frame_bytes(frame):
    if isinstance(frame, str):
        return bytes.fromhex(frame)
    return b"".join(
        bytes.fromhex(part)
        if isinstance(part, str)
        else bytes.fromhex(part["repeat"]) * part["count"]
        for part in frame
    )


class FuzzWireTest(unittest.TestCase):
    def test_corpus(self):
        with tempfile.TemporaryDirectory() as corpus:
            count = 0
            with open(f"{SOURCE}/tests/vectors/vectors.jsonl", encoding="utf-8") as file:
                for line in file:
                    vector = json.loads(line)
                    payload = frame_bytes(vector["frames"][-1])
                    if len(payload) <= MOST_BYTES:
                        pathlib.Path(corpus, vector["name"]).write_bytes(payload)
                        count += 1
            for number, text in enumerate(TEXTS):
                pathlib.Path(corpus, f"json_{number}").write_text(text, encoding="utf-8")
                count += 1
            mutations = os.environ.get("MF_FUZZ_MUTATIONS", "200")
            done = subprocess.run(
                [PROGRAM, corpus, mutations], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{count} files\n")


if __name__ == "__main__":
    unittest.main()
