"""What the pages name exists: files, pages that are linked to, and functions named beside a file.

A path with a folder is one from the root, or a public header (`multifrost/call.h`); a bare name is that of
some file of the tree. In a row of a table, `name()` behind a path of the source is a function that this file
has. Code blocks are left out, but for diagrams.
"""

import glob
import os
import re
import subprocess
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
PATH = re.compile(r"(?<![\w./$~-])((?:[\w-]+/)*[\w-]+\.[ch])(?![\w])")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
FUNCTION = re.compile(r"`(\w+)\(\)`")
# Made by the build.
GENERATED = {"multifrost/multifrost.h", "multifrost/version.h", "multifrost.h", "version.h"}


def pages():
    return [f"{SOURCE}/README.md", f"{SOURCE}/CONTRIBUTING.md", *sorted(glob.glob(f"{SOURCE}/docs/*.md"))]


def tree():
    listed = subprocess.run(["git", "-C", SOURCE, "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return set(listed.stdout.split("\n")) - {""}
    found = glob.glob("**/*", root_dir=SOURCE, recursive=True)  # a copy without its history
    return {path for path in found if not path.startswith("build/")}


def prose(text):
    """The lines outside of code; those of diagrams too. With their numbers."""
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fence = line.strip()[3:] if fence is None else None
        elif fence in (None, "text"):
            yield number, line


class Names:
    """Which names the tree has."""

    def __init__(self, files):
        self.files = files
        self.bare = {os.path.basename(path) for path in files}
        self.public = {path.rpartition("/include/")[2] for path in files if "/include/" in path}

    def has(self, name):
        return name in GENERATED or name in (self.files | self.public if "/" in name else self.bare)


def wrong_paths(names, line):
    return [name for name in PATH.findall(line) if not names.has(name)]


def wrong_functions(line, read):
    """Of a row: functions that the file before them does not have."""
    wrong = []
    text = None
    for word in re.finditer(rf"{PATH.pattern}|{FUNCTION.pattern}", line):
        path, function = word.groups()
        if path is not None:
            text = read(path)
        elif text is not None and re.search(rf"\b{function}\(", text) is None:
            wrong.append(function)
    return wrong


class PathsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.names = Names(tree())

    def read(self, path):
        if path not in self.names.files:
            return None  # a bare name may be that of several files
        with open(f"{SOURCE}/{path}", encoding="utf-8") as file:
            return file.read()

    def check_page(self, page):
        seen = 0
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for number, line in prose(text):
            at = f"{os.path.relpath(page, SOURCE)}:{number}"
            seen += len(PATH.findall(line)) + len(LINK.findall(line))
            self.assertEqual(wrong_paths(self.names, line), [], f"{at} names files that do not exist")
            if line.startswith("|"):
                self.assertEqual(wrong_functions(line, self.read), [], f"{at} names functions that the file does not have")
            for link in LINK.findall(line):
                place = os.path.normpath(os.path.join(os.path.dirname(page), link))
                self.assertTrue(os.path.exists(place), f"{at} links to {link}, which does not exist")
        return seen

    def test_all_that_is_named_exists(self):
        seen = {page: self.check_page(page) for page in pages()}
        self.assertGreater(seen[f"{SOURCE}/docs/architecture.md"], 50)

    def test_the_table_of_rooms_is_that_of_the_build(self):
        with open(f"{SOURCE}/docs/architecture.md", encoding="utf-8") as file:
            rows = re.findall(r"^\| `([\w/]+)/` \|.*\| ([^|]+) \|$", file.read(), re.MULTILINE)
        shown = {folder: [] if uses == "-" else uses.split() for folder, uses in rows}
        with open(f"{BUILD}/rooms.txt", encoding="utf-8") as file:
            built = {folder: uses for _, folder, *uses in map(str.split, file)}
        self.assertEqual(shown, built)

    def test_what_does_not_exist_is_noticed(self):
        files = {"base/clock.c", "core/client/include/multifrost/call.h"}
        names = Names(files)
        self.assertEqual(wrong_paths(names, "`base/clock.c`, `clock.c`, `multifrost/call.h`, `multifrost/version.h`"), [])
        for name in ("base/clocks.c", "core/clock.c", "clocks.c", "multifrost/clock.h", "client/call.h"):
            self.assertEqual(wrong_paths(names, f"see `{name}`."), [name])
        self.assertEqual(wrong_functions("| `a.c` | `go()`, `stay()` |", lambda path: "void go(void)"), ["stay"])


if __name__ == "__main__":
    unittest.main()
