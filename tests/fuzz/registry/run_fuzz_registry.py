"""Runs the fuzz target of the service registry on files as the four languages write them, and on
changed forms of them."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop()
ALIVE = os.getpid()
MEMORY = "/dev/shm"


def entry(pid, **fields):
    return {"port": 40123, "pid": pid, **fields}


PYTHON = {"math": entry(ALIVE, started="2026-02-12T10:11:12.131415"), "gone": entry(999999999)}
GO = {"Math": entry(ALIVE, start_time="2026-02-12T10:11:12.131415+01:00"), "old": entry(4194303)}
FILES = {
    "empty": "",
    "nothing": "{}",
    "blanks": " \r\n\t{ \n } \n",
    "python": json.dumps(PYTHON, indent=2),
    "javascript": json.dumps({"\u00fc\u2603": entry(ALIVE, x=None)}, ensure_ascii=False),
    "go": json.dumps(GO, indent=1),
    "rust": json.dumps({"r": entry(ALIVE, started="1764076364")}, separators=(",", ":")),
    "own": json.dumps({"fuzz-own": entry(ALIVE), "other": entry(ALIVE)}),
    "own_dead": json.dumps({"a": 1, "fuzz-own": entry(999999999), "b": entry(ALIVE)}),
    "twice": '{"a":{"port":1,"pid":1},"a":{"port":2,"pid":1},"a":7}',
    "foreign": '{"n":9007199254740993,"l":[1,[2,{"x":[]}]],"e":"\\u0000\\ud83d\\ude00","":{}}',
    "numbers": '{"a":{"port":1e3,"pid":1.0},"b":{"port":-1,"pid":1e400},"c":{"port":70000,"pid":1}}',
    "names": '{"\\u0001":{"port":1,"pid":1},"x\\u0000y":{"port":1,"pid":1},"\\/":{"port":1,"pid":1}}',
    "deep": '{"d":' + "[" * 900 + "]" * 900 + "}",
    "too_deep": '{"d":' + "[" * 5000 + "]" * 5000 + "}",
    "torn": json.dumps(PYTHON)[:-20],
    "tail": json.dumps(GO) + "}",
    "list": "[1, 2]",
    "mark": "\ufeff{}",
    "no_utf8": b'{"\xff\xc3":{"port":1,"pid":1},"ok":{"port":1,"pid":1,"started":"\xed\xa0\x80"}}',
    "nul": b'{"a":{"port":1,"pid":1}}\x00',
}


class FuzzRegistryTest(unittest.TestCase):
    def test_corpus(self):
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory() as corpus, tempfile.TemporaryDirectory(
            dir=memory
        ) as folder:
            for name, text in FILES.items():
                data = text if isinstance(text, bytes) else text.encode()
                pathlib.Path(corpus, name).write_bytes(data)
            mutations = os.environ.get("MF_FUZZ_MUTATIONS", "200")
            done = subprocess.run(
                [PROGRAM, corpus, mutations],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "MF_FUZZ_FOLDER": folder},
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{len(FILES)} files\n")
            self.assertEqual(os.listdir(folder), ["services.json"])


if __name__ == "__main__":
    unittest.main()
