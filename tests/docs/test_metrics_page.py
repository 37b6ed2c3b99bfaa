"""docs/metrics.md says what the program says that asks the code."""

import difflib
import os
import subprocess
import sys
import unittest

SOURCE = os.environ["MF_SOURCE_DIR"]
PAGE = os.path.join(SOURCE, "docs", "metrics.md")


class MetricsPageTest(unittest.TestCase):
    def test_the_page_is_what_the_code_says(self):
        made = subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True).stdout
        with open(PAGE, encoding="utf-8") as file:
            kept = file.read()
        self.assertIn("| `multifrost_client_calls_total` | counter |", made)
        stale = list(difflib.unified_diff(kept.splitlines(), made.splitlines(), "docs/metrics.md", "code", lineterm=""))
        self.assertEqual(stale, [], "run ./dev docs --write")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
