"""The tables contain the figures of a run's lines."""

import importlib.util
import json
import os
import tempfile
import unittest

SOURCE = os.environ["MF_SOURCE_DIR"]
ABOUT = {"date": "2026-01-31", "commit": "abc1234", "kernel": "Linux 6.1", "options": "--rounds 3"}
COMMON = {"bench": "rpc", "rounds": 3, "machine": "Some CPU, 2 cores", "unit": "us"}
PEER = {
    **COMMON,
    "name": "sync p50",
    "value": 30.06,
    "spread": [29.1, 31.2],
    "against": "zmq",
    "peer_value": 20.04,
    "ratio": 1.5,
    "ratio_spread": [1.4, 1.6],
    "goal": "at most",
    "target": 1.25,
    "met": False,
}
ALONE = {**COMMON, "name": "throughput", "value": 123456.7, "spread": [120000, 130000], "unit": "calls/s"}


def load():
    spec = importlib.util.spec_from_file_location("report", f"{SOURCE}/bench/report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.report = load()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.lines = self.write(folder, "lines.json", "".join(f"{json.dumps(x)}\n" for x in (ABOUT, PEER, ALONE)))
        page = f"before\n{self.report.BEGIN}\nold\n{self.report.END}\nafter\n"
        self.report.PAGE = self.write(folder, "page.md", page)
        self.report.DATA = os.path.join(folder.name, "data.json")

    @staticmethod
    def write(folder, name, text):
        path = os.path.join(folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def test_tables(self):
        text = self.report.tables(*self.report.read_lines(self.lines))
        self.assertIn("| sync p50 | 30.1 us | zmq: 20.0 us | 1.50 | 1.40 to 1.60 | at most 1.25 | **no** |", text)
        self.assertIn("| throughput | 123,457 calls/s |  |  | 120,000 to 130,000 |  |  |", text)
        for known in ("Some CPU, 2 cores", "2026-01-31", "abc1234", "rounds: 3", "`./dev bench --rounds 3`", "### rpc"):
            self.assertIn(known, text)

    def test_write_replaces_what_is_between_the_markers(self):
        for _ in range(2):
            self.report.main(["--write", self.lines])
            page = self.read(self.report.PAGE)
            self.assertTrue(page.startswith(f"before\n{self.report.BEGIN}\n"))
            self.assertTrue(page.endswith(f"{self.report.END}\nafter\n"))
            self.assertNotIn("old", page)
            self.assertEqual(page.count("### rpc"), 1)
        self.assertEqual(self.read(self.report.DATA), self.read(self.lines))

    def test_a_smoke_run_is_not_written_down(self):
        page = self.read(self.report.PAGE)
        with open(self.lines, "w", encoding="utf-8") as file:
            file.write(f"{json.dumps({**ABOUT, 'options': '--smoke'})}\n{json.dumps(ALONE)}\n")
        with self.assertRaises(SystemExit):
            self.report.main(["--write", self.lines])
        self.assertEqual(self.read(self.report.PAGE), page)

    def test_a_page_without_markers_is_left_alone(self):
        with open(self.report.PAGE, "w", encoding="utf-8") as file:
            file.write("nothing\n")
        with self.assertRaises(SystemExit):
            self.report.main(["--write", self.lines])
        self.assertEqual(self.read(self.report.PAGE), "nothing\n")

    def test_numbers(self):
        for value, text in ((0.0123, "0.0123"), (0.5, "0.5"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123")):
            self.assertEqual(self.report.number(value), text)


if __name__ == "__main__":
    unittest.main(buffer=True)
