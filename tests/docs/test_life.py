"""docs/threads.md shows the table of a connection's life as the code has it."""

import os
import subprocess
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
BEGIN, END = "<!-- life -->\n", "<!-- /life -->\n"


class LifeTest(unittest.TestCase):
    maxDiff = None

    def test_the_page_shows_the_table(self):
        with open(f"{SOURCE}/docs/threads.md", encoding="utf-8") as file:
            page = file.read()
        self.assertEqual((page.count(BEGIN), page.count(END)), (1, 1), "docs/threads.md needs both marks once")
        shown = page.split(BEGIN)[1].split(END)[0]
        program = f"{BUILD}/tests/unit/policy/test_policy_life"
        printed = subprocess.run([program, "--print"], capture_output=True, text=True, check=True, timeout=30).stdout
        self.assertIn("| RUNNING |", printed)
        self.assertEqual(shown, printed, "put what test_policy_life --print shows between the marks of docs/threads.md")


if __name__ == "__main__":
    unittest.main()
