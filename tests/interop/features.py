"""The table of features by peer: the suite writes down which tests passed, and this makes
docs/conformance.md of that.

    features.py check    fails if the committed table differs from the last run
    features.py write    writes the table
"""

import json
import os
import sys

BUILD = os.environ.get("MF_BUILD_DIR", os.path.join("build", "dev"))
SOURCE = os.environ.get("MF_SOURCE_DIR", ".")
FOLDER = os.path.join(BUILD, "interop")
TABLE = os.path.join(SOURCE, "docs", "conformance.md")
CASES = [
    (side, peer, mode)
    for side in ("parent", "child")
    for peer in ("python", "js")
    for mode in ("spawn", "connect")
]
PEER_NAMES = {"python": "Python", "js": "JavaScript"}
SIDE_TITLES = {
    "parent": "## C calls: a parent in C, workers of other languages",
    "child": "## C answers: a worker in C, parents of other languages",
}
HEAD = """# Conformance: features by peer

Generated from a run of the interop tests; do not edit. Each cell says what was seen between the two
programs, and which language's peculiarity limits it. The peers are in `tests/interop/peers`: they
follow the wire protocol with the habits of their language, the unfortunate ones included, and pack
their messages byte for byte as captured ones. To run the suite and write this page anew:

    ./dev test --table

The end in C is one of two small programs, which anyone may drive from outside:

- `conformance_child` offers `add`, `multiply`, `factorial`, `fibonacci`, `greet`, `divide`, `echo`,
  `sleep_ms` and `metadata`. `--service ID` registers it when `COMLINK_ZMQ_PORT` is unset or empty,
  `--namespace NS` sets its namespace.
- `conformance_parent spawn EXECUTABLE SCRIPT` or `conformance_parent connect SERVICE_ID` prints
  `ready`, then answers lines: `call TAG FUNCTION NAMESPACE TIMEOUT_MS HEX` (the msgpack array of
  arguments) with `ok TAG HEX` or `err TAG KIND HEX`; `rtt` with `rtt MILLISECONDS`; `quit` ends it.
"""


def path_of(case):
    return os.path.join(FOLDER, "-".join(case) + ".json")


def save(case, features):
    """What one case saw: a list of [feature, text] in the suite's order."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(path_of(case), "w", encoding="utf-8") as file:
        json.dump({"case": case, "features": features}, file, indent=1)


def load(case):
    with open(path_of(case), encoding="utf-8") as file:
        return dict(json.load(file)["features"])


def table(side):
    cases = [case for case in CASES if case[0] == side]
    seen = [load(case) for case in cases]
    rows = list(dict.fromkeys(feature for features in seen for feature in features))
    titles = [f"{PEER_NAMES[peer]}, {mode}" for _, peer, mode in cases]
    lines = [SIDE_TITLES[side], "", f"| | {' | '.join(titles)} |", "|---" * (len(cases) + 1) + "|"]
    for row in rows:
        cells = [features.get(row, "-") for features in seen]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def render():
    return "\n".join([HEAD, table("parent"), table("child")])


def main():
    text = render()
    if sys.argv[1:] == ["write"]:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(text)
        return 0
    with open(TABLE, encoding="utf-8") as file:
        if file.read() == text:
            return 0
    print("docs/conformance.md is not what the run saw; ./dev test --table writes it anew")
    return 1


if __name__ == "__main__":
    sys.exit(main())
