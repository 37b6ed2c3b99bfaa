"""The peers of this suite write what their languages write: captured messages, packed again, are
equal."""

import json
import os
import subprocess
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "python"))

import wire
from replay import expand
from session import HERE, MODULES, PEERS
from support import SOURCE

REPACK = """
const wire = require(process.argv[1]);
for (const line of require("node:fs").readFileSync(0, "utf8").split("\\n")) {
  if (line) console.log(wire.pack(wire.unpack(Buffer.from(line, "hex"))).toString("hex"));
}
"""


def captured(language):
    """Names and payloads of the messages that this language's peers put on the wire."""
    with open(os.path.join(SOURCE, "tests", "vectors", "vectors.jsonl"), encoding="utf-8") as file:
        for vector in map(json.loads, file):
            if vector["captured"] == "wire" and vector["source"].startswith(language):
                yield vector["name"], expand(vector["frames"][1])


class PeersTest(unittest.TestCase):
    def test_python_packs_as_captured(self):
        for name, payload in captured("python"):
            fields = msgpack.unpackb(payload, raw=False, strict_map_key=False)
            for key in ("args", "result" if "tuple" in name else "args"):
                if key in fields:
                    fields[key] = tuple(fields[key])  # which is not walked
            self.assertEqual(wire.pack(fields), payload, name)

    def test_javascript_packs_as_captured(self):
        lost = "lone_surrogate"  # half a character: read as U+FFFD, so that it cannot come back
        names, payloads = zip(*(pair for pair in captured("js") if lost not in pair[0]))
        result = subprocess.run(
            [PEERS["js"][0], "-e", REPACK, os.path.join(HERE, "peers", "js", "wire.js")],
            env={**os.environ, "NODE_PATH": MODULES},
            input="\n".join(payload.hex() for payload in payloads),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        for name, payload, line in zip(names, payloads, result.stdout.split(), strict=True):
            self.assertEqual(line, payload.hex(), name)


if __name__ == "__main__":
    unittest.main()
