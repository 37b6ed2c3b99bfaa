"""The names that the pages use exist in the code, and the names that a user meets stand on the pages: metrics,
log events, variables of the environment, functions, options.
"""

import fnmatch
import glob
import json
import os
import re
import unittest

import promql

SOURCE = os.environ["MF_SOURCE_DIR"]
ROOMS = ("base", "metrics", "logging", "core", "http", "admin")
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


# Expressions as they may come from a slip, each with the word that the refusal must have.
WRONG = {
    "multifrost_client_call_total": "multifrost_client_call_total",
    "rate(multifrost_client_calls[5m])": "multifrost_client_calls",
    "multifrost_client_calls_total_sum": "multifrost_client_calls_total_sum",
    "multifrost_client_call_latency_window_seconds_bucket": "_bucket",
    "sum by (tarqet) (rate(multifrost_client_calls_total[5m]))": "tarqet",
    "sum(rate(multifrost_client_calls_total[5m])) by (worker)": "worker",
    "sum without (worker) (multifrost_client_calls_in_flight)": "worker",
    "sum by (le) (rate(multifrost_client_call_duration_seconds_sum[5m]))": "le",
    "sum by (function) (sum by (target) (rate(multifrost_client_calls_total[5m])))": "function",
    'multifrost_client_calls_total{state="ok"}': "state",
    'multifrost_client_calls_total{status="failed"}': "failed",
    'multifrost_client_calls_total{status!="failed"}': "failed",
    'multifrost_client_calls_total{status!~"ok|canceled"}': "canceled",
    'multifrost_client_calls_total{status=~"time_.*"}': "time_.*",
    'multifrost_circuit_state{state="opened"} == 1': "opened",
    'multifrost_workers{state="restart"} > 0': "restart",
    'process_open_fds{worker="a"}': "worker",
    "process_open_files / process_max_fds": "process_open_files",
    "multifrost_worker_up * on (target, function) multifrost_worker_pid": "function",
    "label_values(multifrost_worker_up, function)": "function",
    'label_values(multifrost_workers{state="gone"}, instance)': "gone",
    "a:recorded:rate5m > 1": "a:recorded:rate5m",
    'histogram_quantile(0.9, sum by (le) (rate(multifrost_client_call_duration_seconds_bucket{outcome="failed"}[5m])))': "failed",
    'rpc_client_call_duration_seconds_count{error_type="ok"}': "ok",
}
RIGHT = (
    'sum by (job, target) (rate(multifrost_client_calls_total{status!~"ok|cancelled|app_error"}[5m])) / on (job, target)'
    " sum by (job, target) (rate(multifrost_client_calls_total[5m])) > 0.01",
    "histogram_quantile(0.99, sum by (job, target, le) (rate(multifrost_client_call_duration_seconds_bucket[$__rate_interval])))",
    "histogram_quantile(0.99, sum by (function) (rate(multifrost_client_call_duration_seconds[5m])))",
    'max(multifrost_client_call_latency_window_seconds{quantile="0.99",target=~"$target"}) by (target)',
    'up{job=~"multi.*",pod="x"} == 0 or absent(up)',
    'multifrost_circuit_state{state=~".*open"} == 1',
    'multifrost_client_calls_total{target="anything",function=~"a.*"} offset 5m',
    "a:b:rate5m{x=\"y\"} > 2 * (1 - 0.99)",
    "label_values(multifrost_worker_up, worker)",
    'rpc_client_call_duration_seconds_count{error_type=""}',
)


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
        cls.catalogue = promql.read_page(read(f"{SOURCE}/docs/metrics.md"))
        cls.families = {name: family.kind == "histogram" for name, family in cls.catalogue.items()}

    def test_metrics_that_are_named_exist(self):
        self.assertGreater(len(self.families), 60)
        text = (self.pages + join("dashboards/*.json")).replace("multifrost_peer", "")  # a module of examples/
        self.assertEqual(unknown_metrics(text, self.families), [])

    def test_families_of_the_table_exist(self):
        patterns = first_cells(section(self.observability, "Metrics"))
        names = {name.removeprefix("multifrost_") for name in self.families}
        self.assertEqual([one for one in patterns if not fnmatch.filter(names, one.removeprefix("multifrost_"))], [])

    def test_dashboards_name_what_is_there(self):
        found = []
        for path in glob.glob(f"{SOURCE}/dashboards/**/*.json", recursive=True):
            found += promql.expressions_of_json(json.loads(read(path)))
        self.assertGreater(len(found), 20)
        for expression in found:
            with self.subTest(expression):
                self.assertEqual(promql.wrong_names(expression, self.catalogue), [])

    def test_rules_name_what_is_there(self):
        files = [promql.expressions_of_rules(read(path)) for path in glob.glob(f"{SOURCE}/dashboards/**/*.y*ml", recursive=True)]
        recorded = set().union(*(names for _, names in files))
        for expression in [each for found, _ in files for each in found]:
            with self.subTest(expression):
                self.assertEqual(promql.wrong_names(expression, self.catalogue, recorded), [])

    def test_pages_name_labels_and_words_that_are_there(self):
        pages = self.pages.replace("multifrost_peer", "")
        self.assertIn("multifrost_log_dropped_total{reason=", pages)
        self.assertEqual(promql.wrong_selectors(pages, self.catalogue), [])
        for expression in re.findall(r"^(?:histogram_quantile|sum|rate|max)\b.*\(.*$", pages, re.MULTILINE):
            with self.subTest(expression):
                self.assertEqual(promql.wrong_names(expression, self.catalogue), [])

    def test_wrong_expressions_are_refused(self):
        for expression, word in WRONG.items():
            with self.subTest(expression):
                self.assertIn(word, " ".join(promql.wrong_names(expression, self.catalogue)))
        for expression in RIGHT:
            with self.subTest(expression):
                self.assertEqual(promql.wrong_names(expression, self.catalogue, {"a:b:rate5m"}), [])

    def test_wrong_selectors_of_pages_are_refused(self):
        for text, word in {
            '`multifrost_log_dropped_total{reason="full"}` counts': "full",
            "`multifrost_log_dropped_total{cause}`": "cause",
            "`multifrost_log_drop_total`": "multifrost_log_drop_total",
        }.items():
            with self.subTest(text):
                self.assertIn(word, " ".join(promql.wrong_selectors(text, self.catalogue)))

    def test_rules_are_found(self):
        text = """groups:
- name: g
  rules:
  - record: a:b:rate5m
    expr: sum by (target) (multifrost_worker_up)
  - alert: Down
    # expr: none
    expr: |
      multifrost_worker_up
        == 0
    for: 1m
  - alert: Quoted
    expr: 'multifrost_workers{state="down"} > 0'
"""
        found, recorded = promql.expressions_of_rules(text)
        self.assertEqual(found, ["sum by (target) (multifrost_worker_up)", "multifrost_worker_up == 0",
                                 'multifrost_workers{state="down"} > 0'])
        self.assertEqual(recorded, {"a:b:rate5m"})

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
