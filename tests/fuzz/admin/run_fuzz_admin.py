"""Runs the fuzz target of the admin socket on lines as clients write them, and on
changed forms of them."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop()
TEXTS = [
    b"",
    b"{}",
    b"null",
    b'{"command":"status"}',
    b'{"command":"help","command":"status"}',
    b'{"command":"log_level","level":"debug","part":"all"}',
    b'{"command":"circuit","target":"math","worker":"math-0","action":"force_open"}',
    b'{"command":"drain","worker":"math-0","action":"end"}',
    b'{"command":"restart","worker":"' + b"w" * 300 + b'"}',
    b'{"command":"fault","target":"math","function":"add","share":0.5,"kind":"delay",'
    b'"delay_ms":20,"seed":7,"for_ms":1000,"count":3}',
    b'{"command":"fault","target":"math","kind":"crash","share":1e-3,"count":9007199254740992}',
    b'{"command":"fault","target":"\u00e4\ud83d\ude00","action":"clear"}',
    b'{"command":["a",{"b":[null,true,-1.5e300]}]}',
    b"[" * 200,
]


class FuzzAdminTest(unittest.TestCase):
    def test_corpus(self):
        with tempfile.TemporaryDirectory() as corpus:
            for number, text in enumerate(TEXTS):
                pathlib.Path(corpus, str(number)).write_bytes(text)
            mutations = os.environ.get("MF_FUZZ_MUTATIONS", "2000")
            done = subprocess.run([PROGRAM, corpus, mutations], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{len(TEXTS)} files\n")


if __name__ == "__main__":
    unittest.main()
