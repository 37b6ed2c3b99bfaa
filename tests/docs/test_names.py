"""The names that the pages use exist in the code, and the names that a user meets stand on the pages: metrics,
log events, variables of the environment, functions, options.
"""

import fnmatch
import glob
import os
import re
import unittest

SOURCE = os.environ["MF_SOURCE_DIR"]
ROOMS = ("base", "metrics", "logging", "core", "http")
METRIC = re.compile(r"(?<![\w:/-])(multifrost_[a-z_]*[a-z])(?![\w*])")
VARIABLE = re.compile(r"\b(?:COMLINK|MULTIFROST)_[A-Z_]*[A-Z]\b")
TICKED = re.compile(r"`([a-z]+(?:_[a-z0-9]+)+)(?:\(\))?`")
PUBLIC = re.compile(r"\b(?:mf|MF)_\w*\w\b")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def join(*patterns):
    paths = sorted({path for pattern in patterns for path in glob.glob(f"{SOURCE}/{pattern}", recursive=True)})
    return "\n".join(map(read, paths))


def rooms(*ends):
    return join(*(f"{room}/**/{end}" for room in ROOMS for end in ends))


def section(page, title):
    """What stands below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}$\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found.group(1)


def first_cells(text):
    """The words in backticks of each row's first cell."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([\w*]+)`", row)]


def families(code):
    """Of each metric, whether it is a histogram. Names in the catalogue have no prefix."""
    catalogue = read(f"{SOURCE}/core/observe/catalogue.h")
    listed = re.findall(r"\bX\(\w+, (\w+), \"(\w+)\"", catalogue)
    found = {f"multifrost_{name}": kind == "HISTOGRAM" for kind, name in listed}
    for name in re.findall(r"\"(multifrost_[a-z_]+[a-z])\"", code):
        found.setdefault(name, name.endswith(("_seconds", "_bytes")))
    return found


def unknown_metrics(text, known):
    wrong = []
    for name in METRIC.findall(text):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if name not in known and not known.get(base, False):
            wrong.append(name)
    return wrong


class NamesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.code = rooms("*.c", "*.h")
        cls.headers = rooms("include/**/*.h")
        cls.pages = join("README.md", "CONTRIBUTING.md", "docs/*.md", "*/README.md")
        cls.observability = read(f"{SOURCE}/docs/observability.md")
        cls.families = families(cls.code)

    def test_metrics_that_are_named_exist(self):
        self.assertGreater(len(self.families), 60)
        text = (self.pages + join("dashboards/*.json")).replace("multifrost_peer", "")  # a module of examples/
        self.assertEqual(unknown_metrics(text, self.families), [])

    def test_the_table_of_metrics_has_all_families(self):
        patterns = [name for name in first_cells(section(self.observability, "Metrics")) if not name.startswith("process")]
        names = {name.removeprefix("multifrost_") for name in self.families}
        patterns = {name.removeprefix("multifrost_") for name in patterns} - {"target_info"}
        self.assertEqual([one for one in patterns if not fnmatch.filter(names, one)], [])
        self.assertEqual([name for name in names if not any(fnmatch.fnmatch(name, one) for one in patterns)], [])

    def test_the_table_of_log_events_has_all_events(self):
        known = re.search(r"own\[\] = \{(.*?)\}", read(f"{SOURCE}/logging/event.c"), re.DOTALL).group(1)
        others = self.code.replace(known, "")
        made = {name for name in re.findall(r"\"(\w+)\"", known) if f'"{name}"' in others}
        self.assertEqual(sorted(first_cells(section(self.observability, "Log events"))), sorted(made))
        shown = set(re.findall(r"\"event\":\"(\w+)\"", self.pages))  # names of the program's own have a dot
        self.assertEqual(shown - made, set())

    def test_the_table_of_variables_has_all_variables(self):
        code = re.sub(r"/\*.*?\*/", "", self.code, flags=re.DOTALL)
        used = {name for text in re.findall(r"\"([^\"\n]*)\"", code) for name in VARIABLE.findall(text)}
        self.assertIn("COMLINK_ZMQ_PORT", used)
        options = set(re.findall(r"\boption\((\w+)", read(f"{SOURCE}/CMakeLists.txt")))  # of the build
        self.assertIn("MULTIFROST_PROTOBUF", options)
        self.assertEqual(set(VARIABLE.findall(self.pages)) - used - options, set())
        self.assertEqual(used - set(VARIABLE.findall(self.pages)), set())

    def test_public_names_exist(self):
        known = set(PUBLIC.findall(self.headers)) | set(PUBLIC.findall(join("CMakeLists.txt", "cmake/*", "tests/CMakeLists.txt")))
        known |= set(PUBLIC.findall(join("tests/**/*.c", "tests/docs/*.py")))
        self.assertEqual(sorted(set(PUBLIC.findall(self.pages)) - known), [])

    def test_words_in_backticks_exist(self):
        everything = self.code + join("tests/**/*.[ch]", "tests/**/*.py", "tests/**/*.js", "bench/**/*.[ch]", "examples/**/*.c")
        everything += join("**/CMakeLists.txt", "cmake/*", "examples/**/*.py")
        known = set(re.findall(r"\w+", everything))
        known |= {word for name in self.families for word in (name, name.removeprefix("multifrost_"))}
        known.add("pidfd_open")  # a system call
        self.assertEqual(sorted(set(TICKED.findall(self.pages)) - known), [])

    def test_what_does_not_exist_is_noticed(self):
        known = {"multifrost_a_total": False, "multifrost_b_seconds": True}
        self.assertEqual(unknown_metrics("`multifrost_a_total` multifrost_b_seconds_bucket{}", known), [])
        self.assertEqual(unknown_metrics("`multifrost_a_total_sum` multifrost_c", known), ["multifrost_a_total_sum", "multifrost_c"])
        self.assertEqual(first_cells("| `a`, `b_*` | `c` |\n| d | `e` |\n"), ["a", "b_*"])


if __name__ == "__main__":
    unittest.main()
