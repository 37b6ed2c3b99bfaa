"""Every benchmark still runs: it prints the lines of JSON that bench_report() promises, and leaves
nothing behind. The tests do not judge the figures."""

import json
import math
import os
import signal
import subprocess
import tempfile
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
SECONDS = 60  # for one program
TEXTS = {"bench", "name", "unit", "machine"}
ALWAYS = TEXTS | {"value", "spread", "rounds"}
WITH_PEER = {"against", "peer_value", "ratio", "ratio_spread"}
WITH_GOAL = {"goal", "target", "met"}


def programs():
    listed = subprocess.run([f"{SOURCE}/bench/run", "--list"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


def processes_of(session):
    """Ids of what runs in that session; a process that has ended counts only until it is waited for."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                state, _, _, its_session = file.read().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(entry))
    return found


def end_all(session):
    for left in processes_of(session):
        try:
            os.kill(left, signal.SIGKILL)
        except ProcessLookupError:
            pass


class BenchTest(unittest.TestCase):
    def run_smoke(self, program):
        """Its lines; it has to end well, in time and with all that it started."""
        with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [program, "--smoke"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=home,
                env={**os.environ, "HOME": home},
                start_new_session=True,
            )
            try:
                # The end of its output is also that of all processes that share it.
                output, _ = process.communicate(timeout=SECONDS)
                left = processes_of(process.pid)
            finally:
                end_all(process.pid)
                process.wait()
            errors.seek(0)
            self.assertEqual(process.returncode, 0, errors.read())
            self.assertEqual(left, [], "processes left behind")
        return [json.loads(line) for line in output.splitlines()]

    def check_number(self, value):
        self.assertNotIsInstance(value, bool)
        self.assertIsInstance(value, (int, float))
        self.assertTrue(math.isfinite(value) and value > 0, value)

    def check_spread(self, spread, median):
        self.assertEqual(len(spread), 2)
        for value in spread:
            self.check_number(value)
        self.assertLessEqual(spread[0], median * 1.001)  # printed with few digits
        self.assertGreaterEqual(spread[1], median * 0.999)

    def check_line(self, line):
        wanted = set(ALWAYS)
        wanted |= WITH_PEER if WITH_PEER & set(line) else set()
        wanted |= WITH_GOAL if WITH_GOAL & set(line) else set()
        self.assertEqual(set(line), wanted)
        for key in TEXTS:
            self.assertTrue(line[key].strip(), key)
        self.check_number(line["value"])
        self.check_spread(line["spread"], line["value"])
        self.assertEqual(line["rounds"], 1)
        if "against" in line:
            self.assertTrue(line["against"])
            self.check_number(line["peer_value"])
            self.check_number(line["ratio"])
            self.check_spread(line["ratio_spread"], line["ratio"])
        if "goal" in line:
            self.assertIn(line["goal"], ("at most", "at least"))
            self.check_number(line["target"])
            self.assertIsInstance(line["met"], bool)

    def test_each_program_reports(self):
        self.assertTrue(programs())
        for program in programs():
            with self.subTest(program=os.path.basename(program)):
                lines = self.run_smoke(program)
                self.assertTrue(lines)
                for line in lines:
                    with self.subTest(line=line):
                        self.check_line(line)
                names = [(line["bench"], line["name"], line.get("against")) for line in lines]
                self.assertEqual(len(set(names)), len(names), "two lines about the same")


if __name__ == "__main__":
    unittest.main()
